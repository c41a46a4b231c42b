// SPDX-License-Identifier: Apache-2.0
import CLinux
import CUV
import Glibc
package import MeshIO

/// The event loop: an epoll set of our own for sockets, with libuv inside it for wake-ups and signals (and whatever else
/// comes with a libuv integration). Made, used and closed on one thread.
///
/// A `uv_poll_t` for each socket costs four epoll_ctl calls and an ioctl from init to close, two epoll_ctl for a change of
/// interest, and a turn of its own to close; a socket in our set costs one, one and none. libuv's backend descriptor is a
/// member of the set, and `uv_run` is called when it is ready.
///
/// A turn: end of the previous one → `epoll_wait` → one reading of the clock → socket events → libuv → timers → where long
/// work waits: the end of this turn, and a step of it.
///
/// Invariants:
/// - the wait is never longer than to `timers.earliestArmed`, and does not block while the end of the turn left work;
/// - an event is delivered to the owner its slot had when the wait returned, or to nobody.
package final class UVLoop: EventLoop, TimerTarget {
    let uv: UnsafeMutablePointer<uv_loop_t>
    /// The epoll set of all sockets.
    let epoll: Int32
    /// Pipes for splicing between two sockets.
    var pipes = SplicePipes()

    /// An open socket's owner, retained by hand so that an event costs no counting; `generation` tells apart those that
    /// used a slot one after the other.
    private struct Slot {
        var stream: Unmanaged<UVStream>?
        var listener: Unmanaged<UVListener>?
        var generation: UInt32 = 0

        var isFree: Bool { stream == nil && listener == nil }
    }

    private var slots: ContiguousArray<Slot> = []
    private var freeSlots: ContiguousArray<UInt32> = []
    /// Of slots that are made anew: higher than that of any that was given up.
    private var firstGeneration: UInt32 = 0
    /// Between `prepareToShrink` and `shrinkTables`: slots that come free are not taken.
    private var isShrinking = false
    /// Owners whose socket was closed in this turn: one of them may be the caller of the close.
    private var retired: ContiguousArray<AnyObject> = []
    private let ready: UnsafeMutablePointer<apus_ready>
    /// A libuv handle was opened or closed, which takes effect in `uv_run`.
    private var hasChangedHandles = false
    private var isStopping = false
    /// What to add to the monotonic clock for the wall clock, and when that was last found out.
    private var wallOffset: UInt64
    private var wallReadAt: UInt64
    private var trimTimer = TimerID.none
    private let thread = pthread_self()
    private var isClosed = false
    /// Whom to call to the microsecond, and when; `.max` for nobody. - Unit: nanoseconds of the monotonic clock.
    private unowned(unsafe) var preciseTarget: (any PreciseTarget)?
    private var preciseDeadline = UInt64.max

    /// Most events taken from one wait; the rest comes with the next, so this bounds a turn and not the load.
    private static let readyCapacity = 128
    /// Stands for libuv's backend descriptor.
    private static let uvToken = UInt64.max
    /// How often the wall clock is read anew: it steps and slews, but nobody logs more finely than this drifts.
    private static let wallPeriod: UInt64 = 1_000_000_000
    /// How often unused slabs are freed. - Unit: milliseconds.
    private static let trimPeriod: UInt64 = 30_000

    package init() {
        apus_ignore_sigpipe()
        uv = .allocate(capacity: 1)
        ready = .allocate(capacity: UVLoop.readyCapacity)
        epoll = apus_epoll()
        let monotonic = apus_monotonic()
        let wall = apus_wall_clock()
        wallOffset = wall &- monotonic
        wallReadAt = monotonic
        super.init(now: MonotonicInstant(nanoseconds: monotonic), wallClock: wall)
        // These fail only without memory or descriptors for the loop itself, when there is nothing to run at all.
        precondition(uv_loop_init(uv) == 0, "no event loop")
        precondition(epoll >= 0, "no epoll set")
        precondition(
            apus_epoll_add(epoll, uv_backend_fd(uv), UInt32(APUS_READABLE), UVLoop.uvToken) >= 0,
            "libuv's descriptor cannot be polled")
        trimTimer = timers.make(target: self)
        timers.arm(trimTimer, at: now.advanced(byMilliseconds: UVLoop.trimPeriod))
    }

    // MARK: Running

    /// Runs until `stop`.
    package func run() {
        isStopping = false
        while !isStopping { runOnce() }
    }

    /// Runs one turn: waits for at least one event, unless work is left over.
    package func runOnce() {
        assertOnLoop()
        if hasChangedHandles { runUV() }
        runEndOfTurn()
        let count = preciseDeadline == .max
            ? apus_epoll_wait(epoll, ready, Int32(UVLoop.readyCapacity), waitMilliseconds())
            : apus_epoll_wait_precisely(epoll, ready, Int32(UVLoop.readyCapacity), preciseWait())
        readClock()
        if count > 0 { handleReady(Int(count)) }
        if timers.earliestArmed <= now.nanoseconds / 1_000_000 {
            timers.advance(to: now)
            _ = timers.nextWake()
        }
        if preciseDeadline <= now.nanoseconds {
            preciseDeadline = .max
            preciseTarget?.onPreciseDeadline()
        }
        if !retired.isEmpty { retired.removeAll(keepingCapacity: true) }
        if hasLongWork {
            runEndOfTurn()
            runLongWork(isQuiet: count <= 0, clock: apus_monotonic)
        }
    }

    /// Makes `run` return after this turn. On the loop's thread; others wake it first.
    package func stop() {
        assertOnLoop()
        isStopping = true
    }

    /// Closes every stream, listener and waker without telling anybody, and frees the loop.
    ///
    /// Everything that handles events may die between `closeHandles` and this; `close` calls the former if need be.
    package func close() {
        assertOnLoop()
        guard !isClosed else { return }
        closeHandles()
        isClosed = true
        pipes.closeAll()
        timers.free(&trimTimer)
        while uv_run(uv, UV_RUN_DEFAULT) != 0 {}
        dropLongWork()
        runEndOfTurn()
        let left = uv_loop_close(uv)
        assert(left == 0, "a libuv handle was not closed")
        retired = []
        apus_close(epoll)
        ready.deallocate()
        // A loop that still has handles stays allocated: leaking beats freeing what libuv may touch.
        if left == 0 { uv.deallocate() }
    }

    /// Closes every stream, listener, signal watch and waker of the loop.
    package func closeHandles() {
        assertOnLoop()
        for index in slots.indices {
            if let stream = slots[index].stream { stream._withUnsafeGuaranteedRef { $0.close() } }
            if let listener = slots[index].listener { listener._withUnsafeGuaranteedRef { $0.closeHandle() } }
        }
        uv_walk(uv, { handle, _ in
            guard let handle, uv_is_closing(handle) == 0, handle.pointee.data != nil else { return }
            switch handle.pointee.type {
            case UV_ASYNC, UV_SIGNAL, UV_POLL:
                CallbackBox.with(handle.pointee.data, as: AnyObject.self) { ($0 as? any LoopHandle)?.closeHandle() }
            default: break
            }
        }, nil)
        hasChangedHandles = true
    }

    deinit { assert(isClosed, "UVLoop.close was not called") }

    /// Traps in debug builds when called on another thread.
    @inline(__always)
    package func assertOnLoop() {
        assert(pthread_equal(thread, pthread_self()) != 0, "used off its thread")
    }

    // MARK: The turn

    private func handleReady(_ count: Int) {
        var isUVReady = false
        for index in 0..<count {
            let event = ready[index]
            if event.token == UVLoop.uvToken {
                isUVReady = true
                continue
            }
            let slot = slots[Int(event.token & 0xFFFF_FFFF)]
            guard slot.generation == UInt32(truncatingIfNeeded: event.token >> 32) else { continue }
            if let stream = slot.stream {
                stream._withUnsafeGuaranteedRef { $0.onReady(Int32(bitPattern: event.events)) }
            } else if let listener = slot.listener {
                listener._withUnsafeGuaranteedRef { $0.onReady() }
            }
        }
        // Mail after events, as it often asks for what the events have just done.
        if isUVReady { runUV() }
    }

    private func runUV() {
        hasChangedHandles = false
        uv_run(uv, UV_RUN_NOWAIT)
    }

    /// A libuv handle was opened, closed or told to watch something else: `uv_run` has to see it before the loop waits.
    func handlesChanged() { hasChangedHandles = true }

    /// How long the wait may last; rounded up, so that it is not over before a timer's tick.
    private func waitMilliseconds() -> Int32 {
        if hasPendingTurnEnd || hasLongWork || hasChangedHandles || isStopping { return 0 }
        let tick = timers.earliestArmed
        guard tick != .max else { return -1 }
        let (due, overflow) = tick.multipliedReportingOverflow(by: 1_000_000)
        if overflow { return .max }
        return due > now.nanoseconds ? Int32(clamping: (due - now.nanoseconds + 999_999) / 1_000_000) : 0
    }

    /// Nanoseconds to the precise deadline, or to the next timer if that is sooner.
    private func preciseWait() -> UInt64 {
        let milliseconds = waitMilliseconds()
        if milliseconds == 0 { return 0 }
        let current = apus_monotonic()
        let precise = preciseDeadline > current ? preciseDeadline - current : 0
        return milliseconds < 0 ? precise : min(precise, UInt64(milliseconds) * 1_000_000)
    }

    /// Calls `target.onPreciseDeadline()` once at `deadline`, to the microsecond where the kernel can, for load that is
    /// planned finer than timers tick. There is one such deadline on a loop; a new one takes its place.
    package func wakePrecisely(_ target: any PreciseTarget, at deadline: MonotonicInstant) {
        assertOnLoop()
        if preciseTarget == nil { apus_sharpen_timers() }
        preciseTarget = target
        preciseDeadline = deadline.nanoseconds
    }

    /// The turn's one reading of the clock, and of the wall clock once in a while.
    private func readClock() {
        let monotonic = apus_monotonic()
        if monotonic &- wallReadAt >= UVLoop.wallPeriod {
            wallReadAt = monotonic
            wallOffset = apus_wall_clock() &- monotonic
        }
        now = MonotonicInstant(nanoseconds: monotonic)
        wallClock = monotonic &+ wallOffset
    }

    // MARK: Sockets

    /// Retains the owner of a socket until `unregister`; the token names it in epoll events.
    func register(_ owner: SocketPoll.Owner) -> UInt64 {
        let index: Int
        if let free = freeSlots.popLast() {
            index = Int(free)
        } else {
            index = slots.count
            slots.append(Slot(generation: firstGeneration))
        }
        switch owner {
        case .stream(let stream): slots[index].stream = Unmanaged.passRetained(stream)
        case .listener(let listener): slots[index].listener = Unmanaged.passRetained(listener)
        }
        return UInt64(slots[index].generation) << 32 | UInt64(index)
    }

    func unregister(_ token: UInt64) {
        let index = Int(token & 0xFFFF_FFFF)
        if let stream = slots[index].stream { retired.append(stream.takeRetainedValue()) }
        if let listener = slots[index].listener { retired.append(listener.takeRetainedValue()) }
        vacate(index)
        if !isShrinking { freeSlots.append(UInt32(truncatingIfNeeded: index)) }
    }

    private func vacate(_ index: Int) {
        slots[index].stream = nil
        slots[index].listener = nil
        slots[index].generation &+= 1
        // The all-ones token is libuv's.
        if slots[index].generation == .max { slots[index].generation = 0 }
    }

    /// Makes the lowest free slots the next ones, if the table is mostly empty.
    override package func prepareToShrink() {
        super.prepareToShrink()
        isShrinking = TableSize.shrunk(slots.capacity, holding: slots.count - freeSlots.count) != nil
        if isShrinking { listFreeSlots() }
    }

    /// Moves a socket to the lowest free slot before its own; returns the token that names it there. No event is on its way to
    /// the old one: those of this turn have been handled.
    func settle(_ token: UInt64) -> UInt64 {
        let index = Int(token & 0xFFFF_FFFF)
        guard isShrinking, let free = freeSlots.last, free < index else { return token }
        freeSlots.removeLast()
        let place = Int(free)
        slots[place].stream = slots[index].stream
        slots[place].listener = slots[index].listener
        vacate(index)
        return UInt64(slots[place].generation) << 32 | UInt64(place)
    }

    /// Gives back slots behind the last one in use, where a burst left three quarters empty.
    override package func shrinkTables() -> Int {
        if !isShrinking { prepareToShrink() }
        let others = super.shrinkTables()
        guard isShrinking else { return others }
        isShrinking = false
        while let last = slots.last, last.isFree {
            firstGeneration = max(firstGeneration, last.generation)
            slots.removeLast()
        }
        listFreeSlots()
        return others + slots.shrink() + freeSlots.shrink() + retired.shrink()
    }

    /// Places in the table of sockets, for tests.
    package var socketPlaces: Int { slots.capacity }

    /// Lists free slots, the lowest last.
    private func listFreeSlots() {
        freeSlots.removeAll(keepingCapacity: true)
        for index in slots.indices.reversed() where slots[index].isFree {
            freeSlots.append(UInt32(truncatingIfNeeded: index))
        }
    }

    package func onTimer(_ tag: UInt32) {
        trim()
        timers.arm(trimTimer, at: now.advanced(byMilliseconds: UVLoop.trimPeriod))
    }

    // MARK: Connections

    override package func connect(
        to address: Address, options: ConnectOptions, handler: StreamHandler
    ) -> ByteStream {
        assertOnLoop()
        return UVStream(connectingOn: self, to: address, options: options, handler: handler)
    }

    override package func listen(
        _ socket: ListeningSocket, acceptsPerWake: Int, handler: ListenHandler
    ) -> StreamListener {
        assertOnLoop()
        return UVListener(loop: self, socket: socket, acceptsPerWake: acceptsPerWake, handler: handler)
    }

    override package func makeWaker(_ body: @escaping () -> Void) -> any Waker {
        assertOnLoop()
        hasChangedHandles = true
        return UVWaker(loop: self, body: body)
    }

    /// Calls `body` on the loop for every `signal` of the process (coalesced); until the loop closes.
    package func onSignal(_ signal: Int32, _ body: @escaping () -> Void) {
        assertOnLoop()
        hasChangedHandles = true
        SignalWatch.start(on: self, signal: signal, body: body)
    }
}

@available(*, unavailable) extension UVLoop: Sendable {}

/// What `UVLoop.wakePrecisely` calls. Not retained: it lives as long as the loop runs.
package protocol PreciseTarget: AnyObject {
    func onPreciseDeadline()
}

/// An object behind a libuv handle, for closing them all.
protocol LoopHandle: AnyObject {
    func closeHandle()
}
