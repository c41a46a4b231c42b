// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// Telling HTTP/2 with prior knowledge from HTTP/1 by the first bytes.
enum HTTP2Preface {
    enum Outcome { case found, absent, needMore }

    /// What no HTTP/1 request can begin with (RFC 9113 §3.4).
    private static let text: StaticString = "PRI * HTTP/2"

    static func find(_ input: UnsafeRawBufferPointer) -> Outcome {
        let whole = UnsafeRawBufferPointer(text)
        let count = min(input.count, whole.count)
        guard UnsafeRawBufferPointer(rebasing: input[..<count]).hasSameBytes(
            as: UnsafeRawBufferPointer(rebasing: whole[..<count]))
        else { return .absent }
        return count == whole.count ? .found : .needMore
    }
}
