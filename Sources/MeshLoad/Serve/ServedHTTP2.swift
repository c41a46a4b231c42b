// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO

/// HTTP/2 of the test server, gRPC included: see `ServedMethod`.
final class ServedHTTP2: EndOfTurn {
    private unowned(unsafe) let worker: ServedWorker
    private unowned(unsafe) let connection: ServedConnection
    private let session: HTTP2Session
    private var head = RequestHead()
    private var isFlushScheduled = false

    /// What is known of a stream, in the session's word for its owner: the answer is planned at the head and given at the end.
    private struct Exchange {
        var answer: ServedAnswer
        var due: UInt64?
        var isHead: Bool
        /// The request is whole.
        var hasEnded = false
        /// nil for what is not gRPC.
        var method: ServedMethod?
        /// Taken from the client and not yet given back to its window: what is echoed waits for room.
        var unconsumed = 0
        /// Of a streaming answer, messages that were not written yet.
        var messagesLeft = 0
    }

    private var exchanges: [HTTP2StreamKey: Exchange] = [:]

    init(_ worker: ServedWorker, _ connection: ServedConnection) {
        self.worker = worker
        self.connection = connection
        var options = HTTP2Options()
        options.maxConcurrentStreams = 1 << 20
        options.prematureResetTotalStreams = 0
        session = HTTP2Session(role: .server, options: options, memory: worker.http2Memory, pool: worker.loop.pool)
        session.start()
        scheduleFlush()
    }

    func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        worker.loop.atEndOfTurn(self)
    }

    func onEndOfTurn() {
        isFlushScheduled = false
        let stream = connection.stream
        guard !stream.isClosed else { return }
        session.flush(into: stream)
        // Where that made room, an answer goes on.
        while let record = session.nextRecord() { handle(record) }
        if session.isDone, stream.output.isEmpty { connection.close() }
    }

    func onInput(_ stream: ByteStream) {
        let count = stream.input.count
        if count > 0, let slice = stream.input.slice(offset: 0, length: count) {
            stream.input.consume(count)
            session.receive(slice, now: worker.loop.now)
        }
        while let record = session.nextRecord() { handle(record) }
        scheduleFlush()
    }

    private func handle(_ record: HTTP2Record) {
        let key = session.key(of: record)
        switch record.kind {
        case .head:
            session.takeRequestHead(record, into: &head)
            let path = head.headers.value(of: .path) ?? UnsafeRawBufferPointer(start: nil, count: 0)
            let (answer, due) = worker.plan(path)
            let isGRPC = head.headers.value(of: .contentType)?.starts(with: "application/grpc".utf8) ?? false
            let method = isGRPC ? ServedMethod(path: path) : nil
            exchanges[key] = Exchange(answer: answer, due: due, isHead: head.method == .head, method: method)
            if isGRPC { session.sendResponse(key, worker.answers.messageHead, endStream: false) }
            if record.endStream { requestEnded(key) }
        case .body:
            guard let slice = session.takeBody(record) else { return }
            let count = slice.count
            if exchanges[key]?.method == .echo, !session.sendBody(key, slice) {
                exchanges[key]?.unconsumed += count
            } else {
                session.consume(key, count)
            }
            if record.endStream { requestEnded(key) }
        case .trailers, .end: requestEnded(key)
        case .writable: roomCame(key)
        case .closed: exchanges[key] = nil
        case .informationalHead, .settings, .pingAcknowledged, .goAway, .connectionFailed: break
        }
    }

    private func requestEnded(_ key: HTTP2StreamKey) {
        guard let exchange = exchanges[key], !exchange.hasEnded else { return }
        exchanges[key]?.hasEnded = true
        guard let due = exchange.due else { return answer(key, exchange) }
        worker.delayed.add(at: due) { [self, connection] in
            // Reset meanwhile.
            guard !connection.stream.isClosed, exchanges[key] != nil else { return }
            answer(key, exchange)
            scheduleFlush()
        }
    }

    private func answer(_ key: HTTP2StreamKey, _ exchange: Exchange) {
        let answer = exchange.answer
        if let method = exchange.method {
            exchanges[key]?.messagesLeft = answer.status != 200 || method == .echo ? 0 : method == .collect ? 1 : answer.messages
            return sendMessages(key)
        }
        exchanges[key] = nil
        let isEmpty = answer.size == 0 || exchange.isHead
        if worker.answers.isStandard(answer) {
            session.sendResponse(key, worker.answers.standardHead, endStream: isEmpty)
        } else {
            var head = ResponseHead()
            head.status = answer.status
            PreparedAnswers.add(
                &head.headers, [("server", "meshbench"), ("content-length", String(answer.size))], worker.loop.pool)
            session.sendResponse(key, head, endStream: isEmpty)
        }
        guard !isEmpty else { return }
        worker.answers.withFiller(answer.size) { session.sendBody(key, $0) }
        session.sendEnd(key)
    }

    /// Goes on with a gRPC answer as far as there is room, and ends it.
    private func sendMessages(_ key: HTTP2StreamKey) {
        guard let exchange = exchanges[key] else { return }
        let size = exchange.answer.size
        let prefix = GRPCMessageCounter.prefix(size)
        var left = exchange.messagesLeft
        var hasRoom = true
        while left > 0, hasRoom {
            left -= 1
            let slab = worker.loop.pool.take(prefix.count)
            prefix.withUnsafeBytes { if let start = $0.baseAddress { slab.bytes.copyMemory(from: start, byteCount: $0.count) } }
            hasRoom = session.sendBody(key, SlabSlice(retaining: slab, offset: 0, length: prefix.count))
            slab.release()
            worker.answers.withFiller(size) { hasRoom = session.sendBody(key, $0) }
        }
        exchanges[key]?.messagesLeft = left
        guard left == 0 else { return }
        exchanges[key] = nil
        var trailers = HeaderBlock()
        PreparedAnswers.add(&trailers, [("grpc-status", exchange.answer.status == 200 ? "0" : "14")], worker.loop.pool)
        session.sendTrailers(key, &trailers)
    }

    private func roomCame(_ key: HTTP2StreamKey) {
        guard let exchange = exchanges[key] else { return }
        if exchange.unconsumed > 0 {
            exchanges[key]?.unconsumed = 0
            session.consume(key, exchange.unconsumed)
        }
        if exchange.messagesLeft > 0 { sendMessages(key) }
        scheduleFlush()
    }
}
