// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import Testing

struct DrainWindowTests {
    private static let start = MonotonicInstant(nanoseconds: 5_000)
    private let window = DrainWindow(start: start, length: 1_000)

    private func at(_ offset: UInt64) -> MonotonicInstant { Self.start.advanced(byNanoseconds: offset) }

    @Test func theChanceIsTheElapsedPartOfTheWindow() {
        for elapsed in stride(from: UInt64(0), through: 1_000, by: 125) {
            let asked = (0..<1_000).count { window.asksToClose(at: at(elapsed), random: UInt64($0)) }
            #expect(asked == Int(elapsed))
        }
    }

    @Test func afterTheWindowEveryoneIsAsked() {
        #expect(window.asksToClose(at: at(1_000), random: 999))
        #expect(window.asksToClose(at: at(.max / 2), random: .max))
    }

    @Test func anImmediateDrainAsksAtOnce() {
        let window = DrainWindow(start: Self.start, length: 0)
        #expect(window.asksToClose(at: at(0), random: .max))
        #expect(window.turn(random: 12_345) == at(0))
    }

    @Test func beforeItsStartNobodyIsAsked() {
        #expect(!window.asksToClose(at: MonotonicInstant(nanoseconds: 0), random: 0))
    }

    @Test func idleConnectionsHaveTheirTurnsAllOverTheWindow() {
        let turns = (0..<1_000).map { window.turn(random: UInt64($0) &* 7_919) }
        #expect(Set(turns).count == 1_000)
        #expect(turns.allSatisfy { $0 >= at(0) && $0 < at(1_000) })
    }

    @Test func aConnectionIsNotClosedWhileItsClientMayBeSending() {
        let patience = DrainWindow.patience
        #expect(DrainWindow.closingTime(turn: at(10), lastActivity: at(0)) == at(patience))
        #expect(DrainWindow.closingTime(turn: at(2 * patience), lastActivity: at(0)) == at(2 * patience))
    }
}
