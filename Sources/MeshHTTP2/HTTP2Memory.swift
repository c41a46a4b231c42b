// SPDX-License-Identifier: Apache-2.0
import CNghttp2
import Glibc

/// The memory of a loop's nghttp2 sessions: freed blocks wait in lists by size, so that a connection in its stride calls no
/// allocator; and what sessions share, the texts of status codes and the table of the fields that are being sent.
///
/// Invariants:
/// - used on one loop; every session holds a reference, so it outlives what they allocated;
/// - a block begins with its class and its size, 8 bytes before what the caller sees: nghttp2 has nothing that needs a larger
///   alignment. Classes are 8 bytes more than multiples of 16, as the allocator's own are, up to 512, and four to each doubling
///   above: a session's tables are a little larger than a power of two.
package final class HTTP2Memory {
    /// Blocks above this are not kept: a session allocates the largest, its 16 KiB frame buffer, once.
    static let classCount = fineCount + 4 * 6
    /// Classes of multiples of 16 bytes.
    private static let fineCount = 32
    private static let largestKept: UInt = 32 << 10 + 8
    private static let headerSize = 8
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
    /// A message's fields for nghttp2, which copies the table, while one is handed over.
    private(set) var fields: UnsafeMutablePointer<nghttp2_nv>
    private(set) var fieldCapacity = 64
    /// Calls that went to the allocator, for tests.
    package var systemAllocations: Int { lists.pointee.systemAllocations }

    package init() {
        let first = UnsafeMutablePointer<UnsafeMutableRawPointer?>.allocate(capacity: HTTP2Memory.classCount)
        first.initialize(repeating: nil, count: HTTP2Memory.classCount)
        lists = .allocate(capacity: 1)
        lists.initialize(to: Lists(first: first))
        fields = .allocate(capacity: fieldCapacity)
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
        fields.deallocate()
    }

    func growFields(to count: Int) {
        fields.deallocate()
        fieldCapacity = max(count, fieldCapacity * 2)
        fields = .allocate(capacity: fieldCapacity)
    }

    /// Gives half of the free blocks back, for a burst may have left them; returns the bytes that went to the allocator. Called
    /// every 30 s: what a steady load needs, it has again after as many allocations.
    package func trim() -> Int {
        let before = lists.pointee.keptBytes
        for index in 0..<HTTP2Memory.classCount {
            let size = HTTP2Memory.size(ofClass: index)
            var number = 0
            var next = lists.pointee.first[index]
            while let block = next {
                number += 1
                next = block.load(as: UnsafeMutableRawPointer?.self)
            }
            // A single block stays: that is what a lone request uses over and over.
            for _ in 0..<number / 2 {
                guard let block = lists.pointee.first[index] else { break }
                lists.pointee.first[index] = block.load(as: UnsafeMutableRawPointer?.self)
                lists.pointee.keptBytes -= size
                free(block - HTTP2Memory.headerSize)
            }
        }
        return before - lists.pointee.keptBytes
    }

    /// Bytes in the lists, for tests.
    package var keptBytes: Int { lists.pointee.keptBytes }

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

    private struct Beginning {
        let index32: Int32
        let bytes32: Int32
        var index: Int { Int(index32) }
        /// This beginning included.
        var bytes: Int { Int(bytes32) }
    }

    @inline(__always) private static func beginning(of block: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Beginning> {
        (block - headerSize).assumingMemoryBound(to: Beginning.self)
    }

    @inline(__always) private static func classIndex(_ total: Int) -> Int {
        // A free block needs room for the address of the next one.
        let last = max(total &- 8, 16) &- 1
        guard last >= fineCount &* 16 else { return last >> 4 }
        // The two bits below the highest one say which quarter.
        let shift = Int.bitWidth &- 3 &- last.leadingZeroBitCount
        return fineCount &+ (shift &- 7) &* 4 &+ (last >> shift) & 3
    }

    /// Bytes of a block of a class, its beginning included.
    static func size(ofClass index: Int) -> Int {
        guard index >= fineCount else { return (index + 1) * 16 + 8 }
        let coarse = index - fineCount
        return (coarse % 4 + 5) << (coarse / 4 + 7) + 8
    }

    @inline(__always)
    private static func allocate(_ size: Int, _ lists: UnsafeMutablePointer<Lists>) -> UnsafeMutableRawPointer? {
        let total = size &+ headerSize
        let index = classIndex(total)
        guard UInt(bitPattern: total) <= largestKept, let block = lists.pointee.first[index] else {
            return allocateAnew(total, lists)
        }
        lists.pointee.first[index] = block.load(as: UnsafeMutableRawPointer?.self)
        lists.pointee.keptBytes &-= beginning(of: block).pointee.bytes
        return block
    }

    @inline(never)
    private static func allocateAnew(_ total: Int, _ lists: UnsafeMutablePointer<Lists>) -> UnsafeMutableRawPointer? {
        // Nothing of nghttp2's comes near; a size that a beginning cannot say fails, as it would in malloc.
        guard total > 0, total <= Int32.max else { return nil }
        lists.pointee.systemAllocations &+= 1
        let index = total <= Int(largestKept) ? classIndex(total) : oversize
        let bytes = index < oversize ? size(ofClass: index) : total
        guard let memory = malloc(bytes) else { return nil }
        let block = memory + headerSize
        beginning(of: block).initialize(
            to: Beginning(index32: Int32(truncatingIfNeeded: index), bytes32: Int32(truncatingIfNeeded: bytes)))
        return block
    }

    @inline(__always)
    private static func release(_ block: UnsafeMutableRawPointer?, _ lists: UnsafeMutablePointer<Lists>) {
        guard let block else { return }
        let beginning = beginning(of: block)
        let (index, size) = (beginning.pointee.index, beginning.pointee.bytes)
        guard index < oversize, lists.pointee.keptBytes &+ size <= keepLimit else {
            free(beginning)
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
        let room = beginning(of: block).pointee.bytes - headerSize
        if size <= room { return block }
        guard let wider = allocate(size, lists) else { return nil }
        wider.copyMemory(from: block, byteCount: room)
        release(block, lists)
        return wider
    }
}
