// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// The `grpc-timeout` field: at most eight digits and a unit.
package enum GRPCTimeout {
    /// Bytes of the longest value.
    package static let maxLength = 9
    /// The largest number of eight digits.
    private static let maxNumber: UInt64 = 99_999_999

    /// Milliseconds, parts of one counting as a whole one; nil for a value that is none.
    package static func milliseconds(_ value: UnsafeRawBufferPointer) -> UInt64? {
        guard let unit = value.last,
            let number = DecimalText.parse(UnsafeRawBufferPointer(rebasing: value.dropLast())), number <= maxNumber
        else { return nil }
        // Eight digits of hours are far below 2⁶⁴ milliseconds.
        return switch unit {
        case UInt8(ascii: "H"): number * 3_600_000
        case UInt8(ascii: "M"): number * 60_000
        case UInt8(ascii: "S"): number * 1000
        case UInt8(ascii: "m"): number
        case UInt8(ascii: "u"): (number + 999) / 1000
        case UInt8(ascii: "n"): (number + 999_999) / 1_000_000
        default: nil
        }
    }

    /// Writes a value with the finest unit from milliseconds on in which it has at most eight digits; a longer time than
    /// any becomes the longest. The buffer needs `maxLength` bytes, and those used are returned.
    package static func write(milliseconds: UInt64, to buffer: UnsafeMutableRawBufferPointer) -> Int {
        var number = milliseconds
        var unit = UInt8(ascii: "m")
        if number > maxNumber {
            number /= 1000
            unit = UInt8(ascii: "S")
        }
        if number > maxNumber {
            number /= 60
            unit = UInt8(ascii: "M")
        }
        if number > maxNumber {
            number = min(number / 60, maxNumber)
            unit = UInt8(ascii: "H")
        }
        let digits = DecimalText.write(number, to: buffer, at: 0)
        buffer[digits] = unit
        return digits + 1
    }
}

extension GRPCTimeout {
    /// The time a client's `grpc-timeout` leaves it on a route that honours the field (`max_stream_duration`).
    ///
    /// - Parameters:
    ///   - asked: milliseconds of the field.
    ///   - cap: `grpc_timeout_header_max`, milliseconds; 0 is none.
    ///   - offset: `grpc_timeout_header_offset`, milliseconds.
    /// - Returns: milliseconds; 0 is no time at all.
    package static func streamLimit(asked: UInt64, cap: UInt64, offset: UInt64) -> UInt64 {
        let capped = cap > 0 ? min(asked, cap) : asked
        return capped > offset ? capped - offset : 0
    }

    /// The same for the older `max_grpc_timeout` and `grpc_timeout_offset`, where 0 is no limit: so an offset that would
    /// leave nothing is not taken off.
    ///
    /// - Parameter asked: milliseconds of the field; 0 without one.
    package static func routeTimeout(asked: UInt64, cap: UInt64, offset: UInt64) -> UInt64 {
        let reduced = offset < asked ? asked - offset : asked
        guard cap > 0 else { return reduced }
        return reduced == 0 ? cap : min(reduced, cap)
    }
}
