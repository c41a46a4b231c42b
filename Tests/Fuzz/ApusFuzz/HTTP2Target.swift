// SPDX-License-Identifier: Apache-2.0
import MeshHTTP2
import MeshTestKit

/// Any bytes as what a client or a server sends: no trap, no leak, and however they are cut, the same streams and the
/// connection end the same.
enum HTTP2Target {
    /// The first byte chooses side and options, the second where the input is cut; the preface is put in front, so that the
    /// fuzzer need not find it.
    static func run(_ bytes: [UInt8]) {
        guard bytes.count > 2 else { return }
        var splits = HTTP2Splits()
        splits.role = bytes[0] & 1 == 0 ? .server : .client
        splits.options.allowsExtendedConnect = bytes[0] & 2 != 0
        splits.options.resetsStreamOnInvalidMessage = bytes[0] & 4 == 0
        if bytes[0] & 8 != 0 { splits.options.initialStreamWindowSize = 65_535 }
        if bytes[0] & 16 != 0 { splits.options.maxConcurrentStreams = 2 }
        if bytes[0] & 32 != 0 { splits.options.prematureResetTotalStreams = 4 }
        let start = bytes[0] & 1 == 0 ? HTTP2Script.client.bytes : HTTP2Script.server.bytes
        let input = start + bytes[2...]
        let cut = Int(bytes[1]) % input.count
        let whole = splits.outcome([input[...]])
        let pieces = splits.outcome([input[..<cut], input[cut...]].filter { !$0.isEmpty })
        // A message that ends the connection ends it when its read is over: more of the same read may have been seen.
        guard splits.options.resetsStreamOnInvalidMessage else { return }
        precondition(whole.failure == pieces.failure && whole.closed == pieces.closed, "cut at \(cut): \(whole) \(pieces)")
    }
}
