// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshHTTP
import MeshIO

// Values as `%CEL%` and `%TYPED_CEL%` print them.
extension CELEvaluator {
    /// False, with nothing appended, for an error.
    func print(_ value: CELValue, to sink: ByteSink) -> Bool {
        switch value {
        case .error: return false
        case .null: sink.append("NULL")
        case .bool(let flag): sink.append(flag ? "true" : "false")
        case .int(let number): append(number, to: sink)
        case .uint(let number): sink.append(decimal: number)
        // The C library gives the sign of a NaN.
        case .double(let number):
            if number.isNaN { sink.append("nan") } else { Self.append(number, format: "%g", to: sink) }
        case .string(let text), .bytes(let text): sink.append(bytes(text))
        case .duration(let nanoseconds): Self.append(duration: nanoseconds, to: sink)
        case .timestamp(let seconds, let nanoseconds):
            Self.append(seconds, nanoseconds, to: sink)
            sink.append("+00:00")
        case .type: sink.append("CelType value")
        case .metadata(let tree):
            // Envoy prints its debug text, which is not meant to be read by programs; ours is JSON.
            if !tree._withUnsafeGuaranteedRef({ $0.nodes[0].children.isEmpty }) { return printJSON(value, to: sink) }
        default: sink.append(value.type == .list ? "CelList value" : "CelMap value")
        }
        return true
    }

    /// False, with nothing appended, for what has no JSON.
    func printJSON(_ value: CELValue, to sink: ByteSink) -> Bool {
        switch value {
        case .error, .type: return false
        case .null: return false
        case .bool: return print(value, to: sink)
        case .int(let number): appendJSON(value, isExact: number.magnitude <= 1 << 53, to: sink)
        case .uint(let number): appendJSON(value, isExact: number <= 1 << 53, to: sink)
        case .double(let number):
            if let whole = Int64(exactly: number) {
                append(whole, to: sink)
            } else if number.isFinite {
                Self.append(number, format: "%.17g", to: sink)
            } else {
                sink.append(number.isNaN ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"")
            }
        case .string(let text): sink.append(jsonString: bytes(text))
        case .bytes(let text):
            sink.append("\"")
            Base64.encode(bytes(text)) { sink.append($0) }
            sink.append("\"")
        case .duration(let nanoseconds):
            sink.append(nanoseconds < 0 ? "\"-" : "\"")
            sink.append(decimal: nanoseconds.magnitude / 1_000_000_000)
            Self.append(fraction: nanoseconds.magnitude % 1_000_000_000, to: sink)
            sink.append("s\"")
        case .timestamp(let seconds, let nanoseconds):
            sink.append("\"")
            Self.append(seconds, 0, to: sink)
            Self.append(fraction: UInt64(nanoseconds.magnitude), to: sink)
            sink.append("Z\"")
        case .group: return false
        case .headers(let headers): appendHeaders(headers, to: sink)
        case .metadata(let tree):
            sink.append("{")
            if !tree._withUnsafeGuaranteedRef({ $0.nodes[0].children.isEmpty }) {
                sink.append("\"filter_metadata\":")
                _ = printJSON(.tree(tree, 0), to: sink)
            }
            sink.append("}")
        case .list, .map, .tree: appendCollection(value, to: sink)
        }
        return true
    }

    /// What a double cannot hold is a string, as in protobuf's JSON.
    private func appendJSON(_ value: CELValue, isExact: Bool, to sink: ByteSink) {
        if !isExact { sink.append("\"") }
        _ = print(value, to: sink)
        if !isExact { sink.append("\"") }
    }

    private func appendCollection(_ value: CELValue, to sink: ByteSink) {
        guard case .int(let count) = size(of: value) else { return }
        let isList = value.type == .list
        sink.append(isList ? "[" : "{")
        for index in 0..<Int(count) {
            if index > 0 { sink.append(",") }
            var member = CELValue.null
            if isList {
                member = self.member(at: index, of: value)
            } else {
                let (key, inner) = pair(at: index, of: value)
                if case .string = key {
                    _ = printJSON(key, to: sink)
                } else {
                    sink.append("\"")
                    _ = print(key, to: sink)
                    sink.append("\"")
                }
                sink.append(":")
                member = inner
            }
            if !printJSON(member, to: sink) { sink.append("null") }
        }
        sink.append(isList ? "]" : "}")
    }

    /// An object of all headers by name.
    private func appendHeaders(_ headers: FormatHeaders, to sink: ByteSink) {
        sink.append("{")
        for (index, name) in headerNames(headers).sorted(by: { $0.lexicographicallyPrecedes($1) }).enumerated() {
            if index > 0 { sink.append(",") }
            name.withUnsafeBytes {
                sink.append(jsonString: $0)
                sink.append(":")
                if !printJSON(header(headers, named: $0), to: sink) { sink.append("null") }
            }
        }
        sink.append("}")
    }

    private func append(_ number: Int64, to sink: ByteSink) {
        if number < 0 { sink.append("-") }
        sink.append(decimal: number.magnitude)
    }

    private static func append(_ number: Double, format: StaticString, to sink: ByteSink) {
        sink.append(room: 40) { room in
            guard let start = room.baseAddress?.assumingMemoryBound(to: CChar.self) else { return 0 }
            return format.withUTF8Buffer { format in
                guard let letters = format.baseAddress else { return 0 }
                return letters.withMemoryRebound(to: CChar.self, capacity: format.count + 1) { letters in
                    withVaList([number]) { Int(vsnprintf(start, 40, letters, $0)) }
                }
            }
        }
    }

    /// `1h30m1.5s`, `646.409us`, `0`.
    private static func append(duration: Int64, to sink: ByteSink) {
        guard duration != 0 else { return sink.append("0") }
        if duration < 0 { sink.append("-") }
        let whole = duration.magnitude
        if whole < 1000 {
            append(whole, unit: 1, "ns", to: sink)
        } else if whole < 1_000_000 {
            append(whole, unit: 1000, "us", to: sink)
        } else if whole < 1_000_000_000 {
            append(whole, unit: 1_000_000, "ms", to: sink)
        } else {
            if whole >= 3_600_000_000_000 { append(whole / 3_600_000_000_000, unit: 1, "h", to: sink) }
            if whole / 60_000_000_000 % 60 > 0 { append(whole / 60_000_000_000 % 60, unit: 1, "m", to: sink) }
            if whole % 60_000_000_000 > 0 { append(whole % 60_000_000_000, unit: 1_000_000_000, "s", to: sink) }
        }
    }

    /// - Parameter unit: a power of ten.
    private static func append(_ value: UInt64, unit: UInt64, _ name: StaticString, to sink: ByteSink) {
        sink.append(decimal: value / unit)
        appendTrimmed(value % unit, unit: unit, to: sink)
        sink.append(name)
    }

    /// A point and the digits of a fraction up to the last that is not 0; nothing for 0.
    private static func appendTrimmed(_ fraction: UInt64, unit: UInt64, to sink: ByteSink) {
        guard fraction > 0 else { return }
        sink.append(".")
        var (rest, place) = (fraction, unit / 10)
        while rest > 0, place > 0 {
            sink.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest / place))
            rest %= place
            place /= 10
        }
    }

    /// As protobuf's JSON: three, six or nine digits.
    private static func append(fraction nanoseconds: UInt64, to sink: ByteSink) {
        guard nanoseconds > 0 else { return }
        sink.append(".")
        if nanoseconds % 1_000_000 == 0 {
            sink.append(decimal: nanoseconds / 1_000_000, digits: 3)
        } else if nanoseconds % 1000 == 0 {
            sink.append(decimal: nanoseconds / 1000, digits: 6)
        } else {
            sink.append(decimal: nanoseconds, digits: 9)
        }
    }

    private static func append(_ seconds: Int64, _ nanoseconds: Int32, to sink: ByteSink) {
        let parts = CivilDate(seconds)
        for (value, digits, sign) in [
            (parts.year, 4, UInt8(ascii: "-")), (parts.month, 2, UInt8(ascii: "-")), (parts.day, 2, UInt8(ascii: "T")),
            (parts.hour, 2, UInt8(ascii: ":")), (parts.minute, 2, UInt8(ascii: ":")), (parts.second, 2, 0),
        ] {
            sink.append(decimal: UInt64(clamping: value), digits: digits)
            if sign != 0 { sink.append(sign) }
        }
        appendTrimmed(UInt64(nanoseconds.magnitude), unit: 1_000_000_000, to: sink)
    }
}
