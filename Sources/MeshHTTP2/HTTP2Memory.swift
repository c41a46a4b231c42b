// SPDX-License-Identifier: Apache-2.0
import CNghttp2
import Glibc

/// The memory of a loop's nghttp2 sessions: freed blocks wait in lists by size, so that a connection in its stride calls no
/// allocator; and what sessions share, the texts of status codes.
///
/// Invariants:
/// - used on one loop; every session holds a reference, so it outlives what they allocated;
/// - a block begins with its class, 16 bytes before what the caller sees; classes are powers of two from 64 bytes on.
package final class HTTP2Memory {
    /// Blocks above this are not kept: a session allocates the largest, its 16 KiB frame buffer, once.
    static let classCount = 10
    private static let smallestShift = 6
    private static let headerSize = 16
    private static let oversize = classCount
    /// Bytes kept in the lists at most; what is freed above goes back to the allocator.
    private static let keepLimit = 1 << 20

    private struct FreeBlock {
        var next: UnsafeMutablePointer<FreeBlock>?
    }

    private let lists: UnsafeMutablePointer<UnsafeMutablePointer<FreeBlock>?>
    private let statusDigits: UnsafeMutablePointer<UInt8>
    private var keptBytes = 0
    /// Calls that went to the allocator, for tests.
    package private(set) var systemAllocations = 0

    package init() {
        lists = .allocate(capacity: HTTP2Memory.classCount)
        lists.initialize(repeating: nil, count: HTTP2Memory.classCount)
        statusDigits = .allocate(capacity: 3000)
        for status in 0..<1000 {
            statusDigits[status * 3] = UInt8(ascii: "0") + UInt8(status / 100)
            statusDigits[status * 3 + 1] = UInt8(ascii: "0") + UInt8(status / 10 % 10)
            statusDigits[status * 3 + 2] = UInt8(ascii: "0") + UInt8(status % 10)
        }
    }

    deinit {
        for index in 0..<HTTP2Memory.classCount {
            while let block = lists[index] {
                lists[index] = block.pointee.next
                free(block)
            }
        }
        lists.deallocate()
        statusDigits.deallocate()
    }

    /// The three digits of a status code up to 999. Valid while this object lives.
    func digits(of status: UInt16) -> UnsafeMutablePointer<UInt8> { statusDigits + Int(min(status, 999)) &* 3 }

    /// The allocator in nghttp2's form. Valid while this object lives.
    var functions: nghttp2_mem {
        nghttp2_mem(
            mem_user_data: Unmanaged.passUnretained(self).toOpaque(),
            malloc: { size, memory in HTTP2Memory.from(memory)?._withUnsafeGuaranteedRef { $0.allocate(size) } },
            free: { block, memory in HTTP2Memory.from(memory)?._withUnsafeGuaranteedRef { $0.release(block) } },
            calloc: { count, size, memory in
                let (total, overflow) = count.multipliedReportingOverflow(by: size)
                guard !overflow, let block = HTTP2Memory.from(memory)?._withUnsafeGuaranteedRef({ $0.allocate(total) })
                else { return nil }
                memset(block, 0, total)
                return block
            },
            realloc: { block, size, memory in
                HTTP2Memory.from(memory)?._withUnsafeGuaranteedRef { $0.reallocate(block, size) }
            })
    }

    private static func from(_ memory: UnsafeMutableRawPointer?) -> Unmanaged<HTTP2Memory>? {
        memory.map { Unmanaged.fromOpaque($0) }
    }

    private static func classIndex(_ total: Int) -> Int {
        guard total > 1 << smallestShift else { return 0 }
        return Int.bitWidth - (total - 1).leadingZeroBitCount - smallestShift
    }

    private func allocate(_ size: Int) -> UnsafeMutableRawPointer? {
        // A size near Int.max fails in malloc, as it should.
        let total = size &+ HTTP2Memory.headerSize
        guard total > 0 else { return nil }
        let index = HTTP2Memory.classIndex(total)
        if index < HTTP2Memory.classCount, let block = lists[index] {
            lists[index] = block.pointee.next
            keptBytes &-= 1 << (index &+ HTTP2Memory.smallestShift)
            let memory = UnsafeMutableRawPointer(block)
            memory.storeBytes(of: index, as: Int.self)
            return memory + HTTP2Memory.headerSize
        }
        systemAllocations &+= 1
        let bytes = index < HTTP2Memory.classCount ? 1 << (index &+ HTTP2Memory.smallestShift) : total
        guard let memory = malloc(bytes) else { return nil }
        memory.storeBytes(of: min(index, HTTP2Memory.oversize), as: Int.self)
        memory.storeBytes(of: bytes, toByteOffset: 8, as: Int.self)
        return memory + HTTP2Memory.headerSize
    }

    private func release(_ block: UnsafeMutableRawPointer?) {
        guard let block else { return }
        let memory = block - HTTP2Memory.headerSize
        let index = memory.load(as: Int.self)
        let size = 1 << (index &+ HTTP2Memory.smallestShift)
        guard index < HTTP2Memory.oversize, keptBytes &+ size <= HTTP2Memory.keepLimit else {
            free(memory)
            return
        }
        keptBytes &+= size
        let free = memory.assumingMemoryBound(to: FreeBlock.self)
        free.pointee.next = lists[index]
        lists[index] = free
    }

    private func reallocate(_ block: UnsafeMutableRawPointer?, _ size: Int) -> UnsafeMutableRawPointer? {
        guard let block else { return allocate(size) }
        let room = (block - HTTP2Memory.headerSize).load(fromByteOffset: 8, as: Int.self) - HTTP2Memory.headerSize
        if size <= room { return block }
        guard let wider = allocate(size) else { return nil }
        wider.copyMemory(from: block, byteCount: room)
        release(block)
        return wider
    }
}
