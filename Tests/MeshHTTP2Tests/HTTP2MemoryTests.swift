// SPDX-License-Identifier: Apache-2.0
import CNghttp2
@testable import MeshHTTP2
import Testing

struct HTTP2MemoryTests {
    /// Every size has room in its class, and no class is more than a quarter larger than what it is for.
    @Test func aBlockOfAnySizeHoldsItsBytesAndIsUsedAgain() throws {
        let memory = HTTP2Memory()
        let functions = memory.functions
        for size in Array(0...2_000) + [4_000, 4_080, 4_081, 8_176, 16_394, 16_410, 32_768] {
            let block = try #require(functions.malloc(size, functions.mem_user_data))
            block.initializeMemory(as: UInt8.self, repeating: 0xA5, count: size)
            functions.free(block, functions.mem_user_data)
            let allocations = memory.systemAllocations
            let again = try #require(functions.malloc(size, functions.mem_user_data))
            #expect(again == block && memory.systemAllocations == allocations, "\(size)")
            functions.free(again, functions.mem_user_data)
        }
        for (index, next) in zip(0..<HTTP2Memory.classCount - 1, 1..<HTTP2Memory.classCount) {
            let (size, wider) = (HTTP2Memory.size(ofClass: index), HTTP2Memory.size(ofClass: next))
            #expect(wider > size && (wider - size) * 4 <= max(size, 64), "class \(index)")
        }
    }

    @Test func aBlockAboveTheLargestClassGoesBackAtOnce() throws {
        let memory = HTTP2Memory()
        let functions = memory.functions
        let block = try #require(functions.malloc(32_769, functions.mem_user_data))
        functions.free(block, functions.mem_user_data)
        #expect(memory.keptBytes == 0 && memory.systemAllocations == 1)
    }

    @Test func growingABlockKeepsItsBytes() throws {
        let memory = HTTP2Memory()
        let functions = memory.functions
        var block = try #require(functions.malloc(10, functions.mem_user_data))
        block.initializeMemory(as: UInt8.self, repeating: 7, count: 10)
        for size in [10, 16, 17, 300, 40_000] {
            block = try #require(functions.realloc(block, size, functions.mem_user_data))
            #expect((0..<10).allSatisfy { block.load(fromByteOffset: $0, as: UInt8.self) == 7 }, "\(size)")
        }
        functions.free(block, functions.mem_user_data)
    }

    @Test func whatABurstLeftGoesBackByHalvesAndTheLastBlockStays() throws {
        let memory = HTTP2Memory()
        let functions = memory.functions
        let blocks = try (0..<8).map { _ in try #require(functions.malloc(1_000, functions.mem_user_data)) }
        for block in blocks { functions.free(block, functions.mem_user_data) }
        let all = memory.keptBytes
        #expect(memory.trim() == all / 2)
        #expect(memory.trim() == all / 4)
        #expect(memory.trim() == all / 8)
        #expect(memory.trim() == 0 && memory.keptBytes == all / 8)
    }
}
