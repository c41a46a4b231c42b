// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO

/// HTTP/2 of the test server. gRPC calls, unary or streaming, get every message back as it comes, and status 0.
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
        var isEcho: Bool
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
            let (answer, due) = worker.plan(head.headers.value(of: .path) ?? UnsafeRawBufferPointer(start: nil, count: 0))
            let isEcho = head.headers.value(of: .contentType)?.starts(with: "application/grpc".utf8) ?? false
            exchanges[key] = Exchange(answer: answer, due: due, isHead: head.method == .head, isEcho: isEcho)
            if isEcho { session.sendResponse(key, worker.answers.messageHead, endStream: false) }
            if record.endStream { requestEnded(key) }
        case .body:
            guard let slice = session.takeBody(record) else { return }
            let count = slice.count
            if exchanges[key]?.isEcho == true { session.sendBody(key, slice) }
            session.consume(key, count)
            if record.endStream { requestEnded(key) }
        case .trailers, .end: requestEnded(key)
        case .closed: exchanges[key] = nil
        case .informationalHead, .writable, .settings, .pingAcknowledged, .goAway, .connectionFailed: break
        }
    }

    private func requestEnded(_ key: HTTP2StreamKey) {
        guard let exchange = exchanges.removeValue(forKey: key) else { return }
        guard let due = exchange.due else { return answer(key, exchange) }
        worker.delayed.add(at: due) { [self, connection] in
            guard !connection.stream.isClosed else { return }
            answer(key, exchange)
            scheduleFlush()
        }
    }

    private func answer(_ key: HTTP2StreamKey, _ exchange: Exchange) {
        if exchange.isEcho {
            var trailers = HeaderBlock()
            PreparedAnswers.add(&trailers, [("grpc-status", exchange.answer.status == 200 ? "0" : "14")], worker.loop.pool)
            return session.sendTrailers(key, &trailers)
        }
        let answer = exchange.answer
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
}
