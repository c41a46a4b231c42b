// SPDX-License-Identifier: Apache-2.0
internal import Yams

/// Reads YAML into a `ConfigValue`, typing plain scalars the way Envoy does: null, booleans (also y, yes, on, n, no,
/// off), numbers, else text. Quoted scalars are text. Anchors, aliases and merge keys (`<<`) are followed.
struct YAMLReader {
    private let source: String
    private let limit: Int
    private var count = 0

    /// - Throws: `ConfigError` whose path is the line and column.
    static func read(_ bytes: [UInt8], source: String) throws(ConfigError) -> ConfigValue {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigError(source: source, path: "", found: "invalid bytes", allowed: "UTF-8")
        }
        var reader = YAMLReader(source: source, limit: ConfigLimit.values(inBytes: bytes.count))
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch {
            throw reader.syntaxError(error)
        }
        guard let root else { return .null }
        return try reader.value(root, depth: 0)
    }

    private init(source: String, limit: Int) {
        self.source = source
        self.limit = limit
    }

    private mutating func value(_ node: Node, depth: Int) throws(ConfigError) -> ConfigValue {
        count += 1
        if count > limit {
            throw error(node.mark, found: "more", allowed: "at most \(limit) values")
        }
        if depth > ConfigLimit.depth {
            throw error(node.mark, found: "more", allowed: "at most \(ConfigLimit.depth) levels of nesting")
        }
        switch node {
        case .scalar(let scalar): return Self.scalar(scalar)
        case .sequence(let sequence):
            var items: [ConfigValue] = []
            for item in sequence { items.append(try value(item, depth: depth + 1)) }
            return .array(items)
        case .mapping(let mapping): return .object(try members(mapping, depth: depth))
        case .alias: throw error(node.mark, found: "an alias", allowed: "an alias of an anchor that stands above it")
        }
    }

    private mutating func members(_ mapping: Node.Mapping, depth: Int) throws(ConfigError) -> [ConfigValue.Member] {
        var members: [ConfigValue.Member] = []
        var merged: [ConfigValue.Member] = []
        for (key, item) in mapping {
            guard case .scalar(let name) = key else {
                throw error(key.mark, found: "a key that is not text", allowed: "a field name")
            }
            let child = try value(item, depth: depth + 1)
            guard name.string == "<<", name.style == .plain else {
                members.append(.init(name.string, child))
                continue
            }
            switch child {
            case .object(let others): merged += others
            case .array(let list):
                for case .object(let others) in list { merged += others }
            default: throw error(key.mark, found: child.summary, allowed: "a mapping to merge")
            }
        }
        guard !merged.isEmpty else { return members }
        // A key of the mapping itself wins over a merged one, an earlier merged one over a later.
        var keys = Set(members.map(\.key))
        for member in merged where keys.insert(member.key).inserted { members.append(member) }
        return members
    }

    private static func scalar(_ scalar: Node.Scalar) -> ConfigValue {
        let text = scalar.string
        guard scalar.style == .plain, scalar.tag.description != Tag.Name.str.rawValue else { return .string(text) }
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y": return .bool(true)
        case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "n", "N": return .bool(false)
        default: return isNumber(text) ? .number(text) : .string(text)
        }
    }

    /// A decimal number of YAML's core schema; `Double` alone would take "nan", "infinity" and hexadecimal fractions.
    private static func isNumber(_ text: String) -> Bool {
        guard let first = text.utf8.first,
            (0x30...0x39).contains(first) || first == 0x2D || first == 0x2B || first == 0x2E
        else { return false }
        return text.utf8.allSatisfy { (0x30...0x39).contains($0) || [0x2B, 0x2D, 0x2E, 0x65, 0x45].contains($0) }
            && Double(text) != nil
    }

    private func error(_ mark: Mark?, found: String, allowed: String) -> ConfigError {
        ConfigError(
            source: source, path: mark.map { "line \($0.line) column \($0.column)" } ?? "", found: found,
            allowed: allowed)
    }

    private func syntaxError(_ error: any Error) -> ConfigError {
        switch error as? YamlError {
        case .scanner(_, let problem, let mark, _)?, .parser(_, let problem, let mark, _)?,
            .composer(_, let problem, let mark, _)?:
            return self.error(mark, found: "a syntax error (\(problem))", allowed: "YAML")
        case .duplicatedKeysInMapping(let keys, let context)?:
            let names = keys.sorted().map { "\"\(ConfigValue.cut($0))\"" }.joined(separator: ", ")
            return self.error(context.mark, found: "a second \(names)", allowed: "each key once")
        case .reader(let problem, _, _, _)?:
            return self.error(nil, found: "unreadable text (\(problem))", allowed: "YAML")
        default:
            return self.error(nil, found: "unreadable text", allowed: "YAML")
        }
    }
}
