// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshIO
import MeshServer
import Testing

/// The server of admin, over loopback.
struct LocalServerTests {
    let server: LocalServer
    let address: Address

    init() throws {
        let socket = try LocalSocket.listen(on: .ipv4(0x7F00_0001, port: 0))
        address = socket.address
        server = LocalServer(socket: socket, name: "test", server: "test") { request in
            LocalResponse(request.path == "/big" ? String(repeating: "x", count: 4 << 20) : "you asked for \(request.path)\n")
        }
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() {
        let answer = LocalClient.exchange(
            address, "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nconnection: close\r\n\r\n") ?? ""
        let found = answer.replacing("\r\n", with: "\n").split(separator: "\n").filter { $0.hasPrefix("you asked for") }
        #expect(found == ["you asked for /a", "you asked for /b"])
        server.stop()
    }

    @Test func aLargeAnswerArrivesWhole() {
        let answer = LocalClient.exchange(address, "GET /big HTTP/1.0\r\n\r\n") ?? ""
        #expect(answer.utf8.count > 4 << 20)
        server.stop()
    }

    @Test func garbageIsAnswered400AndClosed() {
        #expect(LocalClient.exchange(address, "\u{16}\u{3}\u{1}\r\n\r\n")?.hasPrefix("HTTP/1.1 400 ") == true)
        server.stop()
    }

    @Test func aPortInUseIsRefused() {
        #expect(throws: (any Error).self) { try LocalSocket.listen(on: address) }
        server.stop()
    }

    @Test func aSilentConnectionDoesNotHoldTheOthers() throws {
        let silent = try #require(LocalClient.connect(address))
        defer { close(silent) }
        #expect(LocalClient.exchange(address, "GET /x HTTP/1.0\r\n\r\n")?.contains("you asked for /x") == true)
        server.stop()
    }
}
