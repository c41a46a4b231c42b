// SPDX-License-Identifier: Apache-2.0
import MeshHTTP

/// Reads an expression by recursive descent. Source: the grammar of cel-spec.
struct CELParser {
    private var lexer: CELLexer
    private let length: Int
    private var token = CELToken.end
    /// Where `token` begins.
    private var position = 0
    private var depth = 0
    var builder = CELBuilder()

    /// Most brackets, calls and alternatives inside each other.
    static let maxDepth = 100

    init(_ source: [UInt8]) {
        lexer = CELLexer(source)
        length = source.count
    }

    mutating func run() throws(CELError) {
        guard length <= CELProgram.maxLength else {
            throw CELError(problem: "found \(length) bytes, at most \(CELProgram.maxLength) are allowed", position: 0)
        }
        try advance()
        let whole = try expression()
        guard token == .end else { throw unexpected("an operator or the end") }
        // The whole is the last step: a lone literal may not be, where it was looked at and then not used.
        if Int(whole) != builder.steps.count - 1 { _ = try builder.add(builder.steps[Int(whole)], at: 0) }
    }

    private mutating func advance() throws(CELError) {
        lexer.skipSpace()
        position = lexer.position
        token = try lexer.next()
    }

    private func unexpected(_ allowed: String) -> CELError {
        CELError(problem: "found \(token.name), expected \(allowed)", position: position)
    }

    private mutating func take(_ sign: CELSign) throws(CELError) -> Bool {
        guard token == .sign(sign) else { return false }
        try advance()
        return true
    }

    private mutating func expect(_ sign: CELSign) throws(CELError) {
        guard token == .sign(sign) else { throw unexpected("'\(sign.rawValue)'") }
        try advance()
    }

    // MARK: Operators, from the weakest

    private mutating func expression() throws(CELError) -> Int32 {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maxDepth else {
            throw CELError(problem: "found more than \(Self.maxDepth) levels of nesting", position: position)
        }
        let start = position
        let condition = try chain(.or)
        guard try take(.question) else { return condition }
        let yes = try chain(.or)
        try expect(.colon)
        let no = try expression()
        return try builder.add(
            CELProgram.Step(operation: .conditional, a: condition, b: yes, c: no), over: [condition, yes, no], at: start)
    }

    /// All parts of a row of `||` or `&&` are children of one step, however long the row is.
    private mutating func chain(_ sign: CELSign) throws(CELError) -> Int32 {
        let start = position
        var parts = [sign == .or ? try chain(.and) : try relation()]
        while try take(sign) { parts.append(sign == .or ? try chain(.and) : try relation()) }
        guard parts.count > 1 else { return parts[0] }
        let (first, count) = builder.add(operands: parts)
        return try builder.add(
            CELProgram.Step(operation: sign == .or ? .or : .and, a: first, b: count), over: parts, at: start)
    }

    private mutating func relation() throws(CELError) -> Int32 {
        var left = try sum()
        while let operation = relationOperation {
            let start = position
            try advance()
            let right = try sum()
            left = try builder.add(CELProgram.Step(operation: operation, a: left, b: right), over: [left, right], at: start)
        }
        return left
    }

    private var relationOperation: CELProgram.Step.Operation? {
        switch token {
        case .sign(.equal): .equal
        case .sign(.notEqual): .notEqual
        case .sign(.less): .less
        case .sign(.lessOrEqual): .lessOrEqual
        case .sign(.greater): .greater
        case .sign(.greaterOrEqual): .greaterOrEqual
        case .in: .contained
        default: nil
        }
    }

    private mutating func sum() throws(CELError) -> Int32 {
        var left = try product()
        while token == .sign(.add) || token == .sign(.subtract) {
            let (start, operation) = (position, token == .sign(.add) ? CELProgram.Step.Operation.add : .subtract)
            try advance()
            let right = try product()
            left = try builder.add(CELProgram.Step(operation: operation, a: left, b: right), over: [left, right], at: start)
        }
        return left
    }

    private mutating func product() throws(CELError) -> Int32 {
        var left = try unary()
        while true {
            let operation: CELProgram.Step.Operation
            switch token {
            case .sign(.multiply): operation = .multiply
            case .sign(.divide): operation = .divide
            case .sign(.modulo): operation = .modulo
            default: return left
            }
            let start = position
            try advance()
            let right = try unary()
            left = try builder.add(CELProgram.Step(operation: operation, a: left, b: right), over: [left, right], at: start)
        }
    }

    /// Two of `!` or `-` are none, whatever stands behind them.
    private mutating func unary() throws(CELError) -> Int32 {
        let start = position
        guard token == .sign(.not) || token == .sign(.subtract) else { return try primary(isNegative: false) }
        let sign = token
        var count = 0
        while token == sign {
            count += 1
            try advance()
        }
        // One minus belongs to the number, so that the smallest one can be written.
        if sign == .sign(.subtract), count == 1, isNumber { return try primary(isNegative: true) }
        let inner = try primary(isNegative: false)
        guard count % 2 == 1 else { return inner }
        return try builder.add(
            CELProgram.Step(operation: sign == .sign(.not) ? .not : .negate, a: inner), over: [inner], at: start)
    }

    private var isNumber: Bool {
        switch token {
        case .int, .double: true
        default: false
        }
    }

    // MARK: Values

    private mutating func primary(isNegative: Bool) throws(CELError) -> Int32 {
        let start = position
        var value: Int32
        switch token {
        case .int(let number): value = try int(number, isNegative: isNegative)
        case .uint(let number):
            value = try builder.add(CELProgram.Step(operation: .uint, bits: number), at: start)
            try advance()
        case .double(let number):
            value = try builder.add(CELProgram.Step(operation: .double, bits: (isNegative ? -number : number).bitPattern), at: start)
            try advance()
        case .string(let text):
            value = try builder.string(text, at: start)
            try advance()
        case .bytes(let text):
            value = try builder.string(text, isBytes: true, at: start)
            try advance()
        case .bool(let flag):
            value = try builder.add(CELProgram.Step(operation: .bool, a: flag ? 1 : 0), at: start)
            try advance()
        case .null:
            value = try builder.add(CELProgram.Step(operation: .null), at: start)
            try advance()
        case .sign(.open):
            try advance()
            value = try expression()
            try expect(.close)
        case .sign(.openBracket): value = try list()
        case .sign(.openBrace): value = try map()
        // A name that begins with a dot is looked for at the top, where all names of ours are.
        case .sign(.dot):
            try advance()
            guard case .identifier = token else { throw unexpected("a name") }
            value = try name()
        case .identifier: value = try name()
        default: throw unexpected("a value")
        }
        return try members(of: value)
    }

    private mutating func int(_ number: UInt64, isNegative: Bool) throws(CELError) -> Int32 {
        let value = isNegative ? (number == 1 << 63 ? Int64.min : Int64(exactly: number).map { -$0 }) : Int64(exactly: number)
        guard let value else { throw CELError(problem: "found a number beyond 64 bits", position: position) }
        let made = try builder.add(CELProgram.Step(operation: .int, bits: UInt64(bitPattern: value)), at: position)
        try advance()
        return made
    }

    /// Words that the language keeps for itself.
    private static let reserved: Set<String> = [
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
        "namespace", "return", "var", "void", "while",
    ]

    private mutating func name() throws(CELError) -> Int32 {
        guard case .identifier(let name) = token else { throw unexpected("a name") }
        let start = position
        try advance()
        if try take(.open) {
            if name == Array("has".utf8) { return try presence(at: start) }
            return try builder.call(name, try values(until: .close), isMember: false, at: start)
        }
        let text = String(decoding: name, as: UTF8.self)
        guard !Self.reserved.contains(text) else {
            throw CELError(problem: "found the reserved word '\(text)'", position: start)
        }
        return try builder.identifier(name, at: start)
    }

    /// What follows `has(`: a selection, that is not made but asked for.
    private mutating func presence(at start: Int) throws(CELError) -> Int32 {
        let inner = position
        let value = try expression()
        guard token == .sign(.close) else { throw unexpected("')'") }
        let selections: [CELProgram.Step.Operation] = [.select, .attribute, .header, .unknown, .group]
        guard lastWasSelection, selections.contains(builder.steps[Int(value)].operation) else {
            throw CELError(problem: "found no field selection in has()", position: inner)
        }
        try advance()
        return try builder.add(CELProgram.Step(operation: .has, a: value), over: [value], at: start)
    }

    /// Whether the value that was just read ends in `.name`.
    private var lastWasSelection = false

    /// What may stand behind a value: `.name`, `.call(…)`, `[index]`.
    private mutating func members(of operand: Int32) throws(CELError) -> Int32 {
        var value = operand
        lastWasSelection = false
        while true {
            let start = position
            if try take(.dot) {
                switch token {
                case .escapedIdentifier(let name):
                    try advance()
                    value = try builder.member(value, name, isSelection: true, at: start)
                    lastWasSelection = true
                case .identifier(let name):
                    try advance()
                    if try take(.open) {
                        value = try builder.call(name, [value] + (try values(until: .close)), isMember: true, at: start)
                        lastWasSelection = false
                    } else {
                        value = try builder.member(value, name, isSelection: true, at: start)
                        lastWasSelection = true
                    }
                default: throw unexpected("a name")
                }
            } else if try take(.openBracket) {
                let index = try expression()
                try expect(.closeBracket)
                lastWasSelection = false
                if let name = builder.literal(index) {
                    value = try builder.member(value, name, isSelection: false, at: start)
                } else {
                    value = try builder.add(CELProgram.Step(operation: .index, a: value, b: index), over: [value, index], at: start)
                }
            } else if token == .sign(.openBrace) {
                throw CELError(problem: "found a message that is made; Apus makes none", position: start)
            } else {
                return value
            }
        }
    }

    /// Values with commas between them, up to the sign that ends them.
    private mutating func values(until end: CELSign, mayEndInComma: Bool = false) throws(CELError) -> [Int32] {
        var values: [Int32] = []
        if try take(end) { return values }
        while true {
            values.append(try expression())
            if try take(end) { return values }
            guard try take(.comma) else { throw unexpected("',' or '\(end.rawValue)'") }
            if mayEndInComma, try take(end) { return values }
        }
    }

    private mutating func list() throws(CELError) -> Int32 {
        let start = position
        try advance()
        let members = try values(until: .closeBracket, mayEndInComma: true)
        let (first, count) = builder.add(operands: members)
        return try builder.add(CELProgram.Step(operation: .list, a: first, b: count), over: members, at: start)
    }

    private mutating func map() throws(CELError) -> Int32 {
        let start = position
        try advance()
        var members: [Int32] = []
        while try !take(.closeBrace) {
            members.append(try expression())
            try expect(.colon)
            members.append(try expression())
            if token != .sign(.closeBrace) {
                guard try take(.comma) else { throw unexpected("',' or '}'") }
            }
        }
        let (first, count) = builder.add(operands: members)
        return try builder.add(CELProgram.Step(operation: .map, a: first, b: count), over: members, at: start)
    }
}
