// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO

/// Upgrades between the versions: HTTP/1's `Upgrade` and HTTP/2's extended CONNECT (RFC 8441) are the same wish in other
/// words. Inside the proxy a request always looks as in HTTP/1, so that routes, filters and logs see one form.
enum HTTP2Upgrade {
    /// Turns an extended CONNECT into a GET that asks for the upgrade.
    static func becomeHTTP1(_ request: inout RequestHead, pool: SlabPool) {
        guard request.method == .connect, request.isUpgrade, let name = request.headers.value(of: .protocol) else { return }
        request.method = .get
        request.headers.replace(.upgrade, name, from: pool)
        request.headers.replace(.connection, UnsafeRawBufferPointer("upgrade"), from: pool)
        request.headers.replace(.method, UnsafeRawBufferPointer("GET"), from: pool)
        request.headers.removeAll(.protocol)
        request.framing = .none
    }

    /// Turns a request for an upgrade into an extended CONNECT, for an upstream that speaks HTTP/2.
    static func becomeHTTP2(_ request: inout RequestHead, pool: SlabPool) {
        guard request.isUpgrade, request.method != .connect, let name = request.headers.value(of: .upgrade) else { return }
        request.headers.replace(.protocol, name, from: pool)
        request.headers.replace(.method, UnsafeRawBufferPointer("CONNECT"), from: pool)
        request.method = .connect
        request.headers.removeAll(.upgrade)
        request.headers.removeAll(.connection)
        request.headers.removeAll(.contentLength)
    }

    /// Gives a request its HTTP/1 form back after it was sent, so that logs see it as routes did.
    ///
    /// What the session still has to read must not be overwritten, so fields are removed and appended, never replaced.
    static func restoreHTTP1(_ request: inout RequestHead, pool: SlabPool) {
        guard request.method == .connect, request.isUpgrade, let name = request.headers.value(of: .protocol) else { return }
        request.method = .get
        request.headers.append(.upgrade, name, from: pool)
        request.headers.append(.connection, "upgrade", from: pool)
        request.headers.removeAll(.protocol)
        request.headers.removeAll(.method)
        request.headers.append(.method, "GET", from: pool)
    }

    /// A tunnel begins with 200 in HTTP/2.
    static func acceptHTTP2(_ response: inout ResponseHead) {
        if response.status == 101 { response.status = 200 }
        response.headers.removeAll(.upgrade)
        response.headers.removeAll(.connection)
        response.headers.removeAll(.contentLength)
    }

    /// And with 101 in HTTP/1.
    static func acceptHTTP1(_ response: inout ResponseHead, protocol name: UnsafeRawBufferPointer, pool: SlabPool) {
        response.status = 101
        response.isUpgrade = true
        response.framing = .none
        response.headers.replace(.upgrade, name, from: pool)
        response.headers.replace(.connection, UnsafeRawBufferPointer("upgrade"), from: pool)
        response.headers.removeAll(.contentLength)
    }
}
