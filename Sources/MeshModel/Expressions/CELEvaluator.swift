// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshRegex

/// One evaluation. Every step is evaluated at most once, so an expression costs no more than its length and the texts it
/// reads.
struct CELEvaluator<Context: FormatContext> {
    let program: Unmanaged<CELProgram>
    let text: UnsafeRawBufferPointer
    let context: Context
    let scratch: CELScratch

    typealias Step = CELProgram.Step

    func literal(_ start: Int32, _ count: Int32) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: text[Int(start)..<Int(start) + Int(count)])
    }

    /// The bytes of a text; good until the next text is made.
    func bytes(_ text: CELText) -> UnsafeRawBufferPointer {
        guard text.count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        if let base = text.base { return UnsafeRawBufferPointer(start: base, count: text.count) }
        return UnsafeRawBufferPointer(rebasing: scratch.text.bytes(from: text.start)[..<text.count])
    }

    private func step(_ index: Int32) -> Step { program._withUnsafeGuaranteedRef { $0.steps[Int(index)] } }
    private func operand(_ index: Int32) -> Int32 { program._withUnsafeGuaranteedRef { $0.operands[Int(index)] } }

    func value(of index: Int32) -> CELValue {
        let step = step(index)
        switch step.operation {
        case .null: return .null
        case .bool: return .bool(step.a != 0)
        case .int: return .int(Int64(bitPattern: step.bits))
        case .uint: return .uint(step.bits)
        case .double: return .double(Double(bitPattern: step.bits))
        case .string: return .string(CELText(literal(step.a, step.b)))
        case .bytes: return .bytes(CELText(literal(step.a, step.b)))
        case .type: return CELType(rawValue: UInt8(truncatingIfNeeded: step.a)).map { .type($0) } ?? .error
        case .unknown: return .error
        case .group: return group(step)
        case .metadata: return .metadata(Unmanaged.passUnretained(MetadataTree.empty))
        case .attribute:
            return CELAttribute(rawValue: UInt8(truncatingIfNeeded: step.a)).map { value(of: $0) } ?? .error
        case .header: return header(step)
        case .select: return member(value(of: step.a), literal(step.b, step.c))
        case .has: return presence(step.a)
        case .index: return element(value(of: step.a), value(of: step.b))
        case .not:
            if case .bool(let flag) = value(of: step.a) { return .bool(!flag) }
            return .error
        case .negate: return CELArithmetic.negated(value(of: step.a))
        case .add, .subtract, .multiply, .divide, .modulo:
            return CELArithmetic.value(step.operation, value(of: step.a), value(of: step.b))
        case .equal, .notEqual:
            guard let same = equal(value(of: step.a), value(of: step.b)) else { return .error }
            return .bool(same == (step.operation == .equal))
        case .less, .lessOrEqual, .greater, .greaterOrEqual:
            return ordered(step.operation, value(of: step.a), value(of: step.b))
        case .contained: return contained(value(of: step.a), in: value(of: step.b))
        case .and: return joined(step, absorbing: false)
        case .or: return joined(step, absorbing: true)
        case .conditional:
            guard case .bool(let flag) = value(of: step.a) else { return .error }
            return value(of: flag ? step.b : step.c)
        case .list, .map: return collection(step)
        case .call: return call(step)
        }
    }

    private func group(_ step: Step) -> CELValue {
        guard let group = CELGroup(rawValue: UInt8(truncatingIfNeeded: step.a)) else { return .error }
        if group == .upstreamFilterState, context.celNumber(.upstream) == nil { return .error }
        return .group(group)
    }

    /// `&&` and `||`: one side that decides makes up for any error on the others.
    private func joined(_ step: Step, absorbing: Bool) -> CELValue {
        var isWhole = true
        for offset in 0..<step.b {
            guard case .bool(let flag) = value(of: operand(step.a + offset)) else {
                isWhole = false
                continue
            }
            if flag == absorbing { return .bool(absorbing) }
        }
        return isWhole ? .bool(!absorbing) : .error
    }

    private func collection(_ step: Step) -> CELValue {
        // Members may be collections themselves: room first, so that ours lie in a row.
        let start = scratch.values.count
        for _ in 0..<step.b { scratch.values.append(.null) }
        for offset in 0..<step.b {
            let member = value(of: operand(step.a + offset))
            if case .error = member { return .error }
            scratch.values[start + Int(offset)] = member
        }
        guard step.operation == .map else { return .list(start: Int32(start), count: step.b) }
        let pairs = Int(step.b / 2)
        for pair in 0..<pairs {
            switch scratch.values[start + 2 * pair] {
            case .bool, .int, .uint, .string: break
            default: return .error
            }
            for earlier in 0..<pair where equal(scratch.values[start + 2 * pair], scratch.values[start + 2 * earlier]) == true {
                return .error
            }
        }
        return .map(start: Int32(start), count: Int32(pairs))
    }

    // MARK: Calls

    private func call(_ step: Step) -> CELValue {
        guard let function = CELFunction(rawValue: UInt8(truncatingIfNeeded: step.c)) else { return .error }
        let first = value(of: operand(step.a))
        switch function {
        case .dynamic: return first
        case .type: return first.type.map { .type($0) } ?? .error
        case .size: return size(first)
        case .matches:
            guard case .string(let subject) = first else { return .error }
            let pattern = program._withUnsafeGuaranteedRef { $0.patterns[Int(truncatingIfNeeded: step.bits)] }
            guard let regex = scratch.regex(pattern) else { return .error }
            return .bool(regex.matchesPart(of: bytes(subject)))
        case .startsWith, .endsWith, .contains:
            let second = value(of: operand(step.a + 1))
            guard case .string(let whole) = first, case .string(let part) = second else { return .error }
            return .bool(Self.holds(function, bytes(whole), bytes(part)))
        case .toInt, .toUint, .toDouble, .toBool, .toBytes, .toDuration, .toTimestamp: return converted(first, function)
        case .year, .month, .date, .dayOfMonth, .dayOfWeek, .dayOfYear, .hours, .minutes, .seconds, .milliseconds:
            return CivilTime.part(function, of: first, offset: Int64(bitPattern: step.bits), hasZone: step.bits != 0)
        }
    }

    private static func holds(
        _ function: CELFunction, _ whole: UnsafeRawBufferPointer, _ part: UnsafeRawBufferPointer
    ) -> Bool {
        guard part.count <= whole.count else { return false }
        switch function {
        case .startsWith: return UnsafeRawBufferPointer(rebasing: whole[..<part.count]).hasSameBytes(as: part)
        case .endsWith: return UnsafeRawBufferPointer(rebasing: whole[(whole.count - part.count)...]).hasSameBytes(as: part)
        default: return part.isEmpty || whole.contains(part)
        }
    }

    private func size(_ value: CELValue) -> CELValue {
        switch value {
        // Characters, not bytes: what begins one is no continuation of another.
        case .string(let text): .int(Int64(bytes(text).reduce(into: 0) { $0 += $1 & 0xC0 == 0x80 ? 0 : 1 }))
        case .bytes(let text): .int(Int64(text.count))
        case .list(_, let count), .map(_, let count): .int(Int64(count))
        case .tree(let tree, let index): .int(Int64(tree._withUnsafeGuaranteedRef { $0.nodes[Int(index)].children.count }))
        case .headers(let headers): .int(Int64(headerCount(headers)))
        case .group: .int(0)
        default: .error
        }
    }
}
