// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshServer
import Testing

struct ApplicationLogTests {
    private let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-log-\(UUID().uuidString)").path

    private func lines(_ log: ApplicationLog, _ write: (ApplicationLog) -> Void) throws -> String {
        defer { try? FileManager.default.removeItem(atPath: path) }
        #expect(log.open(path: path))
        write(log)
        return try String(contentsOfFile: path, encoding: .utf8)
    }

    @Test func theDefaultFormatIsEnvoys() throws {
        let text = try lines(ApplicationLog()) { $0.warning("main", "hello") }
        let pattern = try Regex(
            #"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\]\[\d+\]\[warning\]\[main\] \[[A-Za-z/]+\.swift:\d+\] hello\n$"#)
        #expect(text.wholeMatch(of: pattern) != nil, "\(text)")
    }

    @Test(arguments: [
        ("%v", "a\nb", false, "a\nb"), ("%v", "a\nb", true, "a\\nb"), ("%_", "a\nb", false, "a\\nb"),
        ("{\"m\":\"%j\"}", "say \"x\"\\", false, "{\"m\":\"say \\\"x\\\"\\\\\"}"), ("%l|%L|%n", "", false, "error|E|config"),
        ("100%% %q", "", false, "100% %q"), ("end %", "", false, "end %"),
    ])
    func patternsAreExpanded(format: String, message: String, escapes: Bool, expected: String) throws {
        let text = try lines(ApplicationLog(format: format, escapes: escapes)) { $0.error("config", message) }
        #expect(text == expected + "\n")
    }

    @Test func levelsHoldPerComponent() throws {
        let log = ApplicationLog(level: .warning, format: "%n %v")
        log.setLevel(.debug, component: "http")
        log.setLevel(.off, component: "main")
        let text = try lines(log) { log in
            log.info("config", "quiet")
            log.info("http", "heard")
            log.critical("main", "off")
            log.warning("config", "loud")
        }
        #expect(text == "http heard\nconfig loud\n")
    }

    @Test func aRenamedLogIsOpenedAgain() throws {
        let log = ApplicationLog(format: "%v")
        defer { for name in [path, path + ".1"] { try? FileManager.default.removeItem(atPath: name) } }
        #expect(log.open(path: path))
        log.warning("main", "one")
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        log.reopen()
        log.warning("main", "two")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "two\n")
        #expect(try String(contentsOfFile: path + ".1", encoding: .utf8) == "one\n")
    }

    @Test(arguments: [("warn", LogLevel.warning), ("warning", .warning), ("off", .off), ("verbose", nil), ("Info", nil)])
    func levelNamesAreEnvoys(name: String, level: LogLevel?) {
        #expect(LogLevel(name: name) == level)
    }
}
