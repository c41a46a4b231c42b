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
    private static let largestKept: UInt = 1 << (UInt(smallestShift) + UInt(classCount) - 1)
    private static let headerSize = 16
    private static let oversize = classCount
    /// Bytes kept in the lists at most; what is freed above goes back to the allocator.
    private static let keepLimit = 1 << 20

    /// What the allocator's functions work on, without a reference to count or to look through.
    private struct Lists {
        /// The first free block of each class. A free block holds the address of the next one where the caller's bytes were.
        var first: UnsafeMutablePointer<UnsafeMutableRawPointer?>
        var keptBytes = 0
        var systemAllocations = 0
    }

    private let lists: UnsafeMutablePointer<Lists>
    private let statusDigits: UnsafeMutablePointer<UInt8>
    /// Calls that went to the allocator, for tests.
    package var systemAllocations: Int { lists.pointee.systemAllocations }

    package init() {
        let first = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: HTTP2Memory.classCount)
        first.initialize(repeating: nil, count: HTTP2Memory.classCount)
        lists = .allocate(capacity: 1)
        lists.initialize(to: Lists(first: first))
        statusDigits = .allocate(capacity: 3000)
        for status in 0..<1000 {
            statusDigits[status * 3] = UInt8(ascii: "0") + UInt8(status / 100)
            statusDigits[status * 3 + 1] = UInt8(ascii: "0") + UInt8(status / 10 % 10)
            statusDigits[status * 3 + 2] = UInt8(ascii: "0") + UInt8(status % 10)
        }
    }

    deinit {
        let first = lists.pointee.first
        for index in 0..<HTTP2Memory.classCount {
            while let block = first[index] {
                first[index] = block.load(as: UnsafeMutableRawPointer?.self)
                free(block - HTTP2Memory.headerSize)
            }
        }
        first.deallocate()
        lists.deallocate()
        statusDigits.deallocate()
    }

    /// The three digits of a status code up to 999. Valid while this object lives.
    func digits(of status: UInt16) -> UnsafeMutablePointer<UInt8> { statusDigits + Int(min(status, 999)) &* 3 }

    /// The allocator in nghttp2's form. Valid while this object lives.
    var functions: nghttp2_mem {
        nghttp2_mem(
            mem_user_data: UnsafeMutableRawPointer(lists),
            malloc: { size, lists in HTTP2Memory.allocate(size, HTTP2Memory.lists(lists)) },
            free: { block, lists in HTTP2Memory.release(block, HTTP2Memory.lists(lists)) },
            calloc: { count, size, lists in
                let (total, overflow) = count.multipliedReportingOverflow(by: size)
                guard !overflow, let block = HTTP2Memory.allocate(total, HTTP2Memory.lists(lists)) else { return nil }
                memset(block, 0, total)
                return block
            },
            realloc: { block, size, lists in HTTP2Memory.reallocate(block, size, HTTP2Memory.lists(lists)) })
    }

    @inline(__always) private static func lists(_ context: UnsafeMutableRawPointer?) -> UnsafeMutablePointer<Lists> {
        // nghttp2 hands back what `functions` gave it.
        context.unsafelyUnwrapped.assumingMemoryBound(to: Lists.self)
    }

    @inline(__always) private static func classIndex(_ total: Int) -> Int {
        guard total > 1 << smallestShift else { return 0 }
        return Int.bitWidth &- (total &- 1).leadingZeroBitCount &- smallestShift
    }

    @inline(__always)
    private static func allocate(_ size: Int, _ lists: UnsafeMutablePointer<Lists>) -> UnsafeMutableRawPointer? {
        let total = size &+ headerSize
        let index = classIndex(total)
        guard UInt(bitPattern: total) <= largestKept, let block = lists.pointee.first[index] else {
            return allocateAnew(total, lists)
        }
        lists.pointee.first[index] = block.load(as: UnsafeMutableRawPointer?.self)
        lists.pointee.keptBytes &-= 1 &<< (index &+ smallestShift)
        return block
    }

    @inline(never)
    private static func allocateAnew(_ total: Int, _ lists: UnsafeMutablePointer<Lists>) -> UnsafeMutableRawPointer? {
        // A size near Int.max fails in malloc, as it should.
        guard total > 0 else { return nil }
        let index = classIndex(total)
        lists.pointee.systemAllocations &+= 1
        let bytes = index < classCount ? 1 << (index &+ smallestShift) : total
        guard let memory = malloc(bytes) else { return nil }
        memory.storeBytes(of: min(index, oversize), as: Int.self)
        memory.storeBytes(of: bytes, toByteOffset: 8, as: Int.self)
        return memory + headerSize
    }

    @inline(__always)
    private static func release(_ block: UnsafeMutableRawPointer?, _ lists: UnsafeMutablePointer<Lists>) {
        guard let block else { return }
        let memory = block - headerSize
        let index = memory.load(as: Int.self)
        let size = 1 &<< (index &+ smallestShift)
        guard index < oversize, lists.pointee.keptBytes &+ size <= keepLimit else {
            free(memory)
            return
        }
        lists.pointee.keptBytes &+= size
        block.storeBytes(of: lists.pointee.first[index], as: UnsafeMutableRawPointer?.self)
        lists.pointee.first[index] = block
    }

    private static func reallocate(
        _ block: UnsafeMutableRawPointer?, _ size: Int, _ lists: UnsafeMutablePointer<Lists>
    ) -> UnsafeMutableRawPointer? {
        guard let block else { return allocate(size, lists) }
        let room = (block - headerSize).load(fromByteOffset: 8, as: Int.self) - headerSize
        if size <= room { return block }
        guard let wider = allocate(size, lists) else { return nil }
        wider.copyMemory(from: block, byteCount: room)
        release(block, lists)
        return wider
    }
}
