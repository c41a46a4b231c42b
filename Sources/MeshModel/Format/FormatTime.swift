// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Points in time as text, for `%START_TIME(FORMAT)%` and its like.
package enum FormatTime {
    /// Appends a time.
    ///
    /// - Parameters:
    ///   - microseconds: since 1970-01-01T00:00:00Z.
    ///   - format: strftime's letters; `%f` for nine digits of fraction and `%1f` to `%9f` for so many; `%s` for the seconds
    ///     since 1970; `%E3S`, `%E*S`, `%E3f`, `%E*f` for seconds with a fraction and the fraction alone, `%Ez` for the zone
    ///     with a colon. Empty means `2026-08-22T12:00:00.123Z`, or with a zone `…123+0000`.
    ///   - isLocal: in the zone of the machine, not in UTC.
    package static func append(
        microseconds: Int64, format: UnsafeRawBufferPointer, isLocal: Bool = false, to sink: ByteSink
    ) {
        let seconds = Int(microseconds >= 0 ? microseconds / 1_000_000 : (microseconds - 999_999) / 1_000_000)
        let fraction = UInt64(clamping: microseconds - Int64(seconds) * 1_000_000)
        if format.count == 0, !isLocal {
            appendDefault(seconds: seconds, milliseconds: fraction / 1000, to: sink)
            return
        }
        var clock = time_t(seconds)
        var parts = tm()
        if isLocal { localtime_r(&clock, &parts) } else { gmtime_r(&clock, &parts) }
        var writer = Writer(parts: parts, seconds: seconds, nanoseconds: fraction * 1000, sink: sink)
        if format.count == 0 {
            StaticString("%Y-%m-%dT%H:%M:%E3S%z").withUTF8Buffer { writer.write(UnsafeRawBufferPointer($0)) }
        } else {
            writer.write(format)
        }
    }

    /// `2026-08-22T12:00:00.123Z`: every line has one, so it is made without the C library.
    private static func appendDefault(seconds: Int, milliseconds: UInt64, to sink: ByteSink) {
        let date = CivilDate(Int64(seconds))
        sink.append(room: 24) { room in
            guard date.year >= 0, date.year <= 9999 else { return 0 }
            func put(_ value: Int64, _ at: Int, digits: Int) {
                var rest = value
                for place in stride(from: at + digits - 1, through: at, by: -1) {
                    room[place] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
            }
            put(date.year, 0, digits: 4)
            room[4] = UInt8(ascii: "-")
            put(date.month, 5, digits: 2)
            room[7] = UInt8(ascii: "-")
            put(date.day, 8, digits: 2)
            room[10] = UInt8(ascii: "T")
            put(date.hour, 11, digits: 2)
            room[13] = UInt8(ascii: ":")
            put(date.minute, 14, digits: 2)
            room[16] = UInt8(ascii: ":")
            put(date.second, 17, digits: 2)
            room[19] = UInt8(ascii: ".")
            put(Int64(milliseconds), 20, digits: 3)
            room[23] = UInt8(ascii: "Z")
            return 24
        }
    }

    /// Walks a format.
    private struct Writer {
        var parts: tm
        let seconds: Int
        let nanoseconds: UInt64
        let sink: ByteSink

        mutating func write(_ format: UnsafeRawBufferPointer) {
            var index = 0
            while index < format.count {
                let byte = format[index]
                index += 1
                guard byte == UInt8(ascii: "%"), index < format.count else {
                    sink.append(byte)
                    continue
                }
                index += conversion(UnsafeRawBufferPointer(rebasing: format[index...]))
            }
        }

        /// One conversion behind its `%`; returns its length.
        private mutating func conversion(_ text: UnsafeRawBufferPointer) -> Int {
            if text[0] &- 49 < 9, text.count > 1, text[1] == UInt8(ascii: "f") || text[1] == UInt8(ascii: "s") {
                if text[1] == UInt8(ascii: "f") { fraction(Int(text[0] &- 48)) } else { epoch() }
                return 2
            }
            switch text[0] {
            case UInt8(ascii: "f"): fraction(9)
            case UInt8(ascii: "s"): epoch()
            case UInt8(ascii: "%"): sink.append(text[0])
            case UInt8(ascii: "E"): return extended(text)
            default: standard(text[0])
            }
            return 1
        }

        private func fraction(_ digits: Int) {
            var divisor: UInt64 = 1
            for _ in 0..<(9 - digits) { divisor *= 10 }
            sink.append(decimal: nanoseconds / divisor, digits: digits)
        }

        private func epoch() { sink.append(decimal: UInt64(clamping: seconds)) }

        /// The fraction without zeros at its end; nothing for none.
        private func shortFraction() -> Int {
            var (digits, rest) = (9, nanoseconds)
            while digits > 0, rest % 10 == 0 {
                rest /= 10
                digits -= 1
            }
            return digits
        }

        /// Conversions that begin with `%E`.
        private mutating func extended(_ text: UnsafeRawBufferPointer) -> Int {
            if text.count > 1, text[1] == UInt8(ascii: "z") {
                zone()
                return 2
            }
            guard text.count > 2, text[1] &- 48 <= 9 || text[1] == UInt8(ascii: "*"),
                text[2] == UInt8(ascii: "S") || text[2] == UInt8(ascii: "f")
            else {
                // As Envoy's library: what it does not know stays.
                sink.append("%E")
                return 1
            }
            let digits = text[1] == UInt8(ascii: "*") ? shortFraction() : Int(text[1] &- 48)
            if text[2] == UInt8(ascii: "S") {
                sink.append(decimal: UInt64(clamping: parts.tm_sec), digits: 2)
                if digits > 0 { sink.append(UInt8(ascii: ".")) }
            }
            if digits > 0 { fraction(digits) }
            return 3
        }

        /// `+00:00`.
        private func zone() {
            let minutes = abs(Int(parts.tm_gmtoff)) / 60
            sink.append(UInt8(ascii: parts.tm_gmtoff < 0 ? "-" : "+"))
            sink.append(decimal: UInt64(minutes / 60), digits: 2)
            sink.append(UInt8(ascii: ":"))
            sink.append(decimal: UInt64(minutes % 60), digits: 2)
        }

        private mutating func standard(_ letter: UInt8) {
            let pattern: [CChar] = [CChar(UInt8(ascii: "%")), CChar(bitPattern: letter), 0]
            var parts = parts
            sink.append(room: 64) { room in
                guard let base = room.baseAddress else { return 0 }
                return strftime(base.assumingMemoryBound(to: CChar.self), 64, pattern, &parts)
            }
        }
    }
}
