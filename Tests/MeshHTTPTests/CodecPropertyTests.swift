// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshTestKit
import Testing

/// Random messages: valid ones come out as they were made under every split, and any bytes at all are survived.
struct CodecPropertyTests {
    private func token(_ random: inout SeededRandom) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_!#$%&'*+.^`|~")
        return "x-" + String((0..<1 + random.below(30)).map { _ in letters[random.below(letters.count)] })
    }

    private func value(_ random: inout SeededRandom) -> String {
        var text = ""
        for _ in 0..<random.below(60) {
            let code = 0x20 + random.below(0xE0)
            if code != 0x7F { text.unicodeScalars.append(Unicode.Scalar(UInt8(code))) }
        }
        return text
    }

    private func trimmed(_ value: String) -> String {
        var scalars = Array(value.unicodeScalars)
        while scalars.last == " " { scalars.removeLast() }
        while scalars.first == " " { scalars.removeFirst() }
        return String(String.UnicodeScalarView(scalars))
    }

    private func lower(_ name: String) -> String { String(name.utf8.map { Character(Unicode.Scalar(ASCII.lowercase($0))) }) }

    @Test(arguments: 0..<60) func validRequestsComeOutAsTheyWereMade(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        var text = ""
        var expected: [CodecTrace.Event] = []
        for _ in 0..<1 + random.below(3) {
            var head = ":method: POST\n:path: /p\n:scheme: http\n:authority: h\n"
            text += "POST /p HTTP/1.1\nHost: h\n"
            for _ in 0..<random.below(8) {
                let (name, value) = (token(&random), value(&random))
                text += "\(name): \(value)\n"
                head += "\(lower(name)): \(trimmed(value))\n"
            }
            let body = String((0..<random.below(80)).map { _ in Character(Unicode.Scalar(UInt8(0x61 + random.below(26)))) })
            if random.below(2) == 0 {
                text += "Content-Length: \(body.count)\n\n" + body
                head += "content-length: \(body.count)\n[post HTTP/1.1 length(\(body.count))]"
            } else {
                text += "Transfer-Encoding: chunked\n\n"
                head += "transfer-encoding: chunked\n[post HTTP/1.1 chunked]"
                var rest = Substring(body)
                while !rest.isEmpty {
                    let piece = rest.prefix(1 + random.below(20))
                    text += "\(String(piece.count, radix: 16, uppercase: random.below(2) == 0))\n\(piece)\n"
                    rest = rest.dropFirst(piece.count)
                }
                text += "0\n\n"
            }
            expected.append(.head(head))
            if !body.isEmpty { expected.append(.body(body)) }
            expected.append(.end)
        }
        #expect(requests(text).events == expected, "seed \(seed)")
    }

    /// Bytes of a valid conversation with a few changed, dropped or repeated: every split agrees, and nothing traps.
    @Test(arguments: 0..<16) func mutatedRequestsAreReadAlikeUnderEverySplit(seed: Int) {
        var random = SeededRandom(seed: UInt64(1000 + seed))
        let valid = wire(
            "POST /a#b HTTP/1.1\nHost: h:80\nTransfer-Encoding: chunked\nConnection: upgrade, close\nX-A: b \n\n"
                + "5;x=y\nabcde\n0\nT: u\n\nGET http://h/x HTTP/1.0\nhost: h\nContent-Length: 3\n\nabc")
        for _ in 0..<12 {
            var bytes = valid
            for _ in 0..<1 + random.below(4) { mutate(&bytes, &random) }
            var splits = CodecSplits()
            splits.serverOptions.acceptsHTTP10 = true
            splits.serverOptions.enableTrailers = true
            splits.serverOptions.stripsFragment = true
            splits.endsInput = true
            let disagreements = splits.requests(bytes).disagreements
            #expect(disagreements == [], "seed \(seed) \(latin1(bytes))")
        }
    }

    @Test(arguments: 0..<16) func mutatedResponsesAreReadAlikeUnderEverySplit(seed: Int) {
        var random = SeededRandom(seed: UInt64(2000 + seed))
        let valid = wire(
            "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nTransfer-Encoding: chunked\nConnection: close\n\n5;x=y\nabcde\n0\nT: u\n\n"
                + "HTTP/1.0 200 OK\nContent-Length: 3\n\nabcHTTP/1.1 204 No\n\nHTTP/1.1 200 OK\n\nrest")
        for _ in 0..<12 {
            var bytes = valid
            for _ in 0..<1 + random.below(4) { mutate(&bytes, &random) }
            var splits = CodecSplits()
            splits.methods = [.get, .get, .post, .get]
            splits.clientOptions.enableTrailers = true
            splits.endsInput = true
            let disagreements = splits.responses(bytes).disagreements
            #expect(disagreements == [], "seed \(seed) \(latin1(bytes))")
        }
    }

    @Test func randomBytesAreSurvived() {
        var random = SeededRandom(seed: 99)
        for _ in 0..<3000 {
            let bytes = (0..<random.below(120)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            _ = CodecSplits().requestTrace([bytes[...]])
            _ = CodecSplits().responseTrace([(Array("HTTP/1.1 ".utf8) + bytes)[...]])
        }
    }

    private func mutate(_ bytes: inout [UInt8], _ random: inout SeededRandom) {
        guard !bytes.isEmpty else { return }
        let place = random.below(bytes.count)
        let interesting: [UInt8] = [0, 9, 10, 13, 32, 35, 44, 48, 58, 59, 95, 102, 127, 128, 255]
        switch random.below(5) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[place] = interesting[random.below(interesting.count)]
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(interesting[random.below(interesting.count)], at: place)
        default:
            let end = min(bytes.count, place + 1 + random.below(20))
            bytes.insert(contentsOf: bytes[place..<end], at: random.below(bytes.count))
        }
    }
}
