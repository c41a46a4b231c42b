// SPDX-License-Identifier: Apache-2.0

/// A part of one of a table's flat arrays.
package struct TableRange: BitwiseCopyable, Equatable, Sendable {
    var start: UInt32 = 0
    package private(set) var count: UInt32 = 0

    init() {}

    init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }

    /// The indices of the array.
    var indices: Range<Int> { Int(start)..<Int(start) + Int(count) }
    package var isEmpty: Bool { count == 0 }
}

/// An immutable array of trivial values outside of reference counting; its owner deallocates it.
struct FlatArray<Element: BitwiseCopyable>: @unchecked Sendable {
    // Sendable because it is written before it is shared.
    let base: UnsafeMutablePointer<Element>
    let count: Int

    init(_ elements: [Element]) {
        base = .allocate(capacity: max(elements.count, 1))
        count = elements.count
        elements.withUnsafeBufferPointer { source in
            if let start = source.baseAddress { base.initialize(from: start, count: source.count) }
        }
    }

    subscript(index: Int) -> Element {
        _read {
            assert(index >= 0 && index < count)
            yield base[index]
        }
    }

    func deallocate() { base.deallocate() }
}
