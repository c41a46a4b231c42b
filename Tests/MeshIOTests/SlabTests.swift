// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshTestKit
import Testing

struct SlabPoolTests {
    @Test(arguments: [
        (1, 704), (704, 704), (705, 1472), (1472, 1472), (1473, 4032), (4032, 4032), (4033, 16_320), (16_320, 16_320), (16_321, 65_472),
        (65_473, 65_473),
    ])
    func theSmallestFittingClassIsTaken(wanted: Int, capacity: Int) {
        let pool = SlabPool()
        let slab = pool.take(wanted)
        #expect(slab.capacity == capacity)
        #expect(pool.outstandingBytes == capacity && pool.outstandingSlabs == 1)
        slab.release()
        #expect(pool.outstandingBytes == 0 && pool.outstandingSlabs == 0)
        #expect(pool.pooledBytes == (capacity <= SlabPool.largeCapacity ? capacity : 0))
    }

    @Test func theLastSlabGivenBackIsTheNextOneTaken() {
        let pool = SlabPool()
        let first = pool.take(100)
        let second = pool.take(100)
        first.release()
        second.release()
        let again = pool.take(100)
        #expect(again == second)
        again.release()
    }

    @Test func aSlabWithSlicesOutReturnsWithTheLastOfThem() {
        let pool = SlabPool()
        let slab = pool.take(100)
        slab.bytes.storeBytes(of: 42, toByteOffset: 10, as: UInt8.self)
        do {
            let slice = SlabSlice(retaining: slab, offset: 10, length: 5)
            let copy = slice.copy()
            slab.release()
            #expect(pool.outstandingSlabs == 1 && !slab.isUnique)
            _ = consume slice
            #expect(copy.bytes[0] == 42 && copy.count == 5)
            #expect(pool.outstandingSlabs == 1)
            _ = consume copy
        }
        #expect(pool.outstandingSlabs == 0)
    }

    @Test func trimmingFreesWhatAWholePeriodDidNotNeed() {
        let pool = SlabPool()
        let burst = (0..<10).map { _ in pool.take(16_000) }
        burst.forEach { $0.release() }
        // The period that ends here needed them all.
        pool.trim()
        #expect(pool.pooledBytes == 10 * SlabPool.standardCapacity)
        // In this one at most three are out at a time.
        let few = (0..<3).map { _ in pool.take(16_000) }
        few.forEach { $0.release() }
        pool.trim()
        #expect(pool.pooledBytes == 3 * SlabPool.standardCapacity)
        pool.trim()
        #expect(pool.pooledBytes == 0)
    }
}

struct ReceiveRingTests {
    @Test func anEmptiedRingHoldsNoSlab() {
        let pool = SlabPool()
        var ring = ReceiveRing()
        ring.receive(pattern(100), from: pool)
        #expect(ring.count == 100 && pool.outstandingSlabs == 1)
        ring.consume(40)
        #expect(Array(ring.readable) == Array(pattern(100)[40...]))
        ring.consume(60)
        #expect(ring.isEmpty && ring.pinnedBytes == 0 && pool.outstandingSlabs == 0)
    }

    @Test func aReadThatFoundNothingGivesItsSlabBack() {
        let pool = SlabPool()
        var ring = ReceiveRing()
        _ = ring.prepare(minimum: 1, preferred: 16_000, from: pool)
        ring.settle(from: pool)
        #expect(pool.outstandingSlabs == 0)
    }

    @Test func aShortRemainderMovesToASmallSlab() {
        let pool = SlabPool()
        var ring = ReceiveRing()
        ring.receive(pattern(5000), from: pool)
        ring.consume(4500)
        ring.settle(from: pool)
        #expect(ring.pinnedBytes == SlabPool.smallCapacity)
        #expect(Array(ring.readable) == Array(pattern(5000)[4500...]))
        ring.detach()
    }

    @Test func slicesKeepTheirBytesWhenTheRingMovesOn() {
        let pool = SlabPool()
        var ring = ReceiveRing()
        ring.receive(pattern(16_320), from: pool)
        // `#require` takes no non-copyable value.
        guard let slice = ring.slice(offset: 16_000, length: 320) else {
            Issue.record("no slice")
            return
        }
        ring.consume(16_000)
        // No room behind, and the slab may not be compacted under the slice.
        ring.receive(pattern(500, from: 1), from: pool)
        #expect(Array(slice.bytes) == Array(pattern(16_320)[16_000...]))
        #expect(Array(ring.readable) == Array(pattern(16_320)[16_000...]) + pattern(500, from: 1))
        ring.detach()
    }

    @Test func aSliceOutsideThePendingBytesIsRefused() {
        let pool = SlabPool()
        var ring = ReceiveRing()
        ring.receive(pattern(10), from: pool)
        for (offset, length) in [(-1, 2), (0, 0), (0, 11), (10, 1), (5, 6)] {
            let slice = ring.slice(offset: offset, length: length)
            let isRefused = slice == nil
            #expect(isRefused, "\(offset) \(length)")
        }
        ring.detach()
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func behavesLikeAnArray(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let pool = SlabPool()
        var ring = ReceiveRing()
        var model: [UInt8] = []
        var slices: [(SliceBox, [UInt8])] = []
        for step in 0..<1000 {
            switch random.below(5) {
            case 0, 1:
                let bytes = pattern(random.below(random.below(8) == 0 ? 20_000 : 600) + 1, from: step)
                guard model.count + bytes.count < 50_000 else { continue }
                ring.receive(bytes, from: pool)
                model += bytes
            case 2:
                let count = random.below(model.count + 1)
                ring.consume(count)
                model.removeFirst(count)
            case 3:
                ring.settle(from: pool)
            default:
                guard model.count > 1 else { continue }
                let offset = random.below(model.count - 1)
                let length = random.below(model.count - offset) + 1
                if let slice = ring.slice(offset: offset, length: length) {
                    slices.append((SliceBox(slice), Array(model[offset..<offset + length])))
                }
                if slices.count > 5 { slices.remove(at: random.below(slices.count)) }
            }
            guard ring.count == model.count, Array(ring.readable) == model else {
                Issue.record("differs at step \(step), seed \(seed)")
                break
            }
        }
        for (slice, bytes) in slices { #expect(Array(slice.slice.bytes) == bytes) }
        slices = []
        ring.detach()
        #expect(pool.outstandingSlabs == 0)
    }
}

/// Arrays hold no non-copyable values.
final class SliceBox {
    let slice: SlabSlice
    init(_ slice: consuming SlabSlice) { self.slice = slice }
}

extension ReceiveRing {
    /// What a read does: room, copy, commit.
    mutating func receive(_ bytes: [UInt8], from pool: SlabPool) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let room = prepare(minimum: 1, preferred: SlabPool.standardCapacity, from: pool)
            let count = min(room.count, rest.count)
            room.copyBytes(from: rest.prefix(count))
            commit(count)
            rest = rest.dropFirst(count)
        }
    }
}

/// Bytes that differ at every position of any period below 251.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: (start + $0) % 251) }
}
