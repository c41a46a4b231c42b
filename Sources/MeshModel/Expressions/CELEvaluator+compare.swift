// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

// Equality, order and membership. Numbers of all kinds are compared by their value.
extension CELEvaluator {
    /// How one value stands to another; nil where there is no order between them.
    private enum Order { case less, same, greater }

    private static func order<Value: Comparable>(_ left: Value, _ right: Value) -> Order? {
        left < right ? .less : left == right ? .same : left > right ? .greater : nil
    }

    private static func order(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Order {
        for (one, other) in zip(left, right) where one != other { return one < other ? .less : .greater }
        return left.count < right.count ? .less : left.count == right.count ? .same : .greater
    }

    private static func order(_ left: Int64, _ right: UInt64) -> Order? { left < 0 ? .less : order(UInt64(left), right) }

    private static func order(_ left: Double, _ right: Int64) -> Order? {
        // Bounds that a double has exactly; what lies between can be cut to an integer.
        if left < -0x1p63 { return .less }
        if left >= 0x1p63 { return .greater }
        guard !left.isNaN else { return nil }
        let whole = Int64(left.rounded(.down))
        return whole == right ? (left > left.rounded(.down) ? .greater : .same) : order(whole, right)
    }

    private static func order(_ left: Double, _ right: UInt64) -> Order? {
        if left < 0 { return .less }
        if left >= 0x1p64 { return .greater }
        guard !left.isNaN else { return nil }
        let whole = UInt64(left.rounded(.down))
        return whole == right ? (left > left.rounded(.down) ? .greater : .same) : order(whole, right)
    }

    private static func reversed(_ order: Order?) -> Order? {
        switch order {
        case .less: .greater
        case .greater: .less
        default: order
        }
    }

    /// Of two numbers; the outer nil when one is none.
    private static func numbers(_ left: CELValue, _ right: CELValue) -> Order?? {
        switch (left, right) {
        case (.int(let left), .int(let right)): .some(order(left, right))
        case (.uint(let left), .uint(let right)): .some(order(left, right))
        case (.double(let left), .double(let right)): .some(order(left, right))
        case (.int(let left), .uint(let right)): .some(order(left, right))
        case (.uint(let left), .int(let right)): .some(reversed(order(right, left)))
        case (.double(let left), .int(let right)): .some(order(left, right))
        case (.int(let left), .double(let right)): .some(reversed(order(right, left)))
        case (.double(let left), .uint(let right)): .some(order(left, right))
        case (.uint(let left), .double(let right)): .some(reversed(order(right, left)))
        default: nil
        }
    }

    func ordered(_ operation: Step.Operation, _ left: CELValue, _ right: CELValue) -> CELValue {
        let found: Order?
        if let numbers = Self.numbers(left, right) {
            found = numbers
            // NaN is beside nothing: not an error, but never so.
            if found == nil { return .bool(false) }
        } else {
            found =
                switch (left, right) {
                case (.string(let left), .string(let right)), (.bytes(let left), .bytes(let right)):
                    Self.order(bytes(left), bytes(right))
                case (.bool(let left), .bool(let right)): Self.order(left ? 1 : 0, right ? 1 : 0)
                case (.duration(let left), .duration(let right)): Self.order(left, right)
                case (.timestamp(let left, let part), .timestamp(let right, let otherPart)):
                    left == right ? Self.order(part, otherPart) : Self.order(left, right)
                default: nil
                }
        }
        guard let found else { return .error }
        return switch operation {
        case .less: .bool(found == .less)
        case .lessOrEqual: .bool(found != .greater)
        case .greater: .bool(found == .greater)
        default: .bool(found != .less)
        }
    }

    /// Whether two values are the same; nil when either is an error. Values of different types never are.
    func equal(_ left: CELValue, _ right: CELValue) -> Bool? {
        if let numbers = Self.numbers(left, right) { return numbers == .same }
        switch (left, right) {
        case (.error, _), (_, .error): return nil
        case (.null, .null): return true
        case (.bool(let left), .bool(let right)): return left == right
        case (.string(let left), .string(let right)), (.bytes(let left), .bytes(let right)):
            return bytes(left).hasSameBytes(as: bytes(right))
        case (.duration(let left), .duration(let right)): return left == right
        case (.timestamp(let left, let part), .timestamp(let right, let otherPart)): return left == right && part == otherPart
        case (.type(let left), .type(let right)): return left == right
        case (.group(let left), .group(let right)): return left == right
        case (.headers(let left), .headers(let right)): return left == right
        case (.metadata(let left), .metadata(let right)):
            return left._withUnsafeGuaranteedRef { left in right._withUnsafeGuaranteedRef { left == $0 } }
        default: return sameMembers(left, right)
        }
    }

    /// Members of a list; nil for what is none.
    private func count(ofList value: CELValue) -> Int? {
        guard value.type == .list, case .int(let count) = size(of: value) else { return nil }
        return Int(count)
    }

    func size(of value: CELValue) -> CELValue {
        switch value {
        case .list(_, let count), .map(_, let count): .int(Int64(count))
        case .tree(let tree, let index): .int(Int64(tree._withUnsafeGuaranteedRef { $0.nodes[Int(index)].children.count }))
        default: .error
        }
    }

    private func sameMembers(_ left: CELValue, _ right: CELValue) -> Bool? {
        if let count = count(ofList: left), let other = self.count(ofList: right) {
            guard count == other else { return false }
            for index in 0..<count {
                let same = equal(member(at: index, of: left), member(at: index, of: right))
                if same != true { return same }
            }
            return true
        }
        guard left.type == .map, right.type == .map, case .int(let count) = size(of: left),
            case .int(let other) = size(of: right)
        else { return false }
        guard count == other else { return false }
        for index in 0..<Int(count) {
            let (key, value) = pair(at: index, of: left)
            let found = element(right, key)
            if case .error = found { return false }
            let same = equal(value, found)
            if same != true { return same }
        }
        return true
    }

    func contained(_ value: CELValue, in whole: CELValue) -> CELValue {
        if case .error = value { return .error }
        if let count = count(ofList: whole) {
            for index in 0..<count where equal(value, member(at: index, of: whole)) == true { return .bool(true) }
            return .bool(false)
        }
        guard whole.type == .map else { return .error }
        switch value {
        case .bool, .int, .uint, .double, .string: break
        default: return .error
        }
        if case .error = element(whole, value) { return .bool(false) }
        return .bool(true)
    }
}
