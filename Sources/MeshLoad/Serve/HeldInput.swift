// SPDX-License-Identifier: Apache-2.0

/// Which bytes at the front of a buffer may be answered yet, where answers wait: a value without clock or bytes.
///
/// Invariants: pieces are due in their order, for a server's delay is the same for all of them and a stall ends for all at once.
struct HeldInput: Equatable, Sendable {
    private struct Piece: Equatable {
        var count: Int
        let due: UInt64
    }

    private var pieces: [Piece] = []
    /// The first piece that still waits.
    private var first = 0
    /// Bytes at the front that may be answered and are still there, and bytes behind them that may not.
    private(set) var released = 0
    private(set) var held = 0

    /// When the next bytes are due; nil when none wait. - Unit: nanoseconds.
    var next: UInt64? { first < pieces.count ? pieces[first].due : nil }

    /// The buffer holds `total` bytes; those not seen before are due then.
    mutating func arrived(_ total: Int, due: UInt64) {
        let count = total - released - held
        guard count > 0 else { return }
        held += count
        if first < pieces.count, let last = pieces.last, last.due >= due {
            pieces[pieces.count - 1].count += count
        } else {
            pieces.append(Piece(count: count, due: due))
        }
    }

    /// Releases what is due.
    mutating func release(at now: UInt64) {
        while first < pieces.count, pieces[first].due <= now {
            released += pieces[first].count
            held -= pieces[first].count
            first += 1
        }
        guard first > 64, first * 2 > pieces.count else { return }
        pieces.removeFirst(first)
        first = 0
    }

    /// So many of the released bytes left the buffer.
    mutating func consumed(_ count: Int) { released -= count }
}
