// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

// Members of lists, maps, messages and groups of attributes.
extension CELEvaluator {
    /// A text that stays valid while others are made.
    func kept(_ bytes: UnsafeRawBufferPointer) -> CELText {
        let start = scratch.text.count
        scratch.text.append(bytes)
        return CELText(scratch: start, count: bytes.count)
    }

    /// A node of metadata as a value.
    func value(of tree: Unmanaged<MetadataTree>, at index: Int) -> CELValue {
        tree._withUnsafeGuaranteedRef { owner in
            let node = owner.nodes[index]
            switch node.kind {
            case .null: return .null
            case .bool: return .bool(node.number != 0)
            case .number: return .double(node.number)
            case .string: return .string(owner.text.withUnsafeBytes { kept(UnsafeRawBufferPointer(rebasing: $0[node.content])) })
            case .list, .object: return .tree(tree, Int32(index))
            }
        }
    }

    /// `value.name`.
    func member(_ value: CELValue, _ name: UnsafeRawBufferPointer) -> CELValue {
        switch value {
        case .metadata(let tree):
            if name.equals("filter_metadata") { return .tree(tree, 0) }
            // Typed metadata is not kept.
            if name.equals("typed_filter_metadata") { return .tree(Unmanaged.passUnretained(MetadataTree.empty), 0) }
            return .error
        case .map, .tree, .group, .headers: return element(value, .string(CELText(name)))
        default: return .error
        }
    }

    /// `has(…)`.
    func presence(_ index: Int32) -> CELValue {
        let step = program._withUnsafeGuaranteedRef { $0.steps[Int(index)] }
        guard step.operation == .select else {
            if step.operation == .unknown { return .bool(false) }
            if case .error = value(of: index) { return .bool(false) }
            return .bool(true)
        }
        let name = literal(step.b, step.c)
        let whole = value(of: step.a)
        switch whole {
        case .metadata(let tree):
            if name.equals("filter_metadata") {
                return .bool(tree._withUnsafeGuaranteedRef { !$0.nodes[0].children.isEmpty })
            }
            return name.equals("typed_filter_metadata") ? .bool(false) : .error
        case .map, .tree, .group, .headers:
            guard whole.type == .map else { return .error }
            if case .error = element(whole, .string(CELText(name))) { return .bool(false) }
            return .bool(true)
        default: return .error
        }
    }

    /// `value[key]`.
    func element(_ value: CELValue, _ key: CELValue) -> CELValue {
        switch value {
        case .list:
            guard let index = Self.index(key) else { return .error }
            return member(at: index, of: value)
        case .map(_, let count):
            switch key {
            case .bool, .int, .uint, .double, .string: break
            default: return .error
            }
            for index in 0..<Int(count) {
                let (known, member) = pair(at: index, of: value)
                if equal(known, key) == true { return member }
            }
            return .error
        case .tree(let tree, let place):
            if case .string(let name) = key {
                let found = tree._withUnsafeGuaranteedRef { $0.member(bytes(name), of: Int(place)) }
                return found.map { self.value(of: tree, at: $0) } ?? .error
            }
            guard value.type == .list, let index = Self.index(key) else { return .error }
            return member(at: index, of: value)
        case .group(let group):
            guard case .string(let name) = key else { return .error }
            if group == .xds, bytes(name).equals("node") { return .group(.node) }
            return CELAttribute(group, bytes(name)).map { self.value(of: $0) } ?? .error
        case .headers(let headers):
            guard case .string(let name) = key else { return .error }
            return header(headers, named: bytes(name))
        default: return .error
        }
    }

    private static func index(_ key: CELValue) -> Int? {
        switch key {
        case .int(let number): Int(exactly: number)
        case .uint(let number): Int(exactly: number)
        case .double(let number): Int(exactly: number)
        default: nil
        }
    }

    func member(at index: Int, of list: CELValue) -> CELValue {
        switch list {
        case .list(let start, let count):
            return index >= 0 && index < Int(count) ? scratch.values[Int(start) + index] : .error
        case .tree(let tree, let place):
            let children = tree._withUnsafeGuaranteedRef { $0.nodes[Int(place)].children }
            return index >= 0 && index < children.count ? value(of: tree, at: children.lowerBound + index) : .error
        default: return .error
        }
    }

    func pair(at index: Int, of map: CELValue) -> (key: CELValue, value: CELValue) {
        switch map {
        case .map(let start, _): return (scratch.values[Int(start) + 2 * index], scratch.values[Int(start) + 2 * index + 1])
        case .tree(let tree, let place):
            let child = tree._withUnsafeGuaranteedRef { $0.nodes[Int(place)].children.lowerBound + index }
            let key = tree._withUnsafeGuaranteedRef { owner in
                owner.text.withUnsafeBytes { kept(UnsafeRawBufferPointer(rebasing: $0[owner.nodes[child].key])) }
            }
            return (.string(key), value(of: tree, at: child))
        default: return (.error, .error)
        }
    }
}
