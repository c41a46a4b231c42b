// SPDX-License-Identifier: Apache-2.0
import Glibc
package import MeshIO

/// One end of an in-memory connection, with a socket's manners and a test's controls: short writes, stalls, small reads,
/// and a reset at a chosen byte.
package final class PipeStream: ByteStream {
    enum Connection {
        case made
        /// Connected in the next turn; the closure hands the other end to the upstream.
        case pending(() -> Void)
        case refused(Int32)
        case never
    }

    /// Most bytes one flush moves. Default: no limit.
    package var writeLimit = Int.max
    /// Most bytes one read delivers. Default: no limit but the slab's.
    package var readLimit = Int.max
    /// Bytes under way that this end has not read, at most; then its peer's writes are blocked. Default: 256 KiB.
    package var receiveBuffer = 262_144
    /// Whether nothing this end writes leaves.
    package var isStalled = false { didSet { if !isStalled { loop.scheduleFlush(self) } } }
    /// This end resets once it has sent so many bytes.
    package var resetAfterSending: UInt64? { didSet { loop.scheduleFlush(self) } }
    /// What `originalDestination` answers.
    package var redirectedFrom: Address?

    var connection = Connection.made
    var isScheduled = false
    private let manual: ManualLoop
    private var peer: PipeStream?
    private var incoming: [UInt8] = []
    private var isReading = false
    private var isFinComing = false
    private var isFinSent = false
    private var resetComing: Int32?
    private var hasResumed = false

    /// Two ends of one connection; start each with a handler.
    package static func pair(
        on loop: ManualLoop, clientAddress: Address = .ipv4(0x7F00_0001, port: 50_000),
        serverAddress: Address = .ipv4(0x7F00_0001, port: 80)
    ) -> (client: PipeStream, server: PipeStream) {
        let client = PipeStream(manual: loop, localAddress: clientAddress, remoteAddress: serverAddress)
        let server = PipeStream(manual: loop, localAddress: serverAddress, remoteAddress: clientAddress)
        client.peer = server
        server.peer = client
        for end in [client, server] { loop.open[ObjectIdentifier(end)] = end }
        return (client, server)
    }

    private init(manual: ManualLoop, localAddress: Address, remoteAddress: Address) {
        self.manual = manual
        super.init(loop: manual, localAddress: localAddress, remoteAddress: remoteAddress)
    }

    // MARK: Reading

    override package func startReading() {
        isReading = true
        manual.schedule(self)
    }

    override package func readingResumed() {
        hasResumed = true
        manual.schedule(self)
    }

    /// One event: the connection's outcome, or one read.
    func onReady() {
        guard !isClosed else { return }
        switch connection {
        case .made: break
        case .never: return
        case .refused(let error):
            fail(.connectFailed(error))
            return
        case .pending(let accepted):
            connection = .made
            isReading = true
            accepted()
            loop.scheduleFlush(self)
            manual.schedule(self)
            handler?._withUnsafeGuaranteedRef { $0.onConnected(self) }
            return
        }
        if !isReadingPaused, isReading { readOnce() }
        guard !isClosed else { return }
        // As a socket does: a reset, and an end with nothing before it, are seen through a pause.
        if let resetComing, incoming.isEmpty || isReadingPaused {
            fail(.reset(resetComing))
        } else if isFinComing, incoming.isEmpty, isReading {
            deliverEndOfInput()
        }
    }

    private func readOnce() {
        if hasResumed {
            hasResumed = false
            if !input.isEmpty {
                deliverInput()
                input.settle(from: loop.pool)
                manual.schedule(self)
                return
            }
        }
        guard !incoming.isEmpty else { return }
        let room = input.prepare(minimum: 1, preferred: SlabPool.standardCapacity, from: loop.pool)
        let count = min(room.count, readLimit, incoming.count)
        incoming.withUnsafeBytes { room.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        incoming.removeFirst(count)
        input.commit(count)
        receivedBytes += UInt64(count)
        peer?.roomGrew()
        manual.schedule(self)
        deliverInput()
        input.settle(from: loop.pool)
    }

    private func roomGrew() {
        if !isClosed, !output.isEmpty || isWriteClosed { loop.scheduleFlush(self) }
    }

    // MARK: Writing

    override package func flush() {
        guard !isClosed, case .made = connection else { return }
        guard let peer else {
            // The other end is gone.
            if !output.isEmpty { arrive(reset: EPIPE) }
            return
        }
        guard !isStalled else { return }
        var moved = 0
        let most = min(writeLimit, peer.receiveBuffer - peer.incoming.count, bytesBeforeReset)
        while moved < most, !output.isEmpty {
            let piece = output.firstPiece
            let count = min(piece.count, most - moved)
            peer.incoming.append(contentsOf: piece[..<count])
            output.consume(count)
            moved += count
        }
        sentBytes += UInt64(moved)
        if moved > 0 { manual.schedule(peer) }
        if bytesBeforeReset == 0 {
            // Our own end is lost as well, as with a cable that is cut.
            peer.arrive(reset: ECONNRESET)
            arrive(reset: ECONNRESET)
            return
        }
        if moved == writeLimit, !output.isEmpty { loop.scheduleFlush(self) }
        if output.isEmpty, isWriteClosed, !isFinSent {
            isFinSent = true
            peer.isFinComing = true
            manual.schedule(peer)
        }
        if moved > 0 { outputShrank() }
    }

    private var bytesBeforeReset: Int {
        guard let limit = resetAfterSending else { return .max }
        return limit > sentBytes ? Int(clamping: limit - sentBytes) : 0
    }

    private func arrive(reset error: Int32) {
        resetComing = error
        manual.schedule(self)
    }

    // MARK: Closing

    override package func closeTransport(reset: Bool) {
        // Its callers still use this object.
        if let ended = manual.open.removeValue(forKey: ObjectIdentifier(self)) { manual.keepUntilEndOfTurn(ended) }
        guard let peer else { return }
        self.peer = nil
        peer.peer = nil
        guard !peer.isClosed else { return }
        // Closing with unread bytes resets, as the kernel does.
        if reset || !incoming.isEmpty {
            if peer.resetComing == nil { peer.resetComing = ECONNRESET }
        } else {
            peer.isFinComing = true
        }
        incoming = []
        manual.schedule(peer)
    }

    override package func originalDestination() -> Address? { redirectedFrom }
}
