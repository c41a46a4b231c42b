// SPDX-License-Identifier: Apache-2.0
import Foundation
import MeshHTTP
import MeshIO
import MeshTestKit
import Testing

struct DateCacheTests {
    @Test(arguments: [
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"), (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"), (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
    ])
    func knownDates(seconds: UInt64, expected: String) {
        var cache = DateCache()
        let text = latin1(cache.text(at: seconds * 1_000_000_000 + 999_999_999))
        #expect(text == expected)
    }

    @Test func agreesWithTheSystemsCalendar() {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(identifier: "GMT")
        formatter.dateFormat = "EEE, dd MMM yyyy HH:mm:ss 'GMT'"
        var random = SeededRandom(seed: 7)
        var cache = DateCache()
        for _ in 0..<500 {
            let seconds = random.next() % 10_000_000_000
            let text = latin1(cache.text(at: seconds * 1_000_000_000))
            #expect(text == formatter.string(from: Date(timeIntervalSince1970: TimeInterval(seconds))))
        }
    }

    @Test func theTextIsRenderedAnewOnlyWithTheSecond() {
        var cache = DateCache()
        let first = latin1(cache.text(at: 5_000_000_000))
        let same = latin1(cache.text(at: 5_999_999_999))
        let next = latin1(cache.text(at: 6_000_000_000))
        #expect(first == same)
        #expect(first != next)
    }
}

struct UUIDTextTests {
    static func text(_ high: UInt64, _ low: UInt64) -> String {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: UUIDText.length, alignment: 1)
        defer { buffer.deallocate() }
        UUIDText.write(high, low, to: buffer)
        return latin1(buffer)
    }

    @Test func versionAndVariantAreSetAndTheRestKept() {
        #expect(UUIDTextTests.text(0, 0) == "00000000-0000-4000-8000-000000000000")
        #expect(UUIDTextTests.text(.max, .max) == "ffffffff-ffff-4fff-bfff-ffffffffffff")
        #expect(UUIDTextTests.text(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210) == "01234567-89ab-4def-bedc-ba9876543210")
    }

    @Test func everyOneIsAUUID() {
        var random = SeededRandom(seed: 4)
        for _ in 0..<200 { #expect(UUID(uuidString: UUIDTextTests.text(random.next(), random.next())) != nil) }
    }
}

struct HeaderTokenTests {
    @Test func everyNameIsFoundAndNothingElse() {
        var known = 0
        for index in 1..<HeaderToken.count {
            let token = HeaderToken(rawValue: UInt8(index))
            guard token.name.count > 0 else { continue }
            known += 1
            #expect(HeaderToken.find(token.name) == token)
            let other = Array(token.name) + [UInt8(ascii: "x")]
            #expect(other.withUnsafeBytes { HeaderToken.find($0) } == .none)
            #expect(other.dropLast(2).withUnsafeBytes { HeaderToken.find($0) } != token)
        }
        #expect(known >= 59)
        #expect(HeaderToken.none.name.isEmpty)
        #expect(Array("x-unknown".utf8).withUnsafeBytes { HeaderToken.find($0) } == .none)
    }

    /// The constants are numbers, the names a table beside them: each must say what the other does.
    @Test(arguments: [
        (HeaderToken.method, ":method"), (.path, ":path"), (.authority, ":authority"), (.scheme, ":scheme"),
        (.status, ":status"), (.protocol, ":protocol"), (.host, "host"), (.contentLength, "content-length"),
        (.transferEncoding, "transfer-encoding"), (.connection, "connection"), (.te, "te"), (.upgrade, "upgrade"),
        (.expect, "expect"), (.forwardedFor, "x-forwarded-for"), (.forwardedProto, "x-forwarded-proto"),
        (.requestID, "x-request-id"), (.via, "via"), (.server, "server"), (.date, "date"), (.location, "location"),
        (.contentType, "content-type"), (.userAgent, "user-agent"), (.cookie, "cookie"),
        (.envoyOriginalPath, "x-envoy-original-path"), (.envoyUpstreamServiceTime, "x-envoy-upstream-service-time"),
        (.envoyExpectedTimeout, "x-envoy-expected-rq-timeout-ms"), (.envoyAttemptCount, "x-envoy-attempt-count"),
        (.envoyInternal, "x-envoy-internal"), (.grpcTimeout, "grpc-timeout"), (.envoyRetryOn, "x-envoy-retry-on"),
        (.envoyOverloaded, "x-envoy-overloaded"), (.envoyForceTrace, "x-envoy-force-trace"),
    ])
    func constantHasName(token: HeaderToken, name: String) { #expect(latin1(token.name) == name) }
}

struct FieldListTests {
    @Test(arguments: [("a", ["a"]), ("", [""]), ("a,b", ["a", "b"]), (" a ,\tb\t,,c", ["a", "b", "", "c"]), (",", ["", ""])])
    func elements(value: String, expected: [String]) {
        let bytes = Array(value.utf8)
        let found = bytes.withUnsafeBytes { bytes in
            var list = FieldList(bytes)
            var found: [String] = []
            while let element = list.next() { found.append(latin1(element)) }
            return found
        }
        #expect(found == expected)
    }
}
