// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
package import MeshModel
import MeshStats

/// A stream as a record of access logs.
extension ActiveStream: AccessLogSubject {
    /// Writes a record of the stream as it is.
    func log(_ type: AccessLogType, _ manager: HTTPConnectionManager) {
        info.logType = type
        worker.logs.write(manager.config.accessLogs, self)
    }

    package var logStatus: UInt16 { info.status }
    package var logMilliseconds: UInt64 { loop.now.nanoseconds(since: info.start) / 1_000_000 }
    package var logFlags: UInt64 { info.flags.rawValue }
    package var logType: AccessLogType { info.logType }

    /// As Envoy's filter: from the trailers, the head, or what the HTTP status means.
    package var logGRPCStatus: UInt32 {
        let unknown = UInt32(GRPCStatus.unknown.rawValue)
        if let field = responseTrailers.value(of: .grpcStatus) ?? response.headers.value(of: .grpcStatus) {
            return DecimalText.parse(field).flatMap(UInt32.init(exactly:)) ?? .max
        }
        return info.status > 0 ? UInt32(GRPCStatus(httpStatus: info.status).rawValue) : unknown
    }

    /// Nothing is traced yet: the filter of traced requests admits none, as Envoy's without `tracing`.
    package var isTraced: Bool { false }

    /// The first eight digits of the request's ID, as Envoy takes them.
    package var stableRandom: UInt64? {
        guard let id = request.headers.value(of: .requestID), id.count >= 8 else { return nil }
        var number: UInt64 = 0
        for byte in id.prefix(8) {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte &- UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte &- UInt8(ascii: "a") &+ 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte &- UInt8(ascii: "A") &+ 10
            default: return nil
            }
            number = number << 4 | UInt64(digit)
        }
        return number
    }

    package func meets(_ predicate: HeaderPredicate) -> Bool { worker.logs.meets(predicate, request.headers) }
}
