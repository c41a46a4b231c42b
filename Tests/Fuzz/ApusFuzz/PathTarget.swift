// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// Any bytes as a path under any rules: the output stays in its bound, and a normal form is its own normal form.
enum PathTarget {
    static func run(_ bytes: [UInt8]) {
        guard bytes.count > 1 else { return }
        let actions: [EscapedSlashesAction] = [.keep, .reject, .unescapeAndRedirect, .unescapeAndForward]
        let rules = PathNormalization(
            normalizesPath: bytes[0] & 1 != 0, mergesSlashes: bytes[0] & 2 != 0,
            escapedSlashes: actions[Int(bytes[0] >> 2) & 3])
        guard let once = normalize(Array(bytes[1...]), rules) else { return }
        // Decoding a slash once may leave what decodes again; only whole normalisation is a fixed point.
        if rules.normalizesPath, rules.escapedSlashes != .reject {
            precondition(normalize(once, rules) == once, "not a fixed point")
        }
    }

    /// The path to use, nil where it is refused.
    private static func normalize(_ path: [UInt8], _ rules: PathNormalization) -> [UInt8]? {
        let output = UnsafeMutableRawBufferPointer.allocate(
            byteCount: PathNormalizer.outputBound(path.count), alignment: 1)
        defer { output.deallocate() }
        switch path.withUnsafeBytes({ PathNormalizer.normalize($0, rules, into: output) }) {
        case .unchanged: return path
        case .changed(let length), .redirect(let length): return Array(output[..<length])
        case .rejected: return nil
        }
    }
}
