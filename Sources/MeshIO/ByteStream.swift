// SPDX-License-Identifier: Apache-2.0

/// An ordered, reliable byte connection: a socket, a TLS session over one, or an in-memory pipe in a test.
///
/// A base class and not a protocol: `input` and `output` are touched for every chunk, and a stored property of a class is
/// a load where a protocol requirement would be a call with an access coroutine. `open` because Swift lets no other
/// class be subclassed outside its module.
///
/// Invariants:
/// - after `close`, `reset` or `onClosed` the stream calls its handler no more and ignores writes;
/// - `input` is only grown by the implementation and only consumed by the handler;
/// - a pause is counted: reading goes on when every pause has been taken back.
open class ByteStream {
    @usableFromInline package final let loop: EventLoop
    /// The loop's pool, at hand: two steps of references would count one of them.
    @usableFromInline package final let pool: SlabPool
    /// Received bytes that the handler has not consumed.
    @usableFromInline package final var input = ReceiveRing()
    /// Bytes to write. Use `write`, which counts watermarks and schedules the flush.
    @usableFromInline package final var output = OutputQueue()
    /// Set by `start`; unretained, the handler outlives the stream's last callback by clearing it in `close`.
    @usableFromInline package final var handler: Unmanaged<StreamHandler>?

    /// Where the peer is.
    package final var remoteAddress: Address
    /// Where we are; for a redirected connection the address it was accepted on.
    package final var localAddress: Address

    /// Watermarks over `output.pinnedBytes`. - Unit: bytes. Default: 1 MiB and half of it
    /// (`per_connection_buffer_limit_bytes`).
    package final private(set) var highWatermark = 1 << 20
    package final private(set) var lowWatermark = 1 << 19
    package final private(set) var isAboveHighWatermark = false

    /// Asks for `onDrained`.
    package final var reportsDrained = false

    @usableFromInline final var isFlushScheduled = false
    /// Whether the stream is closed on our side; writes are ignored from then on.
    @usableFromInline package final var isClosed = false
    /// Whether the peer's FIN was seen.
    package final var isInputEnded = false
    /// Whether `closeWrite` was called: a FIN follows the last queued byte.
    package final var isWriteClosed = false
    private final var readPauses: Int32 = 0

    /// Bytes received and written over the life of the stream.
    package final var receivedBytes: UInt64 = 0
    package final var sentBytes: UInt64 = 0

    package init(loop: EventLoop, localAddress: Address, remoteAddress: Address) {
        self.loop = loop
        pool = loop.pool
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
    }

    // MARK: What an implementation provides

    /// Writes as much of `output` as the transport takes, in as few system calls as possible.
    open func flush() {}

    /// Begins to read (accepted streams are idle until then).
    open func startReading() {}

    /// The first `pauseReading` happened; an implementation may leave its poll armed until the next event.
    open func readingPaused() {}

    /// The last pause was taken back. Unconsumed `input` is delivered again at the end of this turn, or sooner.
    open func readingResumed() {}

    /// Frees the transport at once. With `reset` the peer sees RST and not FIN.
    open func closeTransport(reset: Bool) {}

    /// The stream is idle and stays: it gives back what it has for bytes on their way, and its place in the loop's tables may
    /// move to their front (`EventLoop.prepareToShrink`).
    open func settle() { output.settle() }

    /// The original destination of a redirected connection (SO_ORIGINAL_DST), nil where it has none.
    open func originalDestination() -> Address? { nil }

    /// Lets the transport move what this stream receives to `sink` by itself, in the kernel, while that is cheaper than
    /// handing it to the handler. For a proxy that passes bytes on unchanged.
    ///
    /// The handler must go on working: it gets every byte that was not moved, in order with those that were, and both
    /// ends' events as ever; a full sink stops this stream without the handler's help. Moved bytes are counted in
    /// `receivedBytes` and in the sink's `sentBytes`, and that is the only trace of them: an idle timer compares those.
    ///
    /// - Returns: false where the two are not bare sockets of one loop; nothing has changed then.
    @discardableResult
    open func relayInput(to sink: ByteStream) -> Bool { false }

    // MARK: Life

    /// Takes the stream over: `handler` gets every event from now on, and reading begins.
    package final func start(handler: StreamHandler) {
        self.handler = Unmanaged.passUnretained(handler)
        startReading()
    }

    /// Hands the stream to another handler, for a protocol switch. Pending `input` is not delivered again by itself.
    package final func replaceHandler(_ handler: StreamHandler) {
        self.handler = Unmanaged.passUnretained(handler)
    }

    /// Closes at once; unwritten output is dropped and the handler is called no more.
    package final func close() { finish(reset: false) }

    /// Closes at once with RST, so that the peer cannot mistake a truncated message for a whole one.
    package final func reset() { finish(reset: true) }

    /// Sends FIN after the last queued byte; reading goes on.
    package final func closeWrite() {
        guard !isClosed, !isWriteClosed else { return }
        isWriteClosed = true
        loop.scheduleFlush(self)
    }

    private final func finish(reset: Bool) {
        guard !isClosed else { return }
        isClosed = true
        handler = nil
        input.detach()
        output.removeAll()
        closeTransport(reset: reset)
    }

    /// Ends the stream because the transport failed, and tells the handler. For implementations.
    package final func fail(_ reason: StreamCloseReason) {
        guard !isClosed else { return }
        let owner = handler
        isClosed = true
        handler = nil
        closeTransport(reset: true)
        // What was not written is still there for an owner that sends it elsewhere.
        owner?._withUnsafeGuaranteedRef { $0.onClosed(self, reason) }
        output.removeAll()
        input.detach()
    }

    // MARK: Writing

    /// Sets the watermarks from a buffer limit. - Parameter limit: bytes; 0 means no limit.
    package final func setBufferLimit(_ limit: Int) {
        highWatermark = limit > 0 ? limit : Int.max
        lowWatermark = limit > 0 ? limit / 2 : Int.max
    }

    /// Queues a copy of `bytes` and has the stream flushed at the end of the turn.
    @inlinable package final func write(copying bytes: UnsafeRawBufferPointer) {
        guard !isClosed, bytes.count > 0 else { return }
        output.append(copying: bytes, from: pool)
        outputGrew()
    }

    /// Queues a slice without copying it (unless it is short) and has the stream flushed at the end of the turn.
    @inlinable package final func write(_ slice: consuming SlabSlice) {
        guard !isClosed else { return }
        output.append(slice, from: pool)
        outputGrew()
    }

    /// Contiguous room for `count` bytes at the end of the output, for encoders; follow with `commit`.
    @inlinable package final func reserve(_ count: Int) -> UnsafeMutableRawPointer {
        output.reserve(count, from: pool)
    }

    /// Queues `count` bytes written to the room `reserve` returned.
    @inlinable package final func commit(_ count: Int) {
        guard !isClosed else { return }
        output.commit(count)
        outputGrew()
    }

    @usableFromInline final func outputGrew() {
        if !isFlushScheduled { loop.scheduleFlush(self) }
        if output.pinnedBytes > highWatermark, !isAboveHighWatermark {
            isAboveHighWatermark = true
            handler?._withUnsafeGuaranteedRef { $0.onAboveHighWatermark(self) }
        }
    }

    /// Called by implementations after bytes left the output queue.
    package final func outputShrank() {
        if isAboveHighWatermark, output.pinnedBytes <= lowWatermark {
            isAboveHighWatermark = false
            handler?._withUnsafeGuaranteedRef { $0.onBelowLowWatermark(self) }
        }
        if reportsDrained, !isClosed, output.isEmpty {
            handler?._withUnsafeGuaranteedRef { $0.onDrained(self) }
        }
    }

    // MARK: Reading

    /// Whether reading is paused by anyone.
    @inlinable package final var isReadingPaused: Bool { readPauseCount > 0 }
    @usableFromInline final var readPauseCount: Int32 { readPauses }

    /// Stops reading until `resumeReading` was called as often.
    package final func pauseReading() {
        readPauses += 1
        if readPauses == 1, !isClosed { readingPaused() }
    }

    /// Takes one pause back.
    package final func resumeReading() {
        assert(readPauses > 0, "resumeReading without pauseReading")
        guard readPauses > 0 else { return }
        readPauses -= 1
        if readPauses == 0, !isClosed { readingResumed() }
    }

    /// Delivers pending input to the handler. For implementations.
    package final func deliverInput() {
        handler?._withUnsafeGuaranteedRef { $0.onInput(self) }
    }

    /// Delivers what waited while reading was paused. For implementations, at the end of a turn.
    package final func deliverWaitingInput() {
        guard !isReadingPaused, !input.isEmpty else { return }
        deliverInput()
        // A closed stream has given its slab back already.
        input.settle(from: pool)
    }

    /// Delivers the peer's FIN to the handler, once. For implementations.
    package final func deliverEndOfInput() {
        guard !isInputEnded else { return }
        isInputEnded = true
        handler?._withUnsafeGuaranteedRef { $0.onEndOfInput(self) }
    }
}

/// A running listening socket.
open class StreamListener {
    package init() {}
    /// Stops accepting for a while; the kernel queues connections meanwhile.
    open func pause() {}
    open func resume() {}
    /// Lets no new connection begin, but those whose handshake is under way complete; `close` follows a while later. With
    /// other processes on the address, new connections are led to them.
    ///
    /// - Parameter siblings: sockets of this process on the address.
    open func stopHandshakes(siblings: Int) {}
    /// Accepts what the kernel has already queued, then stops for good and closes the descriptor.
    open func close() {}
}
