// SPDX-License-Identifier: Apache-2.0
package import MeshIO

/// Fields that belong to one connection and are not forwarded (RFC 9110 §7.6.1).
package enum HopByHop {
    private static var names: HeaderTokenSet {
        HeaderTokenSet(.connection, .upgrade, .http2Settings, .keepAlive, .proxyConnection, .transferEncoding, .te)
    }

    /// Removes them: what `Connection` nominates, Connection, Keep-Alive, Proxy-Connection, Upgrade, Transfer-Encoding and
    /// HTTP2-Settings; TE is reduced to `trailers`, the only value that means something to the next hop.
    ///
    /// Fields that must not go (Host, Content-Length, pseudo-headers) stay even when nominated; the decoder has refused
    /// such a request already.
    /// - Parameter keepsUpgrade: Connection and Upgrade stay as they are, and nominated fields too, for the next hop has to
    ///   see the upgrade.
    package static func removeFields(from headers: inout HeaderBlock, keepsUpgrade: Bool, pool: SlabPool) {
        guard headers.containsAny(of: names) else { return }
        if !keepsUpgrade {
            if headers.contains(.connection) { removeNominated(from: &headers) }
            headers.removeAll(.connection)
            headers.removeAll(.upgrade)
            headers.removeAll(.http2Settings)
        }
        headers.removeAll(.keepAlive)
        headers.removeAll(.proxyConnection)
        headers.removeAll(.transferEncoding)
        if headers.contains(.te) { reduceTE(in: &headers, pool: pool) }
    }

    private static func removeNominated(from headers: inout HeaderBlock) {
        var index = headers.firstIndex(of: .connection)
        while index >= 0 {
            var list = FieldList(headers.value(at: index))
            while let name = list.next() { removeNominated(name, from: &headers) }
            index = headers.nextIndex(of: .connection, after: index)
        }
    }

    /// Deleting leaves the block's bytes where they are, so `name` may point into it.
    private static func removeNominated(_ name: UnsafeRawBufferPointer, from headers: inout HeaderBlock) {
        guard name.count > 0 else { return }
        var index = 0
        while index < headers.fieldCount {
            defer { index &+= 1 }
            guard headers.isLive(index), headers.name(at: index).equalsIgnoringCase(name) else { continue }
            switch headers.token(at: index) {
            case .method, .path, .authority, .scheme, .status, .protocol, .host, .contentLength, .connection, .te: break
            default: headers.remove(at: index)
            }
        }
    }

    private static func reduceTE(in headers: inout HeaderBlock, pool: SlabPool) {
        var found = false
        var index = headers.firstIndex(of: .te)
        while index >= 0 {
            var list = FieldList(headers.value(at: index))
            while let coding = list.next() { if coding.equalsIgnoringCase("trailers") { found = true } }
            index = headers.nextIndex(of: .te, after: index)
        }
        if found {
            headers.replace(.te, UnsafeRawBufferPointer("trailers"), from: pool)
        } else {
            headers.removeAll(.te)
        }
    }
}
