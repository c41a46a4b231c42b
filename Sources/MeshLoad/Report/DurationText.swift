// SPDX-License-Identifier: Apache-2.0

/// Times, counts and sizes as people read them.
public enum DurationText {
    /// `812 ns`, `45.2 µs`, `3.10 ms`, `1.25 s`. - Parameter nanoseconds: to three digits.
    public static func text(_ nanoseconds: UInt64) -> String {
        let value = Double(nanoseconds)
        if value < 1e3 { return "\(nanoseconds) ns" }
        if value < 1e6 { return digits(value / 1e3) + " µs" }
        if value < 1e9 { return digits(value / 1e6) + " ms" }
        return digits(value / 1e9) + " s"
    }

    /// `12.4 k`, `1.30 M`.
    public static func count(_ value: Double) -> String {
        if value < 1e4 { return value == value.rounded() ? String(Int(value)) : digits(value) }
        if value < 1e6 { return digits(value / 1e3) + " k" }
        if value < 1e9 { return digits(value / 1e6) + " M" }
        return digits(value / 1e9) + " G"
    }

    /// `10.6 MB`.
    public static func bytes(_ value: UInt64) -> String {
        let number = Double(value)
        if number < 1e3 { return "\(value) B" }
        if number < 1e6 { return digits(number / 1e3) + " kB" }
        if number < 1e9 { return digits(number / 1e6) + " MB" }
        return digits(number / 1e9) + " GB"
    }

    /// Three digits that count.
    public static func digits(_ value: Double) -> String {
        if value >= 100 || value < 0 { return String(Int(value.rounded())) }
        return value >= 10 ? fixed(value, 1) : fixed(value, 2)
    }

    /// So many digits behind the point.
    public static func fixed(_ value: Double, _ places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let number = Int((abs(value) * scale).rounded())
        let whole = number / Int(scale)
        var rest = String(number % Int(scale))
        while rest.count < places { rest = "0" + rest }
        return (value < 0 && number > 0 ? "-" : "") + (places == 0 ? "\(whole)" : "\(whole).\(rest)")
    }
}
