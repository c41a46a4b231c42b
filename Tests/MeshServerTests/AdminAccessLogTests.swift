// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshIO
import MeshModel
import MeshStats
import Testing

@testable import MeshServer

struct AdminAccessLogTests {
    /// The pool of a record ended before the headers that lay in it, which then gave their memory to nobody.
    @Test func aRecordLetsGoOfItsHeadersBeforeItsPoolEnds() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("apus-admin-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let writer = LogWriter(catalog: StatCatalog())
        let format = try FormatTemplate.compile("%REQ(:METHOD)% %REQ(:PATH)% %RESPONSE_CODE%\n")
        let log = try AdminAccessLog(
            [AccessLogConfig(.file(path), format: format)], sink: writer, runtime: Runtime(),
            localAddress: .ipv4(0x7F00_0001, port: 9901), hostAddress: .ipv4(0x0A00_0001, port: 0))
        let parsed = LocalRequestParser.parse(Array("GET /ready HTTP/1.1\r\nhost: a\r\n\r\n".utf8))
        guard case .request(let request, _) = parsed else {
            Issue.record("not a request: \(parsed)")
            return
        }
        log.write(request, LocalResponse(200, "LIVE\n"), start: 0)
        writer.start()
        writer.stop()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "GET /ready 200\n")
    }
}
