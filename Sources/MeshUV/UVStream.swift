// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
package import MeshIO

/// A socket as a `ByteStream`: our own recv and send on a non-blocking descriptor, readiness from the loop.
///
/// Invariants:
/// - `descriptor` is open until `closeTransport`, and -1 after it (or when there never was a socket);
/// - while reading is wanted, READABLE stays polled: a pause stops the poll at the first event it sees, not before;
/// - the handler is called from events and from the end of the turn only, never from the owner's own call.
package final class UVStream: ByteStream, EndOfTurn {
    package private(set) var descriptor: Int32
    /// The loop by its own type; calling through it costs no reference counting.
    private let uvLoop: Unmanaged<UVLoop>
    private var poll: SocketPoll?
    private let isTCP: Bool
    private var isConnecting = false
    /// Attempts at several addresses, while there are several: `descriptor` is the winner's.
    private var race: ConnectRace?
    /// The kernel's buffer is full: WRITABLE is polled, and `flush` has nothing to try.
    private var isWriteBlocked = false
    private var isFinSent = false
    /// Size of the slab the next read starts with: the standard class, or the large one after a read that was filled, until
    /// as many reads in a row as here would have fitted into the standard one. The next large body on a connection that had
    /// one is then read in large pieces from its start.
    private var preferredRead = SlabPool.standardCapacity
    private var shortReads: UInt8 = 0
    private static let patience: UInt8 = 16

    /// The direction that starts here, and the one that ends here, while they may go through the kernel.
    private var outflow: SpliceRelay?
    private var inflow: SpliceRelay?

    /// What the end of this turn has to do.
    private var isTurnEndScheduled = false
    private var hasConnected = false
    private var hasResumed = false
    private var failure: StreamCloseReason?

    /// Takes over an accepted (or paired) connected socket.
    package init(loop: UVLoop, descriptor: Int32, localAddress: Address, remoteAddress: Address) {
        self.descriptor = descriptor
        uvLoop = Unmanaged.passUnretained(loop)
        isTCP = remoteAddress.isIP
        super.init(loop: loop, localAddress: localAddress, remoteAddress: remoteAddress)
        attach(to: loop)
    }

    /// Opens a connection; the result is reported by an event or at the end of the turn.
    init(connectingOn loop: UVLoop, to address: Address, options: ConnectOptions, handler: StreamHandler) {
        descriptor = -1
        uvLoop = Unmanaged.passUnretained(loop)
        isTCP = address.isIP
        isConnecting = true
        super.init(loop: loop, localAddress: options.bindAddress ?? address, remoteAddress: address)
        self.handler = Unmanaged.passUnretained(handler)
        guard options.alternatives.isEmpty else {
            let race = ConnectRace(loop: loop, stream: self, first: address, options: options)
            self.race = race
            if race.isLost { failLater(.connectFailed(race.lastError)) }
            return
        }
        switch OutgoingSocket.connect(to: address, options: options) {
        case .failed(let error):
            failLater(.connectFailed(error))
        case .connected(let socket):
            descriptor = socket
            attach(to: loop)
            hasConnected = true
            scheduleTurnEnd()
        case .connecting(let socket):
            descriptor = socket
            attach(to: loop)
            poll?.want(PollEvent.writable)
        }
    }

    private func attach(to loop: UVLoop) {
        poll = SocketPoll(loop: loop, descriptor: descriptor, owner: .stream(self))
    }

    // MARK: Events

    /// - Parameter events: bits of `PollEvent`.
    func onReady(_ events: Int32) {
        guard !isClosed else { return }
        if let race {
            watch(race)
        } else if isConnecting {
            finishConnecting()
        } else if events & PollEvent.error != 0 {
            onError()
        } else {
            var events = events
            // Both directions are shut. It is told by reading or writing, whichever is wanted.
            if events & PollEvent.hangUp != 0 {
                let interest = poll?.interest ?? 0
                events |= interest == 0 ? PollEvent.disconnect : interest
            }
            if events & PollEvent.writable != 0 { onWritable() }
            if events & PollEvent.readable != 0, !isClosed { onReadable() }
            if events & PollEvent.disconnect != 0, !isClosed { onDisconnect() }
        }
    }

    private func finishConnecting() {
        let error = apus_socket_error(descriptor)
        guard error == 0 else {
            fail(.connectFailed(error))
            return
        }
        isConnecting = false
        if let name = OutgoingSocket.localName(descriptor) { localAddress = name }
        poll?.want(isReadingPaused ? 0 : PollEvent.readable)
        if !output.isEmpty || isWriteClosed { loop.scheduleFlush(self) }
        handler?._withUnsafeGuaranteedRef { $0.onConnected(self) }
    }

    /// Goes on with the socket that connected first, if one did.
    private func watch(_ race: ConnectRace) {
        guard var winner = race.check() else {
            if race.isLost { raceLost() }
            return
        }
        self.race = nil
        descriptor = winner.descriptor
        remoteAddress = winner.address
        poll = winner.poll.take()
        finishConnecting()
    }

    /// No address is left to try.
    func raceLost() {
        guard !isClosed, let race else { return }
        fail(.connectFailed(race.lastError))
    }

    private func onWritable() {
        isWriteBlocked = false
        writeOut()
        if !isWriteBlocked, !isClosed, let interest = poll?.interest { poll?.want(interest & ~PollEvent.writable) }
        reportShrinking()
    }

    private func onReadable() {
        guard !isReadingPaused else {
            // The first event seen while paused. From here on only the peer's end is of interest.
            if let interest = poll?.interest { poll?.want((interest & ~PollEvent.readable) | PollEvent.disconnect) }
            return
        }
        receive()
    }

    /// Reads once; returns false when there is no use in reading on at once.
    @discardableResult
    private func receive() -> Bool {
        if let outflow, outflow.isSplicing, outflow.receive() { return false }
        let room = input.prepare(minimum: 1, preferred: preferredRead, from: pool)
        let count = apus_recv(descriptor, room.baseAddress, room.count)
        if count > 0 {
            input.commit(count)
            receivedBytes &+= UInt64(count)
            if count >= room.count || preferredRead != SlabPool.standardCapacity { choosePreferredRead(count, room.count) }
            outflow?.didCopy(isLong: count >= SlabPool.standardCapacity)
            deliverInput()
            // A closed stream has given its slab back already.
            input.settle(from: pool)
            return !isClosed && !isReadingPaused
        }
        input.settle(from: pool)
        didReceive(count)
        return false
    }

    private func choosePreferredRead(_ count: Int, _ room: Int) {
        if count >= room || count > SlabPool.standardCapacity {
            preferredRead = SlabPool.largeCapacity
            shortReads = 0
        } else {
            shortReads &+= 1
            if shortReads >= UVStream.patience { preferredRead = SlabPool.standardCapacity }
        }
    }

    /// A read that brought no bytes: the peer's end (0), nothing yet, or an error (a negated errno).
    func didReceive(_ result: Int) {
        if result == 0 {
            onEnd()
        } else if result != -Int(EAGAIN) {
            fail(.reset(Int32(truncatingIfNeeded: -result)))
        }
    }

    /// The peer sent FIN and everything before it was read. A level-triggered poll would report that for ever.
    private func onEnd() {
        guard !isClosed else { return }
        if let interest = poll?.interest { poll?.want(interest & ~(PollEvent.readable | PollEvent.disconnect)) }
        deliverEndOfInput()
    }

    /// Only polled while paused, or with nothing else to poll.
    private func onDisconnect() {
        let error = apus_socket_error(descriptor)
        if error != 0 {
            fail(.reset(error))
            return
        }
        if !isInputEnded, apus_peek(descriptor) == 0 {
            // Nothing is left to read, so the pause holds no byte back and the owner may know.
            onEnd()
        } else if isInputEnded {
            // Both sides are closed: only the owner's `close` can follow.
            poll?.stop()
        } else if let interest = poll?.interest {
            // Unread bytes before the FIN: it is met again when reading goes on.
            poll?.want(interest & ~PollEvent.disconnect)
        }
    }

    /// The socket has an error, which would be reported for ever. What was received before the reset is still delivered.
    private func onError() {
        poll?.stop()
        if !isInputEnded, !isReadingPaused {
            while receive() {}
        }
        guard !isClosed else { return }
        let error = apus_socket_error(descriptor)
        fail(.reset(error != 0 ? error : ECONNRESET))
    }

    // MARK: Reading

    override package func settle() {
        super.settle()
        poll?.settle()
    }

    override package func startReading() {
        guard !isClosed, !isConnecting, !isInputEnded, !isReadingPaused, let interest = poll?.interest else { return }
        poll?.want((interest & ~PollEvent.disconnect) | PollEvent.readable)
    }

    override package func readingResumed() {
        startReading()
        if !input.isEmpty {
            hasResumed = true
            scheduleTurnEnd()
        }
    }

    // MARK: Writing

    override package func flush() {
        guard !isClosed, !isConnecting, !isWriteBlocked, failure == nil else { return }
        writeOut()
        if isWriteBlocked { becameFull() }
        reportShrinking()
    }

    /// Bytes went out, queued ones or a relay's, and the handler may want to know.
    var hasShrunk = false

    /// Hands everything to the kernel, or as much as it takes; an error is reported at the end of the turn.
    private func writeOut() {
        if let inflow, inflow.held > 0 {
            inflow.drain()
            guard inflow.held == 0, failure == nil else { return }
        }
        while !output.isEmpty {
            var offered = 0
            let count: Int
            if output.pieceCount == 1 {
                let piece = output.firstPiece
                offered = piece.count
                count = apus_send(descriptor, piece.baseAddress, piece.count)
            } else {
                count = withUnsafeTemporaryAllocation(of: iovec.self, capacity: OutputQueue.maxVectors) { vectors in
                    let filled = output.fill(vectors)
                    for index in 0..<filled { offered &+= vectors[index].iov_len }
                    return apus_send_vectors(descriptor, vectors.baseAddress, filled)
                }
            }
            if count < 0 {
                if count == -Int(EAGAIN) {
                    isWriteBlocked = true
                } else {
                    failLater(.reset(Int32(truncatingIfNeeded: -count)))
                }
                return
            }
            output.consume(count)
            sentBytes &+= UInt64(count)
            hasShrunk = true
            if count < offered {
                // The buffer is full: asking once more would only cost a call to hear EAGAIN.
                isWriteBlocked = true
                return
            }
        }
        if isWriteClosed, !isFinSent {
            isFinSent = true
            let status = apus_shutdown_write(descriptor)
            if status < 0 { failLater(.reset(-status)) }
        }
    }

    private func reportShrinking() {
        guard hasShrunk else { return }
        hasShrunk = false
        outputShrank()
    }

    // MARK: End of turn

    func failLater(_ reason: StreamCloseReason) {
        if failure == nil { failure = reason }
        scheduleTurnEnd()
    }

    private func scheduleTurnEnd() {
        guard !isTurnEndScheduled else { return }
        isTurnEndScheduled = true
        loop.atEndOfTurn(self)
    }

    package func onEndOfTurn() {
        isTurnEndScheduled = false
        guard !isClosed else { return }
        if hasConnected {
            hasConnected = false
            finishConnecting()
        }
        if hasResumed, !isClosed {
            hasResumed = false
            deliverWaitingInput()
        }
        if let failure, !isClosed {
            // An early answer may wait in front of the reset that our write ran into.
            if !isConnecting, !isInputEnded, !isReadingPaused, poll != nil {
                while receive() {}
            }
            if !isClosed { fail(failure) }
        }
    }

    // MARK: Closing

    override package func closeTransport(reset: Bool) {
        race?.closeAll()
        race = nil
        guard descriptor >= 0 else { return }
        if reset, isTCP, !isConnecting { _ = apus_set_reset_on_close(descriptor) }
        inflow?.sinkClosed()
        inflow = nil
        outflow?.sourceClosed()
        outflow = nil
        poll.take()?.close()
        apus_close(descriptor)
        descriptor = -1
    }

    // MARK: Facts

    override package func originalDestination() -> Address? {
        guard !isClosed, let family = localAddress.family, family != AF_UNIX else { return nil }
        return OutgoingSocket.originalDestination(descriptor, family: family)
    }

    // MARK: Splicing

    override package func relayInput(to sink: ByteStream) -> Bool {
        guard !isClosed, outflow == nil, let sink = sink as? UVStream, !sink.isClosed, sink.inflow == nil,
            sink.loop === loop
        else { return false }
        outflow = uvLoop._withUnsafeGuaranteedRef { SpliceRelay(loop: $0, source: self, sink: sink) }
        sink.inflow = outflow
        return true
    }

    /// Whether bytes from a pipe may go out now, which nothing queued may be overtaken by.
    var takesSplice: Bool { output.isEmpty && !isWriteBlocked && !isConnecting && !isWriteClosed && failure == nil }

    /// The kernel took no more: the rest follows when it does.
    func becameFull() {
        isWriteBlocked = true
        if let interest = poll?.interest { poll?.want(interest | PollEvent.writable) }
    }
}

@available(*, unavailable) extension UVStream: Sendable {}
