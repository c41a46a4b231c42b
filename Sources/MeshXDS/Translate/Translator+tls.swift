// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshProto

extension Translator {
    typealias CommonTLS = Envoy_Extensions_TransportSockets_Tls_V3_CommonTlsContext
    private typealias TransportSocket = Envoy_Config_Core_V3_TransportSocket
    private typealias RawBuffer = Envoy_Extensions_TransportSockets_RawBuffer_V3_RawBuffer

    // MARK: Both sides

    /// TLS of a filter chain; nil for a plain one.
    func downstreamTLS(
        _ socket: Envoy_Config_Core_V3_TransportSocket, at path: String
    ) throws(ConfigError) -> DownstreamTLS? {
        typealias Context = Envoy_Extensions_TransportSockets_Tls_V3_DownstreamTlsContext
        let place = path + ".typed_config"
        guard let message = try context(Context.self, socket, at: place) else { return nil }
        let certificates = place + ".common_tls_context.tls_certificates"
        var tls = DownstreamTLS(context: try tlsContext(message.commonTlsContext, at: place + ".common_tls_context"))
        guard !tls.context.certificates.isEmpty else {
            throw error(certificates, found: "none", allowed: "at least one certificate for a server")
        }
        tls.requiresClientCertificate = message.requireClientCertificate.value
        tls.requiresServerName = message.requireSni.value
        tls.tickets = try tickets(message, at: place)
        tls.keepsSessions = !message.disableStatefulSessionResumption
        if message.hasSessionTimeout {
            tls.sessionTimeoutSeconds = UInt32(clamping: message.sessionTimeout.duration.components.seconds)
        }
        tls.scansAllCertificates = message.fullScanCertsOnSniMismatch.value
        return tls
    }

    /// TLS toward a cluster's hosts; nil for none.
    func upstreamTLS(
        _ socket: Envoy_Config_Core_V3_TransportSocket, at path: String
    ) throws(ConfigError) -> UpstreamTLS? {
        typealias Context = Envoy_Extensions_TransportSockets_Tls_V3_UpstreamTlsContext
        let place = path + ".typed_config"
        guard let message = try context(Context.self, socket, at: place) else { return nil }
        var tls = UpstreamTLS(context: try tlsContext(message.commonTlsContext, at: place + ".common_tls_context"))
        guard tls.context.certificates.count <= 1 else {
            throw error(
                place + ".common_tls_context.tls_certificates", found: "\(tls.context.certificates.count) certificates",
                allowed: "at most one for a client")
        }
        guard !message.sni.utf8.contains(0) else {
            throw error(place + ".sni", found: "a name with a NUL byte", allowed: "a server name")
        }
        tls.serverName = message.sni
        tls.usesHostNameAsServerName = message.autoHostSni
        tls.validatesServerName = message.autoSniSanValidation
        guard !tls.validatesServerName || tls.context.validation != nil else {
            throw error(
                place + ".auto_sni_san_validation", found: "true without a validation context",
                allowed: "it with common_tls_context.validation_context")
        }
        if message.hasMaxSessionKeys { tls.maxSessionKeys = message.maxSessionKeys.value }
        return tls
    }

    /// The context inside a transport socket; nil for a raw buffer.
    private func context<Context: SwiftProtobuf.Message>(
        _ type: Context.Type, _ socket: TransportSocket, at path: String
    ) throws(ConfigError) -> Context? {
        let any = try unwrapped(socket.typedConfig, at: path)
        switch TypeURL.messageName(any.typeURL) {
        case RawBuffer.protoMessageName: return nil
        case type.protoMessageName: return try decode(type, from: any, at: path)
        default:
            throw error(
                path, found: any.typeURL.isEmpty ? "no type" : "'\(any.typeURL)'",
                allowed: "\(type.protoMessageName) or \(RawBuffer.protoMessageName)")
        }
    }

    private func tlsContext(_ message: CommonTLS, at path: String) throws(ConfigError) -> TLSContextConfig {
        var context = TLSContextConfig()
        context.parameters = parameters(message.tlsParams)
        for (index, certificate) in message.tlsCertificates.enumerated() {
            context.certificates.append(try self.certificate(certificate, at: "\(path).tls_certificates[\(index)]"))
        }
        switch message.validationContextType {
        case .validationContext(let validation)?:
            context.validation = try self.validation(validation, at: path + ".validation_context")
        case .combinedValidationContext(let combined)?:
            context.validation = try validation(
                combined.defaultValidationContext, at: path + ".combined_validation_context.default_validation_context")
        case nil: break
        }
        context.applicationProtocols = try applicationProtocols(
            message.alpnProtocols, at: path + ".alpn_protocols")
        return context
    }

    private func parameters(_ message: Envoy_Extensions_TransportSockets_Tls_V3_TlsParameters) -> TLSParameters {
        typealias Number = Envoy_Extensions_TransportSockets_Tls_V3_TlsParameters.TlsProtocol
        func version(_ version: Number) -> TLSProtocolVersion? {
            switch version {
            case .tlsv10: .tls10
            case .tlsv11: .tls11
            case .tlsv12: .tls12
            case .tlsv13: .tls13
            default: nil
            }
        }
        var parameters = TLSParameters()
        if let minimum = version(message.tlsMinimumProtocolVersion) { parameters.minimumVersion = minimum }
        parameters.maximumVersion = version(message.tlsMaximumProtocolVersion)
        parameters.cipherSuites = message.cipherSuites
        parameters.curves = message.ecdhCurves
        return parameters
    }

    /// The elements, each of which may be several with commas between them.
    private func applicationProtocols(_ elements: [String], at path: String) throws(ConfigError) -> [String] {
        let joined = elements.joined(separator: ",")
        guard !joined.isEmpty else { return [] }
        let names = joined.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        for name in names where name.isEmpty || name.utf8.count > 255 {
            throw error(path, found: "a protocol of \(name.utf8.count) bytes", allowed: "protocols of 1 to 255 bytes")
        }
        return names
    }

    // MARK: Certificates and keys

    private func certificate(
        _ message: Envoy_Extensions_TransportSockets_Tls_V3_TlsCertificate, at path: String
    ) throws(ConfigError) -> TLSCertificateConfig {
        guard message.hasCertificateChain else {
            throw error(path + ".certificate_chain", found: "nothing", allowed: "a certificate chain")
        }
        guard message.hasPrivateKey else {
            throw error(path + ".private_key", found: "nothing", allowed: "the certificate's private key")
        }
        return TLSCertificateConfig(
            chain: try pem(
                message.certificateChain, " CERTIFICATE-----", "certificates", at: path + ".certificate_chain"),
            privateKey: try pem(message.privateKey, "PRIVATE KEY-----", "a private key", at: path + ".private_key"),
            watchedDirectory: message.watchedDirectory.path.isEmpty ? nil : message.watchedDirectory.path)
    }

    private func tickets(
        _ message: Envoy_Extensions_TransportSockets_Tls_V3_DownstreamTlsContext, at path: String
    ) throws(ConfigError) -> DownstreamTLS.SessionTickets {
        switch message.sessionTicketKeysType {
        case .disableStatelessSessionResumption(true)?: return .disabled
        case .disableStatelessSessionResumption(false)?, nil: return .ownKeys
        case .sessionTicketKeys(let list)?:
            var keys: [TLSDataSource] = []
            for (index, key) in list.keys.enumerated() {
                let place = "\(path).session_ticket_keys.keys[\(index)]"
                let (source, bytes) = try dataSource(key, at: place)
                guard bytes.count == 80 else {
                    throw error(place, found: "\(bytes.count) bytes", allowed: "80 bytes")
                }
                keys.append(source)
            }
            return keys.isEmpty ? .ownKeys : .keys(keys)
        }
    }

    /// Text with a PEM block whose first line ends so; the TLS library reads it when the context is made.
    func pem(
        _ message: Envoy_Config_Core_V3_DataSource, _ label: String, _ content: String, at path: String
    ) throws(ConfigError) -> TLSDataSource {
        let (source, bytes) = try dataSource(message, at: path)
        guard Self.holdsPEM(bytes, label) else {
            throw error(
                path, found: bytes.isEmpty ? "nothing" : "text without \(content)", allowed: "\(content) as PEM")
        }
        return source
    }

    private static func holdsPEM(_ bytes: [UInt8], _ label: String) -> Bool {
        let label = Array(label.utf8)
        return bytes.split(separator: UInt8(ascii: "\n")).contains { line in
            let end = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            return end.starts(with: "-----BEGIN ".utf8) && end.suffix(label.count).elementsEqual(label)
        }
    }

    /// The source as the model keeps it, and what is there now.
    func dataSource(
        _ message: Envoy_Config_Core_V3_DataSource, at path: String
    ) throws(ConfigError) -> (TLSDataSource, [UInt8]) {
        let bytes = try bytes(message, at: path)
        if case .filename(let name)? = message.specifier { return (.file(name), bytes) }
        return (.inline(bytes), bytes)
    }
}
