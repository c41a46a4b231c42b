// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import MeshXDS
import Testing

/// The bootstraps of xds-fixtures/translate/verdicts.json, with Envoy's word on each.
struct TranslationVerdictTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let document: ConfigValue
        let isAcceptedByEnvoy: Bool
        let differs: Bool
        /// The field that a refusal names.
        let path: String?
        let testDescription: String
    }

    static let cases: [Case] = {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../xds-fixtures/translate/verdicts.json")
        guard let data = try? Data(contentsOf: file),
            let fixture = try? ConfigText.read(Array(data), source: "verdicts.json"),
            let base = member(fixture, "base"), case .array(let cases)? = member(fixture, "cases")
        else { return [] }
        return cases.map { entry in
            var document = base
            if case .array(let sets)? = member(entry, "set") {
                for case .array(let pair) in sets where pair.count == 2 {
                    document = changed(document, steps(pair[0]), to: pair[1])
                }
            }
            if case .array(let removals)? = member(entry, "remove") {
                for removal in removals { document = changed(document, steps(removal), to: nil) }
            }
            return Case(
                document: document, isAcceptedByEnvoy: member(entry, "envoy") == .string("accepts"),
                differs: member(entry, "differs") != nil, path: text(member(entry, "at")),
                testDescription: text(member(entry, "name")) ?? "")
        }
    }()

    @Test func thereAreCases() {
        #expect(Self.cases.count > 100)
        #expect(Self.cases.filter(\.isAcceptedByEnvoy).count > 50)
    }

    @Test(arguments: cases)
    func aBootstrapIsJudgedAsEnvoyJudgesIt(_ example: Case) {
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

    private static func text(_ value: ConfigValue?) -> String? {
        if case .string(let text)? = value { text } else { nil }
    }

    private static func member(_ value: ConfigValue, _ key: String) -> ConfigValue? {
        guard case .object(let members) = value else { return nil }
        return members.first { $0.key == key }?.value
    }

    private static func steps(_ value: ConfigValue) -> ArraySlice<ConfigValue> {
        if case .array(let steps) = value { steps[...] } else { [] }
    }

    private static func changed(
        _ value: ConfigValue, _ path: ArraySlice<ConfigValue>, to new: ConfigValue?
    ) -> ConfigValue {
        guard let step = path.first else { return new ?? value }
        switch (value, step) {
        case (.object(var members), .string(let key)):
            let place = members.firstIndex { $0.key == key }
            if path.count == 1, new == nil {
                if let place { members.remove(at: place) }
            } else if let place {
                members[place].value = changed(members[place].value, path.dropFirst(), to: new)
            } else {
                members.append(.init(key, changed(.object([]), path.dropFirst(), to: new)))
            }
            return .object(members)
        case (.array(var items), .number(let text)):
            if let index = Int(text), items.indices.contains(index) {
                items[index] = changed(items[index], path.dropFirst(), to: new)
            }
            return .array(items)
        default: return value
        }
    }
}
