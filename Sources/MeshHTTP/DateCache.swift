// SPDX-License-Identifier: Apache-2.0

/// The value of `Date` (RFC 9110 §5.6.7, IMF-fixdate), rendered once a second.
package struct DateCache: ~Copyable {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`
    package static var length: Int { 29 }

    private let buffer: UnsafeMutableRawBufferPointer
    private var second = UInt64.max

    package init() { buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: DateCache.length, alignment: 1) }

    deinit { buffer.deallocate() }

    /// The text of the second that `wallClock` lies in. Valid until the next call.
    ///
    /// - Parameter wallClock: nanoseconds since 1970-01-01T00:00:00Z (`EventLoop.wallClock`).
    package mutating func text(at wallClock: UInt64) -> UnsafeRawBufferPointer {
        let now = wallClock / 1_000_000_000
        if now != second {
            second = now
            DateCache.write(now, to: buffer)
        }
        return UnsafeRawBufferPointer(buffer)
    }

    /// Writes the text of `seconds` since the epoch into a buffer of at least `length` bytes. Years above 9999 are cut.
    package static func write(_ seconds: UInt64, to buffer: UnsafeMutableRawBufferPointer) {
        guard buffer.count >= length else { return }
        let days = Int(clamping: seconds / 86_400)
        let time = Int(seconds % 86_400)
        let (year, month, day) = civil(days)
        // 1970-01-01 was a Thursday.
        copy("SunMonTueWedThuFriSat", (days &+ 4) % 7, to: buffer, at: 0)
        buffer[3] = UInt8(ascii: ",")
        buffer[4] = 0x20
        digits(day, to: buffer, at: 5)
        buffer[7] = 0x20
        copy("JanFebMarAprMayJunJulAugSepOctNovDec", month &- 1, to: buffer, at: 8)
        buffer[11] = 0x20
        digits(year / 100 % 100, to: buffer, at: 12)
        digits(year % 100, to: buffer, at: 14)
        buffer[16] = 0x20
        digits(time / 3600, to: buffer, at: 17)
        buffer[19] = UInt8(ascii: ":")
        digits(time / 60 % 60, to: buffer, at: 20)
        buffer[22] = UInt8(ascii: ":")
        digits(time % 60, to: buffer, at: 23)
        copy(" GM", 0, to: buffer, at: 25)
        buffer[28] = UInt8(ascii: "T")
    }

    /// The proleptic Gregorian date of a day count since 1970-01-01, by eras of 400 years that begin on 1 March.
    static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        // 719,468 days lie between 0000-03-01 and the epoch; an era has 146,097.
        let (shifted, overflow) = days.addingReportingOverflow(719_468)
        if overflow { return (9999, 12, 31) }
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Months from March, in runs of five that have 153 days.
        let marchMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        let month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        return (era &* 400 &+ yearOfEra &+ (month <= 2 ? 1 : 0), month, day)
    }

    private static func digits(_ value: Int, to buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        buffer[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / 10)
        buffer[offset &+ 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value % 10)
    }

    private static func copy(
        _ names: StaticString, _ index: Int, to buffer: UnsafeMutableRawBufferPointer, at offset: Int
    ) {
        let start = names.utf8Start + index &* 3
        buffer[offset] = start[0]
        buffer[offset &+ 1] = start[1]
        buffer[offset &+ 2] = start[2]
    }
}
