// SPDX-License-Identifier: Apache-2.0

/// The condition of a route: all parts must hold.
///
/// - Source: `envoy.config.route.v3.RouteMatch`.
package struct RouteMatch: Equatable, Sendable {
    package var path: PathMatch
    /// Applies to prefix, exact and separated prefix. Source: `case_sensitive`. Default: true.
    package var caseSensitive = true
    /// Source: `runtime_fraction.default_value`. Default: nil (all requests).
    package var fraction: FractionalPercent?
    /// Runtime key that may override the fraction. Source: `runtime_fraction.runtime_key`. Default: empty.
    package var fractionRuntimeKey = ""
    package var headers: [HeaderMatcher] = []
    package var queryParameters: [QueryParameterMatcher] = []

    package init(_ path: PathMatch) { self.path = path }

    /// Source: oneof `path_specifier`.
    package enum PathMatch: Equatable, Sendable {
        /// The path, without its query, begins so.
        case prefix(String)
        /// The path, without its query, is this.
        case exact(String)
        /// The path is this or goes on with `/`. Never ends in `/`.
        case separatedPrefix(String)
        /// The whole path, without its query, matches the RE2 pattern.
        case regex(String)
        /// A CONNECT request.
        case connect
    }
}

/// A condition on a text. Source: `envoy.type.matcher.v3.StringMatcher`.
package struct StringMatcher: Hashable, Sendable {
    package var pattern: Pattern
    /// ASCII case does not matter; regexes ignore it. Source: `ignore_case`. Default: false.
    package var ignoreCase: Bool

    package enum Pattern: Hashable, Sendable {
        case exact(String)
        case prefix(String)
        case suffix(String)
        case contains(String)
        /// RE2, must match all of the text.
        case regex(String)
    }

    package init(_ pattern: Pattern, ignoreCase: Bool = false) {
        self.pattern = pattern
        self.ignoreCase = ignoreCase
    }
}

/// A condition on a request header. One of several values suffices; inverted, none may meet the condition.
///
/// - Source: `envoy.config.route.v3.HeaderMatcher`; the deprecated `exact_match` and its like are string matches here.
package struct HeaderMatcher: Hashable, Sendable {
    /// Lower case; may be a pseudo header.
    package var name: String
    package var condition: Condition
    /// Source: `invert_match`. Default: false. An absent header never meets an inverted value condition.
    package var invert: Bool
    /// Source: `treat_missing_header_as_empty`. Default: false.
    package var treatMissingAsEmpty: Bool

    package enum Condition: Hashable, Sendable {
        /// There (true) or absent (false).
        case present(Bool)
        case string(StringMatcher)
        /// A decimal integer, start inclusive, end exclusive.
        case range(start: Int64, end: Int64)
    }

    package init(name: String, _ condition: Condition, invert: Bool = false, treatMissingAsEmpty: Bool = false) {
        self.name = name
        self.condition = condition
        self.invert = invert
        self.treatMissingAsEmpty = treatMissingAsEmpty
    }
}

/// A condition on the first query parameter of a name. Source: `envoy.config.route.v3.QueryParameterMatcher`.
package struct QueryParameterMatcher: Hashable, Sendable {
    package var name: String
    package var condition: Condition

    package enum Condition: Hashable, Sendable {
        case present(Bool)
        case string(StringMatcher)
    }

    package init(name: String, _ condition: Condition) {
        self.name = name
        self.condition = condition
    }
}

/// A share of events. Source: `envoy.type.v3.FractionalPercent`.
package struct FractionalPercent: Hashable, Sendable {
    package var numerator: UInt32
    /// 100, 10,000 or 1,000,000.
    package var denominator: UInt32

    package init(numerator: UInt32, denominator: UInt32 = 100) {
        self.numerator = numerator
        self.denominator = denominator
    }

    /// Whether the event of this random value is in the share.
    package func contains(random: UInt64) -> Bool {
        random % UInt64(max(denominator, 1)) < UInt64(numerator)
    }
}
