// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTestKit
import Testing

struct TimerWheelTests {
    final class Log: TimerTarget {
        var fired: [UInt32] = []
        var onFire: ((UInt32) -> Void)?
        func onTimer(_ tag: UInt32) {
            fired.append(tag)
            onFire?(tag)
        }
    }

    static let start = MonotonicInstant(nanoseconds: 5_000_000_000_123)

    static func instant(_ milliseconds: UInt64) -> MonotonicInstant { start.advanced(byMilliseconds: milliseconds) }

    @Test func aTimerNeverFiresEarlyAndAtMostATickLate() {
        for delay in [0, 1, 2, 254, 255, 256, 257, 511, 65_535, 65_536, 70_000, 300_000] as [UInt64] {
            let log = Log()
            let wheel = TimerWheel(now: Self.start)
            var timer = wheel.make(target: log, tag: 7)
            let deadline = Self.instant(delay)
            wheel.arm(timer, at: deadline)
            wheel.advance(to: MonotonicInstant(nanoseconds: deadline.nanoseconds - 1))
            #expect(log.fired.isEmpty, "\(delay) ms")
            wheel.advance(to: deadline.advanced(byMilliseconds: 1))
            #expect(log.fired == [7], "\(delay) ms")
            #expect(wheel.armedCount == 0 && !wheel.isArmed(timer))
            wheel.free(&timer)
        }
    }

    @Test func reArmingCountsOnce() {
        let log = Log()
        let wheel = TimerWheel(now: Self.start)
        var timer = wheel.make(target: log)
        for delay in 1...100 { wheel.arm(timer, at: Self.instant(UInt64(delay))) }
        #expect(wheel.armedCount == 1)
        wheel.cancel(timer)
        #expect(wheel.armedCount == 0)
        #expect(wheel.nextWake() == nil)
        wheel.free(&timer)
        #expect(timer.isNone)
    }

    @Test func aCallbackMayCancelFreeAndArmTimersOfItsOwnTick() {
        let log = Log()
        let wheel = TimerWheel(now: Self.start)
        var timers = (0..<4).map { wheel.make(target: log, tag: UInt32($0)) }
        for timer in timers { wheel.arm(timer, at: Self.instant(10)) }
        log.onFire = { tag in
            guard log.fired.count == 1 else { return }
            // Whichever came first silences two others, and arms itself for a whole turn of the wheel later.
            wheel.cancel(timers[Int(tag + 1) % 4])
            wheel.free(&timers[Int(tag + 2) % 4])
            wheel.arm(timers[Int(tag)], at: Self.instant(11 + 256))
        }
        wheel.advance(to: Self.instant(12))
        #expect(log.fired.count == 2)
        #expect(wheel.armedCount == 1)
        let first = log.fired[0]
        wheel.advance(to: Self.instant(400))
        #expect(log.fired.last == first && log.fired.count == 3)
        for index in timers.indices { wheel.free(&timers[index]) }
        log.onFire = nil
    }

    /// A burst of timers, of which one in the middle and the last one stay.
    @Test func theTableOfABurstGoesBackAndTimersThatStayAreKept() {
        let log = Log()
        let wheel = TimerWheel(now: Self.start)
        let before = wheel.tableBytes
        var timers = (0..<10_000).map { wheel.make(target: log, tag: UInt32($0)) }
        for timer in timers { wheel.arm(timer, at: Self.instant(50)) }
        wheel.prepareToShrink()
        let full = wheel.shrink()
        #expect(full == 0)
        let burst = wheel.tableBytes
        for index in timers.indices where index != 5_000 && index != 9_999 { wheel.free(&timers[index]) }
        // The last one has the last node: nothing lies behind it.
        wheel.prepareToShrink()
        let held = wheel.shrink()
        #expect(held == 0)
        wheel.prepareToShrink()
        wheel.settle(&timers[9_999])
        wheel.settle(&timers[5_000])
        let back = wheel.shrink()
        #expect(back == burst - before && wheel.tableBytes == before)
        #expect(wheel.armedCount == 2 && wheel.isArmed(timers[5_000]) && wheel.isArmed(timers[9_999]))
        var later = wheel.make(target: log, tag: 1)
        wheel.arm(later, at: Self.instant(60))
        wheel.advance(to: Self.instant(55))
        #expect(Set(log.fired) == [5_000, 9_999])
        wheel.advance(to: Self.instant(65))
        #expect(log.fired.last == 1 && log.fired.count == 3)
        wheel.free(&later)
        wheel.free(&timers[5_000])
        wheel.free(&timers[9_999])
    }

    /// Timers that share a slot with others move out of the middle of its list.
    @Test func aTimerMovesWhereverItIsInItsSlot() {
        for moved in 0..<3 {
            let log = Log()
            let wheel = TimerWheel(now: Self.start)
            var others = (0..<100).map { _ in wheel.make(target: log) }
            var timers = (0..<3).map { wheel.make(target: log, tag: UInt32($0)) }
            for timer in timers { wheel.arm(timer, at: Self.instant(10)) }
            for index in others.indices { wheel.free(&others[index]) }
            wheel.prepareToShrink()
            let before = timers[moved]
            wheel.settle(&timers[moved])
            #expect(timers[moved] != before)
            _ = wheel.shrink()
            wheel.cancel(timers[(moved + 1) % 3])
            wheel.advance(to: Self.instant(12))
            #expect(log.fired.sorted() == [moved, (moved + 2) % 3].map { UInt32($0) }.sorted())
            for index in timers.indices { wheel.free(&timers[index]) }
        }
    }

    @Test func aDelayBeyondTheWheelsIsKept() {
        let log = Log()
        let wheel = TimerWheel(now: Self.start)
        var timer = wheel.make(target: log)
        let century: UInt64 = 100 * 365 * 86_400_000
        wheel.arm(timer, at: Self.instant(century))
        wheel.advance(to: Self.instant(300_000))
        #expect(log.fired.isEmpty && wheel.isArmed(timer))
        wheel.arm(timer, at: MonotonicInstant(nanoseconds: .max))
        wheel.advance(to: Self.instant(600_000))
        #expect(log.fired.isEmpty && wheel.isArmed(timer))
        wheel.free(&timer)
    }

    /// The same operations on the wheel and on a plain list of deadlines.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func firesWhatANaiveListFires(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let log = Log()
        let wheel = TimerWheel(now: Self.start)
        var timers = (0..<60).map { wheel.make(target: log, tag: UInt32($0)) }
        var deadlines: [Int: UInt64] = [:]
        var now = Self.start.nanoseconds
        func tick(_ nanoseconds: UInt64) -> UInt64 { (nanoseconds + 999_999) / 1_000_000 }
        for step in 0..<1500 {
            let index = random.below(timers.count)
            switch random.below(5) {
            case 0, 1:
                let reach = [3, 300, 3000, 100_000, 1_000_000][random.below(5)]
                let deadline = now + UInt64(random.below(reach * 1000)) * 1000
                wheel.arm(timers[index], at: MonotonicInstant(nanoseconds: deadline))
                deadlines[index] = max(tick(deadline), now / 1_000_000 + 1)
            case 2:
                wheel.cancel(timers[index])
                deadlines[index] = nil
            default:
                let wake = wheel.nextWake()
                let earliest = deadlines.values.min()
                #expect((wake == nil) == (earliest == nil))
                if let wake, let earliest {
                    let tick = wake.nanoseconds / 1_000_000
                    #expect(tick <= earliest && tick > now / 1_000_000, "woken at a wrong time, seed \(seed) step \(step)")
                }
                // Mostly what a loop does; sometimes it was held up.
                let jump = UInt64(random.below(random.below(10) == 0 ? 20_000 : 400)) * 1_000_000
                now = random.below(2) == 0 ? max(now, wake?.nanoseconds ?? now) : now + jump
                let due = deadlines.filter { $0.value <= now / 1_000_000 }
                log.fired = []
                wheel.advance(to: MonotonicInstant(nanoseconds: now))
                #expect(Set(log.fired) == Set(due.keys.map { UInt32($0) }), "seed \(seed) step \(step)")
                #expect(log.fired.count == due.count)
                let order = log.fired.map { due[Int($0)] ?? 0 }
                #expect(order == order.sorted(), "fired out of order, seed \(seed) step \(step)")
                for index in due.keys { deadlines[index] = nil }
            }
            #expect(wheel.armedCount == deadlines.count)
        }
        for index in timers.indices { wheel.free(&timers[index]) }
    }
}
