// SPDX-License-Identifier: Apache-2.0

/// Counts the messages in a gRPC body (length-prefixed: a flag, four bytes of length) without keeping them.
struct GRPCMessageCounter: Equatable, Sendable {
    /// Whole messages so far.
    private(set) var count = 0
    /// Bytes of the prefix read so far, and of the message that are still to come.
    private var prefixBytes = 0
    private var rest: UInt32 = 0

    /// What stands before a message of that size.
    static func prefix(_ size: Int) -> [UInt8] {
        [0] + stride(from: 24, through: 0, by: -8).map { UInt8(truncatingIfNeeded: UInt32(truncatingIfNeeded: size) >> UInt32($0)) }
    }

    /// Whether the body ended between two messages.
    var isWhole: Bool { prefixBytes == 0 && rest == 0 }

    /// Takes the next bytes of the body.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var index = 0
        while index < bytes.count {
            if prefixBytes < 5 {
                if prefixBytes > 0 { rest = rest << 8 | UInt32(bytes[index]) }
                prefixBytes += 1
                index += 1
                if prefixBytes == 5, rest == 0 { finish() }
            } else {
                let taken = min(Int(rest), bytes.count - index)
                index += taken
                rest -= UInt32(taken)
                if rest == 0 { finish() }
            }
        }
    }

    private mutating func finish() {
        count += 1
        prefixBytes = 0
    }
}
