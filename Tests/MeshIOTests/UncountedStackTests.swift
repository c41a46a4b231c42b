// SPDX-License-Identifier: Apache-2.0
import MeshIO
import Testing

struct UncountedStackTests {
    private final class Thing {}

    @Test func theOldestLeaveAndTheOrderOfTheOthersStays() {
        let things = (0..<6).map { _ in Thing() }
        var stack = UncountedStack<Thing>(capacity: 2)
        for thing in things { stack.push(.passUnretained(thing)) }
        var left: [ObjectIdentifier] = []
        let removed = stack.removeOldest(2) { left.append(ObjectIdentifier($0.takeUnretainedValue())) }
        #expect(removed == 2)
        #expect(left == things[..<2].map { ObjectIdentifier($0) })
        var rest: [ObjectIdentifier] = []
        while let thing = stack.pop() { rest.append(ObjectIdentifier(thing.takeUnretainedValue())) }
        #expect(rest == things[2...].reversed().map { ObjectIdentifier($0) })
        let none = stack.removeOldest(3) { _ in }
        #expect(none == 0)
    }

    @Test func onlyWhatNobodyNeededSinceTheLastLookIsUnneeded() {
        let things = (0..<5).map { _ in Thing() }
        var stack = UncountedStack<Thing>()
        for thing in things { stack.push(.passUnretained(thing)) }
        // They came since.
        let look1 = stack.takeFewest()
        #expect(look1 == 0)
        _ = stack.pop()
        _ = stack.pop()
        stack.push(.passUnretained(things[3]))
        stack.push(.passUnretained(things[4]))
        let look2 = stack.takeFewest()
        #expect(look2 == 3)
        let look3 = stack.takeFewest()
        #expect(look3 == 5)
    }

    @Test func whatABurstLeftGoesBackAndTheRestStays() {
        let things = (0..<1000).map { _ in Thing() }
        var stack = UncountedStack<Thing>(capacity: 8)
        for thing in things { stack.push(.passUnretained(thing)) }
        let full = stack.shrink()
        #expect(full == 0)
        while stack.count > 100 { _ = stack.pop() }
        let minimum = stack.shrink(minimum: 512)
        #expect(minimum == (1024 - 512) * 8)
        let rest = stack.shrink(minimum: 8)
        #expect(rest == (512 - 200) * 8)
        #expect((0..<100).allSatisfy { stack[$0].toOpaque() == Unmanaged.passUnretained(things[$0]).toOpaque() })
        for thing in things { stack.push(.passUnretained(thing)) }
        #expect(stack.count == 1100)
    }
}
