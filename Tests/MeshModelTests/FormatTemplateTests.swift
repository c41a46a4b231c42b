// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct FormatTemplateTests {
    private func text(_ source: String, _ context: FixedContext = FixedContext(), missing: StaticString = "-") throws
        -> String
    {
        let sink = ByteSink()
        try FormatTemplate.compile(source).write(to: sink, context: context, missing: missing)
        return string(sink.bytes)
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("100%%", "100%"), ("%PROTOCOL%", "HTTP/1.1"),
        ("a%PROTOCOL%b%%c", "aHTTP/1.1b%c"),
        ("%REQ(X-There)%", "value"), ("%REQ(X-Absent)%", "-"), ("%REQ(X-Absent?X-There)%", "value"),
        ("%REQ(X-There?X-Absent)%", "value"), ("%REQ(X-There):3%", "val"), ("%RESP(x)%", "-"),
        ("%RESPONSE_CODE%", "200"),
        ("%START_TIME%", "2026-08-22T12:00:00.123Z"), ("%START_TIME(%Y/%m/%d %H:%M:%S)%", "2026/08/22 12:00:00"),
        ("%START_TIME(%s.%3f|%6f|%f)%", "1787400000.123|123456|123456000"), ("%START_TIME(%3s)%", "1787400000"),
        ("%DOWNSTREAM_PEER_SUBJECT%", "-"), ("%FILTER_STATE(k:PLAIN)%", "statek:PLAIN"),
    ])
    func evaluates(source: String, expected: String) throws {
        let context = FixedContext()
        context.headers = ["request/x-there": "value"]
        context.values = [.protocol: "HTTP/1.1", .responseCode: "200", .filterState: "state"]
        #expect(try text(source, context) == expected)
    }

    @Test func missingValueIsNothingInAHeader() throws {
        #expect(try text("[%REQ(x)%%PROTOCOL%]", missing: "") == "[]")
    }

    @Test(arguments: [
        "%", "a%b", "%NO_SUCH_COMMAND%", "%PROTOCOL", "%REQ(x%", "%REQ()%", "%REQ%", "%REQ(a?b?c)%", "%REQ(a):x%",
        "%protocol%",
        "%ENVIRONMENT()%", "%PROTOCOL:2%", "%PROTOCOL(x)%", "%REQ(a):99999999999%",
    ])
    func invalidFormatIsRefused(source: String) {
        #expect(throws: FormatError.self) { try FormatTemplate.compile(source) }
    }

    @Test func defaultAccessLogIsEnvoys() throws {
        let context = FixedContext()
        context.headers = ["request/:method": "GET", "request/:path": "/x", "request/:authority": "a.test"]
        context.values = [
            .protocol: "HTTP/1.1", .responseCode: "200", .bytesReceived: "0", .bytesSent: "5", .duration: "1",
        ]
        let sink = ByteSink()
        FormatTemplate.defaultAccessLog.write(to: sink, context: context, missing: "-")
        #expect(
            string(sink.bytes)
                == "[2026-08-22T12:00:00.123Z] \"GET /x HTTP/1.1\" 200 - 0 5 1 - \"-\" \"-\" \"-\" \"a.test\" \"-\"\n")
    }

    @Test func environmentAndHostnameAreFixedWhenCompiled() throws {
        #expect(try FormatTemplate.compile("%HOSTNAME%").literal != nil)
        #expect(try text("%ENVIRONMENT(NO_SUCH_VARIABLE_HERE)%") == "-")
    }
}
