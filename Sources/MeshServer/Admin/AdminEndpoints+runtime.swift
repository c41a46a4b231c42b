// SPDX-License-Identifier: Apache-2.0
import MeshModel

extension AdminEndpoints {
    /// `/runtime`: the layers, and of each key its value in every layer and the one in force.
    func runtime() -> LocalResponse {
        let layers = context.runtime.layers
        let keys = layers.reduce(into: Set<String>()) { $0.formUnion($1.values.keys) }.sorted()
        let entries = keys.map { key -> JSONValue.Member in
            let values = layers.map { $0.values[key] }
            return .init(key, .object([
                .init("layer_values", .array(values.map { .string($0 ?? "") })),
                .init("final_value", .string(values.last { $0 != nil }?.flatMap { $0 } ?? "")),
            ]))
        }
        return LocalResponse(
            JSONValue.object([
                .init("layers", .array(layers.map { .string($0.name) })), .init("entries", .object(entries)),
            ]).text, contentType: LocalResponse.json)
    }

    /// `POST /runtime_modify`: sets keys in the admin layer.
    func modifyRuntime(_ request: LocalRequest) -> LocalResponse {
        // Of a key that is given twice the first value counts, as in Envoy.
        var seen: Set<String> = []
        let changes = request.parameters.filter { seen.insert($0.name).inserted }
        guard !changes.isEmpty else { return AdminEndpoints.runtimeUsage }
        guard context.runtime.modify(changes.map { ($0.name, $0.value) }) else {
            return LocalResponse(503, "No admin layer specified")
        }
        context.runtimeStats?.count(context.runtime)
        return LocalResponse("OK\n")
    }

    private static let runtimeUsage = LocalResponse(
        400, """
            usage: /runtime_modify?key1=value1&key2=value2&keyN=valueN
                   or send the parameters as form values
            use an empty value to remove a previously added override
            """)
}
