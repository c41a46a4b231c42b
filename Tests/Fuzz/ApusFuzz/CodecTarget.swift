// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshTestKit

/// Any bytes as requests and as responses: no trap, and however they are cut, the decoders say the same.
enum CodecTarget {
    /// The first byte chooses side and options, the second where the input is cut, the rest is the input.
    static func run(_ bytes: [UInt8]) {
        guard bytes.count > 2 else { return }
        let (choice, cut) = (bytes[0], Int(bytes[1]))
        let input = bytes[2...]
        var splits = CodecSplits()
        splits.endsInput = choice & 1 != 0
        splits.serverOptions.enableTrailers = choice & 2 != 0
        splits.clientOptions.enableTrailers = choice & 2 != 0
        splits.serverOptions.acceptsHTTP10 = choice & 4 != 0
        splits.serverOptions.allowsChunkedLength = choice & 8 != 0
        splits.serverOptions.allowsCustomMethods = choice & 16 != 0
        splits.expectsUpgrade = choice & 32 != 0
        splits.methods = choice & 64 != 0 ? [.head, .get] : [.get, .connect, .post]
        let middle = input.startIndex + cut % input.count
        let pieces = [input[..<middle], input[middle...]].filter { !$0.isEmpty }
        if choice & 128 == 0 {
            precondition(splits.requestTrace([input]) == splits.requestTrace(pieces), "cut at \(cut)")
        } else {
            precondition(splits.responseTrace([input]) == splits.responseTrace(pieces), "cut at \(cut)")
        }
    }
}
