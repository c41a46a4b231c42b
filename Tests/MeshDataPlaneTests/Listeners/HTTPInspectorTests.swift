// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MeshDataPlane

struct HTTPInspectorTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let text: String
        let verdict: HTTPInspector.Verdict
        /// Bytes after which the verdict has to be known, no later.
        let decidedAt: Int

        init(_ text: String, _ verdict: HTTPInspector.Verdict, at decidedAt: Int) {
            self.text = text
            self.verdict = verdict
            self.decidedAt = decidedAt
        }

        var testDescription: String { text.debugDescription }
    }

    static let cases = [
        Case("GET / HTTP/1.1\r\nhost: a\r\n\r\n", .found(.http11), at: 15),
        Case("GET / HTTP/1.0\nhost: a\n\n", .found(.http10), at: 15),
        Case("POST /a?b=c HTTP/1.1\r\n", .found(.http11), at: 21),
        Case("UNSUBSCRIBE /long HTTP/1.1\r\n", .found(.http11), at: 27),
        Case("M-SEARCH * HTTP/1.1\r\n", .found(.http11), at: 20),
        Case("CONNECT a.test:443 HTTP/1.1\r\n", .found(.http11), at: 28),
        Case("GET / HTTP/2.0\r\n", .found(.http10), at: 15),
        Case("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", .found(.h2c), at: 24),
        Case("PRI * HTTP/2.0\r\n\r\nSX", .notHTTP, at: 20),
        Case("PRIORITY", .notHTTP, at: 4),
        Case("\u{16}\u{03}\u{01}\u{00}", .notHTTP, at: 1),
        Case("*1\r\n$4\r\nPING\r\n", .notHTTP, at: 1),
        Case("GETX / HTTP/1.1\r\n", .notHTTP, at: 4),
        Case("UNSUBSCRIBED / HTTP/1.1\r\n", .notHTTP, at: 12),
        Case("GET  HTTP/1.1\r\n", .notHTTP, at: 5),
        Case("GET /\r\n", .notHTTP, at: 6),
        Case("GET /a\tb HTTP/1.1\r\n", .notHTTP, at: 7),
        Case("GET / HTTQ/1.1\r\n", .notHTTP, at: 10),
        Case("GET / HTTP/x.1\r\n", .notHTTP, at: 12),
        Case("GET / HTTP/1,1\r\n", .notHTTP, at: 13),
        Case("GET / HTTP/1.1x\r\n", .notHTTP, at: 15),
        Case("get / HTTP/1.1\r\n", .notHTTP, at: 1),
        Case("\r\nGET / HTTP/1.1\r\n", .notHTTP, at: 1),
    ]

    private func verdict(_ inspector: inout HTTPInspector, _ bytes: ArraySlice<UInt8>) -> HTTPInspector.Verdict {
        bytes.withUnsafeBytes { inspector.inspect($0) }
    }

    @Test(arguments: cases) func decidesAtTheFirstByteThatAllows(_ example: Case) {
        let bytes = Array(example.text.utf8)
        for length in 0...bytes.count {
            var fresh = HTTPInspector()
            let found = verdict(&fresh, bytes[..<length])
            if length < example.decidedAt {
                guard case .needMore(let count) = found else {
                    Issue.record("\(found) after \(length) bytes")
                    continue
                }
                #expect(count > length)
            } else {
                #expect(found == example.verdict, "after \(length) bytes")
            }
        }
    }

    @Test(arguments: cases) func everySplitGivesTheSameVerdict(_ example: Case) {
        let bytes = Array(example.text.utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var inspector = HTTPInspector()
                var found = HTTPInspector.Verdict.needMore(1)
                for end in [first, second, bytes.count] {
                    guard case .needMore = found else { break }
                    found = verdict(&inspector, bytes[..<end])
                }
                #expect(found == example.verdict, "split at \(first) and \(second)")
            }
        }
    }

    @Test func oneByteAtATimeGivesTheSameVerdict() {
        for example in Self.cases {
            let bytes = Array(example.text.utf8)
            var inspector = HTTPInspector()
            for length in 1...example.decidedAt {
                let found = verdict(&inspector, bytes[..<length])
                if length == example.decidedAt { #expect(found == example.verdict) }
            }
        }
    }

    @Test func anEndlessRequestLineIsNotHTTP() {
        var inspector = HTTPInspector()
        var bytes = Array("GET /".utf8)
        bytes += [UInt8](repeating: UInt8(ascii: "a"), count: HTTPInspector.maxBytes - bytes.count - 1)
        #expect(verdict(&inspector, bytes[...]) == .needMore(bytes.count + 1))
        bytes.append(UInt8(ascii: "a"))
        #expect(verdict(&inspector, bytes[...]) == .notHTTP)
    }
}
