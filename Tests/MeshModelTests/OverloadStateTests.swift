// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct OverloadStateTests {
    private func state(_ rules: [OverloadRule], monitors: Int = 1) -> OverloadState {
        var options = OverloadOptions()
        options.monitors = (0..<monitors).map { ResourceMonitor(name: "m\($0)", kind: .fixedHeap(maxBytes: 1)) }
        options.rules = rules
        return OverloadState(options)
    }

    private func rule(_ effect: OverloadRule.Effect, _ triggers: OverloadTrigger...) -> OverloadRule {
        OverloadRule(name: "r", effect: effect, triggers: triggers)
    }

    private let scaled = OverloadTrigger(monitor: 0, kind: .scaled(from: 0.5, to: 0.75))

    @Test(arguments: [(0.0, 0.0), (0.89, 0), (0.9, 1), (2.0, 1)])
    func aThresholdIsAllOrNothing(pressure: Double, strength: Double) {
        #expect(OverloadTrigger(monitor: 0, kind: .threshold(0.9)).strength(at: pressure) == strength)
    }

    @Test(arguments: [(0.5, 0.0), (0.625, 0.5), (0.6875, 0.75), (0.75, 1), (1.5, 1)])
    func aScaledTriggerGrowsBetweenItsThresholds(pressure: Double, strength: Double) {
        #expect(scaled.strength(at: pressure) == strength)
    }

    @Test func theStrongestTriggerCounts() {
        var state = state([rule(.stopRequests, scaled, OverloadTrigger(monitor: 1, kind: .threshold(0.9)))], monitors: 2)
        state.pressureRead(0.625, of: 0)
        #expect(state.levels.stopRequests == 32_768)
        state.pressureRead(0.95, of: 1)
        #expect(state.levels.stopRequests == 65_536)
        state.pressureRead(0, of: 1)
        #expect(state.levels.stopRequests == 32_768)
    }

    @Test func rulesOfOneEffectAddNothingToEachOther() {
        var state = state([rule(.rejectConnections, scaled), rule(.rejectConnections, OverloadTrigger(monitor: 0, kind: .threshold(0.7)))])
        state.pressureRead(0.625, of: 0)
        #expect(state.levels.rejectConnections == 32_768)
        state.pressureRead(0.7, of: 0)
        #expect(state.levels.rejectConnections == 65_536)
        #expect(state.levels.stopRequests == 0)
    }

    @Test func acceptingStopsAtFullStrengthOnly() {
        var state = state([rule(.stopConnections, scaled)])
        state.pressureRead(0.74, of: 0)
        #expect(!state.levels.stopsConnections)
        state.pressureRead(0.75, of: 0)
        #expect(state.levels.stopsConnections)
    }

    @Test(arguments: [Double.nan, -1, -Double.infinity])
    func aPressureThatIsNoneIsNone(pressure: Double) {
        var state = state([rule(.stopRequests, OverloadTrigger(monitor: 0, kind: .threshold(0.1)))])
        state.pressureRead(pressure, of: 0)
        #expect(state.levels == OverloadLevels())
    }

    @Test func aChanceHappensAsOftenAsItSays() {
        for chance: UInt32 in [0, 1, 32_768, 65_535, 65_536] {
            let happened = (0..<65_536).count { OverloadLevels.happens(chance, random: UInt64($0) | 0xABCD_0000) }
            #expect(happened == Int(chance))
        }
    }
}

struct TimerScaleTests {
    private func scales(_ minimum: ScaledTimer.Minimum, pressure: Double) -> TimerScales {
        var options = OverloadOptions()
        options.monitors = [ResourceMonitor(name: "m", kind: .fixedHeap(maxBytes: 1))]
        options.rules = [OverloadRule(
            name: "r", effect: .reduceTimeouts([ScaledTimer(timer: .connectionIdle, minimum: minimum)]),
            triggers: [OverloadTrigger(monitor: 0, kind: .scaled(from: 0, to: 1))])]
        var state = OverloadState(options)
        state.pressureRead(pressure, of: 0)
        return state.levels.timers
    }

    @Test(arguments: [(0.0, 1_000), (0.5, 600), (1, 200)] as [(Double, UInt64)])
    func aTimeoutShrinksTowardsItsLeast(pressure: Double, expected: UInt64) {
        #expect(scales(.duration(.nanoseconds(200)), pressure: pressure).connectionIdle.scaled(1_000) == expected)
        #expect(scales(.part(0.2), pressure: pressure).connectionIdle.scaled(1_000) == expected)
    }

    @Test func aTimeoutNeverGrowsAndNoneStaysNone() {
        let scale = scales(.duration(.nanoseconds(5_000)), pressure: 1).connectionIdle
        #expect(scale.scaled(1_000) == 1_000)
        #expect(scale.scaled(0) == 0)
        // Zero would mean no timeout at all.
        #expect(scales(.part(0), pressure: 1).connectionIdle.scaled(1_000) == 1)
    }

    @Test func otherTimersStayAsTheyAre() {
        #expect(scales(.part(0.1), pressure: 1).streamIdle.scaled(1_000) == 1_000)
    }
}

struct HeavyStreamsTests {
    @Test func classesArePowersOfTwoFromTheLeastOn() {
        let choice = HeavyStreams(minimumPower: 16, strength: 1)
        #expect([0, 65_535, 65_536, 131_071, 131_072, 1 << 23, 1 << 40].map(choice.weightClass) == [nil, nil, 0, 0, 1, 7, 7])
    }

    @Test func theHeaviestGoFirstAndLightOnesNever() {
        let held = [10, 1 << 16, 1 << 20, 1 << 17, 0, 1 << 24]
        #expect(HeavyStreams(minimumPower: 16, strength: 1).chosen(held) == [5, 2, 3, 1])
        #expect(HeavyStreams(minimumPower: 16, strength: 0.01).chosen(held) == [5])
        // Half the pressure clears the upper five classes, from 2^19 on.
        #expect(HeavyStreams(minimumPower: 16, strength: 0.5).chosen(held) == [5, 2])
        #expect(HeavyStreams(minimumPower: 16, strength: 0).chosen(held).isEmpty)
    }

    @Test func asFewAsPossibleAreResetToFreeMemory() {
        let held = [10, 50, 0, 30, 40]
        #expect(HeavyStreams.freeing(45, of: held) == [1])
        #expect(HeavyStreams.freeing(51, of: held) == [1, 4])
        #expect(HeavyStreams.freeing(1_000, of: held) == [1, 4, 3, 0])
        #expect(HeavyStreams.freeing(0, of: held).isEmpty)
        #expect(HeavyStreams.freeing(.max, of: Array(repeating: 1, count: 1_000)).count == HeavyStreams.most)
    }

    @Test func oneGoIsBounded() {
        let chosen = HeavyStreams(minimumPower: 10, strength: 1).chosen(Array(repeating: 1 << 20, count: 1_000))
        #expect(chosen.count == HeavyStreams.most)
    }
}
