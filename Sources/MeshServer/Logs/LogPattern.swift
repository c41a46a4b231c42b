// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One application log line before it is written.
struct LogRecord {
    let level: LogLevel
    /// Envoy's logger name, such as `main` or `config`.
    let component: String
    let message: String
    let file: String
    let line: Int
    let time: timespec
    let thread: Int32

    /// The same with a message of at most so many bytes.
    func shortened(to limit: Int) -> LogRecord {
        guard message.utf8.count > limit else { return self }
        return LogRecord(
            level: level, component: component, message: String(decoding: message.utf8.prefix(limit), as: UTF8.self) + "…",
            file: file, line: line, time: time, thread: thread)
    }
}

/// `--log-format`: the pattern flags of Envoy's log library (`%Y`, `%T`, `%e`, `%l`, `%n`, `%v`, …). An unknown flag is printed
/// as it stands.
struct LogPattern: Sendable {
    private let pattern: [UInt8]
    private let escapes: Bool

    /// - Parameter escapes: `--log-format-escaped`: line feeds and the like inside a message are written as `\n`.
    init(_ text: String, escapes: Bool) {
        pattern = Array(text.utf8)
        self.escapes = escapes
    }

    /// The line, with its line feed.
    func line(_ record: LogRecord) -> [UInt8] {
        var output: [UInt8] = []
        var calendar = tm()
        var seconds = record.time.tv_sec
        localtime_r(&seconds, &calendar)
        var index = 0
        while index < pattern.count {
            guard pattern[index] == UInt8(ascii: "%"), index + 1 < pattern.count else {
                output.append(pattern[index])
                index += 1
                continue
            }
            append(flag: pattern[index + 1], record, calendar, to: &output)
            index += 2
        }
        output.append(UInt8(ascii: "\n"))
        return output
    }

    private func append(flag: UInt8, _ record: LogRecord, _ calendar: tm, to output: inout [UInt8]) {
        func number(_ value: Int, _ width: Int) {
            let text = String(value)
            for _ in 0..<max(0, width - text.utf8.count) { output.append(UInt8(ascii: "0")) }
            output += text.utf8
        }
        func time() {
            number(Int(calendar.tm_hour), 2)
            output.append(UInt8(ascii: ":"))
            number(Int(calendar.tm_min), 2)
            output.append(UInt8(ascii: ":"))
            number(Int(calendar.tm_sec), 2)
        }
        let nanoseconds = Int(record.time.tv_nsec)
        switch flag {
        case UInt8(ascii: "Y"): number(Int(calendar.tm_year) + 1900, 4)
        case UInt8(ascii: "m"): number(Int(calendar.tm_mon) + 1, 2)
        case UInt8(ascii: "d"): number(Int(calendar.tm_mday), 2)
        case UInt8(ascii: "H"): number(Int(calendar.tm_hour), 2)
        case UInt8(ascii: "M"): number(Int(calendar.tm_min), 2)
        case UInt8(ascii: "S"): number(Int(calendar.tm_sec), 2)
        case UInt8(ascii: "T"): time()
        case UInt8(ascii: "e"): number(nanoseconds / 1_000_000, 3)
        case UInt8(ascii: "f"): number(nanoseconds / 1_000, 6)
        case UInt8(ascii: "F"): number(nanoseconds, 9)
        case UInt8(ascii: "E"): number(Int(record.time.tv_sec), 1)
        case UInt8(ascii: "z"):
            let minutes = calendar.tm_gmtoff / 60
            output.append(UInt8(ascii: minutes < 0 ? "-" : "+"))
            number(abs(minutes) / 60, 2)
            output.append(UInt8(ascii: ":"))
            number(abs(minutes) % 60, 2)
        case UInt8(ascii: "t"): number(Int(record.thread), 1)
        case UInt8(ascii: "P"): number(Int(getpid()), 1)
        case UInt8(ascii: "l"): output += record.level.name.utf8
        case UInt8(ascii: "L"): output += record.level.name.utf8.prefix(1).map { $0 & 0xDF }
        case UInt8(ascii: "n"): output += record.component.utf8
        case UInt8(ascii: "g"): output += record.file.utf8
        case UInt8(ascii: "s"): output += (record.file.split(separator: "/").last ?? "").utf8
        case UInt8(ascii: "#"): number(record.line, 1)
        case UInt8(ascii: "@"): output += "\(record.file):\(record.line)".utf8
        case UInt8(ascii: "v"): LogPattern.append(record.message, escaped: escapes, quotes: false, to: &output)
        case UInt8(ascii: "_"): LogPattern.append(record.message, escaped: true, quotes: false, to: &output)
        case UInt8(ascii: "j"): LogPattern.append(record.message, escaped: true, quotes: true, to: &output)
        case UInt8(ascii: "%"): output.append(flag)
        default: output += [UInt8(ascii: "%"), flag]
        }
    }

    /// - Parameter quotes: also escape `"` and `\`, for a message inside JSON.
    private static func append(_ text: String, escaped: Bool, quotes: Bool, to output: inout [UInt8]) {
        guard escaped else {
            output += text.utf8
            return
        }
        for byte in text.utf8 {
            switch byte {
            case 0x0A: output += "\\n".utf8
            case 0x0D: output += "\\r".utf8
            case 0x09: output += "\\t".utf8
            case 0x22 where quotes, 0x5C where quotes: output += [0x5C, byte]
            case 0..<0x20 where quotes: output += "?".utf8
            default: output.append(byte)
            }
        }
    }
}
