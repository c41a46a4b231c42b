// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshIO
import MeshServer
import Synchronization
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

    /// A long answer is made between the questions of others: this one ends only when the other was answered.
    @Test func aShortQuestionIsAnsweredInsideALongAnswer() throws {
        let socket = try LocalSocket.listen(on: .ipv4(0x7F00_0001, port: 0))
        let shared = Shared(Atomic(false), Atomic(false))
        let server = LocalServer(socket: socket, name: "test", server: "test") { request in
            guard request.path == "/long" else {
                shared.hasAnswered.store(true, ordering: .relaxed)
                return LocalResponse("LIVE\n")
            }
            var rest = 20_000_000
            return LocalResponse(contentType: LocalResponse.text) { output in
                rest -= 1
                if shared.hasAnswered.load(ordering: .relaxed) {
                    output += "end\n".utf8
                    return false
                }
                if rest == 0 { shared.wasLate.store(true, ordering: .relaxed) }
                return rest > 0
            }
        }
        let long = try #require(LocalClient.connect(socket.address))
        defer { close(long) }
        let request = Array("GET /long HTTP/1.0\r\n\r\n".utf8)
        #expect(send(long, request, request.count, 0) == request.count)
        #expect(LocalClient.exchange(socket.address, "GET /ready HTTP/1.0\r\n\r\n")?.hasSuffix("LIVE\n") == true)
        let wasLate = shared.wasLate.load(ordering: .relaxed)
        #expect(!wasLate)
        server.stop()
    }

    /// Who does not read holds neither the others nor the memory for the whole answer.
    @Test func aReaderThatDoesNotReadGetsNoMoreThanABuffer() throws {
        let socket = try LocalSocket.listen(on: .ipv4(0x7F00_0001, port: 0))
        let shared = Shared(Atomic(false), Atomic(false))
        let server = LocalServer(socket: socket, name: "test", server: "test") { request in
            guard request.path == "/long" else { return LocalResponse("LIVE\n") }
            var rest = 20_000
            return LocalResponse(contentType: LocalResponse.text) { output in
                rest -= 1
                output += [UInt8](repeating: 0x78, count: 64 << 10)
                if rest == 0 { shared.hasAnswered.store(true, ordering: .relaxed) }
                return rest > 0
            }
        }
        let long = try #require(LocalClient.connect(socket.address))
        let request = Array("GET /long HTTP/1.1\r\n\r\n".utf8)
        #expect(send(long, request, request.count, 0) == request.count)
        for _ in 0..<3 {
            #expect(LocalClient.exchange(socket.address, "GET /ready HTTP/1.0\r\n\r\n")?.hasSuffix("LIVE\n") == true)
        }
        let isAllMade = shared.hasAnswered.load(ordering: .relaxed)
        #expect(!isAllMade)
        close(long)
        server.stop()
    }

    @Test func piecesAreChunksAndTheNextRequestWaitsForTheirEnd() throws {
        let socket = try LocalSocket.listen(on: .ipv4(0x7F00_0001, port: 0))
        let server = LocalServer(socket: socket, name: "test", server: "test") { request in
            var pieces = ["one\n", "", "three\n"]
            return LocalResponse(contentType: LocalResponse.text) { output in
                output += pieces.removeFirst().utf8
                return !pieces.isEmpty
            }
        }
        let answer = LocalClient.exchange(
            socket.address, "GET /a HTTP/1.1\r\n\r\nHEAD /b HTTP/1.1\r\n\r\nGET /c HTTP/1.0\r\n\r\n") ?? ""
        let parts = answer.split(separator: "\r\n\r\n", omittingEmptySubsequences: false).map { $0.replacing("\r\n", with: "|") }
        #expect(parts.count == 5, "\(parts)")
        #expect(parts[0].hasSuffix("transfer-encoding: chunked"))
        #expect(parts[1] == "4|one\n|6|three\n|0")
        #expect(parts[2].hasSuffix("transfer-encoding: chunked"))
        #expect(parts[3].hasSuffix("connection: close") && !parts[3].contains("content-length"))
        #expect(parts[4] == "one\nthree\n")
        server.stop()
    }

    private final class Shared: Sendable {
        let hasAnswered: Atomic<Bool>
        let wasLate: Atomic<Bool>

        init(_ hasAnswered: consuming Atomic<Bool>, _ wasLate: consuming Atomic<Bool>) {
            self.hasAnswered = hasAnswered
            self.wasLate = wasLate
        }
    }
}
