// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshModel
import Testing

struct GRPCStatusTests {
    @Test(arguments: [
        (400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (200, 2), (301, 2),
        (408, 2), (413, 2), (418, 2), (500, 2), (501, 2), (0, 2), (65535, 2),
    ] as [(UInt16, UInt8)])
    func anHTTPStatusHasAMeaning(http: UInt16, status: UInt8) {
        #expect(GRPCStatus(httpStatus: http).rawValue == status)
    }

    private func text(_ form: GRPCStatusForm, _ value: String) -> String {
        let sink = ByteSink()
        var value = value
        value.withUTF8 { form.append(value: UnsafeRawBufferPointer($0), to: sink) }
        return String(decoding: sink.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("0", "OK", "OK"), ("1", "Canceled", "CANCELLED"), ("4", "DeadlineExceeded", "DEADLINE_EXCEEDED"),
        ("16", "Unauthenticated", "UNAUTHENTICATED"), ("17", "17", "17"), ("99", "99", "99"), ("256", "256", "256"),
    ])
    func aStatusIsWrittenInEveryForm(value: String, camel: String, snake: String) {
        #expect(text(.camel, value) == camel)
        #expect(text(.snake, value) == snake)
        #expect(text(.number, value) == value)
    }

    @Test(arguments: ["x", "-1", "1.5", "18446744073709551616"]) func whatIsNoNumberIsMinusOne(value: String) {
        #expect(text(.camel, value) == "-1")
        #expect(text(.number, value) == "-1")
    }

    @Test func everyStatusHasTwoNames() {
        for status in GRPCStatus.allCases {
            let camel = text(.camel, "\(status.rawValue)")
            let snake = text(.snake, "\(status.rawValue)")
            // gRPC's two spellings of 1 are not the same word.
            guard status != .cancelled else { continue }
            #expect(snake.filter { $0 != "_" } == camel.uppercased())
        }
        #expect(GRPCStatus.allCases.count == 17)
    }

    @Test(arguments: [("", GRPCStatusForm.camel), ("CAMEL_STRING", .camel), ("SNAKE_STRING", .snake), ("NUMBER", .number)])
    func theFormIsNamed(argument: String, form: GRPCStatusForm) {
        var argument = argument
        #expect(argument.withUTF8 { GRPCStatusForm(argument: UnsafeRawBufferPointer($0)) } == form)
    }

    @Test(arguments: ["snake_string", "STRING", " "]) func anotherFormIsRefused(argument: String) {
        #expect(throws: FormatError.self) { try FormatTemplate.compile("%GRPC_STATUS(\(argument))%") }
    }

    @Test(arguments: [
        ("application/grpc", true), ("application/grpc+proto", true), ("application/grpc+", true),
        ("application/grpc-web", false), ("application/grpc-web+proto", false), ("application/grpcx", false),
        ("application/grp", false), ("", false), ("Application/grpc", false), ("application/grpc;charset=utf-8", false),
    ])
    func aContentTypeIsGRPCs(type: String, isGRPC: Bool) {
        var type = type
        #expect(type.withUTF8 { GRPCMessage.isContentType(UnsafeRawBufferPointer($0)) } == isGRPC)
    }
}
