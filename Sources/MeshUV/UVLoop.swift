// SPDX-License-Identifier: Apache-2.0
import CLinux
import CUV
import Glibc
package import MeshIO

/// The event loop over libuv. Made, used and closed on one thread.
///
/// A turn: `uv_run` polls, callbacks run, timers run, and `uv_prepare` runs `runEndOfTurn` right before the next poll
/// may block (libuv 1.44 runs timers before prepare and prepare before poll).
///
/// Invariants:
/// - the one `uv_timer_t` is armed for `armedTick`, which is never later than the wheel's earliest wake;
/// - `now` is read once per turn, by the first callback after the poll (`beginTurn`).
package final class UVLoop: EventLoop, TimerTarget {
    let uv: UnsafeMutablePointer<uv_loop_t>
    private let prepare: UnsafeMutablePointer<uv_prepare_t>
    private let idle: UnsafeMutablePointer<uv_idle_t>
    private let timer: UnsafeMutablePointer<uv_timer_t>

    private var isClockStale = false
    private var isIdling = false
    private var armedTick = UInt64.max
    /// What to add to the monotonic clock for the wall clock, and when that was last found out.
    private var wallOffset: UInt64
    private var wallReadAt: UInt64
    private var trimTimer = TimerID.none
    private let thread = pthread_self()
    private var isClosed = false
    /// Pipes for splicing between two sockets.
    var pipes = SplicePipes()

    /// How often the wall clock is read anew: it steps and slews, but nobody logs more finely than this drifts.
    private static let wallPeriod: UInt64 = 1_000_000_000
    /// How often unused slabs are freed. - Unit: milliseconds.
    private static let trimPeriod: UInt64 = 30_000

    package init() {
        apus_ignore_sigpipe()
        uv = .allocate(capacity: 1)
        prepare = .allocate(capacity: 1)
        idle = .allocate(capacity: 1)
        timer = .allocate(capacity: 1)
        let monotonic = apus_monotonic()
        let wall = apus_wall_clock()
        wallOffset = wall &- monotonic
        wallReadAt = monotonic
        super.init(now: MonotonicInstant(nanoseconds: monotonic), wallClock: wall)
        // Fails only without memory or descriptors for the loop itself, when there is nothing to run at all.
        precondition(uv_loop_init(uv) == 0, "no event loop")
        // The loop closes these three itself, so they hold no reference to it.
        let me = Unmanaged.passUnretained(self).toOpaque()
        uv_prepare_init(uv, prepare)
        uv_idle_init(uv, idle)
        uv_timer_init(uv, timer)
        prepare.pointee.data = me
        idle.pointee.data = nil
        timer.pointee.data = me
        uv_prepare_start(prepare) { handle in
            CallbackBox.with(handle?.pointee.data, as: UVLoop.self) { $0.endTurn() }
        }
        trimTimer = timers.make(target: self)
        timers.arm(trimTimer, at: now.advanced(byMilliseconds: UVLoop.trimPeriod))
    }

    // MARK: Running

    /// Runs until `stop`.
    package func run() {
        assertOnLoop()
        uv_run(uv, UV_RUN_DEFAULT)
    }

    /// Runs one turn: waits for at least one event, unless work is left over.
    package func runOnce() {
        assertOnLoop()
        uv_run(uv, UV_RUN_ONCE)
    }

    /// Makes `run` return after this turn. On the loop's thread; others wake it first.
    package func stop() {
        assertOnLoop()
        uv_stop(uv)
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
        uv_close(UnsafeMutableRawPointer(prepare).assumingMemoryBound(to: uv_handle_t.self), nil)
        uv_close(UnsafeMutableRawPointer(idle).assumingMemoryBound(to: uv_handle_t.self), nil)
        uv_close(UnsafeMutableRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self), nil)
        while uv_run(uv, UV_RUN_DEFAULT) != 0 {}
        runEndOfTurn()
        let left = uv_loop_close(uv)
        assert(left == 0, "a libuv handle was not closed")
        prepare.deallocate()
        idle.deallocate()
        timer.deallocate()
        // A loop that still has handles stays allocated: leaking beats freeing what libuv may touch.
        if left == 0 { uv.deallocate() }
    }

    /// Closes every stream, listener, signal watch and waker of the loop.
    package func closeHandles() {
        assertOnLoop()
        uv_walk(uv, { handle, _ in
            guard let handle, uv_is_closing(handle) == 0, handle.pointee.data != nil else { return }
            switch handle.pointee.type {
            case UV_POLL, UV_ASYNC, UV_SIGNAL:
                CallbackBox.with(handle.pointee.data, as: AnyObject.self) { ($0 as? any LoopHandle)?.closeHandle() }
            default: break
            }
        }, nil)
    }

    deinit { assert(isClosed, "UVLoop.close was not called") }

    /// Traps in debug builds when called on another thread.
    @inline(__always)
    package func assertOnLoop() {
        assert(pthread_equal(thread, pthread_self()) != 0, "used off its thread")
    }

    // MARK: The turn

    /// Every callback from libuv calls this first: the turn's one reading of the clock.
    @inline(__always)
    func beginTurn() {
        if isClockStale { readClock() }
    }

    private func readClock() {
        isClockStale = false
        let monotonic = apus_monotonic()
        if monotonic &- wallReadAt >= UVLoop.wallPeriod {
            wallReadAt = monotonic
            wallOffset = apus_wall_clock() &- monotonic
        }
        now = MonotonicInstant(nanoseconds: monotonic)
        wallClock = monotonic &+ wallOffset
    }

    private func endTurn() {
        // A turn may come here without a callback of ours (the first one, or an idle one).
        beginTurn()
        runEndOfTurn()
        if hasPendingTurnEnd != isIdling {
            isIdling.toggle()
            if isIdling { uv_idle_start(idle) { _ in } } else { uv_idle_stop(idle) }
        }
        if timers.earliestArmed < armedTick { armTimer() }
        isClockStale = true
    }

    private func armTimer() {
        armedTick = timers.earliestArmed
        let currentTick = now.nanoseconds / 1_000_000
        // Rounded up by one: libuv's clock is in whole milliseconds and may be cut off below ours.
        uv_timer_start(timer, { handle in
            CallbackBox.with(handle?.pointee.data, as: UVLoop.self) { $0.onWake() }
        }, armedTick > currentTick ? armedTick &- currentTick : 0, 0)
    }

    private func onWake() {
        beginTurn()
        armedTick = .max
        timers.advance(to: now)
        _ = timers.nextWake()
    }

    package func onTimer(_ tag: UInt32) {
        pool.trim()
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
        return UVWaker(loop: self, body: body)
    }

    /// Calls `body` on the loop for every `signal` of the process (coalesced); until the loop closes.
    package func onSignal(_ signal: Int32, _ body: @escaping () -> Void) {
        assertOnLoop()
        SignalWatch.start(on: self, signal: signal, body: body)
    }
}

@available(*, unavailable) extension UVLoop: Sendable {}

/// An object behind a libuv handle, for closing them all.
protocol LoopHandle: AnyObject {
    func closeHandle()
}
