// SPDX-License-Identifier: Apache-2.0
import MeshProto
import MeshTestKit
import MeshXDS
import Testing

/// The bootstraps of xds-fixtures/translate/verdicts.json, with Envoy's word on each.
struct TranslationVerdictTests {
    static let cases = VerdictCase.all(of: "translate/verdicts.json")

    @Test func thereAreCases() {
        #expect(Self.cases.count > 100)
        #expect(Self.cases.filter(\.isAcceptedByEnvoy).count > 50)
    }

    @Test(arguments: cases)
    func aBootstrapIsJudgedAsEnvoyJudgesIt(_ example: VerdictCase) {
        var refusal: ConfigError?
        do {
            let transcoder = Transcoder()
            let wire = try transcoder.wire(example.document, type: BootstrapDecoder.type, source: "b.json").wire
            var inspector = ConfigInspector(transcoder: transcoder, source: "b.json")
            try inspector.inspect(wire, type: BootstrapDecoder.type)
            _ = try Translate.bootstrap(Envoy_Config_Bootstrap_V3_Bootstrap(serializedBytes: wire), source: "b.json")
        } catch let error as ConfigError {
            refusal = error
        } catch {
            Issue.record(error)
        }
        #expect(
            (refusal == nil) == (example.isAcceptedByEnvoy != example.differs), "\(refusal?.description ?? "accepted")")
        #expect(refusal?.path == example.path)
        #expect(refusal.map { $0.source == "b.json" && !$0.found.isEmpty && !$0.allowed.isEmpty } ?? true)
    }
}
