// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshTestKit
import Testing

struct HTTP1RequestDecoderTests {
    @Test func headBecomesPseudoHeadersAndFields() {
        let (trace, disagreements) = CodecSplits().requests(
            wire("GET /a?b HTTP/1.1\nHost: Example.test:80\nX-Upper: Value \nempty:\n\n"))
        #expect(disagreements == [])
        #expect(trace.heads == [":method: GET\n:path: /a?b\n:scheme: http\n:authority: Example.test:80\nx-upper: Value\nempty: \n[get HTTP/1.1 none]"])
        #expect(trace.ends == 1)
        #expect(trace.leftover == 0)
    }
}
