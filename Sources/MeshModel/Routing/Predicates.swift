// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshRegex

/// A `StringMatcher` over a table's text.
struct CompiledStringMatcher: BitwiseCopyable {
    var kind = Kind.exact
    var ignoreCase = false
    /// Lower case when case does not matter.
    var text = TableRange()
    var regex: Int32 = -1

    enum Kind: UInt8 { case exact, prefix, suffix, contains, regex }

    /// Whether `value` meets the condition. `pattern` is `text`'s bytes.
    func matches(_ value: UnsafeRawBufferPointer, pattern: UnsafeRawBufferPointer, regexes: RegexPool) -> Bool {
        kind == .regex ? regexes.matchesAll(Int(regex), of: value) : matches(value, pattern: pattern)
    }

    /// The same for what is no regex.
    func matches(_ value: UnsafeRawBufferPointer, pattern: UnsafeRawBufferPointer) -> Bool {
        switch kind {
        case .exact:
            return value.count == pattern.count && matches(value, at: 0, pattern)
        case .prefix:
            return value.count >= pattern.count && matches(value, at: 0, pattern)
        case .suffix:
            return value.count >= pattern.count && matches(value, at: value.count - pattern.count, pattern)
        case .contains:
            guard value.count >= pattern.count else { return false }
            var offset = 0
            while offset <= value.count - pattern.count {
                if matches(value, at: offset, pattern) { return true }
                offset += 1
            }
            return false
        case .regex: return false
        }
    }

    private func matches(_ value: UnsafeRawBufferPointer, at offset: Int, _ pattern: UnsafeRawBufferPointer) -> Bool {
        let part = UnsafeRawBufferPointer(rebasing: value[offset..<offset + pattern.count])
        return ignoreCase ? part.equalsIgnoringCase(pattern) : part.hasSameBytes(as: pattern)
    }
}

/// A `HeaderMatcher` in a table.
struct CompiledHeaderMatcher: BitwiseCopyable {
    var name = HeaderName()
    var kind = Kind.present
    var invert = false
    var treatMissingAsEmpty = false
    /// Of `.present`: whether the header shall be there.
    var shallBePresent = true
    var low: Int64 = 0
    var high: Int64 = 0
    var string = CompiledStringMatcher()

    enum Kind: UInt8 { case present, string, range }

    /// Whether `value` meets the condition, before inversion.
    func meets(_ value: UnsafeRawBufferPointer, in table: RouteTable, regexes: RegexPool) -> Bool {
        switch kind {
        case .present: return shallBePresent
        case .string: return string.matches(value, pattern: table.bytes(string.text), regexes: regexes)
        case .range:
            guard let number = Self.integer(value) else { return false }
            return number >= low && number < high
        }
    }

    /// A decimal integer with an optional sign and surrounding spaces.
    static func integer(_ value: UnsafeRawBufferPointer) -> Int64? {
        let text = value.trimmed
        var index = 0
        var isNegative = false
        if text.count > 0, text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+") {
            isNegative = text[0] == UInt8(ascii: "-")
            index = 1
        }
        guard index < text.count else { return nil }
        var number: Int64 = 0
        while index < text.count {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (product, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) =
                isNegative
                ? product.subtractingReportingOverflow(Int64(digit)) : product.addingReportingOverflow(Int64(digit))
            guard !overflow, !carry else { return nil }
            number = sum
            index += 1
        }
        return number
    }
}

/// A `QueryParameterMatcher` in a table.
struct CompiledQueryMatcher: BitwiseCopyable {
    var name = TableRange()
    var isPresenceOnly = true
    var shallBePresent = true
    var string = CompiledStringMatcher()

    /// The value of the first parameter of that name in a query (without its `?`); empty without `=`, nil when absent.
    /// Nothing is decoded, as in Envoy.
    static func value(of name: UnsafeRawBufferPointer, in query: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        var start = 0
        while start < query.count {
            var end = start
            var equals = -1
            while end < query.count, query[end] != UInt8(ascii: "&") {
                if equals < 0, query[end] == UInt8(ascii: "=") { equals = end }
                end += 1
            }
            let nameEnd = equals < 0 ? end : equals
            if UnsafeRawBufferPointer(rebasing: query[start..<nameEnd]).hasSameBytes(as: name) {
                return UnsafeRawBufferPointer(rebasing: query[(equals < 0 ? end : equals + 1)..<end])
            }
            start = end + 1
        }
        return nil
    }
}
