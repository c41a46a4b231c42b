// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshProto
import Testing

/// Istio's own bootstraps and dumps; run where the environment's APUS_DATA names the folder that holds `istio/`.
@Suite(.enabled(if: Fixture.dataFolder != nil))
struct IstioDocumentTests {
    static let bootstraps = files("istio/pkg/bootstrap/testdata") { $0.hasSuffix("_golden.json") }

    static func files(_ folder: String, _ isWanted: (String) -> Bool) -> [String] {
        guard let root = Fixture.dataFolder else { return [] }
        let names = FileManager.default.enumerator(atPath: root + "/" + folder)?.compactMap { $0 as? String } ?? []
        return names.filter(isWanted).sorted().map { root + "/" + folder + "/" + $0 }
    }

    @Test(arguments: bootstraps)
    func aBootstrapDecodesAndComesBackAsItWas(file: String) throws {
        let decoded = try BootstrapDecoder.decode(.file(file), allowsUnknownFields: true)
        #expect(decoded.message.staticResources.clusters.contains { $0.name == "xds-grpc" })
        #expect(decoded.unsupported.contains { $0.path == "dynamic_resources" })
        #expect(!decoded.unsupported.contains { $0.reason.contains("no such field") })
        let printed = try Transcoder().json(
            fromWire: decoded.wire, type: BootstrapDecoder.type, redactsSensitive: false)
        let again = try BootstrapDecoder.decode(
            .bytes(Array(printed.utf8), name: "printed.json"), allowsUnknownFields: true)
        let reprinted = try Transcoder().json(
            fromWire: again.wire, type: BootstrapDecoder.type, redactsSensitive: false)
        #expect(reprinted == printed)
        #expect(again.unsupported == decoded.unsupported)
        try expectSame(file, printed)
    }

    @Test(arguments: files("istio/istioctl") { $0.hasSuffix("dump.json") || $0.hasSuffix("config_dump.json") })
    func aDumpRoundTrips(file: String) throws {
        let transcoder = Transcoder()
        let value = try ConfigText.read(Array(try Data(contentsOf: URL(fileURLWithPath: file))), source: file)
        // istioctl's bootstrap dump holds the one section without its envelope.
        let isSection =
            if case .object(let members) = value { members.contains { $0.key == "bootstrap" } } else { false }
        let type = isSection ? "envoy.admin.v3.BootstrapConfigDump" : "envoy.admin.v3.ConfigDump"
        let wire = try transcoder.wire(value, type: type, source: file, unknownNames: .collected)
        #expect(wire.unknown.isEmpty, "\(wire.unknown.map(\.description))")
        let printed = try transcoder.json(fromWire: wire.wire, type: type, redactsSensitive: false)
        let again = try transcoder.wire(
            ConfigText.read(Array(printed.utf8), source: "printed.json"), type: type, source: "printed.json")
        #expect(try transcoder.json(fromWire: again.wire, type: type, redactsSensitive: false) == printed)
        try expectSame(file, printed)
    }

    /// The printed document says what the file says, but for fields that hold their default.
    private func expectSame(_ file: String, _ printed: String) throws {
        var before: [String: String] = [:]
        var after: [String: String] = [:]
        let original = try ConfigText.read(Array(try Data(contentsOf: URL(fileURLWithPath: file))), source: file)
        Self.flatten(original, at: "", into: &before)
        Self.flatten(try ConfigText.read(Array(printed.utf8), source: "printed.json"), at: "", into: &after)
        let lost = before.filter { after[$0.key] != $0.value && !Self.defaults.contains($0.value) }
        let invented = after.filter { before[$0.key] != $0.value }
        #expect(lost.isEmpty)
        #expect(invented.isEmpty)
    }

    /// Scalars that are a field's default somewhere in these documents, among them enum values numbered 0.
    private static let defaults: Set<String> = [
        "", "0", "false", "null", "[]", "ROUND_ROBIN", "TCP", "DEFAULT", "STATIC", "AUTO", "ALLOW",
    ]

    private static func flatten(_ value: ConfigValue, at path: String, into leaves: inout [String: String]) {
        switch value {
        case .object(let members) where !members.isEmpty:
            for member in members { flatten(member.value, at: path + "." + snakeCase(member.key), into: &leaves) }
        case .array(let items) where !items.isEmpty:
            for (index, item) in items.enumerated() { flatten(item, at: path + "[\(index)]", into: &leaves) }
        case .object: leaves[path] = "{}"
        case .array: leaves[path] = "[]"
        case .null: leaves[path] = "null"
        case .bool(let flag): leaves[path] = "\(flag)"
        case .number(let text), .string(let text): leaves[path] = comparable(text)
        }
    }

    private static func snakeCase(_ key: String) -> String {
        key.reduce(into: "") { out, character in
            out += character.isUppercase ? "_" + character.lowercased() : String(character)
        }
    }

    /// Numbers and durations by value, for `"1"` and `1`, `1.500s` and `1.5s` are the same.
    private static func comparable(_ text: String) -> String {
        if let number = Double(text) {
            return number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : "\(number)"
        }
        if text.hasSuffix("s"), let seconds = Double(text.dropLast()) { return "\(seconds) s" }
        return text
    }
}
