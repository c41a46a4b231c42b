// SPDX-License-Identifier: Apache-2.0

/// Records in order; read from the front while the driver acts, emptied when all were read.
///
/// Bounded by what one `receive` can bring: a record stands for a frame, nine bytes at least.
struct RecordQueue: ~Copyable {
    private var records: UnsafeMutablePointer<HTTP2Record>
    private var capacity = 16
    private var first = 0
    private var end = 0

    init() { records = .allocate(capacity: capacity) }

    deinit { records.deallocate() }

    var isEmpty: Bool { first == end }

    mutating func append(_ record: HTTP2Record) {
        if end == capacity { grow() }
        (records + end).initialize(to: record)
        end &+= 1
    }

    mutating func popFirst() -> HTTP2Record? {
        guard first < end else { return nil }
        let record = records[first]
        first &+= 1
        if first == end {
            first = 0
            end = 0
        }
        return record
    }

    /// Marks the last record as the one with END_STREAM, when it is this stream's and still unread.
    mutating func endLast(slot: UInt32, epoch: UInt16) -> Bool {
        guard end > first else { return false }
        let last = records[end &- 1]
        guard last.slot == slot, last.epoch == epoch, last.kind == .body else { return false }
        records[end &- 1] = HTTP2Record(last.kind, slot: slot, epoch: epoch, endStream: true, first: last.first)
        return true
    }

    private mutating func grow() {
        let wider = UnsafeMutablePointer<HTTP2Record>.allocate(capacity: capacity * 2)
        (wider).update(from: records + first, count: end - first)
        end -= first
        first = 0
        records.deallocate()
        records = wider
        capacity *= 2
    }
}
