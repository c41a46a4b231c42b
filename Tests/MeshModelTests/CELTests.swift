// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshModel
import Testing

/// Expressions: what they come to, what they read, and which are refused.
struct CELTests {
    /// `%CEL%` of an expression; nil for an error.
    private static func text(_ source: String, _ context: FixedContext = FixedContext()) throws -> String? {
        let sink = ByteSink()
        return try CELProgram(source).append(context, to: sink) ? string(sink.bytes) : nil
    }

    private static func json(_ source: String, _ context: FixedContext = FixedContext()) throws -> String? {
        let sink = ByteSink()
        return try CELProgram(source).appendJSON(context, to: sink) ? string(sink.bytes) : nil
    }

    @Test(arguments: CELTable.all) func anExpressionComesToWhatEnvoyPrints(_ row: CELTable.Row) throws {
        #expect(try Self.text(row.source) == row.value)
    }

    @Test(arguments: [
        ("1 + 2", "3"), ("9007199254740993", "\"9007199254740993\""), ("1.5", "1.5"), ("2.0", "2"), ("\"a\\\"\"", "\"a\\\"\""),
        ("b\"abcd\"", "\"YWJjZA==\""), ("b\"ab\"", "\"YWI=\""), ("[1, \"a\", null, {\"k\": true}]", "[1,\"a\",null,{\"k\":true}]"),
        ("duration(\"1.5s\")", "\"1.500s\""), ("duration(\"-10us\")", "\"-0.000010s\""), ("duration(\"1ns\")", "\"0.000000001s\""),
        ("timestamp(\"2020-01-01T00:00:00.5Z\")", "\"2020-01-01T00:00:00.500Z\""), ("{1: 2}", "{\"1\":2}"), ("true", "true"),
    ]) func jsonKeepsTypes(_ row: (String, String)) throws {
        #expect(try Self.json(row.0) == row.1)
    }

    @Test func whatHasNoJSONIsNone() throws {
        for source in ["null", "1/0", "type(1)", "request"] { #expect(try Self.json(source) == nil) }
    }

    // MARK: What is read

    private static var request: FixedContext {
        let context = FixedContext()
        context.fields[.request] = [
            (":method", "GET"), (":path", "/a/b?x=1#f"), (":authority", "a.test"), ("x-a", "1"), ("x-b", "one"), ("x-b", "two"),
            ("content-length", "7"),
        ]
        context.fields[.response] = [("x-up", "yes")]
        context.values = [
            .responseCode: "404", .bytesReceived: "5", .bytesSent: "6", .downstreamRemoteAddress: "127.0.0.1:80",
            .downstreamRemotePort: "80", .upstreamHost: "[::1]:8080", .upstreamRequestAttemptCount: "2", .connectionID: "9",
        ]
        context.numbers = [.startTime: 1_000_000_500_123_456, .flags: 4, .grpcStatus: 5, .duration: 1_500_000, .route: 1]
        context.metadata = MetadataTable(["ns": .object(["k": .string("v"), "n": .number(7), "l": .list([.bool(true)]), "z": .null])])
        return context
    }

    @Test(arguments: [
        ("request.path", "/a/b?x=1#f"), ("request.url_path", "/a/b"), ("request.query", "x=1"), ("request.host", "a.test"),
        ("request.headers[\"X-A\"]", "1"), ("request.headers.host", "a.test"), ("request.headers[\"x-b\"]", "one,two"),
        ("request.headers[\"x-\" == \"\" ? \"no\" : \"X-B\"]", "one,two"), ("request.size", "7"), ("size(request.headers)", "6"),
        ("\"x-b\" in request.headers", "true"), ("\"x-c\" in request.headers", "false"), ("has(request.headers.nope)", "false"),
        ("request.time", "1970-01-12T13:46:40.500123+00:00"), ("request.duration", "1.5ms"), ("request.method == \"GET\"", "true"),
        ("response.code", "404"), ("response.code >= 400 && response.code < 500", "true"), ("response.headers[\":status\"]", "404"),
        ("response.flags", "4"), ("response.grpc_status", "5"), ("response.total_size", "23"), ("response.headers_bytes", "17"),
        ("source.address", "127.0.0.1:80"), ("source.port", "80"), ("upstream.port", "8080"), ("upstream.request_attempt_count", "2"),
        ("connection.id == 9u", "true"), ("connection.mtls", "false"), ("connection.requested_server_name", ""),
        ("xds.route_metadata.filter_metadata[\"ns\"][\"k\"]", "v"), ("xds.route_metadata.filter_metadata.ns.n == 7", "true"),
        ("xds.route_metadata.filter_metadata.ns.z", "NULL"), ("xds.route_metadata.filter_metadata.ns.l[0]", "true"),
        ("has(xds.route_metadata.filter_metadata.ns.q)", "false"), ("\"ns\" in xds.route_metadata.filter_metadata", "true"),
        ("xds.route_metadata.filter_metadata == xds.route_metadata.filter_metadata", "true"),
        ("xds.route_metadata.filter_metadata.ns == {\"k\": \"v\", \"n\": 7, \"l\": [true], \"z\": null}", "true"),
        ("xds.node.id", "n1"), ("xds[\"node\"].cluster", "c1"), ("xds.node.metadata.LABELS.app", "a"), ("metadata.filter_metadata.size()", "0"),
        ("has(filter_state.x)", "false"), ("request[\"path\"].startsWith(\"/a\")", "true"), ("request.nope || true", "true"),
        ("request.headers[\"x-b\"].matches(\"o.e\")", "true"), ("type(request.headers) == map", "true"),
    ]) func attributesAreRead(_ row: (String, String)) throws {
        #expect(try Self.text(row.0, Self.request) == row.1)
    }

    @Test(arguments: [
        "request.nope", "nope", "nope.x", "request.headers[\"nope\"]", "xds.cluster_metadata", "upstream.tls_version",
        "connection.termination_details", "request.headers[1]", "response.backend_latency", "metadata[\"filter_metadata\"]",
        "has(nope.x)", "request.scheme == \"http\"",
    ]) func whatIsNotThereIsAnError(_ source: String) throws {
        #expect(try Self.text(source, Self.request) == nil)
        #expect(try !CELProgram(source).holds(Self.request))
    }

    @Test func aConnectionHasNoResponse() throws {
        let context = FixedContext()
        context.values[.responseCode] = "0"
        #expect(try Self.text("response.code", context) == nil)
        #expect(try Self.text("request.path", context) == nil)
        #expect(try Self.text("size(request.headers)", context) == "0")
    }

    @Test func onlyTrueHolds() throws {
        for (source, isTrue) in [("true", true), ("false", false), ("1", false), ("\"true\"", false), ("1/0 == 1", false)] {
            #expect(try CELProgram(source).holds(FixedContext()) == isTrue)
        }
    }

    // MARK: What is refused

    @Test(arguments: [
        ("1 +", "found the end, expected a value at position 3"), ("", "found the end, expected a value at position 0"),
        ("1 2", "found a number, expected an operator or the end at position 2"), ("(1", "found the end, expected ')' at position 2"),
        ("[1, 2", "found the end, expected ',' or ']' at position 5"), ("a.", "found the end, expected a name at position 2"),
        ("{1}", "found '}', expected ':' at position 2"), ("true ? 1", "found the end, expected ':' at position 8"),
        ("true ? false ? 1 : 2 : 3", "found '?', expected ':' at position 13"), ("if", "found the reserved word 'if' at position 0"),
        ("has(request)", "found no field selection in has() at position 4"), ("has(a[\"b\"])", "found no field selection in has() at position 4"),
        ("\"a", "found a string without an end at position 0"), ("\"\\q\"", "found an escape that CEL does not have at position 1"),
        ("9223372036854775808", "found a number beyond 64 bits at position 0"), ("#", "found '#', which begins no word of CEL at position 0"),
        ("1 = 2", "found '=', which begins no word of CEL at position 2"), ("[1].all(x, x > 0)", "found all(); comprehensions are off, as in Envoy at position 3"),
        ("string(1)", "found string(); conversion to string is off, as in Envoy at position 0"),
        ("size(1, 2)", "found size() with a number of values it does not take at position 0"),
        ("\"a\".matches(request.path)", "found a pattern of matches() that is no literal string at position 3"),
        ("\"a\".matches(\"(\")", "found a pattern that RE2 refuses: missing ): ( at position 3"),
        ("request.time.getHours(\"Mars/Crater\")", "found a time zone that is not \"UTC\" or like \"+02:00\" at position 12"),
        ("a{b: 1}", "found a message that is made; Apus makes none at position 1"),
    ]) func whatCannotBeUnderstoodIsRefused(_ row: (String, String)) {
        do {
            _ = try CELProgram(row.0)
            Issue.record("accepted")
        } catch {
            #expect("\(error)" == row.1)
        }
    }

    @Test func anUnknownFunctionIsNamedWithThoseThatThereAre() {
        do {
            _ = try CELProgram("lower(\"A\")")
            Issue.record("accepted")
        } catch {
            #expect("\(error)".hasPrefix("found an unknown function 'lower'; there are has, size, matches, "))
        }
    }

    @Test func nestingIsBounded() throws {
        _ = try CELProgram(String(repeating: "(", count: 99) + "1" + String(repeating: ")", count: 99))
        for source in [
            String(repeating: "(", count: 101) + "1" + String(repeating: ")", count: 101),
            String(repeating: "[", count: 30_000), "1" + String(repeating: " + 1", count: 250), "a" + String(repeating: ".a", count: 251),
            String(repeating: "1", count: CELProgram.maxLength + 1), String(repeating: "true ? true : ", count: 101) + "true",
        ] {
            #expect(throws: CELError.self) { try CELProgram(source) }
        }
        // A row of one operator is no nesting.
        #expect(try Self.text("true" + String(repeating: " && true", count: 5000)) == "true")
        #expect(try Self.text(String(repeating: "!", count: 30_001) + "true") == "false")
    }

    @Test func anyTextIsReadOrRefused() throws {
        var random = SystemRandomNumberGenerator()
        let words = [
            "1", "2u", "1.5", "\"a\"", "b'x'", "true", "null", "request", ".path", ".headers", "[", "]", "(", ")", "{", "}", ":", ",", "?", "+",
            "-", "!", "==", "<", "&&", "||", " in ", "has", "size", "matches", "xds", ".route_metadata", "duration", "*", "%", "/", "metadata",
        ]
        for _ in 0..<20_000 {
            let source = (0..<Int.random(in: 1..<12, using: &random)).map { _ in words.randomElement(using: &random) ?? "" }.joined()
            guard let program = try? CELProgram(source) else { continue }
            let sink = ByteSink()
            let context = Self.request
            _ = program.append(context, to: sink)
            _ = program.appendJSON(context, to: sink)
        }
    }

    // MARK: In formats

    @Test func aFormatTakesExpressions() throws {
        let context = Self.request
        let line = try FormatTemplate.compile("<%CEL(request.headers[\"x-a\"])%|%CEL(response.code * (1 + 1))%|%CEL(request.path):4%|%CEL(request.nope)%>")
        let sink = ByteSink()
        line.write(to: sink, context: context, missing: "-")
        #expect(string(sink.bytes) == "<1|808|/a/b|->")
    }

    @Test func aJSONFormatKeepsTheTypesOfTypedExpressions() throws {
        let format = try AccessLogFormat(json: .object([
            "a": .text("%TYPED_CEL(response.code)%"), "b": .text("%CEL(response.code)%"), "c": .text("%TYPED_CEL(request.nope)%"),
            "d": .text("x %CEL(response.code)% %CEL(source.port)%"), "e": .text("%TYPED_CEL([1, \"a\"])%"),
        ]))
        let sink = ByteSink()
        format.write(to: sink, context: Self.request)
        #expect(string(sink.bytes) == "{\"a\":404,\"b\":\"404\",\"c\":null,\"d\":\"x 404 80\",\"e\":[1,\"a\"]}\n")
    }

    @Test func aFormatSaysWhereAnExpressionIsWrong() {
        do {
            _ = try FormatTemplate.compile("a %CEL(1 +)%")
            Issue.record("accepted")
        } catch {
            #expect("\(error)" == "in the expression found the end, expected a value at position 3, of a command at position 2")
        }
    }
}
