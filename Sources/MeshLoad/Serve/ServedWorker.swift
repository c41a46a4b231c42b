// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTLS
import MeshUV

/// One thread of the test server.
final class ServedWorker: ListenHandler {
    let behaviour: ServedBehaviour
    let loop: UVLoop
    let delayed: DelayedAnswers
    let http2Memory = HTTP2Memory()
    let answers: PreparedAnswers
    private let speaksTCP: Bool
    private let tls: TLSContext?
    private let workspace = TLSWorkspace()
    private let epoch: UInt64
    /// Whoever answers badly draws from it.
    private var random: SplitMix
    private var connections: Set<ServedConnection> = []
    private var listener: StreamListener?

    init(
        _ behaviour: ServedBehaviour, socket: ListeningSocket, speaksTCP: Bool, tls: TLSContext?, loop: UVLoop, epoch: UInt64,
        seed: UInt64
    ) {
        self.behaviour = behaviour
        self.loop = loop
        self.speaksTCP = speaksTCP
        self.tls = tls
        self.epoch = epoch
        random = SplitMix(state: seed)
        delayed = DelayedAnswers(loop: loop)
        answers = PreparedAnswers(size: behaviour.size, pool: loop.pool)
        super.init()
        listener = loop.listen(socket, acceptsPerWake: 64, handler: self)
    }

    override func onAccept(_ stream: ByteStream) {
        var stream = stream
        if let tls { stream = TLSStream(accepting: stream, context: tls, workspace: workspace, policy: SANPolicy([])) }
        let connection = ServedConnection(self, stream, speaksTCP: speaksTCP)
        connections.insert(connection)
        connection.start()
    }

    func ended(_ connection: ServedConnection) {
        loop.keepUntilEndOfTurn(connection)
        connections.remove(connection)
    }

    /// Whether this answer is one of the share that fails.
    func drawsError() -> Bool { behaviour.errorShare > 0 && random.unit() < behaviour.errorShare }

    /// When what came `now` is answered. - Parameters: nanoseconds.
    func due(at now: UInt64, delay: UInt64) -> UInt64 { behaviour.due(at: now, epoch: epoch, delay: delay) }

    /// Status, size and time of the answer to a request.
    func plan(_ path: UnsafeRawBufferPointer) -> (answer: ServedAnswer, due: UInt64?) {
        var answer = ServedAnswer(path: path, behaviour)
        if drawsError() { answer.status = 503 }
        guard behaviour.waits(delay: answer.delay) else { return (answer, nil) }
        let now = BenchClock.now()
        let due = due(at: now, delay: answer.delay)
        return (answer, due > now ? due : nil)
    }
}

@available(*, unavailable) extension ServedWorker: Sendable {}

/// Answers as they go on the wire, made once.
final class PreparedAnswers {
    private let filler: Slab
    private let size: Int
    private let standard: [UInt8]
    var standardHead = ResponseHead()
    var messageHead = ResponseHead()

    init(size: Int, pool: SlabPool) {
        self.size = size
        filler = pool.take(SlabPool.standardCapacity)
        filler.bytes.initializeMemory(as: UInt8.self, repeating: PreparedAnswers.content[0], count: filler.capacity)
        standard = PreparedAnswers.head(200, size)
        standardHead.status = 200
        PreparedAnswers.add(&standardHead.headers, [("server", "meshbench"), ("content-length", String(size))], pool)
        messageHead.status = 200
        PreparedAnswers.add(&messageHead.headers, [("content-type", "application/grpc")], pool)
    }

    /// What bodies repeat, but echoes.
    static let content = [UInt8(ascii: "x")]

    deinit { filler.release() }

    private static func head(_ status: UInt16, _ size: Int) -> [UInt8] {
        Array("HTTP/1.1 \(status) \(status == 200 ? "OK" : "Answer")\r\nserver: meshbench\r\ncontent-type: text/plain\r\ncontent-length: \(size)\r\n\r\n".utf8)
    }

    static func add(_ block: inout HeaderBlock, _ fields: [(String, String)], _ pool: SlabPool) {
        for (name, value) in fields {
            Array(name.utf8).withUnsafeBytes { name in
                Array(value.utf8).withUnsafeBytes { value in _ = block.append(name: name, value: value, from: pool) }
            }
        }
    }

    /// Writes an HTTP/1 answer.
    func write(_ answer: ServedAnswer, isHead: Bool, to stream: ByteStream) {
        let head = answer.status == 200 && answer.size == size ? standard : PreparedAnswers.head(answer.status, answer.size)
        head.withUnsafeBytes { stream.write(copying: $0) }
        if !isHead { withFiller(answer.size) { stream.write($0) } }
    }

    func withFiller(_ count: Int, _ body: (consuming SlabSlice) -> Void) {
        var rest = count
        while rest > 0 {
            let length = min(rest, filler.capacity)
            body(SlabSlice(retaining: filler, offset: 0, length: length))
            rest -= length
        }
    }

    /// Whether the head made once fits.
    func isStandard(_ answer: ServedAnswer) -> Bool { answer.status == 200 && answer.size == size }
}
