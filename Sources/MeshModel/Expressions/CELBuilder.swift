// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshRegex

/// The functions of an expression.
enum CELFunction: UInt8, CaseIterable {
    case size, matches, startsWith, endsWith, contains
    case toInt, toUint, toDouble, toBool, toBytes, toDuration, toTimestamp, type, dynamic
    case year, month, date, dayOfMonth, dayOfWeek, dayOfYear, hours, minutes, seconds, milliseconds

    var name: StaticString {
        switch self {
        case .size: "size"
        case .matches: "matches"
        case .startsWith: "startsWith"
        case .endsWith: "endsWith"
        case .contains: "contains"
        case .toInt: "int"
        case .toUint: "uint"
        case .toDouble: "double"
        case .toBool: "bool"
        case .toBytes: "bytes"
        case .toDuration: "duration"
        case .toTimestamp: "timestamp"
        case .type: "type"
        case .dynamic: "dyn"
        case .year: "getFullYear"
        case .month: "getMonth"
        case .date: "getDate"
        case .dayOfMonth: "getDayOfMonth"
        case .dayOfWeek: "getDayOfWeek"
        case .dayOfYear: "getDayOfYear"
        case .hours: "getHours"
        case .minutes: "getMinutes"
        case .seconds: "getSeconds"
        case .milliseconds: "getMilliseconds"
        }
    }

    /// How many values it takes, that before the dot included.
    func takes(_ count: Int, isMember: Bool) -> Bool {
        switch self {
        case .size: count == 1
        case .matches, .startsWith, .endsWith, .contains: count == 2
        case .toInt, .toUint, .toDouble, .toBool, .toBytes, .toDuration, .toTimestamp, .type, .dynamic: count == 1 && !isMember
        case .year, .month, .date, .dayOfMonth, .dayOfWeek, .dayOfYear, .hours, .minutes, .seconds, .milliseconds:
            isMember && (count == 1 || count == 2)
        }
    }
}

/// Gathers the steps of a program. What can be decided at once is: attributes, headers by a known name, patterns, zones.
struct CELBuilder {
    typealias Step = CELProgram.Step
    private(set) var steps: [Step] = []
    private(set) var operands: [Int32] = []
    private(set) var text: [UInt8] = []
    private(set) var patterns: [CELProgram.Pattern] = []
    /// Steps above each other, by step: evaluation recurses so deep.
    private var heights: [Int] = []

    /// Most steps above each other.
    static let maxHeight = 250

    mutating func add(_ step: Step, over children: [Int32] = [], at position: Int) throws(CELError) -> Int32 {
        let height = (children.map { heights[Int($0)] }.max() ?? 0) + 1
        guard height <= Self.maxHeight else {
            throw CELError(problem: "found more than \(Self.maxHeight) operations inside each other", position: position)
        }
        steps.append(step)
        heights.append(height)
        return Int32(steps.count - 1)
    }

    /// Start and length in `text`.
    mutating func add(text bytes: [UInt8]) -> (Int32, Int32) {
        let start = text.count
        text += bytes
        return (Int32(start), Int32(bytes.count))
    }

    mutating func add(operands children: [Int32]) -> (Int32, Int32) {
        let start = operands.count
        operands += children
        return (Int32(start), Int32(children.count))
    }

    mutating func string(_ bytes: [UInt8], isBytes: Bool = false, at position: Int) throws(CELError) -> Int32 {
        let (start, count) = add(text: bytes)
        return try add(Step(operation: isBytes ? .bytes : .string, a: start, b: count), at: position)
    }

    /// The text of a literal string; nil when the step is none.
    func literal(_ index: Int32) -> [UInt8]? {
        let step = steps[Int(index)]
        guard step.operation == .string else { return nil }
        return Array(text[Int(step.a)..<Int(step.a + step.b)])
    }

    mutating func identifier(_ name: [UInt8], at position: Int) throws(CELError) -> Int32 {
        let step = name.withUnsafeBytes { bytes in
            if let group = CELGroup(name: bytes) { return Step(operation: .group, a: Int32(group.rawValue)) }
            if bytes.equals("metadata") { return Step(operation: .metadata) }
            let type = CELType.allCases.first { type in type.name.map { bytes.equals($0) } ?? false }
            if let type { return Step(operation: .type, a: Int32(type.rawValue)) }
            return Step(operation: .unknown)
        }
        return try add(step, at: position)
    }

    /// `operand.name`, or `operand["name"]`.
    ///
    /// - Parameter isSelection: behind a dot. A message has fields behind a dot only.
    mutating func member(
        _ operand: Int32, _ name: [UInt8], isSelection: Bool, at position: Int
    ) throws(CELError) -> Int32 {
        let step = steps[Int(operand)]
        switch step.operation {
        case .group:
            let group = CELGroup(rawValue: UInt8(truncatingIfNeeded: step.a))
            let attribute = group.flatMap { group in name.withUnsafeBytes { CELAttribute(group, $0) } }
            guard let attribute else { return try add(Step(operation: .unknown), at: position) }
            if attribute == .node { return try add(Step(operation: .group, a: Int32(CELGroup.node.rawValue)), at: position) }
            return try add(Step(operation: .attribute, a: Int32(attribute.rawValue)), at: position)
        case .attribute:
            guard let headers = headers(of: step) else { break }
            let lower = name.map { ASCII.lowercase($0) }
            let isHost = headers == .request && lower == Array("host".utf8)
            let (start, count) = add(text: isHost ? Array(":authority".utf8) : lower)
            let token = (isHost ? Array(":authority".utf8) : lower).withUnsafeBytes { HeaderToken.find($0) }
            return try add(
                Step(operation: .header, a: start, b: count, c: Int32(headers.rawValue), bits: UInt64(token.rawValue)),
                at: position)
        default: break
        }
        guard isSelection else {
            let key = try string(name, at: position)
            return try add(Step(operation: .index, a: operand, b: key), over: [operand, key], at: position)
        }
        let (start, count) = add(text: name)
        return try add(Step(operation: .select, a: operand, b: start, c: count), over: [operand], at: position)
    }

    private func headers(of step: Step) -> FormatHeaders? {
        switch CELAttribute(rawValue: UInt8(truncatingIfNeeded: step.a)) {
        case .requestHeaders: .request
        case .responseHeaders: .response
        case .responseTrailers: .responseTrailers
        default: nil
        }
    }

    /// A call; `arguments` begin with what stands before the dot, if anything does.
    mutating func call(
        _ name: [UInt8], _ arguments: [Int32], isMember: Bool, at position: Int
    ) throws(CELError) -> Int32 {
        let shown = String(decoding: name, as: UTF8.self)
        let found = CELFunction.allCases.first { function in name.withUnsafeBytes { $0.equals(function.name) } }
        guard let function = found, function.takes(arguments.count, isMember: isMember) else {
            throw CELError(problem: Self.problem(shown, found), position: position)
        }
        var step = Step(operation: .call, c: Int32(function.rawValue))
        var arguments = arguments
        switch function {
        case .matches:
            guard let pattern = literal(arguments[1]) else {
                throw CELError(problem: "found a pattern of matches() that is no literal string", position: position)
            }
            do throws(RegexError) {
                step.bits = UInt64(patterns.count)
                patterns.append(try CELProgram.Pattern(String(decoding: pattern, as: UTF8.self)))
            } catch {
                throw CELError(problem: "found a pattern that RE2 refuses: \(error.description)", position: position)
            }
            arguments.removeLast()
        case _ where function.rawValue >= CELFunction.year.rawValue && arguments.count == 2:
            guard let zone = literal(arguments[1]), let offset = CivilTime.offset(ofZone: zone) else {
                throw CELError(problem: "found a time zone that is not \"UTC\" or like \"+02:00\"", position: position)
            }
            step.bits = UInt64(bitPattern: offset)
            arguments.removeLast()
        default: break
        }
        (step.a, step.b) = add(operands: arguments)
        return try add(step, over: arguments, at: position)
    }

    private static func problem(_ name: String, _ known: CELFunction?) -> String {
        if known != nil { return "found \(name)() with a number of values it does not take" }
        switch name {
        case "all", "exists", "exists_one", "map", "filter":
            return "found \(name)(); comprehensions are off, as in Envoy"
        case "string": return "found string(); conversion to string is off, as in Envoy"
        default:
            let names = CELFunction.allCases.map { "\($0.name)" }.joined(separator: ", ")
            return "found an unknown function '\(name)'; there are has, \(names)"
        }
    }
}
