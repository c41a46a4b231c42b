// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshUV
import Synchronization
import Testing

/// Turns a loop once without blocking: something is always left for the end of the turn.
final class Nudge: EndOfTurn {
    let loop: UVLoop
    private var rounds = 20
    init(loop: UVLoop) { self.loop = loop }
    func onEndOfTurn() {
        // More rounds than one turn allows, so the loop must not block.
        rounds -= 1
        if rounds > 0 { loop.atEndOfTurn(self) }
    }
}

extension UVLoop {
    /// A turn that polls without waiting.
    func turn() {
        atEndOfTurn(Nudge(loop: self))
        runOnce()
    }
}

struct UVLoopTests {
    final class Ticks: TimerTarget {
        var fired: [UInt32] = []
        func onTimer(_ tag: UInt32) { fired.append(tag) }
    }

    @Test func timersFireInOrderAndNeverEarly() {
        let rig = Rig()
        let ticks = Ticks()
        let delays: [UInt64] = [30, 5, 300, 0, 12, 1]
        let start = rig.loop.now
        var timers: [TimerID] = []
        for (tag, delay) in delays.enumerated() {
            let timer = rig.loop.timers.make(target: ticks, tag: UInt32(tag))
            rig.loop.timers.arm(timer, at: start.advanced(byMilliseconds: delay))
            timers.append(timer)
        }
        rig.run(until: { ticks.fired.count == delays.count })
        #expect(ticks.fired.suffix(4) == [1, 4, 0, 2])
        #expect(rig.loop.now >= start.advanced(byMilliseconds: 300))
        for index in timers.indices { rig.loop.timers.free(&timers[index]) }
        rig.finish()
    }

    /// Long work that leaves a trace, and may write when its turn comes.
    final class Step: LongWork {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
        func takeLongStep() -> Bool {
            body()
            return true
        }
    }

    @Test func whatBecomesReadyInAStepIsHandledBeforeTheNext() throws {
        let rig = Rig()
        let pair = try rig.pair()
        var log: [String] = []
        pair.serverEvents.onData = { stream in
            log.append("request")
            stream.write([2])
        }
        pair.clientEvents.onData = { _ in log.append("answer") }
        rig.loop.whenQuiet(Step {
            log.append("first")
            pair.client.write([1])
        })
        rig.loop.whenQuiet(Step {
            log.append("second")
            // The answer was flushed at the end of its turn and not behind this step.
            #expect(pair.server.output.isEmpty && pair.server.sentBytes == 1)
        })
        rig.run(until: { !rig.loop.hasLongWork && log.contains("answer") })
        #expect(log.firstIndex(of: "first") == 0)
        #expect(log.firstIndex(of: "request") == 1)
        #expect(log.count == 4 && log.contains("second"))
        pair.client.close()
        pair.server.close()
        rig.finish()
    }

    @Test func aLoopWithLongWorkDoesNotBlock() {
        let rig = Rig()
        var taken = 0
        for _ in 0..<3 { rig.loop.whenQuiet(Step { taken += 1 }) }
        // Without any event or timer, a wait would have no end.
        for _ in 0..<3 { rig.loop.runOnce() }
        #expect(taken == 3 && !rig.loop.hasLongWork)
        rig.loop.whenQuiet(Step { taken += 1 })
        rig.finish()
        #expect(taken == 3, "dropped with the loop")
    }

    @Test func anEarlierTimerMovesTheWakeUpForward() {
        let rig = Rig()
        let ticks = Ticks()
        var late = rig.loop.timers.make(target: ticks, tag: 1)
        var early = rig.loop.timers.make(target: ticks, tag: 2)
        rig.loop.timers.arm(late, at: rig.loop.now.advanced(byMilliseconds: 15_000))
        rig.loop.turn()
        let start = rig.loop.now
        rig.loop.timers.arm(early, at: start.advanced(byMilliseconds: 2))
        rig.run(until: { !ticks.fired.isEmpty })
        #expect(ticks.fired == [2])
        #expect(rig.loop.now < start.advanced(byMilliseconds: 15_000))
        rig.loop.timers.free(&late)
        rig.loop.timers.free(&early)
        rig.finish()
    }

    @Test func theWallClockFollowsTheMonotonicOne() {
        let rig = Rig()
        rig.loop.turn()
        rig.loop.turn()
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let real = UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
        #expect(real >= rig.loop.wallClock && real - rig.loop.wallClock < 20_000_000_000)
        rig.finish()
    }

    @Test func messagesFromAnotherThreadWakeTheLoop() {
        let rig = Rig()
        let mailbox = Mailbox<Int>()
        var received: [Int] = []
        mailbox.attach(rig.loop.makeWaker { received += mailbox.takeAll() })
        let peer = LoopThread(name: "poster") { _ in
            for number in 0..<1000 { mailbox.post(number) }
            return nil
        }
        rig.run(until: { received.count == 1000 })
        #expect(received == Array(0..<1000))
        peer.stop()
        peer.join()
        rig.finish()
        // After the loop is gone a wake-up does nothing.
        mailbox.post(1)
    }

    @Test func aLoopThreadMakesItsWorldOnItsOwnThreadAndLetsItGo() {
        final class World {
            let gone: Mailbox<String>
            init(gone: Mailbox<String>) { self.gone = gone }
            deinit { gone.post("gone") }
        }
        let notes = Mailbox<String>()
        let thread = LoopThread(name: "a-name-that-is-too-long", cpu: 0) { loop in
            loop.assertOnLoop()
            notes.post(threadName())
            return World(gone: notes)
        }
        thread.stop()
        thread.join()
        #expect(notes.takeAll() == ["a-name-that-is-", "gone"])
    }

    @Test func signalsArriveOnTheLoop() {
        let rig = Rig()
        var count = 0
        rig.loop.onSignal(SIGUSR2) { count += 1 }
        kill(getpid(), SIGUSR2)
        rig.run(until: { count == 1 })
        rig.finish()
    }

    @Test func closingTheLoopClosesWhatIsStillOpen() throws {
        let rig = Rig()
        let pair = try rig.pair()
        let acceptor = Acceptor()
        _ = try rig.listen(acceptor)
        pair.client.write(pattern(1_000_000))
        rig.finish()
        #expect(pair.client.isClosed && pair.server.isClosed)
        #expect(pair.clientEvents.closed.isEmpty)
    }
}

/// The calling thread's name as the kernel shows it.
private func threadName() -> String {
    guard let file = fopen("/proc/thread-self/comm", "r") else { return "" }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<max(count - 1, 0)], as: UTF8.self)
}
