// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshDataPlane
import MeshModel
import MeshServer
import MeshStats
import Testing

struct LogWriterTests {
    let catalog = StatCatalog()
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-access-\(UUID().uuidString)").path

    private func content(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    @Test func whatWorkersGaveIsInTheFileWhenTheWriterHasStopped() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = LogWriter(catalog: catalog)
        let file = try writer.open(.file(path))
        #expect(writer.write(Array("one\n".utf8), to: file))
        writer.start()
        for index in 0..<1_000 { #expect(writer.write(Array("line \(index)\n".utf8), to: file)) }
        writer.stop()
        let lines = content(path).split(separator: "\n")
        #expect(lines.count == 1_001)
        #expect(lines.first == "one")
        #expect(lines.last == "line 999")
        #expect(catalog.value(named: "filesystem.write_dropped") == 0)
    }

    @Test func theSameFileHasOneNumber() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = LogWriter(catalog: catalog)
        #expect(try writer.open(.file(path)) == writer.open(.file(path)))
        #expect(try writer.open(.standardOutput) != writer.open(.file(path)))
    }

    @Test func aFullQueueDropsLinesAndCountsThem() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = LogWriter(catalog: catalog)
        let file = try writer.open(.file(path))
        let big = Array(repeating: UInt8(ascii: "x"), count: LogWriter.queueLimit - 1) + [0x0A]
        #expect(writer.write(big, to: file))
        #expect(!writer.write(Array("a\nb\nc\n".utf8), to: file))
        writer.start()
        writer.stop()
        #expect(catalog.value(named: "filesystem.write_dropped") == 3)
        #expect(content(path).utf8.count == LogWriter.queueLimit)
    }

    @Test func aFileThatCannotBeOpenedIsRefusedWithItsName() {
        let writer = LogWriter(catalog: catalog)
        #expect(throws: LogFileFailure("unable to open file '/nonexistent/dir/log': No such file or directory")) {
            try writer.open(.file("/nonexistent/dir/log"))
        }
    }

    @Test func anUnknownFileTakesNothing() {
        let writer = LogWriter(catalog: catalog)
        #expect(!writer.write(Array("x\n".utf8), to: LogFileID(rawValue: 7)))
        #expect(!writer.write(Array("x\n".utf8), to: LogFileID(rawValue: -1)))
    }

    @Test func whatWasQueuedBeforeAReopenGoesToTheOldFile() throws {
        defer { for name in [path, path + ".1"] { try? FileManager.default.removeItem(atPath: name) } }
        let writer = LogWriter(catalog: catalog)
        let file = try writer.open(.file(path))
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        #expect(writer.write(Array("before\n".utf8), to: file))
        writer.reopen()
        writer.start()
        // The thread ends only after it has opened the file again.
        writer.stop()
        #expect(content(path + ".1") == "before\n")
        #expect(FileManager.default.fileExists(atPath: path))
    }
}
