// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct GRPCTimeoutTests {
    private func parse(_ text: String) -> UInt64? {
        var text = text
        return text.withUTF8 { GRPCTimeout.milliseconds(UnsafeRawBufferPointer($0)) }
    }

    private func write(_ milliseconds: UInt64) -> String {
        withUnsafeTemporaryAllocation(byteCount: GRPCTimeout.maxLength, alignment: 1) { buffer in
            let count = GRPCTimeout.write(milliseconds: milliseconds, to: buffer)
            return String(decoding: buffer[..<count], as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("0m", 0), ("300m", 300), ("5S", 5000), ("2M", 120_000), ("1H", 3_600_000), ("1u", 1), ("1000u", 1), ("1001u", 2),
        ("0n", 0), ("1n", 1), ("1000000n", 1), ("1000001n", 2), ("99999999H", 359_999_996_400_000), ("00000005S", 5000),
    ] as [(String, UInt64)])
    func aTimeIsRoundedUpToMilliseconds(text: String, milliseconds: UInt64) { #expect(parse(text) == milliseconds) }

    @Test(arguments: [
        "", "S", "5", "5X", "5s", "-5S", "+5S", "5.0S", " 5S", "5 S", "100000000S", "123456789m", "0x5S", "5SS",
    ])
    func whatIsNoTimeIsNone(text: String) { #expect(parse(text) == nil) }

    @Test(arguments: [
        (0, "0m"), (300, "300m"), (5000, "5000m"), (99_999_999, "99999999m"), (100_000_000, "100000S"),
        (99_999_999_999, "99999999S"), (100_000_000_000, "1666666M"), (5_999_999_999_999, "99999999M"),
        (6_000_000_000_000, "1666666H"), (359_999_996_400_000, "99999999H"), (UInt64.max, "99999999H"),
    ] as [(UInt64, String)])
    func aTimeIsWrittenInEightDigits(milliseconds: UInt64, text: String) { #expect(write(milliseconds) == text) }

    @Test(arguments: [
        (300, 0, 0, 300), (5000, 300, 0, 300), (100, 300, 0, 100), (400, 0, 100, 300), (5000, 300, 100, 200),
        (100, 0, 100, 0), (50, 0, 100, 0), (0, 0, 0, 0), (0, 300, 0, 0),
    ] as [(UInt64, UInt64, UInt64, UInt64)])
    func theStreamIsBounded(asked: UInt64, cap: UInt64, offset: UInt64, limit: UInt64) {
        #expect(GRPCTimeout.streamLimit(asked: asked, cap: cap, offset: offset) == limit)
    }

    @Test(arguments: [
        (300, 0, 0, 300), (5000, 2000, 0, 2000), (1000, 2000, 0, 1000), (0, 0, 0, 0), (0, 2000, 0, 2000),
        (400, 0, 100, 300), (100, 0, 100, 100), (50, 0, 100, 50), (5000, 2000, 100, 2000), (2050, 2000, 100, 1950),
    ] as [(UInt64, UInt64, UInt64, UInt64)])
    func theRouteTimesOut(asked: UInt64, cap: UInt64, offset: UInt64, timeout: UInt64) {
        #expect(GRPCTimeout.routeTimeout(asked: asked, cap: cap, offset: offset) == timeout)
    }
}
