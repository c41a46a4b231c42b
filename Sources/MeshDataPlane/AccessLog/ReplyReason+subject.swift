// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel

// Reasons of streams and connections as text, for logs and headers.
extension ReplyReason {
    static func append(_ stream: ActiveStream, to sink: ByteSink) -> Bool {
        append(ReplyReason(Facts(stream)), to: sink)
    }

    static func append(_ record: ConnectionLogRecord, to sink: ByteSink) -> Bool {
        append(ReplyReason(Facts(record)), to: sink)
    }

    /// The sentence, and of a lost upstream connection how it stood.
    static func appendExplanation(_ stream: ActiveStream, to sink: ByteSink) -> Bool {
        guard let reason = ReplyReason(Facts(stream)) else { return false }
        sink.append(reason.row.sentence)
        guard let lost = stream.info.lostConnection else { return true }
        sink.append(" The connection was ")
        sink.append(decimal: lost.ageMilliseconds)
        sink.append(" ms old and had been given ")
        sink.append(decimal: UInt64(lost.requests))
        sink.append(lost.requests == 1 ? " request; " : " requests; ")
        if lost.sentBytes >= 0 {
            sink.append(decimal: UInt64(lost.sentBytes))
            sink.append(" bytes of this one had been sent.")
        } else {
            sink.append("it is shared, so that what had been sent of this one is not known.")
        }
        return true
    }

    static func appendExplanation(_ record: ConnectionLogRecord, to sink: ByteSink) -> Bool {
        guard let reason = ReplyReason(Facts(record)) else { return false }
        sink.append(reason.row.sentence)
        return true
    }

    private static func append(_ reason: ReplyReason?, to sink: ByteSink) -> Bool {
        guard let reason else { return false }
        sink.append(reason.row.name)
        return true
    }
}

extension ReplyReason.Facts {
    init(_ stream: ActiveStream) {
        self.init()
        if let text = stream.info.details { details = UnsafeRawBufferPointer(text) }
        flags = stream.info.flags.rawValue
        hasUpstreamTLSFailed = stream.info.connectErrno < 0
        if let lost = stream.info.lostConnection { (lostRequests, lostSentBytes) = (lost.requests, lost.sentBytes) }
    }

    init(_ record: ConnectionLogRecord) {
        self.init()
        if let text = record.details { details = UnsafeRawBufferPointer(text) }
        flags = record.flags.rawValue
        hasUpstreamTLSFailed = record.upstreamFailure < 0
        hasDownstreamTLSFailed = record.transportFailure < 0
        idled = record.idled
    }
}

extension ActiveStream {
    /// Says in the head of a reply why it is what it is, to a client that asked and may know.
    func explainReply(_ manager: HTTPConnectionManager) {
        let asked = StaticString("x-apus-explain").withUTF8Buffer { request.headers.firstIndex(named: UnsafeRawBufferPointer($0)) }
        guard asked >= 0, worker.explanations == .everyone || isTrusted(manager) else { return }
        let sink = worker.scratch
        sink.removeAll()
        guard ReplyReason.append(self, to: sink) else { return }
        append("x-apus-reason", sink.bytes)
        sink.removeAll()
        guard ReplyReason.appendExplanation(self, to: sink) else { return }
        append("x-apus-explanation", sink.bytes)
    }

    /// An internal client by Envoy's rules, or one whose certificate was verified.
    func isTrusted(_ manager: HTTPConnectionManager) -> Bool {
        request.headers.contains(.envoyInternal) || manager.facts.tls?.isPeerValidated == true
    }

    private func append(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        _ = name.withUTF8Buffer { response.headers.append(name: UnsafeRawBufferPointer($0), value: value, from: pool) }
    }
}

/// Who is told in a header why the proxy answered (`--explain-replies`), when it asks with `x-apus-explain`.
package enum ReplyExplanations: Sendable {
    case off
    /// Internal clients, and those whose certificate was verified.
    case trusted
    case everyone
}
