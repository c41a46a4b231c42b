// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Points in time as text, in UTC, for `%START_TIME(FORMAT)%` and its like.
package enum FormatTime {
    /// Appends a time.
    ///
    /// - Parameters:
    ///   - microseconds: since 1970-01-01T00:00:00Z.
    ///   - format: strftime's letters, and `%f` for nine digits of fraction, `%1f` to `%9f` for so many, `%s` for
    ///     seconds
    ///     since 1970, `%3s` to `%9s` for finer units since 1970. Empty means `2026-08-22T12:00:00.123Z`.
    package static func append(microseconds: Int64, format: UnsafeRawBufferPointer, to sink: ByteSink) {
        let seconds = Int(microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000)
        let fraction = UInt64(clamping: microseconds - Int64(seconds) * 1_000_000)
        var clock = time_t(seconds)
        var parts = tm()
        gmtime_r(&clock, &parts)
        guard format.count > 0 else {
            appendDate(parts, to: sink)
            sink.append(UInt8(ascii: "T"))
            appendTime(parts, to: sink)
            sink.append(UInt8(ascii: "."))
            sink.append(decimal: fraction / 1000, digits: 3)
            sink.append(UInt8(ascii: "Z"))
            return
        }
        var index = 0
        while index < format.count {
            let byte = format[index]
            index += 1
            guard byte == UInt8(ascii: "%"), index < format.count else {
                sink.append(byte)
                continue
            }
            var digits = 0
            if format[index] &- 49 < 9, index + 1 < format.count {
                digits = Int(format[index] &- 48)
                index += 1
            }
            let letter = format[index]
            index += 1
            append(letter, digits: digits, parts: &parts, seconds: seconds, fraction: fraction, to: sink)
        }
    }

    private static func appendDate(_ parts: tm, to sink: ByteSink) {
        sink.append(decimal: UInt64(clamping: Int(parts.tm_year) + 1900), digits: 4)
        sink.append(UInt8(ascii: "-"))
        sink.append(decimal: UInt64(clamping: Int(parts.tm_mon) + 1), digits: 2)
        sink.append(UInt8(ascii: "-"))
        sink.append(decimal: UInt64(clamping: parts.tm_mday), digits: 2)
    }

    private static func appendTime(_ parts: tm, to sink: ByteSink) {
        sink.append(decimal: UInt64(clamping: parts.tm_hour), digits: 2)
        sink.append(UInt8(ascii: ":"))
        sink.append(decimal: UInt64(clamping: parts.tm_min), digits: 2)
        sink.append(UInt8(ascii: ":"))
        sink.append(decimal: UInt64(clamping: parts.tm_sec), digits: 2)
    }

    private static func append(
        _ letter: UInt8, digits: Int, parts: inout tm, seconds: Int, fraction: UInt64, to sink: ByteSink
    ) {
        switch letter {
        case UInt8(ascii: "f"):
            var divisor: UInt64 = 1
            for _ in 0..<(digits == 0 ? 0 : 9 - digits) { divisor *= 10 }
            sink.append(decimal: fraction * 1000 / divisor, digits: digits == 0 ? 9 : digits)
        case UInt8(ascii: "s"):
            sink.append(decimal: UInt64(clamping: seconds))
            if digits > 0 {
                var divisor: UInt64 = 1
                for _ in 0..<(9 - digits) { divisor *= 10 }
                sink.append(decimal: fraction * 1000 / divisor, digits: digits)
            }
        case UInt8(ascii: "%"):
            sink.append(letter)
        default:
            let pattern: [CChar] = [CChar(UInt8(ascii: "%")), CChar(bitPattern: letter), 0]
            sink.append(room: 64) { room in
                guard let base = room.baseAddress else { return 0 }
                return strftime(base.assumingMemoryBound(to: CChar.self), 64, pattern, &parts)
            }
        }
    }
}
