// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTestKit
import Testing

struct TableSizeTests {
    @Test(arguments: [
        (64, 0, nil), (65, 0, 64), (65, 16, 64), (65, 17, nil), (1000, 250, 500), (1000, 251, nil), (8192, 3, 64),
    ] as [(Int, Int, Int?)])
    func aTableShrinksWhenThreeQuartersAreEmpty(capacity: Int, count: Int, shrunk: Int?) {
        #expect(TableSize.shrunk(capacity, holding: count) == shrunk)
    }

    @Test func aMinimumIsKept() {
        #expect(TableSize.shrunk(256, holding: 0, minimum: 256) == nil)
        #expect(TableSize.shrunk(1024, holding: 3, minimum: 256) == 256)
    }

    @Test func anArrayGivesItsPlacesBackAndKeepsItsElements() {
        var numbers = ContiguousArray(0..<10_000)
        let full = numbers.shrink()
        #expect(full == 0)
        numbers.removeLast(9_900)
        let bytes = numbers.shrink()
        #expect(bytes > 9_000 * MemoryLayout<Int>.stride && numbers.capacity < 1_000)
        #expect(Array(numbers) == Array(0..<100))
    }
}

struct HeldBytesTests {
    @Test func aQueueIsThereFromTheFirstAppendOn() {
        let pool = SlabPool()
        var held = HeldBytes()
        #expect(held.isEmpty && held.byteCount == 0 && held.pinnedBytes == 0)
        held.removeAll()
        held.drain { _ in Issue.record("nothing is held") }
        let slab = pool.take(5_000)
        slab.bytes.storeBytes(of: 7, as: UInt8.self)
        held.append(SlabSlice(retaining: slab, offset: 0, length: 5_000), from: pool)
        slab.release()
        #expect(!held.isEmpty && held.byteCount == 5_000 && held.pinnedBytes == SlabPool.standardCapacity)
        var seen: [Int] = []
        held.forEach { seen.append($0.count) }
        held.drain { slice in
            #expect(slice.bytes[0] == 7)
            seen.append(slice.count)
        }
        #expect(seen == [5_000, 5_000] && held.isEmpty && pool.outstandingSlabs == 0)
    }
}
