// SPDX-License-Identifier: Apache-2.0

/// Something that has work left at the end of a loop turn; see `EventLoop.atEndOfTurn`.
package protocol EndOfTurn: AnyObject {
    /// Called once, before the loop may block, after every flush.
    func onEndOfTurn()
}

/// One thread's world: its clock, timers, byte pool and connections. Everything it hands out stays on its thread.
///
/// A base class and not a protocol, because `now`, `pool` and `timers` are read for every request and a stored property
/// of a class costs a load where a protocol requirement costs a call.
///
/// Order of a turn: events → mail → timers → flush of every dirty stream → `onEndOfTurn` calls → flush again of what
/// those dirtied (bounded) → long work, if nothing was ready or it is owed time → block.
open class EventLoop {
    /// Slabs of this loop.
    @usableFromInline package final let pool: SlabPool
    /// Timers of this loop, in ticks of 1 ms.
    package final let timers: TimerWheel
    /// The monotonic clock, read once per turn.
    @usableFromInline package final var now: MonotonicInstant
    /// Wall clock of `now`. - Unit: nanoseconds since 1970-01-01T00:00:00Z.
    @usableFromInline package final var wallClock: UInt64

    /// Streams to flush and objects to call at the end of this turn, each with a spare array: a round works on what was
    /// there when it began, and what it causes is the next round's.
    /// A dirty stream is retained by hand, once, until it was flushed.
    private final var dirty = UncountedStack<ByteStream>(capacity: EventLoop.fewestDirty)
    private final var flushing = UncountedStack<ByteStream>(capacity: EventLoop.fewestDirty)
    private final var turnEnds = TurnEndList()
    private final var ending = TurnEndList()

    private static let fewestDirty = 256

    /// Rounds of flushing at the end of one turn; what is dirty after that waits for the next one, so that two streams
    /// that keep dirtying each other cannot hold the loop.
    private static let flushRounds = 8

    package init(now: MonotonicInstant, wallClock: UInt64) {
        self.now = now
        self.wallClock = wallClock
        pool = SlabPool()
        timers = TimerWheel(now: now)
    }

    // MARK: What an implementation provides

    /// Opens a connection. The returned stream reports `onConnected`, or `onClosed` with `.connectFailed`.
    ///
    /// Never calls the handler before it returns; a failure known at once is reported at the end of the turn.
    open func connect(to address: Address, options: ConnectOptions, handler: StreamHandler) -> ByteStream {
        fatalError("\(type(of: self)) does not connect")
    }

    /// Starts accepting on an inherited listening socket.
    ///
    /// - Parameter acceptsPerWake: most connections taken per readiness event (`max_connections_to_accept_per_socket_event`).
    open func listen(_ socket: ListeningSocket, acceptsPerWake: Int, handler: ListenHandler) -> StreamListener {
        fatalError("\(type(of: self)) does not listen")
    }

    /// A Sendable handle that makes this loop call `body` soon; calls may coalesce.
    open func makeWaker(_ body: @escaping () -> Void) -> any Waker {
        fatalError("\(type(of: self)) does not wake")
    }

    // MARK: Memory

    /// What the loop's owner gives back when the loop trims; returns how many bytes went to the allocator since the last time.
    package final var onTrim: (() -> Int)?

    /// Most bytes of slabs in use; above it `onOverBudget` is called at the end of every turn.
    package final var memoryBudget = Int.max
    package final var onOverBudget: (() -> Void)?

    /// Called when pages of the heap went back to the system: something large has ended.
    package final var onPagesReturned: (() -> Void)?

    /// Bytes that `onTrim` gave back in this turn; nil when it was not called.
    private final var trimmedBytes: Int?

    /// Gives back what was not needed since the last call, by the end of the turn. Implementations call it every 30 s.
    package final func trim() { trimmedBytes = (trimmedBytes ?? 0) + (onTrim?() ?? 0) }

    /// What is idle and stays may move to the front of the loop's tables from now until the end of the turn, when they shrink:
    /// `TimerWheel.settle`, `ByteStream.settle`. The owner calls this from `onTrim`, when it has ended what it ends.
    open func prepareToShrink() { timers.prepareToShrink() }

    // MARK: End of turn

    /// Objects that ended while they, or someone above them, were being called.
    private final var retired: ContiguousArray<AnyObject> = []

    /// Keeps an object alive until no call of this turn is under way any more: handlers are called without being counted,
    /// so whoever drops the last reference to one that may be running hands it over here.
    package final func keepUntilEndOfTurn(_ object: AnyObject) { retired.append(object) }

    /// Has `stream` flushed at the end of this turn. Calling it again in the same turn costs nothing.
    package final func scheduleFlush(_ stream: ByteStream) {
        guard !stream.isFlushScheduled else { return }
        stream.isFlushScheduled = true
        dirty.push(Unmanaged.passRetained(stream))
    }

    /// Calls `object.onEndOfTurn()` once before the loop blocks; for deferred release and batching.
    package final func atEndOfTurn(_ object: any EndOfTurn) {
        turnEnds.append(object)
    }

    /// Whether anything is left for `runEndOfTurn`; a loop with leftovers must not block.
    package final var hasPendingTurnEnd: Bool { !dirty.isEmpty || !turnEnds.isEmpty }

    /// Flushes dirty streams and runs end-of-turn work. Implementations call it right before blocking.
    package final func runEndOfTurn() {
        for _ in 0..<EventLoop.flushRounds {
            if dirty.isEmpty && turnEnds.isEmpty { break }
            swap(&dirty, &flushing)
            // By index: `flush` may run handlers, which dirty streams for the next round.
            for index in 0..<flushing.count {
                let stream = flushing[index]
                stream._withUnsafeGuaranteedRef {
                    $0.isFlushScheduled = false
                    $0.flush()
                }
                stream.release()
            }
            flushing.removeAll()
            guard !turnEnds.isEmpty else { continue }
            swap(&turnEnds, &ending)
            ending.runAll()
        }
        if pool.outstandingBytes > memoryBudget { onOverBudget?() }
        releaseRetired()
        // What `onTrim` ended is gone only now.
        if let trimmedBytes {
            self.trimmedBytes = nil
            if pool.trim(otherBytes: trimmedBytes + shrinkTables()) { onPagesReturned?() }
        }
    }

    // MARK: Long work

    private final var longWork = LongWorkQueue()
    private final var pacing = LongWorkPacing()

    /// Whether a step of long work waits; a loop that has some must not block.
    package final var hasLongWork: Bool { !longWork.isEmpty }

    /// Has `work` take a step when no event is ready, or when events have had their share of the time; first come, first
    /// served. Retained until then.
    package final func whenQuiet(_ work: any LongWork) { longWork.append(work) }

    /// Takes one step if the loop is quiet, else as many as are due. Implementations call it after `runEndOfTurn`, so that
    /// what a turn has to say does not wait for it.
    ///
    /// - Parameter isQuiet: the wait of this turn brought no event.
    /// - Parameter clock: the monotonic clock, in nanoseconds, of which `now` was read when the events came.
    package final func runLongWork(isQuiet: Bool, clock: () -> UInt64) {
        var time = clock()
        pacing.eventsTook(time &- now.nanoseconds)
        while isQuiet || pacing.isStepDue, let work = longWork.popFirst() {
            guard work.takeLongStep() else { continue }
            let end = clock()
            pacing.stepTook(end &- time)
            time = end
            if isQuiet { break }
        }
        if longWork.isEmpty { pacing.ranOut() }
    }

    /// Drops steps that were not taken, for a loop that ends.
    package final func dropLongWork() { longWork.removeAll() }

    /// What a burst left behind in the loop's own tables goes to the allocator; returns how many bytes.
    open func shrinkTables() -> Int {
        dirty.shrink(minimum: EventLoop.fewestDirty) + flushing.shrink(minimum: EventLoop.fewestDirty)
            + turnEnds.shrink() + ending.shrink() + retired.shrink() + timers.shrink()
    }

    private final func releaseRetired() {
        // Called from the loop itself, with no handler on the stack; what the objects' ends retire waits for the next turn.
        if !retired.isEmpty { retired.removeAll(keepingCapacity: true) }
    }
}

/// Objects to be called, counted once while they wait: an Array would count each again when it is walked.
private struct TurnEndList: ~Copyable {
    private static let smallest = 256

    private var items: UnsafeMutablePointer<any EndOfTurn>
    private var count = 0
    private var capacity = TurnEndList.smallest

    init() { items = .allocate(capacity: capacity) }

    deinit {
        items.deinitialize(count: count)
        items.deallocate()
    }

    var isEmpty: Bool { count == 0 }

    mutating func append(_ object: any EndOfTurn) {
        if count == capacity { grow() }
        (items + count).initialize(to: object)
        count &+= 1
    }

    /// Calls every object and empties the list. What the calls append goes into another list.
    mutating func runAll() {
        let waiting = count
        count = 0
        for index in 0..<waiting { (items + index).move().onEndOfTurn() }
    }

    private mutating func grow() { resize(to: capacity * 2) }

    /// See `UncountedStack.shrink`.
    mutating func shrink() -> Int {
        let before = capacity
        guard let places = TableSize.shrunk(before, holding: count, minimum: TurnEndList.smallest) else { return 0 }
        resize(to: places)
        return (before - places) * MemoryLayout<any EndOfTurn>.stride
    }

    private mutating func resize(to places: Int) {
        let other = UnsafeMutablePointer<any EndOfTurn>.allocate(capacity: places)
        other.moveInitialize(from: items, count: count)
        items.deallocate()
        items = other
        capacity = places
    }
}

/// The only part of a loop that another thread may hold: it asks the loop to look at its mail.
public protocol Waker: AnyObject, Sendable {
    /// May be called from any thread; several calls may lead to one wake-up.
    func wake()
}
