// SPDX-License-Identifier: Apache-2.0

/// A stream of a session, as the driver names it: a place in the session's table and its turn there, so that a name that
/// outlived its stream names nothing.
package struct HTTP2StreamKey: Equatable, Hashable, Sendable {
    let slot: UInt32
    let turn: UInt32

    /// Names no stream.
    package static let none = HTTP2StreamKey(slot: .max, turn: 0)
}

/// What happened, in sixteen bytes. `first` and `second` mean what the kind says.
package struct HTTP2Record: Equatable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// A request or final response head is whole: `takeRequestHead` or `takeResponseHead`.
        case head
        /// A 1xx head: `takeResponseHead`.
        case informationalHead
        /// Body bytes: `takeBody`. The stream's window opens again by `consume`.
        case body
        /// Trailers: `takeTrailers`. END_STREAM always comes with them.
        case trailers
        /// The peer's message is whole (also flagged on the record before it, where one carries it).
        case end
        /// The stream is over; its key names nothing from the next record on. `first`: the error code, 0 when both
        /// messages were whole. `second`: the `HTTP2Failure`, `none` when the peer or the driver ended it.
        case closed
        /// The stream's queue fell to half of its limit after `sendBody` said stop.
        case writable
        /// GOAWAY. `first`: the last stream identifier, `second`: the error code.
        case goAway
        /// The peer's settings changed; `peerMaxConcurrentStreams` and `peerAllowsExtendedConnect` say how.
        case settings
        /// A PING of ours was answered.
        case pingAcknowledged
        /// The connection is lost: `failure` says why, `first` is the code of our GOAWAY. Flush, then close.
        case connectionFailed
    }

    package let kind: Kind
    /// The peer's END_STREAM came with it.
    package let endStream: Bool
    /// Of the stream's records those with another epoch are dead.
    let epoch: UInt16
    let slot: UInt32
    package let first: UInt32
    package let second: UInt32

    init(
        _ kind: Kind, slot: UInt32 = .max, epoch: UInt16 = 0, endStream: Bool = false, first: UInt32 = 0,
        second: UInt32 = 0
    ) {
        self.kind = kind
        self.endStream = endStream
        self.epoch = epoch
        self.slot = slot
        self.first = first
        self.second = second
    }

    /// For `closed`, `goAway` and `connectionFailed`.
    package var code: HTTP2ErrorCode { HTTP2ErrorCode(rawValue: kind == .goAway ? second : first) }

    /// For `closed`: why the session reset the stream.
    package var failure: HTTP2Failure { HTTP2Failure(rawValue: UInt8(truncatingIfNeeded: second)) ?? .none }

    /// Whether the session has something to do when the next record is asked for.
    var needsFinish: Bool { holdsHead || kind == .body || kind == .closed }

    /// Whether `first` is an index into the session's heads or slices.
    var holdsHead: Bool { kind == .head || kind == .informationalHead || kind == .trailers }
}
