// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTestKit
import Testing

/// JSON formats and the arguments of commands.
struct AccessLogFormatTests {
    private func context() -> FixedContext {
        let context = FixedContext()
        context.headers = [
            "request/x": "v\"\\\t", "request/:path": "/a/b?q=1", "request/é": "caf\u{e9}", "request/empty": "",
        ]
        context.values = [.protocol: "HTTP/1.1", .responseCode: "200", .responseFlags: "-"]
        context.metadata = MetadataTable([
            "ns": .object(["k": .string("v\""), "n": .number(1), "l": .list([.number(1), .string("x")]), "z": .null])
        ])
        return context
    }

    private func line(_ node: JSONFormatNode, omits: Bool = false) throws -> String {
        let sink = ByteSink()
        try AccessLogFormat(json: node, omitsEmpty: omits).write(to: sink, context: context())
        return string(sink.bytes)
    }

    private static let lines: [(JSONFormatNode, String)] = {
        typealias Node = JSONFormatNode
        var rows: [(JSONFormatNode, String)] = []
        func row(_ fields: [String: Node], _ expected: String) { rows.append((Node.object(fields), expected + "\n")) }
        row([:], "{}")
        row(["b": .text("%PROTOCOL%"), "a": .text("lit")], #"{"a":"lit","b":"HTTP/1.1"}"#)
        row(["n": .number(1), "f": .number(1.5), "t": .bool(true), "z": .null], #"{"f":1.5,"n":1,"t":true,"z":null}"#)
        row(["code": .text("%RESPONSE_CODE%"), "mix": .text("%PROTOCOL%/%RESPONSE_CODE%")], #"{"code":200,"mix":"HTTP/1.1/200"}"#)
        row(["h": .text("%REQ(X)%")], #"{"h":"v\"\\\t"}"#)
        row(["h": .text("%REQ(X):1%"), "no": .text("%REQ(no)%")], #"{"h":"v","no":null}"#)
        row(["m": .text("a%REQ(no)%b"), "p": .text("100%%"), "e": .text("")], #"{"e":"","m":"a-b","p":"100%"}"#)
        let inner = Node.object(["k": .text("%REQ(no)%")])
        row(["l": .list([.text("%RESPONSE_CODE%"), .text("x"), .null, inner])], #"{"l":[200,"x",null,{"k":null}]}"#)
        row(["empty": .text("%REQ(empty)%")], #"{"empty":""}"#)
        row(
            ["m": .text("%METADATA(ROUTE:ns)%"), "k": .text("%METADATA(ROUTE:ns:k)%")],
            #"{"k":"v\"","m":{"k":"v\"","l":[1,"x"],"n":1,"z":null}}"#)
        row(["n": .text("%METADATA(ROUTE:ns:n)%"), "z": .text("%METADATA(ROUTE:ns:z)%")], #"{"n":1,"z":null}"#)
        row(["q\"": .text("%RESPONSE_FLAGS%")], #"{"q\"":"-"}"#)
        return rows
    }()

    @Test(arguments: lines)
    func jsonIsWrittenAsEnvoyWritesIt(node: JSONFormatNode, expected: String) throws {
        #expect(try line(node) == expected)
    }

    private static let shorterLines: [(JSONFormatNode, String)] = {
        typealias Node = JSONFormatNode
        var rows: [(JSONFormatNode, String)] = []
        func row(_ fields: [String: Node], _ expected: String) { rows.append((Node.object(fields), expected + "\n")) }
        let none = Node.text("%REQ(no)%")
        row(["a": none, "b": .text("%PROTOCOL%"), "c": .null], #"{"b":"HTTP/1.1"}"#)
        row(["a": .object(["x": none]), "b": .list([none, .number(2), none])], #"{"b":[2]}"#)
        row(["a": .number(1), "b": .object(["x": .object(["y": none])]), "c": .list([none, .object(["z": none])])], #"{"a":1}"#)
        row(["a": .text("x%REQ(no)%y"), "z": none], #"{"a":"xy"}"#)
        row(["a": .list([.object(["k": none]), .text("x"), .object(["k": .number(1)])])], #"{"a":["x",{"k":1}]}"#)
        row(["a": none], "{}")
        return rows
    }()

    @Test(arguments: shorterLines)
    func emptyValuesAreLeftOut(node: JSONFormatNode, expected: String) throws {
        #expect(try line(node, omits: true) == expected)
    }

    @Test(arguments: [
        ([UInt8]("plain".utf8), "plain"), ([0x01, 0x7F], "\\u0001\\u007f"), ([0x08, 0x0A, 0x0C, 0x0D], "\\b\\n\\f\\r"),
        ([0xC3, 0xA9], "é"), ([0x22, 0xFF], "\\u0022\\u00ff"), ([0xFF], "\\u00ff"), ([0xF0, 0x9F], "\\u00f0\\u009f"), ([0xC3, 0xA9, 0x22], "é\\\""),
        ([0xED, 0xA0, 0x80], "\\u00ed\\u00a0\\u0080"), ([0xC0, 0x80], "\\u00c0\\u0080"),
    ])
    func bytesThatAreNoTextBecomeCodes(bytes: [UInt8], expected: String) {
        let sink = ByteSink()
        bytes.withUnsafeBytes { sink.append(jsonString: $0) }
        #expect(string(sink.bytes) == "\"" + expected + "\"")
        let inPlace = ByteSink()
        inPlace.append("x")
        bytes.withUnsafeBytes { inPlace.append($0) }
        inPlace.escapeJSON(from: 1)
        #expect(string(inPlace.bytes) == "x" + expected)
    }

    @Test func textLeavesOutEmptyValuesToo() throws {
        let sink = ByteSink()
        let template = try FormatTemplate.compile("a%REQ(no)%|%RESPONSE_FLAGS%\n")
        AccessLogFormat(template, omitsEmpty: true).write(to: sink, context: context())
        #expect(string(sink.bytes) == "a|-\n")
    }

    @Test func requestWithoutQueryNeedsItsFormatter() throws {
        #expect(throws: FormatError.self) { try FormatTemplate.compile("%REQ_WITHOUT_QUERY(:path)%") }
        let template = try FormatTemplate.compile(
            "%REQ_WITHOUT_QUERY(no?:path):3%|%REQ_WITHOUT_QUERY(:path)%|%REQ_WITHOUT_QUERY(no)%",
            extensions: [.requestWithoutQuery])
        let sink = ByteSink()
        template.write(to: sink, context: context(), missing: "-")
        #expect(string(sink.bytes) == "/a/|/a/b|-")
    }

    @Test(arguments: [
        "%COMMON_DURATION%", "%COMMON_DURATION(a)%", "%COMMON_DURATION(a:b:min)%", "%METADATA(FOO:ns)%", "%METADATA(ROUTE)%",
        "%PATH(X)%", "%GRPC_STATUS(FOO)%", "%GRPC_STATUS:3%", "%QUERY_PARAM%", "%START_TIME:3%", "%HOSTNAME:3%",
        "%DYNAMIC_METADATA%", "%DURATION:3%", "%UPSTREAM_CLUSTER:3%", "%LOCAL_REPLY_BODY:3%",
    ])
    func wrongArgumentIsRefused(source: String) {
        #expect(throws: FormatError.self) { try FormatTemplate.compile(source) }
    }

    @Test(arguments: [
        "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "%COMMON_DURATION(a:b)%", "%METADATA(VIRTUAL_HOST:ns:k):2%",
        "%PATH%", "%PATH(NQ:ORIG):4%", "%QUERY_PARAM(x):2%", "%QUERY_PARAMS(DECODED)%", "%REQUESTED_SERVER_NAME(SNI_FIRST)%",
        "%REQUEST_HEADER(a)%", "%RESPONSE_HEADER(a?b)%", "%RESPONSE_TRAILER(a)%", "%UNIQUE_ID%", "%TRACE_ID%", "%SPAN_ID%",
        "%EMIT_TIME_LOCAL(%Y)%", "%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%", "%DYNAMIC_METADATA(apus:reason)%",
        "%APUS_EXPLANATION%", "%FILTER_STATE(k:PLAIN):3%", "%ENVIRONMENT(HOME):3%",
    ])
    func whatEnvoyAcceptsIsAccepted(source: String) throws { _ = try FormatTemplate.compile(source) }

    @Test func unknownCommandIsNamed() {
        #expect {
            try FormatTemplate.compile("x %RESPONCE_CODE%")
        } throws: { ($0 as? FormatError)?.unknownCommand == "RESPONCE_CODE" }
    }

    @Test func ourOwnCommandsComeInEnvoysDress() throws {
        let context = FixedContext()
        context.values = [.reason: "no_route", .explanation: "Because."]
        let sink = ByteSink()
        try FormatTemplate.compile("%DYNAMIC_METADATA(apus:reason)%|%APUS_REASON%|%DYNAMIC_METADATA(apus:explanation)%|%DYNAMIC_METADATA(a:b)%")
            .write(to: sink, context: context, missing: "-")
        #expect(string(sink.bytes) == "no_routeapus:reason|no_route|Because.apus:explanation|-")
    }

    @Test(arguments: [
        ("%s.%3f", "1787400000.123"), ("%1f|%9f|%f", "1|123456000|123456000"), ("%3s", "1787400000"), ("%E3S", "00.123"),
        ("%E*S", "00.123456"), ("%E*f", "123456"), ("%E4n", "%E4n"), ("%Ez", "+00:00"), ("%%", "%"), ("%H:%M", "12:00"),
        ("%e", "22"),
    ])
    func timeHasEnvoysConversions(format: String, expected: String) {
        let sink = ByteSink()
        Array(format.utf8).withUnsafeBytes {
            FormatTime.append(microseconds: 1_787_400_000_123_456, format: $0, to: sink)
        }
        #expect(string(sink.bytes) == expected)
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_399_999_000, "2000-02-28T23:59:59.999Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000Z"), (4_107_542_399_000_000, "2100-02-28T23:59:59.000Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"), (-1_000, "1969-12-31T23:59:59.999Z"),
        (1_735_689_599_000_000, "2024-12-31T23:59:59.000Z"),
    ])
    func dateIsRightAtTheEdgesOfTheCalendar(microseconds: Int64, expected: String) {
        let sink = ByteSink()
        FormatTime.append(microseconds: microseconds, format: UnsafeRawBufferPointer(start: nil, count: 0), to: sink)
        #expect(string(sink.bytes) == expected)
    }

    @Test func dateAgreesWithTheCLibraryOnRandomDays() {
        var random = SeededRandom(seed: 7)
        for _ in 0..<2000 {
            let microseconds = Int64(random.next() % 4_000_000_000) * 1_000_000
            let (fast, slow) = (ByteSink(), ByteSink())
            FormatTime.append(microseconds: microseconds, format: UnsafeRawBufferPointer(start: nil, count: 0), to: fast)
            Array("%Y-%m-%dT%H:%M:%S.%3fZ".utf8).withUnsafeBytes {
                FormatTime.append(microseconds: microseconds, format: $0, to: slow)
            }
            #expect(string(fast.bytes) == string(slow.bytes))
        }
    }
}
