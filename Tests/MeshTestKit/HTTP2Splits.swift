// SPDX-License-Identifier: Apache-2.0
package import MeshHTTP2
import MeshIO

/// Feeds a session the same bytes in every way they can arrive; all must end the same.
package struct HTTP2Splits {
    package var role = HTTP2Role.server
    package var options = HTTP2Options()
    /// Cuts in two at every place up to this length, at about a hundred beyond.
    package static let everyCutLength = 400

    package init() {}

    /// What must not depend on how bytes arrive: a reset makes dead what was not read yet, so what came before one may.
    package struct Outcome: Equatable {
        package var failure: HTTP2Failure
        package var closed: [String]
        /// Everything that was said.
        package var events: [String]
    }

    /// The outcome of the whole input, and one line for each way of cutting it that ended otherwise.
    ///
    /// - Parameter comparesEvents: for input without resets every record is compared.
    package func run(_ bytes: [UInt8], comparesEvents: Bool) -> (outcome: Outcome, disagreements: [String]) {
        let whole = outcome([bytes[...]])
        var disagreements: [String] = []
        func check(_ name: String, _ pieces: [ArraySlice<UInt8>]) {
            let other = outcome(pieces)
            let isSame = other.failure == whole.failure && other.closed == whole.closed
                && (!comparesEvents || other.events == whole.events)
            if !isSame { disagreements.append("\(name): \(other)\n but whole: \(whole)") }
        }
        check("byte by byte", bytes.indices.map { bytes[$0...$0] })
        let stride = bytes.count <= HTTP2Splits.everyCutLength ? 1 : bytes.count / 101 + 1
        var cut = 1
        while cut < bytes.count {
            check("cut at \(cut)", [bytes[..<cut], bytes[cut...]])
            cut += stride
        }
        return (whole, disagreements)
    }

    /// The outcome of input that arrives in `pieces`. Frames of ours are made at the end, so that their making is no part of it.
    package func outcome(_ pieces: [ArraySlice<UInt8>]) -> Outcome {
        let pool = SlabPool()
        let memory = HTTP2Memory()
        let result = withExtendedLifetime(pool) { outcome(pieces, pool, memory) }
        precondition(pool.outstandingSlabs == 0, "slabs leak")
        return result
    }

    private func outcome(_ pieces: [ArraySlice<UInt8>], _ pool: SlabPool, _ memory: HTTP2Memory) -> Outcome {
        let session = HTTP2Session(role: role, options: options, memory: memory, pool: pool)
        session.start()
        var trace = HTTP2Trace()
        let now = MonotonicInstant(nanoseconds: 1)
        if role == .client { openRequests(session, pool, now) }
        flush(session, pool)
        trace.drain(session)
        for piece in pieces {
            var rest = piece
            while !rest.isEmpty {
                let part = rest.prefix(SlabPool.standardCapacity)
                rest = rest.dropFirst(part.count)
                receive(session, part, pool, now)
                trace.drain(session)
            }
        }
        flush(session, pool)
        trace.drain(session)
        return Outcome(
            failure: session.failure, closed: trace.events.filter { $0.contains(" closed ") }, events: trace.events)
    }

    /// Requests for the input to answer: streams 1, 3 and 5, the last HEAD.
    private func openRequests(_ session: HTTP2Session, _ pool: SlabPool, _ now: MonotonicInstant) {
        for method in [HTTP2Request.get, .get, .head] { _ = method.send(on: session, pool, now) }
    }

    private func flush(_ session: HTTP2Session, _ pool: SlabPool) {
        var queue = OutputQueue()
        session.flush(into: &queue)
        queue.removeAll()
    }

    private func receive(_ session: HTTP2Session, _ bytes: ArraySlice<UInt8>, _ pool: SlabPool, _ now: MonotonicInstant) {
        let slab = pool.take(bytes.count)
        bytes.withUnsafeBytes { if let start = $0.baseAddress { slab.bytes.copyMemory(from: start, byteCount: $0.count) } }
        let slice = SlabSlice(retaining: slab, offset: 0, length: bytes.count)
        slab.release()
        session.receive(slice, now: now)
    }
}
