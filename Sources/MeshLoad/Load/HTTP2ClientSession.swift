// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO

/// A connection that speaks HTTP/2, several requests at a time; gRPC is requests that end in trailers.
final class HTTP2ClientSession: ClientSession, EndOfTurn {
    /// A request on its way.
    private final class Call {
        var key = HTTP2StreamKey.none
        var isBusy = false
        var planned: UInt64 = 0
        var sent: UInt64 = 0
        var status: UInt16 = 0
        var received = 0
        var body = AnswerCheck.Body()
        var sentBytes = 0
        /// gRPC: which request it is, messages sent so far and received.
        var request = 0
        var messagesSent = 0
        var messages = GRPCMessageCounter()
        /// gRPC: what `grpc-status` said; nil when it said nothing.
        var isOK: Bool?
    }

    private var session: HTTP2Session?
    private var calls: [Call] = []
    private var free: [Int] = []
    private var isFlushScheduled = false
    private var head = ResponseHead()
    private var trailers = HeaderBlock()
    private let isGRPC: Bool
    /// gRPC: messages of a call each way.
    private let messagesThere: Int
    private let messagesBack: Int
    private let isPingPong: Bool
    /// GOAWAY came: nothing new is sent here.
    private var isGoingAway = false

    override init(worker: LoadWorker, width: Int) {
        let scenario = worker.scenario
        isGRPC = scenario.loadProtocol == .grpc
        messagesThere = scenario.grpcCall == .clientStream || scenario.grpcCall == .bidi ? scenario.messages : 1
        messagesBack = scenario.grpcCall == .serverStream || scenario.grpcCall == .bidi ? scenario.messages : 1
        isPingPong = scenario.grpcCall == .bidi
        super.init(worker: worker, width: width)
        for index in 0..<width {
            calls.append(Call())
            free.append(index)
        }
    }

    override func opened(_ stream: ByteStream) {
        var options = HTTP2Options()
        options.maxHeaderBytes = 1 << 20
        let session = HTTP2Session(role: .client, options: options, memory: worker.http2Memory, pool: stream.pool)
        session.start()
        self.session = session
        scheduleFlush()
        becameReady()
    }

    override func closed() {
        // What a server that went away has not looked at is not lost.
        if isGoingAway, let session {
            for (place, call) in calls.enumerated() where call.isBusy && session.isUnprocessed(call.key) { requeue(call, place) }
        }
        session = nil
        isGoingAway = false
    }

    // MARK: Sending

    override func transmit(_ request: Int, planned: UInt64) {
        guard let session, let place = free.popLast() else {
            worker.failed(.closed, planned: planned, sent: planned)
            return
        }
        let call = calls[place]
        let prepared = worker.prepared.http2[request]
        let size = worker.prepared.shapes[request].bodySize
        let hasBody = size > 0 || isGRPC
        let key = session.sendRequest(
            prepared.head, endStream: !hasBody, owner: UnsafeMutableRawPointer(bitPattern: place + 1), now: worker.loop.now)
        guard let key else {
            free.append(place)
            // No numbers left, or going away: another connection takes it.
            worker.putBack(planned: planned)
            goAway()
            return
        }
        call.key = key
        call.isBusy = true
        call.planned = planned
        call.sent = BenchClock.now()
        call.status = 0
        call.received = 0
        call.body = AnswerCheck.Body()
        call.sentBytes = 0
        call.isOK = nil
        if isGRPC {
            call.request = request
            call.messagesSent = 0
            call.messages = GRPCMessageCounter()
            sendMessages(isPingPong ? 1 : messagesThere, call, session)
        } else if hasBody {
            call.sentBytes = size
            worker.prepared.withBody(size) { session.sendBody(key, $0) }
            session.sendEnd(key)
        }
        scheduleFlush()
    }

    private func sendMessages(_ count: Int, _ call: Call, _ session: HTTP2Session) {
        let size = worker.prepared.shapes[call.request].bodySize
        let prefix = worker.prepared.http2[call.request].messagePrefix
        for _ in 0..<count {
            sendPrefix(prefix, session, call.key)
            worker.prepared.withBody(size) { session.sendBody(call.key, $0) }
        }
        call.messagesSent += count
        call.sentBytes += count * (prefix.count + size)
        if call.messagesSent == messagesThere { session.sendEnd(call.key) }
    }

    private func sendPrefix(_ prefix: [UInt8], _ session: HTTP2Session, _ key: HTTP2StreamKey) {
        let slab = worker.loop.pool.take(prefix.count)
        prefix.withUnsafeBytes { if let start = $0.baseAddress { slab.bytes.copyMemory(from: start, byteCount: $0.count) } }
        session.sendBody(key, SlabSlice(retaining: slab, offset: 0, length: prefix.count))
        slab.release()
    }

    private func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        worker.loop.atEndOfTurn(self)
    }

    func onEndOfTurn() {
        isFlushScheduled = false
        if let stream, let session { session.flush(into: stream) }
    }

    override func onBelowLowWatermark(_ stream: ByteStream) { scheduleFlush() }

    // MARK: Receiving

    override func onInput(_ stream: ByteStream) {
        guard let session else { return }
        let count = stream.input.count
        if count > 0, let slice = stream.input.slice(offset: 0, length: count) {
            stream.input.consume(count)
            session.receive(slice, now: worker.loop.now)
        }
        while self.session === session, let record = session.nextRecord() { handle(record, session) }
        if self.session === session { scheduleFlush() }
    }

    private func handle(_ record: HTTP2Record, _ session: HTTP2Session) {
        switch record.kind {
        case .goAway: goAway()
        case .connectionFailed: ended(.closed)
        case .settings, .pingAcknowledged, .writable: break
        case .head, .informationalHead, .body, .trailers, .end, .closed:
            guard let owner = session.owner(of: record) else { return }
            handle(record, session, place: Int(bitPattern: owner) - 1)
        }
    }

    /// As a sound client does: what the server accepted finishes here, the rest goes out again elsewhere.
    private func goAway() {
        if !isGoingAway {
            isGoingAway = true
            retireSlots()
        }
        endIfGone()
    }

    private func endIfGone() {
        if isGoingAway, free.count == width { ended(.closed) }
    }

    private func callEnded() {
        guard stream != nil else { return }
        if isGoingAway { endIfGone() } else { slotEnded() }
    }

    private func handle(_ record: HTTP2Record, _ session: HTTP2Session, place: Int) {
        let call = calls[place]
        switch record.kind {
        case .head:
            session.takeResponseHead(record, into: &head)
            call.status = head.status
            call.received += head.headers.byteCount
            if isGRPC { readStatus(of: head.headers, call) }
        case .body:
            guard let slice = session.takeBody(record) else { return }
            call.received += slice.count
            if let check = worker.check { check.add(slice.bytes, to: &call.body) }
            if isGRPC {
                call.messages.add(slice.bytes)
                let wanted = min(call.messages.count + 1, messagesThere)
                if isPingPong, call.messagesSent < wanted {
                    sendMessages(wanted - call.messagesSent, call, session)
                    scheduleFlush()
                }
            }
            session.consume(call.key, slice.count)
        case .trailers:
            session.takeTrailers(record, into: &trailers)
            if isGRPC { readStatus(of: trailers, call) }
            finish(call, place, session)
            return
        case .end:
            finish(call, place, session)
            return
        case .closed:
            closed(call, place, record, isUnseen: record.code == .refusedStream || session.isUnprocessed(call.key))
            return
        default: return
        }
        if record.endStream { finish(call, place, session) }
    }

    private func readStatus(of headers: borrowing HeaderBlock, _ call: Call) {
        guard let value = headers.value(of: .grpcStatus) else { return }
        call.isOK = value.count == 1 && value[0] == UInt8(ascii: "0")
    }

    private func finish(_ call: Call, _ place: Int, _ session: HTTP2Session) {
        guard call.isBusy else { return }
        call.isBusy = false
        session.abandon(call.key)
        call.key = .none
        free.append(place)
        if isGRPC, call.status == 200, call.isOK != true {
            worker.failed(.grpcStatus, planned: call.planned, sent: call.sent)
        } else if isGRPC, call.status == 200, call.messages.count != messagesBack || !call.messages.isWhole {
            worker.failed(.malformed, planned: call.planned, sent: call.sent)
        } else {
            worker.answered(
                status: call.status, isRight: worker.check?.accepts(status: call.status, call.body) ?? true, planned: call.planned, sent: call.sent, received: call.received, sentBytes: call.sentBytes,
                messages: isGRPC ? call.messagesSent + call.messages.count : 0)
        }
        callEnded()
    }

    // MARK: Failing

    private func closed(_ call: Call, _ place: Int, _ record: HTTP2Record, isUnseen: Bool) {
        guard call.isBusy else { return }
        if isUnseen {
            requeue(call, place)
        } else {
            fail(call, place, record.failure == .none ? .streamReset : .malformed)
        }
        callEnded()
    }

    private func requeue(_ call: Call, _ place: Int) {
        call.isBusy = false
        call.key = .none
        free.append(place)
        worker.putBack(planned: call.planned)
    }

    private func fail(_ call: Call, _ place: Int, _ kind: FailureKind) {
        call.isBusy = false
        call.key = .none
        free.append(place)
        worker.failed(kind, planned: call.planned, sent: call.sent)
    }

    override func failAll(_ kind: FailureKind) {
        for (place, call) in calls.enumerated() where call.isBusy { fail(call, place, kind) }
    }

    override func expire(sentBefore time: UInt64) {
        for (place, call) in calls.enumerated() where call.isBusy && call.sent < time {
            if let session {
                session.reset(call.key, .cancel)
                session.abandon(call.key)
            }
            fail(call, place, .timeout)
            callEnded()
        }
        scheduleFlush()
    }
}
