// SPDX-License-Identifier: Apache-2.0
import MeshProto
import MeshTestKit
import Testing

/// The bootstraps of xds-fixtures/bootstrap/verdicts.json, with Envoy's word on each.
struct VerdictTests {
    static let cases = VerdictCase.all(of: "bootstrap/verdicts.json")

    @Test func thereAreCases() {
        #expect(Self.cases.count > 100)
        #expect(Self.cases.filter(\.isAcceptedByEnvoy).count > 20)
    }

    @Test(arguments: cases)
    func aBootstrapIsJudgedAsEnvoyJudgesIt(_ example: VerdictCase) {
        var refusal: ConfigError?
        do {
            let transcoder = Transcoder()
            let wire = try transcoder.wire(example.document, type: BootstrapDecoder.type, source: "b.yaml").wire
            var inspector = ConfigInspector(transcoder: transcoder, source: "b.yaml")
            try inspector.inspect(wire, type: BootstrapDecoder.type)
            if let unknown = inspector.unsupported.first(where: { $0.reason.contains("no such field") }) {
                refusal = ConfigError(
                    source: "b.yaml", path: unknown.path, found: unknown.value, allowed: unknown.reason)
            }
        } catch {
            refusal = error
        }
        #expect(
            (refusal == nil) == (example.isAcceptedByEnvoy != example.differs), "\(refusal?.description ?? "accepted")")
    }
}
