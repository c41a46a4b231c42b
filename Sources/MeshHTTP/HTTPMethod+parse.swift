// SPDX-License-Identifier: Apache-2.0

extension HTTPMethod {
    /// The method named by `bytes`, case-sensitively; nil for one that is neither known nor registered.
    ///
    /// - Parameter allowsCustom: any token is taken, as `other`.
    package static func parse(_ bytes: UnsafeRawBufferPointer, allowsCustom: Bool) -> HTTPMethod? {
        switch bytes.count {
        case 3:
            if bytes.equals("GET") { return .get }
            if bytes.equals("PUT") { return .put }
        case 4:
            if bytes.equals("POST") { return .post }
            if bytes.equals("HEAD") { return .head }
        case 5:
            if bytes.equals("PATCH") { return .patch }
            if bytes.equals("TRACE") { return .trace }
        case 6:
            if bytes.equals("DELETE") { return .delete }
        case 7:
            if bytes.equals("OPTIONS") { return .options }
            if bytes.equals("CONNECT") { return .connect }
        default: break
        }
        if allowsCustom { return .other }
        for name in registered where bytes.equals(name) { return .other }
        return nil
    }

    /// Registered methods beside those above (WebDAV and its relatives, UPnP), the set Envoy serves by default.
    private static let registered: [StaticString] = [
        "ACL", "BIND", "CHECKOUT", "COPY", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE",
        "MSEARCH", "M-SEARCH", "NOTIFY", "PROPFIND", "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE",
        "SUBSCRIBE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
    ]

    /// Whether a request without framing fields has no body by its method, so that no `content-length: 0` is sent for it.
    package var isBodyless: Bool {
        switch self {
        case .get, .head, .delete, .trace, .connect: true
        case .post, .put, .options, .patch, .other: false
        }
    }
}
