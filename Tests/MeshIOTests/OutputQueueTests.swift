// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshIO
import MeshTestKit
import Testing

struct OutputQueueTests {
    @Test func shortPiecesShareASlab() {
        let pool = SlabPool()
        var queue = OutputQueue()
        for index in 0..<100 { queue.append(pattern(20, from: index * 20), from: pool) }
        #expect(queue.pieceCount == 1 && queue.byteCount == 2000)
        #expect(Array(queue.firstPiece) == pattern(2000))
        #expect(queue.pinnedBytes == SlabPool.standardCapacity)
        queue.consume(2000)
        #expect(queue.isEmpty && queue.pinnedBytes == 0 && pool.outstandingSlabs == 0)
    }

    @Test(arguments: [(2047, 1), (2048, 2)])
    func slicesAreCopiedBelowTheLimitAndQueuedFromIt(length: Int, slabs: Int) {
        let pool = SlabPool()
        var queue = OutputQueue()
        queue.append(pattern(10), from: pool)
        let slab = pool.take(length)
        queue.append(SlabSlice(retaining: slab, offset: 0, length: length), from: pool)
        slab.release()
        #expect(pool.outstandingSlabs == slabs)
        #expect(queue.pieceCount == slabs)
        queue.removeAll()
        #expect(pool.outstandingSlabs == 0)
    }

    /// An idle queue has no list of pieces; one with bytes keeps it.
    @Test func aQueueThatSettledGoesOnWhereItWas() {
        let pool = SlabPool()
        var queue = OutputQueue()
        for round in 0..<2 {
            for index in 0..<6 {
                let slab = pool.take(3_000)
                slab.bytes.copyMemory(from: pattern(3_000, from: index), byteCount: 3_000)
                queue.append(SlabSlice(retaining: slab, offset: 0, length: 3_000), from: pool)
                slab.release()
            }
            queue.settle()
            for index in 0..<6 {
                #expect(Array(queue.firstPiece) == pattern(3_000, from: index), "round \(round)")
                queue.consume(3_000)
            }
            queue.settle()
            #expect(queue.isEmpty && pool.outstandingSlabs == 0)
        }
    }

    @Test func pinnedBytesCountSlabsAndNotPayload() {
        let pool = SlabPool()
        var queue = OutputQueue()
        let slab = pool.take(SlabPool.largeCapacity)
        // Two slices of one slab pin it once.
        queue.append(SlabSlice(retaining: slab, offset: 0, length: 3000), from: pool)
        queue.append(SlabSlice(retaining: slab, offset: 9000, length: 3000), from: pool)
        slab.release()
        #expect(queue.byteCount == 6000 && queue.pinnedBytes == SlabPool.largeCapacity)
        queue.consume(3000)
        #expect(queue.pinnedBytes == SlabPool.largeCapacity)
        queue.consume(3000)
        #expect(queue.pinnedBytes == 0 && pool.outstandingSlabs == 0)
    }

    @Test func drainingHandsOutThePiecesInOrder() {
        let pool = SlabPool()
        var queue = OutputQueue()
        queue.append(pattern(100), from: pool)
        queue.appendSlice(pattern(5000, from: 100), from: pool)
        queue.append(pattern(7, from: 5100), from: pool)
        var drained: [UInt8] = []
        queue.drain { slice in drained += Array(slice.bytes) }
        #expect(drained == pattern(5107))
        #expect(queue.isEmpty && pool.outstandingSlabs == 0)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
    func partialWritesLoseAndRepeatNothing(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let pool = SlabPool()
        do {
            var queue = OutputQueue()
            var model: [UInt8] = []
            var written = 0
            for step in 0..<1500 {
                switch random.below(6) {
                case 0, 1:
                    let bytes = pattern(random.below(300) + 1, from: step)
                    queue.append(bytes, from: pool)
                    model += bytes
                case 2:
                    let bytes = pattern(random.below(9000) + 1, from: step)
                    queue.appendSlice(bytes, from: pool)
                    model += bytes
                case 3:
                    // What an encoder does: more room than is used in the end.
                    let bytes = pattern(random.below(500), from: step)
                    queue.reserve(bytes.count + random.below(100), from: pool)
                        .copyMemory(from: bytes, byteCount: bytes.count)
                    queue.commit(bytes.count)
                    model += bytes
                case 4:
                    let offered = queue.gather()
                    #expect(offered == Array(model.prefix(offered.count)))
                    let count = random.below(offered.count + 1)
                    queue.consume(count)
                    model.removeFirst(count)
                    written += count
                default:
                    // All of the first piece and a byte of the second, so that boundaries are met.
                    let count = min(queue.firstPiece.count + random.below(2), queue.byteCount)
                    queue.consume(count)
                    model.removeFirst(count)
                    written += count
                }
                guard queue.byteCount == model.count, queue.isEmpty == model.isEmpty else {
                    Issue.record("differs at step \(step), seed \(seed)")
                    break
                }
                guard queue.pinnedBytes >= queue.byteCount else {
                    Issue.record("pinned less than is queued at step \(step), seed \(seed)")
                    break
                }
            }
            #expect(written > 0)
            var rest: [UInt8] = []
            queue.drain { rest += Array($0.bytes) }
            #expect(rest == model)
        }
        #expect(pool.outstandingSlabs == 0)
    }
}

extension OutputQueue {
    mutating func append(_ bytes: [UInt8], from pool: SlabPool) {
        bytes.withUnsafeBytes { append(copying: $0, from: pool) }
    }

    mutating func appendSlice(_ bytes: [UInt8], from pool: SlabPool) {
        let slab = pool.take(bytes.count)
        slab.bytes.copyMemory(from: bytes, byteCount: bytes.count)
        append(SlabSlice(retaining: slab, offset: 0, length: bytes.count), from: pool)
        slab.release()
    }

    /// What one writev would be given.
    func gather() -> [UInt8] {
        withUnsafeTemporaryAllocation(of: iovec.self, capacity: OutputQueue.maxVectors) { vectors in
            let count = fill(vectors)
            var bytes: [UInt8] = []
            for index in 0..<count {
                bytes += Array(UnsafeRawBufferPointer(start: vectors[index].iov_base, count: vectors[index].iov_len))
            }
            return bytes
        }
    }
}
