// SPDX-License-Identifier: Apache-2.0
package import MeshModel
package import MeshStats

/// The HTTP inspector. Scope `http_inspector.`, shared by all listeners as in Envoy.
package struct HTTPInspectorStats: Sendable {
    let http10Found: CounterID
    let http11Found: CounterID
    let http2Found: CounterID
    let httpNotFound: CounterID

    init(in scope: inout StatScope) {
        http10Found = scope.counter("http10_found", "Connections that began with HTTP/1.0.")
        http11Found = scope.counter("http11_found", "Connections that began with HTTP/1.1.")
        http2Found = scope.counter("http2_found", "Connections that began with the HTTP/2 preface.")
        httpNotFound = scope.counter("http_not_found", "Connections that began with something else.")
    }
}

/// The TLS inspector. Scope `tls_inspector.`, shared by all listeners as in Envoy.
package struct TLSInspectorStats: Sendable {
    let tlsFound: CounterID
    let tlsNotFound: CounterID
    let alpnFound: CounterID
    let alpnNotFound: CounterID
    let sniFound: CounterID
    let sniNotFound: CounterID
    let clientHelloTooLarge: CounterID

    init(in scope: inout StatScope) {
        tlsFound = scope.counter("tls_found", "Connections that began with a ClientHello.")
        tlsNotFound = scope.counter("tls_not_found", "Connections that began with something else.")
        alpnFound = scope.counter("alpn_found", "ClientHellos with a list of protocols.")
        alpnNotFound = scope.counter("alpn_not_found", "ClientHellos without a list of protocols.")
        sniFound = scope.counter("sni_found", "ClientHellos with a server name.")
        sniNotFound = scope.counter("sni_not_found", "ClientHellos without a server name.")
        clientHelloTooLarge = scope.counter("client_hello_too_large", "Connections closed for a ClientHello too long.")
    }
}

/// The PROXY protocol filter. Scope `proxy_proto.` or `proxy_proto.<stat_prefix>.`.
package struct ProxyProtocolStats: Sendable {
    let notFoundDisallowed: CounterID
    let notFoundAllowed: CounterID
    let v1: ProxyProtocolVersionStats
    let v2: ProxyProtocolVersionStats

    init(in scope: inout StatScope) {
        notFoundDisallowed = scope.counter("not_found_disallowed", "Connections closed for want of a header.")
        notFoundAllowed = scope.counter("not_found_allowed", "Connections taken without a header.")
        v1 = ProxyProtocolVersionStats("versions.v1.", in: &scope)
        v2 = ProxyProtocolVersionStats("versions.v2.", in: &scope)
    }
}

/// One version of the PROXY protocol.
struct ProxyProtocolVersionStats: Sendable {
    let found: CounterID
    let disallowed: CounterID
    let error: CounterID

    init(_ prefix: String, in scope: inout StatScope) {
        found = scope.counter(prefix + "found", "Headers read.")
        disallowed = scope.counter(prefix + "disallowed", "Headers refused because of their version.")
        error = scope.counter(prefix + "error", "Headers that were malformed.")
    }
}

/// The stats of one listener's filters, declared by the control thread.
package struct ListenerFilterStats: Sendable {
    let httpInspector: HTTPInspectorStats?
    let tlsInspector: TLSInspectorStats?
    /// By position in `listener.listenerFilters`; nil for other filters.
    let proxyProtocol: [ProxyProtocolStats?]

    package init(_ listener: Listener, catalog: StatCatalog) {
        let inspects = listener.listenerFilters.contains { $0.kind == .httpInspector }
        httpInspector =
            inspects ? catalog.declare(.literal("http_inspector.")) { HTTPInspectorStats(in: &$0) } : nil
        let inspectsTLS = listener.listenerFilters.contains { if case .tlsInspector = $0.kind { true } else { false } }
        tlsInspector =
            inspectsTLS ? catalog.declare(.literal("tls_inspector.")) { TLSInspectorStats(in: &$0) } : nil
        proxyProtocol = listener.listenerFilters.map { filter in
            guard case .proxyProtocol(let options) = filter.kind else { return nil }
            let prefix = options.statPrefix.isEmpty ? "proxy_proto." : "proxy_proto.\(options.statPrefix)."
            return catalog.declare(.literal(prefix)) { ProxyProtocolStats(in: &$0) }
        }
    }
}
