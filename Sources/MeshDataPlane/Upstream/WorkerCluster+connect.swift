// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats
import MeshTLS

extension WorkerCluster {
    /// Opens a connection to `endpoint` for requests that share `key`: plain, or in TLS where the cluster has it.
    ///
    /// As with `EventLoop.connect` the handler hears nothing before this returns; `onConnected` means that bytes can flow.
    func connect(to endpoint: ActiveEndpoint, key: PoolKey, handler: StreamHandler) -> ByteStream {
        let transport = open(to: endpoint, key.options, handler)
        guard let config = secured else { return transport }
        let stream = TLSStream(
            connecting: transport, context: config.context, workspace: tls.workspace,
            policy: policy(config, endpoint, key),
            parameters: TLSClientParameters(
                serverName: Array(serverName(config, endpoint, key).utf8),
                protocols: config.context.options.protocols.isEmpty ? applicationProtocols(for: key) : nil,
                // Clusters with equal contexts share one, and yet each makes its own handshakes.
                sessionKey: Array("\(compiled.cluster.name)\0\(endpoint.address)".utf8)))
        stream.start(handler: handler)
        return stream
    }

    private func open(to endpoint: ActiveEndpoint, _ options: ConnectOptions, _ handler: StreamHandler) -> ByteStream {
        let others = endpoint.endpoint.additionalAddresses
        guard !others.isEmpty else { return loop.connect(to: endpoint.address, options: options, handler: handler) }
        let cluster = compiled.cluster
        let order = cluster.happyEyeballs.order([endpoint.address] + others)
        var options = options
        options.bindAddress = cluster.bindAddress(for: order[0])
        options.alternatives = order.dropFirst().map {
            ConnectOptions.Alternative($0, bindAddress: cluster.bindAddress(for: $0))
        }
        return loop.connect(to: order[0], options: options, handler: handler)
    }

    /// What a context without protocols of its own offers. A tunnel's bytes are nobody's protocol.
    private func applicationProtocols(for key: PoolKey) -> [[UInt8]] {
        switch key.wireProtocol {
        case .http1: [Array("http/1.1".utf8)]
        case .http2: choosesByALPN ? [Array("h2".utf8), Array("http/1.1".utf8)] : [Array("h2".utf8)]
        case .tcp: []
        }
    }

    /// The request's name, the host's, or the context's: the nearest one there is.
    private func serverName(_ config: CompiledUpstreamTLS, _ endpoint: ActiveEndpoint, _ key: PoolKey) -> String {
        if !key.serverName.isEmpty { return key.serverName }
        if config.usesHostNameAsServerName, !endpoint.endpoint.hostname.isEmpty { return endpoint.endpoint.hostname }
        return config.serverName
    }

    /// As in Envoy: a name that the request is for (`auto_san_validation`) is asked for besides the context's matchers, the
    /// server name (`auto_sni_san_validation`) in their place. Without a trusted CA names are compared all the same.
    private func policy(_ config: CompiledUpstreamTLS, _ endpoint: ActiveEndpoint, _ key: PoolKey) -> SANPolicy {
        var policy = config.policy
        if config.validatesServerName {
            let name = serverName(config, endpoint, key)
            if !name.isEmpty { policy = SANPolicy(name: name) }
        }
        return key.subjectName.isEmpty ? policy : policy.and(name: key.subjectName)
    }

    // MARK: Outcome

    /// A connection made by `connect` is usable: counts its handshake. Nil for a plain one.
    func connected(_ stream: ByteStream) -> ConnectionTLS? {
        guard let config = compiled.tls, let secure = stream as? TLSStream else { return nil }
        tls.counters.handshake(secure, config.stats)
        return ConnectionTLS(secure)
    }

    /// A session made by `connect` failed: counts why, and gives the number that stands for the reason in
    /// `UpstreamFailure.connectFailure`.
    func tlsFailed(_ stream: ByteStream) -> Int32 {
        guard let config = compiled.tls, let secure = stream as? TLSStream else { return TLSReason.peerLeft }
        tls.counters.failure(secure.failure, config.stats)
        return TLSReason.code(secure.failure)
    }
}

extension ActiveEndpoint {
    /// Pools of one endpoint above which those without connections are given back: server names come from requests.
    private static let poolLimit = 64

    /// The pool for a request to `authority`, for a cluster with `auto_sni` or `auto_san_validation`.
    func pool(_ base: PoolKey, forAuthority authority: UnsafeRawBufferPointer?) -> Unmanaged<ConnectionPool>? {
        guard let authority else { return pool(base) }
        let host = UnsafeRawBufferPointer(rebasing: authority[..<(HostText.portStart(authority) ?? authority.count)])
        return pool(base, named: host) {
            let http = cluster.compiled.cluster.http
            var key = base
            let name = String(decoding: host, as: UTF8.self)
            // An address is no server name (RFC 6066 §3), but a certificate can be for one.
            if http.autoSNI, Address(ipText: host) == nil, host.first != UInt8(ascii: "[") { key.serverName = name }
            if http.autoSANValidation { key.subjectName = name }
            forgetUnusedPools(above: ActiveEndpoint.poolLimit)
            return key
        }
    }
}
