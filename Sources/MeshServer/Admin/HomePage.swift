// SPDX-License-Identifier: Apache-2.0
import CPage

/// The page for people at `/`: one file with its style and script in it. What it shows it asks the other paths for.
enum HomePage {
    /// The page, with a fresh nonce, so that the browser runs its own script and no other.
    static func response() -> LocalResponse {
        let nonce = makeNonce()
        var response = LocalResponse(bytes: bytes(nonce: nonce), contentType: "text/html; charset=UTF-8")
        response.headers = [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; connect-src 'self'; img-src data:; "
                    + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
            ),
            ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"), ("cross-origin-resource-policy", "same-origin"),
        ]
        return response
    }

    /// Stands in the file wherever the nonce belongs.
    private static let placeholder = Array("@NONCE@".utf8)

    private static func bytes(nonce: String) -> [UInt8] {
        let page = UnsafeBufferPointer(start: cpage_bytes(), count: cpage_length())
        var output: [UInt8] = []
        output.reserveCapacity(page.count + 64)
        var index = 0
        while index < page.count {
            let rest = page[index...]
            if page[index] == placeholder[0], rest.starts(with: placeholder) {
                output += nonce.utf8
                index += placeholder.count
            } else {
                output.append(page[index])
                index += 1
            }
        }
        return output
    }

    /// 128 random bits.
    private static func makeNonce() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(generator.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }
}
