// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func routeMatch(_ message: Envoy_Config_Route_V3_RouteMatch, at path: String) throws(ConfigError) -> RouteMatch {
        let condition: RouteMatch.PathMatch
        switch message.pathSpecifier {
        case .prefix(let text)?: condition = .prefix(text)
        case .path(let text)?: condition = .exact(text)
        case .safeRegex(let regex)?: condition = .regex(regex.regex)
        case .connectMatcher?: condition = .connect
        case .pathSeparatedPrefix(let text)?: condition = .separatedPrefix(text)
        case nil:
            throw error(
                path, found: "no path", allowed: "prefix, path, safe_regex, connect_matcher or path_separated_prefix")
        }
        var match = RouteMatch(condition)
        if message.hasCaseSensitive { match.caseSensitive = message.caseSensitive.value }
        if message.hasRuntimeFraction {
            let fraction = message.runtimeFraction.defaultValue
            let denominator: UInt32 =
                switch fraction.denominator {
                case .tenThousand: 10_000
                case .million: 1_000_000
                default: 100
                }
            match.fraction = FractionalPercent(numerator: fraction.numerator, denominator: denominator)
            match.fractionRuntimeKey = message.runtimeFraction.runtimeKey
        }
        if message.hasGrpc {
            match.headers.append(HeaderMatcher(name: "content-type", .string(StringMatcher(.regex(Self.grpcContent)))))
        }
        for (index, header) in message.headers.enumerated() {
            match.headers.append(try headerMatcher(header, at: "\(path).headers[\(index)]"))
        }
        for (index, parameter) in message.queryParameters.enumerated() {
            let condition: QueryParameterMatcher.Condition
            switch parameter.queryParameterMatchSpecifier {
            case .stringMatch(let string)?:
                condition = .string(try stringMatcher(string, at: "\(path).query_parameters[\(index)].string_match"))
            case .presentMatch(let present)?: condition = .present(present)
            case nil: condition = .present(true)
            }
            match.queryParameters.append(QueryParameterMatcher(name: parameter.name, condition))
        }
        return match
    }

    /// The content types of gRPC: with a codec's name or none, and no parameters.
    private static let grpcContent = #"application/grpc(?:\+.*)?"#

    func headerMatcher(_ message: Envoy_Config_Route_V3_HeaderMatcher, at path: String) throws(ConfigError)
        -> HeaderMatcher
    {
        let condition: HeaderMatcher.Condition
        switch message.headerMatchSpecifier {
        case .exactMatch(let text)?: condition = .string(StringMatcher(.exact(text)))
        case .prefixMatch(let text)?: condition = .string(StringMatcher(.prefix(text)))
        case .suffixMatch(let text)?: condition = .string(StringMatcher(.suffix(text)))
        case .containsMatch(let text)?: condition = .string(StringMatcher(.contains(text)))
        case .safeRegexMatch(let regex)?: condition = .string(StringMatcher(.regex(regex.regex)))
        case .stringMatch(let string)?: condition = .string(try stringMatcher(string, at: path + ".string_match"))
        case .rangeMatch(let range)?: condition = .range(start: range.start, end: range.end)
        case .presentMatch(let present)?: condition = .present(present)
        case nil: condition = .present(true)
        }
        return HeaderMatcher(
            name: message.name.lowercased(), condition, invert: message.invertMatch,
            treatMissingAsEmpty: message.treatMissingHeaderAsEmpty)
    }

    func stringMatcher(_ message: Envoy_Type_Matcher_V3_StringMatcher, at path: String) throws(ConfigError)
        -> StringMatcher
    {
        switch message.matchPattern {
        case .exact(let text)?: return StringMatcher(.exact(text), ignoreCase: message.ignoreCase)
        case .prefix(let text)?: return StringMatcher(.prefix(text), ignoreCase: message.ignoreCase)
        case .suffix(let text)?: return StringMatcher(.suffix(text), ignoreCase: message.ignoreCase)
        case .contains(let text)?: return StringMatcher(.contains(text), ignoreCase: message.ignoreCase)
        case .safeRegex(let regex)?:
            guard !message.ignoreCase else {
                throw error(path + ".ignore_case", found: "true for a safe_regex", allowed: "(?i) in the pattern")
            }
            return StringMatcher(.regex(regex.regex))
        case nil:
            throw error(path, found: "no pattern", allowed: "exact, prefix, suffix, contains or safe_regex")
        }
    }
}
