// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// What stands between the parentheses of commands, where it is more than a name.
package enum FormatArguments {
    /// Why a command cannot take an argument; nil when it can.
    static func problem(of command: FormatCommand, _ argument: UnsafeRawBufferPointer) -> String? {
        switch command {
        case .grpcStatus where GRPCStatusForm(argument: argument) == nil:
            "%GRPC_STATUS% takes CAMEL_STRING, SNAKE_STRING or NUMBER"
        case .commonDuration where DurationSpan(argument) == nil:
            "%COMMON_DURATION% takes START:END or START:END:PRECISION with precision ms, us or ns"
        case .metadata where MetadataSource.split(argument) == nil:
            "%METADATA% takes ROUTE, CLUSTER, UPSTREAM_HOST, LISTENER, LISTENER_FILTER_CHAIN, VIRTUAL_HOST or DYNAMIC, a colon and the namespace"
        case .path where PathForm(argument) == nil:
            "%PATH% takes WQ or NQ, and ORIG, PATH or ORIG_OR_PATH behind a colon"
        case .queryParameters where !argument.isEmpty && !argument.equals("ORIG") && !argument.equals("DECODED"):
            "%QUERY_PARAMS% takes ORIG or DECODED"
        default: nil
        }
    }

    /// `%DYNAMIC_METADATA(apus:…)%` are commands of ours in a dress that Envoy accepts too.
    static func meant(by command: FormatCommand, _ argument: ArraySlice<UInt8>) -> FormatCommand {
        guard command == .dynamicMetadata else { return command }
        return argument.withUnsafeBytes { bytes in
            if bytes.equals("apus:reason") { return .reason }
            if bytes.equals("apus:explanation") { return .explanation }
            return command
        }
    }

    /// The parts of an argument, cut at the first colon; the second is nil without one.
    package static func cut(
        _ argument: UnsafeRawBufferPointer
    ) -> (first: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer?) {
        guard let colon = argument.firstIndex(of: UInt8(ascii: ":")) else { return (argument, nil) }
        return (
            UnsafeRawBufferPointer(rebasing: argument[..<colon]), UnsafeRawBufferPointer(rebasing: argument[(colon + 1)...])
        )
    }
}

/// A point of a request's life that `%COMMON_DURATION%` names.
package enum TimePoint: CaseIterable, Sendable {
    case downstreamReceiveBegin, downstreamReceiveHeadEnd, downstreamReceiveEnd, downstreamSendBegin, downstreamSendEnd
    case downstreamConnectBegin, downstreamConnectEnd, downstreamHandshakeBegin, downstreamHandshakeEnd
    case upstreamConnectBegin, upstreamConnectEnd, upstreamHandshakeEnd
    case upstreamSendBegin, upstreamSendEnd, upstreamReceiveBegin, upstreamReceiveBodyBegin, upstreamReceiveEnd
    /// A name that no part of Envoy built in knows: it never has a time.
    case unknown

    init(_ name: UnsafeRawBufferPointer) {
        self = TimePoint.allCases.first { point in point.name.map { name.equals($0) } ?? false } ?? .unknown
    }

    private var name: StaticString? {
        switch self {
        case .downstreamReceiveBegin: "DS_RX_BEG"
        case .downstreamReceiveHeadEnd: "DS_RX_HDR_END"
        case .downstreamReceiveEnd: "DS_RX_END"
        case .downstreamSendBegin: "DS_TX_BEG"
        case .downstreamSendEnd: "DS_TX_END"
        case .downstreamConnectBegin: "DS_CX_BEG"
        case .downstreamConnectEnd: "DS_CX_END"
        case .downstreamHandshakeBegin: "DS_HS_BEG"
        case .downstreamHandshakeEnd: "DS_HS_END"
        case .upstreamConnectBegin: "US_CX_BEG"
        case .upstreamConnectEnd: "US_CX_END"
        case .upstreamHandshakeEnd: "US_HS_END"
        case .upstreamSendBegin: "US_TX_BEG"
        case .upstreamSendEnd: "US_TX_END"
        case .upstreamReceiveBegin: "US_RX_BEG"
        case .upstreamReceiveBodyBegin: "US_RX_BODY_BEG"
        case .upstreamReceiveEnd: "US_RX_END"
        case .unknown: nil
        }
    }
}

/// The argument of `%COMMON_DURATION(START:END:PRECISION)%`.
package struct DurationSpan: Equatable, Sendable {
    package let start: TimePoint
    package let end: TimePoint
    /// Nanoseconds of the unit that is printed.
    package let unit: UInt64

    package init?(_ argument: UnsafeRawBufferPointer) {
        let (first, rest) = FormatArguments.cut(argument)
        guard let rest else { return nil }
        let (second, precision) = FormatArguments.cut(rest)
        start = TimePoint(first)
        end = TimePoint(second)
        if precision == nil || precision?.equals("ms") == true {
            unit = 1_000_000
        } else if precision?.equals("us") == true {
            unit = 1000
        } else if precision?.equals("ns") == true {
            unit = 1
        } else {
            return nil
        }
    }
}

/// The argument of `%PATH(WQ|NQ:ORIG|PATH|ORIG_OR_PATH)%`.
package struct PathForm: Equatable, Sendable {
    package enum Source: Sendable { case original, current, originalOrCurrent }
    package var keepsQuery = true
    package var source = Source.originalOrCurrent

    package init?(_ argument: UnsafeRawBufferPointer) {
        let (query, source) = FormatArguments.cut(argument)
        if query.equals("NQ") {
            keepsQuery = false
        } else if !query.equals("WQ"), !query.isEmpty {
            return nil
        }
        guard let source, !source.isEmpty else { return }
        if source.equals("ORIG") {
            self.source = .original
        } else if source.equals("PATH") {
            self.source = .current
        } else if !source.equals("ORIG_OR_PATH") {
            return nil
        }
    }
}

/// Whose metadata `%METADATA(SOURCE:NAMESPACE:KEY…)%` reads.
package enum MetadataSource: Sendable {
    case route, cluster, upstreamHost, listener, listenerFilterChain, virtualHost, dynamic

    /// The source of a command, and the namespace with its keys: `%METADATA%` names both, the older commands stand for one.
    package static func of(
        _ command: FormatCommand, _ argument: UnsafeRawBufferPointer
    ) -> (source: MetadataSource, path: UnsafeRawBufferPointer)? {
        switch command {
        case .clusterMetadata: (.cluster, argument)
        case .upstreamMetadata: (.upstreamHost, argument)
        default: split(argument)
        }
    }

    /// The source, and the namespace with its keys.
    package static func split(
        _ argument: UnsafeRawBufferPointer
    ) -> (source: MetadataSource, path: UnsafeRawBufferPointer)? {
        let (name, path) = FormatArguments.cut(argument)
        guard let path, !path.isEmpty else { return nil }
        if name.equals("ROUTE") { return (.route, path) }
        if name.equals("CLUSTER") { return (.cluster, path) }
        if name.equals("UPSTREAM_HOST") { return (.upstreamHost, path) }
        if name.equals("LISTENER") { return (.listener, path) }
        if name.equals("LISTENER_FILTER_CHAIN") { return (.listenerFilterChain, path) }
        if name.equals("VIRTUAL_HOST") { return (.virtualHost, path) }
        if name.equals("DYNAMIC") { return (.dynamic, path) }
        return nil
    }
}
