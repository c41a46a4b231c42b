// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import Testing

@Suite struct HappyEyeballsTests {
    private func four(_ number: UInt32) -> Address { .ipv4(number, port: 1) }
    private func six(_ number: UInt64) -> Address { .ipv6(high: 0, low: number, port: 1, scope: 0) }

    @Test func familiesTakeTurnsBeginningWithTheFirstAddress() {
        let order = HappyEyeballs().order([six(1), six(2), six(3), four(1), four(2)])
        #expect(order == [six(1), four(1), six(2), four(2), six(3)])
        #expect(HappyEyeballs().order([four(1), six(1), six(2)]) == [four(1), six(1), six(2)])
    }

    @Test func theFirstFamilyAndItsShareCanBeChosen() {
        var options = HappyEyeballs()
        options.firstFamily = .ipv4
        options.firstCount = 2
        #expect(options.order([six(1), six(2), four(1), four(2), four(3)]) == [four(1), four(2), six(1), four(3), six(2)])
    }

    @Test func aFamilyThatIsNotThereChangesNothing() {
        var options = HappyEyeballs()
        options.firstFamily = .ipv6
        options.firstCount = 0
        #expect(options.order([four(2), four(1)]) == [four(2), four(1)])
        #expect(options.order([]).isEmpty)
    }
}
