// SPDX-License-Identifier: Apache-2.0

/// The messages of google.protobuf that have a JSON form of their own.
enum WellKnown {
    /// The scalar inside a wrapper message, or nil if it is none.
    static func wrapped(_ type: String) -> ScalarType? {
        switch type {
        case "google.protobuf.BoolValue": .bool
        case "google.protobuf.StringValue": .string
        case "google.protobuf.BytesValue": .bytes
        case "google.protobuf.DoubleValue": .double
        case "google.protobuf.FloatValue": .float
        case "google.protobuf.Int32Value": .int32
        case "google.protobuf.Int64Value": .int64
        case "google.protobuf.UInt32Value": .uint32
        case "google.protobuf.UInt64Value": .uint64
        default: nil
        }
    }

    static func isKnown(_ type: String) -> Bool {
        switch type {
        case "google.protobuf.Duration", "google.protobuf.Timestamp", "google.protobuf.Any", "google.protobuf.Struct",
            "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Empty", "google.protobuf.FieldMask":
            true
        default: wrapped(type) != nil
        }
    }

    /// Largest magnitude of a `Duration`, seconds: ten thousand years, from duration.proto.
    private static let largestDuration: Int64 = 315_576_000_000

    /// `-1.5s` as (-1, -500000000).
    static func duration(_ text: String) -> (seconds: Int64, nanos: Int32)? {
        guard text.hasSuffix("s") else { return nil }
        var body = text.dropLast()
        let isNegative = body.hasPrefix("-")
        if isNegative { body = body.dropFirst() }
        let parts = body.split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let seconds = digits(parts[0]), seconds <= largestDuration else {
            return nil
        }
        guard let nanos = parts.count == 2 ? fraction(parts[1]) : 0 else { return nil }
        return isNegative ? (-seconds, -nanos) : (seconds, nanos)
    }

    /// RFC 3339, with offset.
    static func timestamp(_ text: String) -> (seconds: Int64, nanos: Int32)? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, text.utf8.count == text.count else { return nil }
        func number(_ range: Range<Int>) -> Int64? { digits(Substring(String(decoding: bytes[range], as: UTF8.self))) }
        let marks: [(Int, String)] = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")]
        guard marks.allSatisfy({ $0.1.utf8.contains(bytes[$0.0]) }), let year = number(0..<4),
            let month = number(5..<7),
            let day = number(8..<10), let hour = number(11..<13), let minute = number(14..<16),
            let second = number(17..<19),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        var rest = Substring(String(decoding: bytes[19...], as: UTF8.self))
        var nanos: Int32 = 0
        if rest.hasPrefix(".") {
            let part = rest.dropFirst().prefix { $0.isNumber }
            guard let value = fraction(part) else { return nil }
            nanos = value
            rest = rest.dropFirst(part.count + 1)
        }
        var offset: Int64 = 0
        if rest != "Z" && rest != "z" {
            let parts = rest.dropFirst().split(separator: ":")
            guard rest.hasPrefix("+") || rest.hasPrefix("-"), parts.count == 2, let hours = digits(parts[0]),
                let minutes = digits(parts[1]),
                hours < 24, minutes < 60
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (rest.hasPrefix("-") ? -1 : 1)
        }
        return (daysSinceEpoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset, nanos)
    }

    /// Up to nine digits as nanoseconds.
    private static func fraction(_ text: Substring) -> Int32? {
        guard (1...9).contains(text.count), let value = digits(text) else { return nil }
        return Int32(clamping: (text.count..<9).reduce(value) { sum, _ in sum * 10 })
    }

    private static func digits(_ text: Substring) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text)
    }

    /// Days from 1970-01-01 in the proleptic Gregorian calendar; years begin in March, so that the leap day is the
    /// last one.
    private static func daysSinceEpoch(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// A duration as protobuf prints it: no, three, six or nine decimals.
    static func durationText(seconds: Int64, nanos: Int32) -> String {
        let sign = seconds < 0 || nanos < 0 ? "-" : ""
        return sign + String(seconds.magnitude) + fractionText(nanos.magnitude) + "s"
    }

    /// A timestamp in RFC 3339, UTC.
    static func timestampText(seconds: Int64, nanos: Int32) -> String {
        let day = Int64((Double(seconds) / 86400).rounded(.down))
        let second = seconds &- day &* 86400
        let shifted = day &+ 719_468
        let era = (shifted >= 0 ? shifted : shifted &- 146_096) / 146_097
        let dayOfEra = shifted &- era &* 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra &+ era &* 400 &+ (month <= 2 ? 1 : 0)
        func padded(_ value: Int64, _ width: Int = 2) -> String {
            let text = String(value.magnitude)
            return String(repeating: "0", count: max(0, width - text.count)) + text
        }
        let date = "\(padded(year, 4))-\(padded(month))-\(padded(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1))"
        let time = "\(padded(second / 3600)):\(padded(second / 60 % 60)):\(padded(second % 60))"
        return date + "T" + time + fractionText(nanos.magnitude) + "Z"
    }

    private static func fractionText(_ nanos: UInt32) -> String {
        if nanos == 0 { return "" }
        let digits = String(nanos)
        var text = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
        while text.hasSuffix("000") { text.removeLast(3) }
        return "." + text
    }
}
