// SPDX-License-Identifier: Apache-2.0

/// Times of expressions: RFC 3339 to seconds and back, in UTC or at a fixed offset.
enum CivilTime {
    /// The years CEL knows, 1 to 9999. - Unit: seconds since 1970.
    private static let range: ClosedRange<Int64> = -62_135_596_800...253_402_300_799

    /// A timestamp with nanoseconds of any size; an error beyond the years.
    static func timestamp(seconds: Int64, nanoseconds: Int64) -> CELValue {
        var (carry, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if rest < 0 {
            rest += 1_000_000_000
            carry -= 1
        }
        let (whole, overflow) = seconds.addingReportingOverflow(carry)
        guard !overflow, range.contains(whole) else { return .error }
        return .timestamp(seconds: whole, nanoseconds: Int32(rest))
    }

    /// `UTC`, or `+02:00`: what is to be added. - Unit: seconds.
    static func offset(ofZone zone: [UInt8]) -> Int64? {
        if ["UTC", "Etc/UTC", "GMT"].contains(String(decoding: zone, as: UTF8.self)) { return 0 }
        var rest = zone[...]
        let isBehind = rest.first == UInt8(ascii: "-")
        if isBehind || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let parts = rest.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, let hours = number(parts[0], digits: 2), let minutes = number(parts[1], digits: 2), hours < 24,
            minutes < 60
        else { return nil }
        return (hours * 3600 + minutes * 60) * (isBehind ? -1 : 1)
    }

    private static func number(_ bytes: some Collection<UInt8>, digits: Int) -> Int64? {
        guard bytes.count == digits, bytes.allSatisfy({ $0 &- 48 < 10 }) else { return nil }
        return Int64(String(decoding: Array(bytes), as: UTF8.self))
    }

    /// `2026-08-22T12:00:00.5+02:00`; an error for anything else.
    static func timestamp(_ text: UnsafeRawBufferPointer) -> CELValue {
        var rest = Array(text)[...]
        func take(_ digits: Int) -> Int64? {
            defer { rest = rest.dropFirst(digits) }
            return number(rest.prefix(digits), digits: digits)
        }
        func skip(_ allowed: String) -> Bool {
            guard let first = rest.first, allowed.utf8.contains(first) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = take(4), skip("-"), let month = take(2), skip("-"), let day = take(2), skip("Tt"), let hour = take(2),
            skip(":"), let minute = take(2), skip(":"), let second = take(2), (1...12).contains(month), (1...31).contains(day),
            hour < 24, minute < 60, second < 61
        else { return .error }
        var fraction: Int64 = 0
        if skip(".") {
            let digits = rest.prefix { $0 &- 48 < 10 }
            guard !digits.isEmpty else { return .error }
            rest = rest.dropFirst(digits.count)
            let nine = digits.prefix(9) + [UInt8](repeating: UInt8(ascii: "0"), count: max(9 - digits.count, 0))
            fraction = number(Array(nine), digits: 9) ?? 0
        }
        let offset: Int64? = rest.count == 1 && skip("Zz") ? 0 : rest.count == 6 ? Self.offset(ofZone: Array(rest)) : nil
        let days = CivilDate.days(year, month, day)
        guard let offset, CivilDate(days * 86_400).day == day else { return .error }
        return timestamp(seconds: days * 86_400 + hour * 3600 + minute * 60 + second - offset, nanoseconds: fraction)
    }

    /// A part of a timestamp, or the whole of a duration in a unit.
    static func part(_ function: CELFunction, of value: CELValue, offset: Int64, hasZone: Bool) -> CELValue {
        switch value {
        case .timestamp(let seconds, let nanoseconds):
            let parts = CivilDate(seconds + offset)
            switch function {
            case .year: return .int(parts.year)
            case .month: return .int(parts.month - 1)
            case .date: return .int(parts.day)
            case .dayOfMonth: return .int(parts.day - 1)
            case .dayOfWeek: return .int(parts.dayOfWeek)
            case .dayOfYear: return .int(parts.dayOfYear)
            case .hours: return .int(parts.hour)
            case .minutes: return .int(parts.minute)
            case .seconds: return .int(parts.second)
            case .milliseconds: return .int(Int64(nanoseconds) / 1_000_000)
            default: return .error
            }
        case .duration(let nanoseconds) where !hasZone:
            switch function {
            case .hours: return .int(nanoseconds / 3_600_000_000_000)
            case .minutes: return .int(nanoseconds / 60_000_000_000)
            case .seconds: return .int(nanoseconds / 1_000_000_000)
            case .milliseconds: return .int(nanoseconds / 1_000_000 % 1000)
            default: return .error
            }
        default: return .error
        }
    }

    // MARK: Durations

    /// `1h30m1.5s`; an error for anything else, and for what is too long for 64 bits of nanoseconds.
    static func duration(_ text: UnsafeRawBufferPointer) -> CELValue {
        var rest = Array(text)[...]
        var isNegative = false
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") {
            isNegative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        if rest.elementsEqual([UInt8(ascii: "0")]) { return .duration(0) }
        guard !rest.isEmpty else { return .error }
        var exact: Int64 = 0
        while !rest.isEmpty {
            let whole = rest.prefix { $0 &- 48 < 10 }
            rest = rest.dropFirst(whole.count)
            var fraction = rest[rest.startIndex..<rest.startIndex]
            if rest.first == UInt8(ascii: ".") {
                rest = rest.dropFirst()
                fraction = rest.prefix { $0 &- 48 < 10 }
                rest = rest.dropFirst(fraction.count)
            }
            guard !whole.isEmpty || !fraction.isEmpty, let unit = unit(&rest) else { return .error }
            guard let number = whole.isEmpty ? 0 : Int64(String(decoding: whole, as: UTF8.self)) else { return .error }
            let (product, overflow) = number.multipliedReportingOverflow(by: unit)
            // Of a fraction of an hour 13 digits can be a nanosecond. A decimal may come out a hair below what it is.
            var part = 0.0
            for digit in fraction.prefix(16).reversed() { part = (part + Double(digit - 48)) / 10 }
            let (total, tooLong) = exact.addingReportingOverflow(product)
            let (all, muchTooLong) = total.addingReportingOverflow(Int64((part * Double(unit) + 0.001).rounded(.down)))
            guard !overflow, !tooLong, !muchTooLong else { return .error }
            exact = all
        }
        return .duration(isNegative ? -exact : exact)
    }

    private static func unit(_ rest: inout ArraySlice<UInt8>) -> Int64? {
        let units: [(String, Int64)] = [
            ("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
        ]
        guard let found = units.first(where: { rest.starts(with: $0.0.utf8) }) else { return nil }
        rest = rest.dropFirst(found.0.utf8.count)
        return found.1
    }
}
