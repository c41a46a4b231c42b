// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshModel
import Testing

struct ReplyReasonTests {
    private static let root: URL = {
        var url = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url
    }()

    private func reason(_ details: String, _ set: (inout ReplyReason.Facts) -> Void = { _ in }) -> ReplyReason? {
        Array(details.utf8).withUnsafeBytes { bytes in
            var facts = ReplyReason.Facts()
            facts.details = bytes
            set(&facts)
            return ReplyReason(facts)
        }
    }

    @Test func namesAndDetailsAreUniqueAndSentencesEnd() {
        let rows = ReplyReason.allCases.map(\.row)
        #expect(Set(rows.map { "\($0.name)" }).count == rows.count)
        let details = rows.map { "\($0.details)" }.filter { !$0.isEmpty }
        #expect(Set(details).count == details.count)
        for row in rows {
            #expect("\(row.sentence)".hasSuffix(".") && "\(row.sentence)".utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
            #expect("\(row.name)".allSatisfy { $0.isLowercase || $0 == "_" || $0.isNumber })
        }
    }

    /// Whoever adds a reply adds its reason.
    @Test func everyDetailInTheSourcesHasAReason() throws {
        let sources = Self.root.appendingPathComponent("Sources")
        let pattern = try NSRegularExpression(pattern: #"details(?::| =) "([^"\\]+)""#)
        var found: Set<String> = []
        for name in try FileManager.default.subpathsOfDirectory(atPath: sources.path) where name.hasSuffix(".swift") {
            let text = try String(contentsOf: sources.appendingPathComponent(name), encoding: .utf8)
            for match in pattern.matches(in: text, range: NSRange(text.startIndex..., in: text)) {
                guard let range = Range(match.range(at: 1), in: text) else { continue }
                found.insert(String(text[range]))
            }
        }
        #expect(found.count > 20)
        for details in found where details != "via_upstream" {
            #expect(reason(details) != .unlisted, "'\(details)' is not in ReplyReason")
        }
    }

    @Test func whatAnUpstreamAnsweredHasNoReason() {
        #expect(reason("via_upstream") == nil)
        #expect(reason("") == nil)
        #expect(reason("something new") == .unlisted)
    }

    @Test func lostConnectionIsToldApartByWhatItHadDone() {
        let details = "upstream_reset_before_response_started{connection_termination}"
        #expect(reason(details) { $0.lostRequests = 1 } == .upstreamClosed)
        #expect(
            reason(details) {
                $0.lostRequests = 2
                $0.lostSentBytes = 0
            } == .upstreamClosedReusedUnsent)
        #expect(
            reason(details) {
                $0.lostRequests = 2
                $0.lostSentBytes = 10
            } == .upstreamClosedReusedSent)
        let failed = "upstream_reset_before_response_started{remote_connection_failure}"
        #expect(reason(failed) == .upstreamConnectFailed)
        #expect(reason(failed) { $0.hasUpstreamTLSFailed = true } == .upstreamTLSFailed)
    }

    @Test(arguments: [
        ("UF,URX", ReplyReason.connectAttempts), ("UH", .noHealthyUpstream), ("UO", .upstreamOverflow),
        ("NC", .clusterNotFound), ("UF", .upstreamConnectFailed), ("DT", .connectionTooOld), ("DC", .clientGone),
    ])
    func connectionsAreExplainedByTheirFlags(flags: String, expected: ReplyReason) {
        let bits = flags.split(separator: ",").reduce(UInt64(0)) { bits, name in
            bits | 1 << UInt64(ResponseFlagNames.short.firstIndex { "\($0)" == name } ?? 63)
        }
        #expect(reason("") { $0.flags = bits } == expected)
    }

    /// The document is the table. `APUS_WRITE_DOCS=1 swift test --filter ReplyReasonTests` writes it anew.
    @Test func documentIsTheTable() throws {
        var text = """
            # Why it answered so

            Every response that the proxy makes itself has a reason: a name that stays as it is, and a sentence that says where
            the decision was made. Reasons cost nothing until somebody asks.

            - In access logs: `%DYNAMIC_METADATA(apus:reason)%` and `%DYNAMIC_METADATA(apus:explanation)%`. Envoy accepts both
              and prints `-`, so that one configuration serves both proxies. `%APUS_REASON%` and `%APUS_EXPLANATION%` are the
              same for who needs no Envoy.
            - In the response: `x-apus-reason` and `x-apus-explanation`, when the request has `x-apus-explain` and the process
              was started with `--explain-replies trusted` (internal clients by Envoy's rules, and clients whose certificate
              was verified) or `--explain-replies all`. The default is `off`. With `trusted` the wish of any other client is
              removed from its request, so that no proxy behind this one grants it.
            - Of an upstream connection that was lost, the explanation also says how old it was, how many requests it had been
              given, and how many bytes of this one the kernel had taken.

            | reason | response code details | in words |
            |---|---|---|

            """
        for row in ReplyReason.allCases.map(\.row) {
            let details = "\(row.details)".isEmpty ? "" : "`\(row.details)`"
            text += "| `\(row.name)` | \(details) | \(row.sentence) |\n"
        }
        let document = Self.root.appendingPathComponent("docs/reasons.md")
        if ProcessInfo.processInfo.environment["APUS_WRITE_DOCS"] != nil {
            try text.write(to: document, atomically: true, encoding: .utf8)
        }
        #expect(try String(contentsOf: document, encoding: .utf8) == text)
    }
}
