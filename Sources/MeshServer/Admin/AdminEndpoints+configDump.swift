// SPDX-License-Identifier: Apache-2.0
import CProcess
import MeshModel
import MeshProto
import MeshRegex

extension AdminEndpoints {
    /// `/config_dump`: the configuration as it was read, fields that are not honoured included.
    ///
    /// The schema of the API is loaded for the one answer and given back, because it is larger than the rest of an idle proxy.
    /// The text is made in pieces: with thousands of clusters it takes a while, and `/ready` must not wait for it.
    func configDump(_ request: LocalRequest) -> LocalResponse {
        let view = context.view.current
        var matches: (String) -> Bool = { _ in true }
        if let pattern = request.parameter("name_regex"), !pattern.isEmpty {
            switch wholeNameFilter(pattern) {
            case .failure(let refusal): return refusal.response
            case .success(let predicate): matches = predicate
            }
        }
        let dump = ConfigDump(
            bootstrap: view.bootstrapWire + AdminEndpoints.buildOfNode, loadedAt: view.loadedAt,
            endpoints: request.has("include_eds") ? EndpointsDump.wire(view, matches: matches) : nil,
            matches: matches)
        let schema = Schema()
        let wire: [UInt8]
        do throws(ConfigDump.Failure) {
            let mask = request.parameter("mask").flatMap { $0.isEmpty ? nil : $0 }
            if let resource = request.parameter("resource"), !resource.isEmpty {
                wire = try dump.resource(resource, schema, mask: mask)
            } else {
                wire = try dump.all(schema, mask: mask)
            }
        } catch {
            return AdminEndpoints.answer(to: error)
        }
        do throws(ConfigError) {
            let pieces = try JSONPieces(Transcoder(schema: schema), wire: wire, type: "envoy.admin.v3.ConfigDump")
            return LocalResponse(contentType: LocalResponse.json, pieces: AdminEndpoints.giveBack(after: pieces))
        } catch {
            return LocalResponse(500, "\(error)")
        }
    }

    /// The pieces, a line's end behind them, and then the memory they took given back.
    private static func giveBack(after pieces: JSONPieces) -> LocalResponse.Pieces {
        var rest: JSONPieces? = pieces
        return { output in
            if rest?.next(into: &output) ?? false { return true }
            output.append(0x0A)
            rest = nil
            apus_trim_heap()
            return false
        }
    }

    private static func answer(to failure: ConfigDump.Failure) -> LocalResponse {
        var response = switch failure {
        case .notFound(let name): LocalResponse(404, "\(name) not found in config dump")
        case .notRepeated(let name):
            LocalResponse(400, "\(name) is not a repeated field. Use ?mask=\(name) to get only this field")
        case .badMask(let mask):
            LocalResponse(
                400, "FieldMask \(mask.paths.map { "paths: \"\($0)\"\n" }.joined()) could not be successfully used.")
        case .maskWithoutEffect(let mask):
            LocalResponse(400, "FieldMask \(mask) could not be successfully applied to any configs.")
        }
        response.contentType = "text/plain"
        return response
    }

    /// Names are matched whole here, unlike with `filter=`.
    private func wholeNameFilter(_ pattern: String) -> Result<(String) -> Bool, Refusal> {
        do throws(RegexError) {
            // Alone first, so that the mistake is told of the pattern as it was given.
            _ = try RegexProgram(pattern)
            guard let regex = Regex(try RegexProgram("\\A(?:\(pattern))\\z")) else {
                return .failure(Refusal(status: 503, text: "no memory for the filter"))
            }
            return .success { regex.firstGroups(in: $0, count: 1) != nil }
        } catch {
            return .failure(Refusal(
                status: 400, text: "INVALID_ARGUMENT: Error while parsing name_regex from \(pattern): \(error)",
                contentType: "text/plain"))
        }
    }

    /// What the proxy adds to `bootstrap.node` of itself, as a second record that readers merge with the first.
    /// Bootstrap.node = 1; Node.user_agent_name = 6, user_agent_build_version = 8.
    private static let buildOfNode: [UInt8] = {
        var version = WireBytes()
        version.append(varint: UInt64(ApusVersion.envoy.major), field: 1)
        version.append(varint: UInt64(ApusVersion.envoy.minor), field: 2)
        version.append(varint: UInt64(ApusVersion.envoy.patch), field: 3)
        var build = WireBytes()
        build.append(1, version.bytes)
        var metadata = WireBytes()
        for (name, value) in ApusVersion.metadata {
            // Struct.fields = 1, a map; Value.string_value = 3.
            var text = WireBytes()
            text.append(3, value.utf8)
            var entry = WireBytes()
            entry.append(1, text: name)
            entry.append(2, text.bytes)
            metadata.append(1, entry.bytes)
        }
        build.append(2, metadata.bytes)
        var node = WireBytes()
        node.append(6, text: "envoy")
        node.append(8, build.bytes)
        var bootstrap = WireBytes()
        bootstrap.append(1, node.bytes)
        return bootstrap.bytes
    }()
}
