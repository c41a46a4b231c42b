// SPDX-License-Identifier: Apache-2.0
import MeshModel
import Testing

struct RetryConditionsTests {
    private func conditions(_ names: String, http: Bool = true, grpc: Bool = true) -> RetryConditions {
        withBytes(names) { RetryConditions(names: $0, http: http, grpc: grpc) }
    }

    @Test(arguments: [
        ("5xx", RetryConditions.serverError), ("gateway-error", .gatewayError), ("connect-failure", .connectFailure),
        ("retriable-4xx", .retriable4xx), ("refused-stream", .refusedStream), ("retriable-status-codes", .statusCodes),
        ("retriable-headers", .headers), ("reset", .reset), ("envoy-ratelimited", .rateLimited),
        ("http3-post-connect-failure", .http3PostConnectFailure), ("reset-before-request", .resetBeforeRequest),
        ("cancelled", .grpcCancelled), ("deadline-exceeded", .grpcDeadlineExceeded),
        ("resource-exhausted", .grpcResourceExhausted), ("unavailable", .grpcUnavailable), ("internal", .grpcInternal),
    ])
    func everyNameIsKnown(name: String, condition: RetryConditions) {
        #expect(conditions(name) == condition)
        #expect(conditions(" ,, \(name) , nonsense") == condition)
        #expect(conditions(name.uppercased() + "x").isEmpty)
        let isGRPC = RetryConditions.grpc.contains(condition)
        #expect(conditions(name, grpc: false).isEmpty == isGRPC)
        #expect(conditions(name, http: false).isEmpty == !isGRPC)
    }

    @Test func istiosListIsRead() {
        let found = conditions("connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes")
        #expect(found == [.connectFailure, .refusedStream, .grpcUnavailable, .grpcCancelled, .statusCodes])
        #expect(conditions("").isEmpty && conditions(",").isEmpty && conditions("4xx").isEmpty)
    }

    @Test func aStatusIsCoveredByItsClass() {
        let every: [UInt16] = [100, 200, 301, 404, 409, 429, 499, 500, 501, 502, 503, 504, 505, 599, 600]
        func covered(_ name: String) -> [UInt16] { every.filter { conditions(name).cover(status: $0) } }
        #expect(covered("5xx") == [500, 501, 502, 503, 504, 505, 599])
        #expect(covered("gateway-error") == [502, 503, 504])
        #expect(covered("retriable-4xx") == [409])
        #expect(covered("reset,connect-failure,retriable-status-codes").isEmpty)
    }

    @Test func aGRPCStatusIsCoveredByItsName() {
        func covered(_ name: String) -> [Int] {
            (0...17).filter { number in withBytes("\(number)") { conditions(name).cover(grpcStatus: $0) } }
        }
        #expect(covered("cancelled") == [1])
        #expect(covered("deadline-exceeded") == [4])
        #expect(covered("resource-exhausted") == [8])
        #expect(covered("internal") == [13])
        #expect(covered("unavailable") == [14])
        #expect(covered("5xx,reset").isEmpty)
        for value in ["", "x", "-1", "14 ", "99999999999999999999999", "270"] {
            #expect(!withBytes(value) { conditions("unavailable,cancelled").cover(grpcStatus: $0) })
        }
    }

    @Test(arguments: [
        ("connect-failure", AttemptReset.connectFailure, false, true), ("connect-failure", .other, true, false),
        ("reset", .connectFailure, false, true), ("reset", .other, true, true), ("reset", .refused, true, true),
        ("5xx", .other, true, true), ("gateway-error", .refused, true, true), ("retriable-4xx", .other, true, false),
        ("refused-stream", .refused, true, true), ("refused-stream", .other, true, false),
        ("reset-before-request", .other, true, false), ("reset-before-request", .other, false, true),
        ("reset-before-request", .connectFailure, false, true), ("reset-before-request", .refused, true, false),
        ("5xx,reset,connect-failure", .overflow, false, false), ("http3-post-connect-failure", .other, true, false),
    ])
    func aResetIsCovered(names: String, reset: AttemptReset, wasSent: Bool, expected: Bool) {
        #expect(conditions(names).cover(reset, wasSent: wasSent) == expected)
    }
}
