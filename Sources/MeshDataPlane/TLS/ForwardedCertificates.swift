// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshTLS

/// x-forwarded-client-cert of a request (`forward_client_cert_details`).
enum ForwardedCertificates {
    /// What becomes of the header.
    enum Action: Equatable {
        case keep
        case remove
        /// To what is there, after a comma.
        case append
        case replace
    }

    /// Envoy's rules: only a client that showed a certificate is believed, except by `alwaysForwardOnly`.
    static func action(_ mode: ForwardClientCertificate.Mode, hasPeer: Bool) -> Action {
        switch mode {
        case .alwaysForwardOnly: .keep
        case .sanitize: .remove
        case .forwardOnly: hasPeer ? .keep : .remove
        case .appendForward: hasPeer ? .append : .remove
        case .sanitizeSet: hasPeer ? .replace : .remove
        }
    }

    /// On a plain connection there is nothing to do but to look whether the header is there.
    @inline(__always) static func apply(to headers: inout HeaderBlock, manager: HTTPConnectionManager) {
        guard headers.contains(.forwardedClientCert) || manager.facts.tls != nil else { return }
        change(&headers, manager)
    }

    @inline(never) private static func change(_ headers: inout HeaderBlock, _ manager: HTTPConnectionManager) {
        let mode = manager.config.terminal.forwardClientCertificate.mode
        guard let tls = manager.facts.tls else {
            if action(mode, hasPeer: false) == .remove { headers.removeAll(.forwardedClientCert) }
            return
        }
        switch action(mode, hasPeer: tls.peer != nil) {
        case .keep: break
        case .remove: headers.removeAll(.forwardedClientCert)
        case .replace:
            tls.forwardedElement.withUnsafeBytes { headers.replace(.forwardedClientCert, $0, from: manager.pool) }
        case .append: append(tls.forwardedElement, to: &headers, manager)
        }
    }

    /// Several fields become one list, in order.
    private static func append(_ element: [UInt8], to headers: inout HeaderBlock, _ manager: HTTPConnectionManager) {
        let sink = manager.worker.scratch
        sink.removeAll()
        var index = headers.firstIndex(of: .forwardedClientCert)
        while index >= 0 {
            if sink.count > 0 { sink.append(",") }
            sink.append(headers.value(at: index))
            index = headers.nextIndex(of: .forwardedClientCert, after: index)
        }
        if sink.count > 0 { sink.append(",") }
        element.withUnsafeBytes { sink.append($0) }
        headers.replace(.forwardedClientCert, sink.bytes, from: manager.pool)
    }
}

extension ForwardedClientCertificate {
    /// How a chain writes the current client; nil where it writes none.
    init?(_ options: ForwardClientCertificate) {
        guard options.mode == .appendForward || options.mode == .sanitizeSet else { return nil }
        self.init()
        includesSubject = options.details.contains(.subject)
        includesCertificate = options.details.contains(.certificate)
        includesChain = options.details.contains(.chain)
        includesURI = options.details.contains(.uri)
        includesDNS = options.details.contains(.dns)
    }
}
