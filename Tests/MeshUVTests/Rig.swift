// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Testing

/// A loop on the test's own thread, turned until something is true.
final class Rig: TimerTarget {
    let loop = UVLoop()
    private var watchdog = TimerID.none
    private var isOverdue = false

    init() { watchdog = loop.timers.make(target: self) }

    func onTimer(_ tag: UInt32) { isOverdue = true }

    /// Turns the loop until `condition` holds; records an issue when that takes absurdly long (a hang, not a measure).
    func run(until condition: @escaping () -> Bool, _ comment: Comment? = nil, location: SourceLocation = #_sourceLocation) {
        isOverdue = false
        loop.timers.arm(watchdog, at: loop.now.advanced(byMilliseconds: 20_000))
        while !condition() {
            // What the end of the turn brings about must be seen before the loop blocks.
            loop.atEndOfTurn(Probe(loop: loop, condition: condition))
            loop.runOnce()
            if isOverdue, !condition() {
                Issue.record(comment ?? "the loop never got there", sourceLocation: location)
                break
            }
        }
        loop.timers.cancel(watchdog)
    }

    /// Closes the loop; nothing may leak.
    func finish(location: SourceLocation = #_sourceLocation) {
        loop.timers.free(&watchdog)
        // Probes left over from the last turn refer to the loop.
        while loop.hasPendingTurnEnd { loop.runEndOfTurn() }
        loop.close()
        #expect(loop.pool.outstandingSlabs == 0, sourceLocation: location)
    }

    /// A listening socket on 127.0.0.1 (or `address`), accepting into `acceptor`.
    func listen(
        at address: Address = .ipv4(0x7F00_0001, port: 0), acceptsPerWake: Int = 4, _ acceptor: Acceptor
    ) throws -> Address {
        let sockets = try ListeningSockets.make(for: address, count: 1)
        acceptor.listener = loop.listen(sockets[0], acceptsPerWake: acceptsPerWake, handler: acceptor)
        return sockets[0].address
    }

    /// Two connected streams, both started.
    func pair(at address: Address = .ipv4(0x7F00_0001, port: 0)) throws -> Pair {
        let acceptor = Acceptor()
        let bound = try listen(at: address, acceptor)
        let client = Recorder()
        let stream = loop.connect(to: bound, options: ConnectOptions(), handler: client)
        run(until: { client.isConnected && !acceptor.recorders.isEmpty })
        acceptor.listener?.close()
        return Pair(client: stream, clientEvents: client, server: acceptor.streams[0], serverEvents: acceptor.recorders[0])
    }
}

struct Pair {
    let client: ByteStream
    let clientEvents: Recorder
    let server: ByteStream
    let serverEvents: Recorder
}

/// Keeps what a stream reported.
final class Recorder: StreamHandler {
    var isConnected = false
    var received: [UInt8] = []
    var receivedCount = 0
    var keepsBytes = true
    var consumes = true
    var echoes = false
    var isEnded = false
    var above = 0
    var below = 0
    var drained = 0
    var closed: [StreamCloseReason] = []
    var onData: ((ByteStream) -> Void)?
    var onRoom: ((ByteStream) -> Void)?

    override func onConnected(_ stream: ByteStream) { isConnected = true }

    override func onInput(_ stream: ByteStream) {
        guard consumes else {
            onData?(stream)
            return
        }
        let bytes = stream.input.readable
        receivedCount += bytes.count
        if keepsBytes { received.append(contentsOf: bytes) }
        if echoes { stream.write(copying: bytes) }
        stream.input.consume(bytes.count)
        onData?(stream)
    }

    override func onEndOfInput(_ stream: ByteStream) { isEnded = true }
    override func onAboveHighWatermark(_ stream: ByteStream) { above += 1 }
    override func onBelowLowWatermark(_ stream: ByteStream) {
        below += 1
        onRoom?(stream)
    }
    override func onDrained(_ stream: ByteStream) { drained += 1 }
    override func onClosed(_ stream: ByteStream, _ reason: StreamCloseReason) { closed.append(reason) }
}

/// Starts every accepted stream with a recorder.
final class Acceptor: ListenHandler {
    var streams: [ByteStream] = []
    var recorders: [Recorder] = []
    var exhausted = 0
    var listener: StreamListener?
    var prepare: ((Recorder) -> Void)?

    override func onAccept(_ stream: ByteStream) {
        let recorder = Recorder()
        prepare?(recorder)
        streams.append(stream)
        recorders.append(recorder)
        stream.start(handler: recorder)
    }

    override func onDescriptorsExhausted() { exhausted += 1 }
}

extension ByteStream {
    func write(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write(copying: $0) } }
}

/// Bytes that differ at every position of any period below 251.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: (start + $0) % 251) }
}

/// Keeps the loop from blocking in a turn whose end has made a condition true.
private final class Probe: EndOfTurn {
    private let loop: UVLoop
    private let condition: () -> Bool
    /// Watches what the last rounds bring too, without keeping the loop awake by itself.
    private var rounds = 0

    init(loop: UVLoop, condition: @escaping () -> Bool) {
        self.loop = loop
        self.condition = condition
    }

    func onEndOfTurn() {
        rounds += 1
        if rounds < 7 || (condition() && rounds < 20) { loop.atEndOfTurn(self) }
    }
}
