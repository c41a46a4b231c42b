// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats
import Glibc

/// Values that HTTP and TCP logs write alike.
enum FormatValues {
    /// `2026-08-22T12:00:00.123Z`, or by `argument` as a strftime format.
    static func appendTime(
        _ wallClock: UInt64, format argument: UnsafeRawBufferPointer, isLocal: Bool = false, to sink: ByteSink
    ) -> Bool {
        FormatTime.append(microseconds: Int64(wallClock / 1000), format: argument, isLocal: isLocal, to: sink)
        return true
    }

    static func append(_ address: Address?, includingPort: Bool, to sink: ByteSink) -> Bool {
        guard let address else { return false }
        switch address {
        case .pipe(let path): sink.append(string: path)
        case .internal: sink.append(string: address.description)
        case .ipv4, .ipv6:
            sink.append(room: Address.maxTextLength) { address.write(to: $0, includingPort: includingPort) }
        }
        return true
    }

    static func appendPort(_ address: Address?, to sink: ByteSink) -> Bool {
        guard let port = address?.port else { return false }
        sink.append(decimal: UInt64(port))
        return true
    }

    /// Short names of the flags, comma between them; `-` for none, in headers too.
    ///
    /// - Parameter first: those that are printed before the others. Envoy prints flags as they came: for a request, that no
    ///   other attempt is made is known before how the last one ended; for a TCP connection it is the other way round.
    static func append(_ flags: ResponseFlags, first: ResponseFlags = .ofRetries, to sink: ByteSink) -> Bool {
        appendNames(flags, first, ResponseFlagNames.short, to: sink)
    }

    /// Long names of the flags (`%RESPONSE_FLAGS_LONG%`).
    static func appendLong(_ flags: ResponseFlags, first: ResponseFlags = .ofRetries, to sink: ByteSink) -> Bool {
        appendNames(flags, first, ResponseFlagNames.long, to: sink)
    }

    private static func appendNames(
        _ flags: ResponseFlags, _ first: ResponseFlags, _ names: [StaticString], to sink: ByteSink
    ) -> Bool {
        if flags.isEmpty { sink.append(UInt8(ascii: "-")) }
        var isFirst = true
        appendNames(flags.intersection(first), names, to: sink, &isFirst)
        appendNames(flags.subtracting(first), names, to: sink, &isFirst)
        return true
    }

    private static func appendNames(
        _ flags: ResponseFlags, _ names: [StaticString], to sink: ByteSink, _ isFirst: inout Bool
    ) {
        for (index, name) in names.enumerated() where flags.rawValue & (1 << UInt64(index)) != 0 {
            if !isFirst { sink.append(",") }
            sink.append(name)
            isFirst = false
        }
    }

    /// `delayed_connect_error:_Connection_refused`: the kernel's reason, with underscores for spaces.
    static func appendConnectFailure(_ code: Int32, to sink: ByteSink) -> Bool {
        guard code != 0 else { return false }
        if code < 0 { return TLSReason.append(code, to: sink) }
        sink.append("delayed_connect_error:_")
        for byte in String(cString: strerror(code)).utf8 {
            sink.append(byte == UInt8(ascii: " ") ? UInt8(ascii: "_") : byte)
        }
        return true
    }

    /// Milliseconds from `start` to `end`.
    static func append(from start: MonotonicInstant, to end: MonotonicInstant?, to sink: ByteSink) -> Bool {
        guard let end else { return false }
        sink.append(decimal: end.nanoseconds(since: start) / 1_000_000)
        return true
    }

    /// Commands about the downstream connection alone; nil when the command is not one of them.
    static func append(_ command: FormatCommand, facts: ConnectionFacts, to sink: ByteSink) -> Bool? {
        switch command {
        case .downstreamLocalAddress: append(facts.localAddress, includingPort: true, to: sink)
        case .downstreamLocalAddressWithoutPort: append(facts.localAddress, includingPort: false, to: sink)
        case .downstreamLocalPort: appendPort(facts.localAddress, to: sink)
        case .downstreamDirectLocalAddress: append(facts.directLocalAddress, includingPort: true, to: sink)
        case .downstreamDirectLocalAddressWithoutPort: append(facts.directLocalAddress, includingPort: false, to: sink)
        case .downstreamDirectLocalPort: appendPort(facts.directLocalAddress, to: sink)
        case .downstreamRemoteAddress: append(facts.remoteAddress, includingPort: true, to: sink)
        case .downstreamRemoteAddressWithoutPort: append(facts.remoteAddress, includingPort: false, to: sink)
        case .downstreamRemotePort: appendPort(facts.remoteAddress, to: sink)
        case .downstreamDirectRemoteAddress: append(facts.directRemoteAddress, includingPort: true, to: sink)
        case .downstreamDirectRemoteAddressWithoutPort: append(facts.directRemoteAddress, includingPort: false, to: sink)
        case .downstreamDirectRemotePort: appendPort(facts.directRemoteAddress, to: sink)
        case .requestedServerName:
            appendText(facts.serverName, to: sink)
        // Only addresses of Envoy's internal listeners have one.
        case .downstreamLocalEndpointID, .downstreamDirectLocalEndpointID, .customFlags: true
        case .bytesRetransmitted, .packetsRetransmitted: appendNumber(0, to: sink)
        default: append(command, downstream: facts.tls, to: sink)
        }
    }

    static func append(_ command: FormatCommand, _ heads: HeadBytes, to sink: ByteSink) -> Bool {
        let count: UInt32
        switch command {
        case .downstreamHeaderBytesReceived: count = heads.downstreamReceived
        case .downstreamHeaderBytesSent, .downstreamDecompressedHeaderBytesSent: count = heads.downstreamSent
        case .downstreamDecompressedHeaderBytesReceived: count = heads.downstreamDecompressed
        case .upstreamHeaderBytesReceived: count = heads.upstreamReceived
        case .upstreamHeaderBytesSent, .upstreamDecompressedHeaderBytesSent: count = heads.upstreamSent
        case .upstreamDecompressedHeaderBytesReceived: count = heads.upstreamDecompressed
        default: return false
        }
        return appendNumber(UInt64(count), to: sink)
    }

    /// Nanoseconds from `start` to `end`, in units; false unless both are known and in this order.
    static func append(
        _ span: DurationSpan, start: MonotonicInstant?, end: MonotonicInstant?, to sink: ByteSink
    ) -> Bool {
        guard let start, let end, start.nanoseconds > 0, end.nanoseconds >= start.nanoseconds else { return false }
        sink.append(decimal: (end.nanoseconds - start.nanoseconds) / max(span.unit, 1))
        return true
    }

    static func appendText(_ text: String, to sink: ByteSink) -> Bool {
        guard !text.isEmpty else { return false }
        sink.append(string: text)
        return true
    }

    static func appendNumber(_ value: UInt64, to sink: ByteSink) -> Bool {
        sink.append(decimal: value)
        return true
    }
}
