// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    func accessLogFilter(
        _ message: Envoy_Config_Accesslog_V3_AccessLogFilter, at path: String
    ) throws(ConfigError) -> AccessLogFilter {
        switch message.filterSpecifier {
        case .statusCodeFilter(let filter)?: return .status(comparison(filter.comparison))
        case .durationFilter(let filter)?: return .duration(comparison(filter.comparison))
        case .notHealthCheckFilter?: return .notHealthCheck
        case .traceableFilter?: return .traceable
        case .runtimeFilter(let filter)?: return share(filter)
        case .andFilter(let filter)?: return .all(try filters(filter.filters, at: path + ".and_filter.filters"))
        case .orFilter(let filter)?: return .any(try filters(filter.filters, at: path + ".or_filter.filters"))
        case .headerFilter(let filter)?:
            let place = path + ".header_filter.header"
            let matcher = try headerMatcher(filter.header, at: place)
            do throws(ResourceError) {
                return .header(try HeaderPredicate(matcher, maxRegexProgramSize: maxRegexProgramSize))
            } catch {
                throw self.error(error, under: place)
            }
        case .responseFlagFilter(let filter)?:
            return .flags(try flags(filter.flags, at: path + ".response_flag_filter.flags"))
        case .grpcStatusFilter(let filter)?:
            var bits: UInt32 = 0
            for status in filter.statuses where (0..<32).contains(status.rawValue) { bits |= 1 << UInt32(status.rawValue) }
            return .grpcStatus(bits, excludes: filter.exclude)
        case .logTypeFilter(let filter)?:
            var bits: UInt32 = 0
            for type in filter.types where (0..<32).contains(type.rawValue) { bits |= 1 << UInt32(type.rawValue) }
            return .type(bits, excludes: filter.exclude)
        case .metadataFilter(let filter)?:
            return .metadata(admitsMissing: filter.hasMatchIfKeyNotFound ? filter.matchIfKeyNotFound.value : true)
        case .extensionFilter(let filter)?: return try expression(filter, at: path + ".extension_filter.typed_config")
        case nil:
            throw error(path, found: "no filter that is supported", allowed: Self.allowedFilters)
        }
    }

    private static let allowedFilters =
        "status_code_filter, duration_filter, not_health_check_filter, traceable_filter, runtime_filter, and_filter, "
        + "or_filter, header_filter, response_flag_filter, grpc_status_filter, log_type_filter, metadata_filter or extension_filter"

    private func expression(
        _ message: Envoy_Config_Accesslog_V3_ExtensionFilter, at path: String
    ) throws(ConfigError) -> AccessLogFilter {
        typealias Expression = Envoy_Extensions_AccessLoggers_Filters_Cel_V3_ExpressionFilter
        let any = try unwrapped(message.typedConfig, at: path)
        guard TypeURL.messageName(any.typeURL) == Expression.protoMessageName else {
            throw error(path, found: "'\(any.typeURL)'", allowed: Expression.protoMessageName)
        }
        let filter = try decode(Expression.self, from: any, at: path)
        do throws(CELError) {
            return .expression(try CELProgram(filter.expression))
        } catch {
            throw self.error(path + ".expression", found: "\(error.description) of '\(filter.expression)'", allowed: "a CEL expression")
        }
    }

    private func filters(
        _ messages: [Envoy_Config_Accesslog_V3_AccessLogFilter], at path: String
    ) throws(ConfigError) -> [AccessLogFilter] {
        var filters: [AccessLogFilter] = []
        for (index, message) in messages.enumerated() {
            filters.append(try accessLogFilter(message, at: "\(path)[\(index)]"))
        }
        return filters
    }

    private func comparison(_ message: Envoy_Config_Accesslog_V3_ComparisonFilter) -> AccessLogFilter.Comparison {
        let operation: AccessLogFilter.Comparison.Operation =
            switch message.op {
            case .ge: .atLeast
            case .le: .atMost
            case .ne: .notEqual
            default: .equal
            }
        return AccessLogFilter.Comparison(
            operation, UInt64(message.value.defaultValue), RuntimeReference(key: message.value.runtimeKey))
    }

    private func share(_ message: Envoy_Config_Accesslog_V3_RuntimeFilter) -> AccessLogFilter {
        let denominator: UInt32 =
            switch message.percentSampled.denominator {
            case .tenThousand: 10_000
            case .million: 1_000_000
            default: 100
            }
        let share = FractionalPercent(numerator: message.percentSampled.numerator, denominator: denominator)
        return .share(
            share, RuntimeReference(key: message.runtimeKey), isIndependent: message.useIndependentRandomness)
    }

    private func flags(_ names: [String], at path: String) throws(ConfigError) -> UInt64 {
        var bits: UInt64 = 0
        for (index, name) in names.enumerated() {
            guard let bit = ResponseFlagNames.short.firstIndex(where: { "\($0)" == name }) else {
                throw ConfigError(
                    source: source, path: "\(path)[\(index)]", found: "'\(name)'", allowed: "a response flag",
                    suggestion: NearestName.of(name, among: ResponseFlagNames.short.map { "\($0)" }))
            }
            bits |= 1 << UInt64(bit)
        }
        return bits
    }
}
