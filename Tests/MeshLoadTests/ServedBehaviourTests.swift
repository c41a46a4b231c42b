// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshLoad

@Suite struct HeldInputTests {
    @Test func bytesAreReleasedWhenTheyAreDueAndNotBefore() {
        var held = HeldInput()
        held.arrived(10, due: 100)
        held.arrived(25, due: 200)
        #expect(held.next == 100)
        held.release(at: 99)
        #expect(held.released == 0 && held.held == 25)
        held.release(at: 100)
        #expect(held.released == 10 && held.held == 15 && held.next == 200)
        held.consumed(10)
        held.release(at: 1_000)
        #expect(held.released == 15 && held.held == 0 && held.next == nil)
    }

    @Test func whatWasSeenBeforeIsNotNew() {
        var held = HeldInput()
        held.arrived(10, due: 100)
        held.release(at: 100)
        // Nothing was taken, for the client does not read; the same bytes are looked at again.
        held.arrived(10, due: 500)
        #expect(held.released == 10 && held.held == 0)
        held.consumed(4)
        held.arrived(7, due: 600)
        #expect(held.released == 6 && held.held == 1)
    }

    @Test func aStallReleasesAllThatCameInIt() {
        var held = HeldInput()
        for total in 1...1_000 { held.arrived(total, due: 5_000) }
        held.release(at: 4_999)
        #expect(held.released == 0)
        held.release(at: 5_000)
        #expect(held.released == 1_000 && held.next == nil)
    }

    @Test func aLongStreamOfPiecesKeepsItsOrder() {
        var held = HeldInput()
        var total = 0
        for time in 0..<1_000 as Range<UInt64> {
            total += 3
            held.arrived(total, due: time + 10)
            held.release(at: time)
            total -= held.released
            held.consumed(held.released)
            #expect(held.held == total && held.released == 0)
        }
        #expect(held.next == 1_000)
    }
}

@Suite struct ServedBehaviourTests {
    @Test func aStallHoldsWhatIsDueInIt() {
        var behaviour = ServedBehaviour()
        behaviour.stallPeriod = 1_000
        behaviour.stallLength = 300
        #expect(behaviour.due(at: 1_900, epoch: 1_000, delay: 0) == 1_900)
        #expect(behaviour.due(at: 2_000, epoch: 1_000, delay: 0) == 2_300)
        #expect(behaviour.due(at: 2_299, epoch: 1_000, delay: 0) == 2_300)
        #expect(behaviour.due(at: 2_299, epoch: 1_000, delay: 50) == 2_349)
    }

    @Test func whatAnEchoCannotDoIsRefused() throws {
        var behaviour = ServedBehaviour()
        behaviour.delay = 1
        try behaviour.check(speaksTCP: true)
        behaviour.tcpAnswer = .discard
        try behaviour.check(speaksTCP: false)
        #expect(throws: ScenarioError.self) { try behaviour.check(speaksTCP: true) }
        behaviour.delay = 0
        try behaviour.check(speaksTCP: true)
        behaviour.size = 1
        #expect(throws: ScenarioError.self) { try behaviour.check(speaksTCP: true) }
    }
}
