// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
import MeshIO
import MeshTestKit
import Testing

/// However bytes are cut, the session says the same.
struct SplitTests {
    @Test func requestsInEverySplit() {
        var script = HTTP2Script.client
        script.headers(1, HTTP2Script.request([("cookie", "a"), ("cookie", "b")]))
        script.headers(3, HTTP2Script.request(method: "POST", [("content-length", "6")]), flags: 4)
        script.frame(2, 0, 3, [0, 0, 0, 0, 15])
        script.frame(0, 8, 3, [4, 1, 2, 3, 0, 0, 0, 0])
        script.frame(1, 1, 5, HTTP2Script.block(HTTP2Script.request()))
        script.frame(9, 4, 5, HTTP2Script.block([("a", "b")]))
        script.data(3, [4, 5, 6])
        script.headers(3, [("t", "u")])
        script.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8])
        let (outcome, disagreements) = HTTP2Splits().run(script.bytes, comparesEvents: true)
        #expect(disagreements.isEmpty, "\(disagreements.first ?? "")")
        #expect(outcome.failure == .none)
        #expect(outcome.events.count == 4, "\(outcome.events)")
    }

    @Test func responsesInEverySplit() {
        var splits = HTTP2Splits()
        splits.role = .client
        var script = HTTP2Script.server
        script.headers(1, [(":status", "103")], flags: 4)
        script.headers(1, [(":status", "200"), ("content-length", "4")], flags: 4)
        script.headers(5, [(":status", "200"), ("content-length", "4")])
        script.data(1, [1, 2])
        script.headers(3, [(":status", "204")])
        script.data(1, [3, 4], end: true)
        let (outcome, disagreements) = splits.run(script.bytes, comparesEvents: true)
        #expect(disagreements.isEmpty, "\(disagreements.first ?? "")")
        #expect(outcome.closed.count == 3, "\(outcome.events)")
    }

    @Test func failuresInEverySplit() {
        var script = HTTP2Script.client
        script.headers(1, HTTP2Script.request(method: "POST"), flags: 4)
        script.data(1, [1, 2, 3])
        script.reset(1)
        script.headers(3, HTTP2Script.request([("connection", "x")]))
        script.headers(5, [(":status", "200")])
        script.headers(7, HTTP2Script.request())
        script.windowUpdate(9, 1)
        let (outcome, disagreements) = HTTP2Splits().run(script.bytes, comparesEvents: false)
        #expect(disagreements.isEmpty, "\(disagreements.first ?? "")")
        #expect(outcome.closed.count == 3, "\(outcome.events)")
        #expect(outcome.failure == .connectionError)
    }

    /// Bytes of valid scripts with a few of them changed: nothing traps, nothing leaks, splits agree.
    @Test func damagedBytes() {
        var random = SeededRandom(seed: 42)
        for round in 0..<300 {
            var script = round % 2 == 0 ? HTTP2Script.client : HTTP2Script.server
            for index in 0..<4 {
                let fields = round % 2 == 0 ? HTTP2Script.request([("cookie", "a")]) : [(":status", "200")]
                script.headers(UInt32(index * 2 + 1), fields, flags: 4)
                script.data(UInt32(index * 2 + 1), [1, 2, 3], end: index != 2)
            }
            var bytes = script.bytes
            for _ in 0..<3 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            var splits = HTTP2Splits()
            splits.role = round % 2 == 0 ? .server : .client
            let whole = splits.outcome([bytes[...]])
            let cut = Int(random.next() % UInt64(bytes.count - 1)) + 1
            let halves = splits.outcome([bytes[..<cut], bytes[cut...]])
            #expect(halves.failure == whole.failure && halves.closed == whole.closed, "round \(round): \(halves) \(whole)")
        }
    }
}
