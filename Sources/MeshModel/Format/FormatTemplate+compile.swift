// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshHTTP

/// Why a format string is refused.
package struct FormatError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong.
    package var problem: String
    /// Bytes into the string where it was found.
    package var offset: Int
    /// The command that is none, if that is the matter.
    package var unknownCommand: String?

    package var description: String { "\(problem) at position \(offset)" }
}

extension FormatTemplate {
    /// A template without commands.
    package static func literal(_ text: String) -> FormatTemplate {
        let bytes = Array(text.utf8)
        var segment = FormatSegment(kind: .literal)
        segment.first = FormatSegment.TextRange(start: 0, count: UInt32(bytes.count))
        return FormatTemplate(source: text, segments: bytes.isEmpty ? [] : [segment], text: bytes)
    }

    /// Envoy's default access log line, with its line feed.
    package static let defaultAccessLog: FormatTemplate = {
        let text = """
            [%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% \
            %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \
            "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"

            """
        // A constant of ours: the fallback is never taken, and a test compiles it.
        return (try? compile(text)) ?? .literal(text)
    }()

    /// Compiles a format string.
    ///
    /// - Parameter extensions: commands that formatters of the configuration add.
    /// - Throws: `FormatError` for an unknown command or a `%` that begins none (`%%` is a percent sign).
    package static func compile(
        _ source: String, extensions: Set<FormatCommand> = []
    ) throws(FormatError) -> FormatTemplate {
        var compiler = FormatCompiler(source: Array(source.utf8), extensions: extensions)
        try compiler.run()
        return FormatTemplate(
            source: source, segments: compiler.segments, text: compiler.text, expressions: compiler.expressions)
    }
}

/// Turns a format string into segments and their text.
struct FormatCompiler {
    let source: [UInt8]
    let extensions: Set<FormatCommand>
    var segments: [FormatSegment] = []
    var text: [UInt8] = []
    var expressions: [CELProgram] = []
    private var position = 0
    private var literalStart = 0

    init(source: [UInt8], extensions: Set<FormatCommand>) {
        self.source = source
        self.extensions = extensions
    }

    mutating func run() throws(FormatError) {
        while position < source.count {
            let byte = source[position]
            if byte != UInt8(ascii: "%") {
                text.append(byte)
                position += 1
            } else if position + 1 < source.count, source[position + 1] == UInt8(ascii: "%") {
                text.append(byte)
                position += 2
            } else {
                try command()
            }
        }
        endLiteral()
    }

    /// Ends the literal that was being gathered at the end of `text`.
    private mutating func endLiteral() {
        if text.count > literalStart {
            var segment = FormatSegment(kind: .literal)
            segment.first = range(from: literalStart)
            segments.append(segment)
        }
        literalStart = text.count
    }

    private func range(from start: Int) -> FormatSegment.TextRange {
        FormatSegment.TextRange(start: UInt32(start), count: UInt32(text.count - start))
    }

    private mutating func add(_ bytes: some Sequence<UInt8>) -> FormatSegment.TextRange {
        let start = text.count
        text.append(contentsOf: bytes)
        return range(from: start)
    }

    private mutating func command() throws(FormatError) {
        let start = position
        let noCommand = FormatError(problem: "no valid command", offset: start)
        position += 1
        let nameStart = position
        while position < source.count, isNameByte(source[position]) { position += 1 }
        let name = String(decoding: source[nameStart..<position], as: UTF8.self)
        guard !name.isEmpty else { throw noCommand }
        var argument: ArraySlice<UInt8>?
        if position < source.count, source[position] == UInt8(ascii: "(") {
            guard let end = endOfArgument(from: position) else { throw noCommand }
            argument = source[(position + 1)..<end]
            position = end + 1
        }
        var maxLength: Int32 = -1
        if position < source.count, source[position] == UInt8(ascii: ":") {
            position += 1
            let digits = position
            while position < source.count, source[position] &- 48 <= 9 { position += 1 }
            guard position > digits, let length = Int32(String(decoding: source[digits..<position], as: UTF8.self))
            else {
                throw noCommand
            }
            maxLength = length
        }
        guard position < source.count, source[position] == UInt8(ascii: "%") else { throw noCommand }
        position += 1
        try add(name, argument: argument, maxLength: maxLength, at: start)
    }

    /// The first closing parenthesis that the command can end behind: expressions have such signs of their own.
    private func endOfArgument(from start: Int) -> Int? {
        var index = start
        while let end = source[index...].firstIndex(of: UInt8(ascii: ")")) {
            index = end + 1
            var next = index
            if next < source.count, source[next] == UInt8(ascii: ":") {
                next += 1
                while next < source.count, source[next] &- 48 <= 9 { next += 1 }
            }
            if next < source.count, source[next] == UInt8(ascii: "%") { return end }
        }
        return nil
    }

    private func isNameByte(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "A") < 26 || byte &- 48 <= 9 || byte == UInt8(ascii: "_")
    }

    private mutating func add(
        _ name: String, argument: ArraySlice<UInt8>?, maxLength: Int32, at start: Int
    ) throws(FormatError) {
        switch name {
        case "REQ", "REQUEST_HEADER": try addHeader(.request, argument, maxLength, at: start)
        case "RESP", "RESPONSE_HEADER": try addHeader(.response, argument, maxLength, at: start)
        case "TRAILER", "RESPONSE_TRAILER": try addHeader(.responseTrailers, argument, maxLength, at: start)
        case "HOSTNAME":
            guard argument == nil, maxLength < 0 else {
                throw FormatError(problem: "%HOSTNAME% takes no parameters and no length", offset: start)
            }
            var buffer = [CChar](repeating: 0, count: 256)
            let known = gethostname(&buffer, buffer.count - 1) == 0
            addConstant(
                known ? buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) } : [UInt8(ascii: "-")], maxLength)
        case "ENVIRONMENT":
            guard let argument, !argument.isEmpty else {
                throw FormatError(problem: "ENVIRONMENT needs the name of a variable", offset: start)
            }
            let value = getenv(String(decoding: argument, as: UTF8.self)).map { Array(String(cString: $0).utf8) }
            addConstant(value ?? [UInt8(ascii: "-")], maxLength)
        default: try addCommand(name, argument: argument, maxLength: maxLength, at: start)
        }
    }

    private mutating func addCommand(
        _ name: String, argument: ArraySlice<UInt8>?, maxLength: Int32, at start: Int
    ) throws(FormatError) {
        let found =
            FormatCommand(rawValue: name) ?? (FormatCommand.valuelessNames.contains(name) ? .unavailable : nil)
        guard let command = found, command != .requestWithoutQuery || extensions.contains(command) else {
            throw FormatError(problem: "unknown command %\(name)%", offset: start, unknownCommand: name)
        }
        let syntax = command.syntax
        if command != .unavailable {
            guard syntax.contains(.parameters) || argument == nil else {
                throw FormatError(problem: "%\(name)% takes no parameters", offset: start)
            }
            guard !syntax.contains(.required) || !(argument ?? []).isEmpty else {
                throw FormatError(problem: "%\(name)% needs parameters", offset: start)
            }
            guard syntax.contains(.length) || maxLength < 0 else {
                throw FormatError(problem: "%\(name)% takes no length", offset: start)
            }
        }
        if command == .expression || command == .typedExpression {
            return try addExpression(argument ?? [], isTyped: command == .typedExpression, maxLength, at: start)
        }
        if let problem = (argument ?? []).withUnsafeBytes({ FormatArguments.problem(of: command, $0) }) {
            throw FormatError(problem: problem, offset: start)
        }
        endLiteral()
        var segment = FormatSegment(kind: .command(command))
        if command == .requestWithoutQuery {
            let names = try headerNames(argument, at: start)
            (segment.first, segment.firstToken) = addName(names[0])
            if names.count == 2 { (segment.second, segment.secondToken) = addName(names[1]) }
        } else {
            segment.first = add(argument ?? [])
            segment.kind = .command(FormatArguments.meant(by: command, argument ?? []))
        }
        segment.maxLength = maxLength
        segments.append(segment)
        literalStart = text.count
    }

    private mutating func addExpression(
        _ argument: ArraySlice<UInt8>, isTyped: Bool, _ maxLength: Int32, at start: Int
    ) throws(FormatError) {
        endLiteral()
        var segment = FormatSegment(kind: .expression(isTyped: isTyped))
        segment.second.start = UInt32(expressions.count)
        segment.maxLength = maxLength
        do throws(CELError) {
            expressions.append(try CELProgram(String(decoding: argument, as: UTF8.self)))
        } catch {
            throw FormatError(problem: "in the expression \(error.description), of a command", offset: start)
        }
        segments.append(segment)
        literalStart = text.count
    }

    private mutating func addConstant(_ value: [UInt8], _ maxLength: Int32) {
        text.append(contentsOf: maxLength >= 0 ? value.prefix(Int(maxLength)) : value[...])
    }

    private mutating func addHeader(
        _ headers: FormatHeaders, _ argument: ArraySlice<UInt8>?, _ maxLength: Int32, at start: Int
    ) throws(FormatError) {
        let names = try headerNames(argument, at: start)
        endLiteral()
        var segment = FormatSegment(kind: .header(headers))
        (segment.first, segment.firstToken) = addName(names[0])
        if names.count == 2 { (segment.second, segment.secondToken) = addName(names[1]) }
        segment.maxLength = maxLength
        segments.append(segment)
        literalStart = text.count
    }

    private func headerNames(_ argument: ArraySlice<UInt8>?, at start: Int) throws(FormatError) -> [ArraySlice<UInt8>] {
        let names = (argument ?? []).split(separator: UInt8(ascii: "?"), omittingEmptySubsequences: false)
        guard names.count <= 2, let main = names.first, !main.isEmpty else {
            throw FormatError(problem: "a header command takes one name and at most one alternative", offset: start)
        }
        return names
    }

    private mutating func addName(_ name: ArraySlice<UInt8>) -> (FormatSegment.TextRange, HeaderToken) {
        let lower = name.map { $0 &- UInt8(ascii: "A") < 26 ? $0 | 0x20 : $0 }
        return (add(lower), lower.withUnsafeBytes { HeaderToken.find($0) })
    }
}
