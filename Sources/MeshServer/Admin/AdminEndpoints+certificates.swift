// SPDX-License-Identifier: Apache-2.0
import Glibc
import MeshDataPlane
import MeshTLS

// `/certs`: what is presented and what is trusted, one entry for each TLS context.
extension AdminEndpoints {
    func certificates() -> LocalResponse {
        let now = Int64(time(nil))
        let contexts = context.view.current.certificates.map { context in
            JSONValue.object([
                .init("ca_cert", .array(context.trusted.map { AdminEndpoints.json($0, now: now) })),
                .init("cert_chain", .array(context.own.map { AdminEndpoints.json($0, now: now) })),
            ])
        }
        return LocalResponse(
            JSONValue.object([.init("certificates", .array(contexts))]).text, contentType: LocalResponse.json)
    }

    /// `envoy.admin.v3.CertificateDetails`.
    private static func json(_ details: CertificateDetails, now: Int64) -> JSONValue {
        // By kind, in Envoy's order; its message has no place for e-mail addresses.
        let kinds: [(SANKind, String)] = [(.dns, "dns"), (.uri, "uri"), (.ip, "ip_address")]
        let names = kinds.flatMap { kind, key in
            details.subjectAlternativeNames.filter { $0.kind == kind }.map { name in
                JSONValue.object([.init(key, .string(String(decoding: name.text, as: UTF8.self)))])
            }
        }
        return .object([
            .init("path", .string(details.path)),
            .init("serial_number", .string(details.serialNumber)),
            .init("subject_alt_names", .array(names)),
            // 64-bit numbers are text in protobuf's JSON.
            .init("days_until_expiration", .string("\(details.daysUntilExpiration(now: now))")),
            .init("valid_from", .string(timestamp(details.validFrom))),
            .init("expiration_time", .string(timestamp(details.expirationTime))),
        ])
    }

    /// RFC 3339, whole seconds.
    static func timestamp(_ seconds: Int64) -> String {
        var clock = time_t(seconds)
        var parts = tm()
        gmtime_r(&clock, &parts)
        func two(_ value: Int32) -> String { (value < 10 ? "0" : "") + "\(value)" }
        return "\(1900 + parts.tm_year)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
            + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z"
    }
}
