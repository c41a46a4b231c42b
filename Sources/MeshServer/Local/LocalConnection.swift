// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One connection of a `LocalServer`.
final class LocalConnection {
    let descriptor: Int32
    private var input: [UInt8] = []
    private var output: ArraySlice<UInt8> = []
    /// The rest of the answer that is being sent; nil when all of it is in `output`.
    private var pieces: LocalResponse.Pieces?
    private var sendsChunks = false
    private var closesAfterOutput = false
    var lastActivity: Int64
    var isOver = false
    private var isEndedByClient = false
    private let observer: (any LocalServerObserver)?
    private let start: Int64
    /// Answers that are not yet all sent, with the time of their requests.
    private var unsent: [(status: Int, start: Int64)] = []

    /// No further piece is made while so many bytes wait for the client.
    private static let highWatermark = 128 << 10

    init(descriptor: Int32, now: Int64, observer: (any LocalServerObserver)?) {
        self.descriptor = descriptor
        self.observer = observer
        lastActivity = now
        start = now
        observer?.accepted()
    }

    /// Closes the socket, once.
    func end() {
        close(descriptor)
        finishAnswers()
        observer?.ended(byClient: isEndedByClient, afterMilliseconds: LocalServer.milliseconds() - start)
    }

    private func finishAnswers() {
        guard !unsent.isEmpty else { return }
        let now = LocalServer.milliseconds()
        for answer in unsent { observer?.answered(status: answer.status, afterMilliseconds: now - answer.start) }
        unsent = []
    }

    /// Whether an answer is not yet all sent.
    var hasOutput: Bool { !output.isEmpty || pieces != nil }

    /// Whether the client could take more of an answer that is made in pieces.
    var wantsPiece: Bool { pieces != nil && output.count < LocalConnection.highWatermark && !isOver }

    /// Nothing is read while an answer waits, so a client that does not read cannot pile up answers.
    func interest(stops: Bool) -> Int16 {
        if !output.isEmpty { return Int16(POLLOUT) }
        return stops || pieces != nil ? 0 : Int16(POLLIN)
    }

    func receive(_ now: Int64, _ server: String, _ handler: (LocalRequest) -> LocalResponse) {
        lastActivity = now
        var chunk: [UInt8] = Array(repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count <= 0 {
            if count == 0 || (errno != EAGAIN && errno != EINTR) {
                isEndedByClient = true
                isOver = true
            }
            return
        }
        observer?.transferred(received: count, sent: 0)
        input += chunk[..<count]
        answer(server, handler)
    }

    /// Answers the requests that are whole, one after the other.
    func answer(_ server: String, _ handler: (LocalRequest) -> LocalResponse) {
        while !closesAfterOutput, pieces == nil, !input.isEmpty {
            switch LocalRequestParser.parse(input) {
            case .incomplete: return
            case .refused(let status):
                observer?.requested()
                unsent.append((status, lastActivity))
                output += LocalResponseWriter.bytes(LocalResponse(status, ""), to: nil, server: server)
                closesAfterOutput = true
            case .request(let request, let used):
                input.removeFirst(used)
                observer?.requested()
                begin(handler(request), to: request, server)
            }
        }
    }

    private func begin(_ response: LocalResponse, to request: LocalRequest, _ server: String) {
        unsent.append((response.status, lastActivity))
        sendsChunks = response.pieces != nil && request.knowsChunks
        output += LocalResponseWriter.bytes(response, to: request, server: server, isChunked: sendsChunks)
        closesAfterOutput = !request.keepsAlive || (response.pieces != nil && !sendsChunks)
        if request.method != "HEAD" { pieces = response.pieces }
    }

    /// Makes one more piece of the answer.
    func makePiece() {
        guard let pieces else { return }
        var piece: [UInt8] = []
        let isLast = !pieces(&piece)
        output += sendsChunks ? LocalResponseWriter.chunk(piece) : piece
        guard isLast else { return }
        if sendsChunks { output += LocalResponseWriter.lastChunk }
        self.pieces = nil
    }

    func send() {
        while !output.isEmpty {
            let count = output.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count > 0 {
                observer?.transferred(received: 0, sent: count)
                output = output.dropFirst(count)
                lastActivity = LocalServer.milliseconds()
            } else if count < 0, errno == EINTR {
                continue
            } else {
                if count == 0 || errno != EAGAIN { isOver = true }
                return
            }
        }
        output = []
        guard pieces == nil else { return }
        finishAnswers()
        if closesAfterOutput { isOver = true }
    }
}
