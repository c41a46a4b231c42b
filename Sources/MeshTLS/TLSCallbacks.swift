// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What OpenSSL calls during a handshake, passed on to the connection it is for.
enum TLSCallbacks {
    /// The connection of an `SSL`. Nil only while its `TLSStream` is being made.
    private static func stream(of ssl: OpaquePointer?) -> Unmanaged<TLSStream>? {
        SSL_get_ex_data(ssl, 0).map { Unmanaged<TLSStream>.fromOpaque($0) }
    }

    static func verify(_ store: OpaquePointer?, _ unused: UnsafeMutableRawPointer?) -> Int32 {
        guard let store, let owner = stream(of: apus_tls_of(store)) else { return 0 }
        return owner._withUnsafeGuaranteedRef { $0.verifyPeer(store) } ? 1 : 0
    }

    /// Most bytes of a ClientHello, header included; what BoringSSL takes. OpenSSL takes eight times as many.
    private static let helloLimit = 16_384 + 4

    /// Sees every handshake message before OpenSSL acts on it.
    static func measureHello(
        _ isWritten: Int32, _ type: Int32, _ bytes: UnsafeRawPointer?, _ count: Int, _ ssl: OpaquePointer?
    ) {
        guard isWritten == 0, type == SSL3_RT_HANDSHAKE, count > helloLimit, let bytes,
            bytes.load(as: UInt8.self) == UInt8(SSL3_MT_CLIENT_HELLO)
        else { return }
        stream(of: ssl)?._withUnsafeGuaranteedRef { $0.isHelloTooLong = true }
    }

    /// Ends the handshake before anything is answered.
    static func judgeHello(
        _ ssl: OpaquePointer?, _ alert: UnsafeMutablePointer<Int32>?, _ unused: UnsafeMutableRawPointer?
    ) -> Int32 {
        let isTooLong = stream(of: ssl)?._withUnsafeGuaranteedRef { $0.isHelloTooLong } ?? true
        guard isTooLong else { return SSL_CLIENT_HELLO_SUCCESS }
        alert?.pointee = SSL_AD_ILLEGAL_PARAMETER
        return SSL_CLIENT_HELLO_ERROR
    }

    static func chooseCertificate(_ ssl: OpaquePointer?, _ unused: UnsafeMutableRawPointer?) -> Int32 {
        guard let ssl, let owner = stream(of: ssl) else { return 0 }
        guard let name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) else { return 1 }
        let asked = [UInt8](UnsafeBufferPointer(rebasing: UnsafeRawBufferPointer(
            start: name, count: length(of: name)).assumingMemoryBound(to: UInt8.self)[...]))
        return owner._withUnsafeGuaranteedRef { stream in
            SSL_certs_clear(ssl)
            for certificate in stream.context.certificates.choose(for: asked) where
                apus_tls_use(ssl, certificate.leaf, certificate.chain, certificate.key) == 0 {
                return 0
            }
            return 1
        }
    }

    private static func length(of text: UnsafePointer<CChar>) -> Int {
        var count = 0
        while text[count] != 0 { count += 1 }
        return count
    }

    /// RFC 7301 §3.2, but without a common protocol the handshake goes on as if the client had offered none.
    static func chooseProtocol(
        _ ssl: OpaquePointer?, _ chosen: UnsafeMutablePointer<UnsafePointer<UInt8>?>?,
        _ chosenLength: UnsafeMutablePointer<UInt8>?, _ offered: UnsafePointer<UInt8>?, _ offeredLength: UInt32,
        _ unused: UnsafeMutableRawPointer?
    ) -> Int32 {
        guard let owner = stream(of: ssl), let chosen, let chosenLength, let offered else { return SSL_TLSEXT_ERR_NOACK }
        let list = UnsafeBufferPointer(start: offered, count: Int(offeredLength))
        return owner._withUnsafeGuaranteedRef { stream in
            for wanted in stream.context.options.protocols {
                var index = 0
                while index < list.count {
                    let length = Int(list[index])
                    guard index + 1 + length <= list.count else { return SSL_TLSEXT_ERR_NOACK }
                    if length == wanted.count, list[(index + 1)..<(index + 1 + length)].elementsEqual(wanted) {
                        chosen.pointee = offered + index + 1
                        chosenLength.pointee = list[index]
                        return SSL_TLSEXT_ERR_OK
                    }
                    index += 1 + length
                }
            }
            return SSL_TLSEXT_ERR_NOACK
        }
    }

    /// A session is about to be copied, its certificate read back, and sealed.
    static func beginTicket(_ ssl: OpaquePointer?) -> Int32 {
        guard let ssl else { return 0 }
        let result = apus_tls_keep_peer_signature(ssl, SSL_get_session(ssl))
        apus_tls_pass_over_keys()
        return result
    }

    /// Seals (`isSealing` 1) or opens a session ticket: name of the key, vector, cipher and authentication.
    static func sealTicket(
        _ ssl: OpaquePointer?, _ name: UnsafeMutablePointer<UInt8>?, _ vector: UnsafeMutablePointer<UInt8>?,
        _ cipher: OpaquePointer?, _ authentication: OpaquePointer?, _ isSealing: Int32
    ) -> Int32 {
        if isSealing == 1 { apus_tls_decode_keys() }
        guard let owner = stream(of: ssl), let name, let vector else { return -1 }
        let result = owner._withUnsafeGuaranteedRef { stream in
            let ticket = SessionTicket(
                context: stream.context, workspace: stream.workspace, now: stream.wallSeconds)
            return isSealing == 1
                ? ticket.seal(name: name, vector: vector, cipher: cipher, authentication: authentication)
                : ticket.open(name: name, vector: vector, cipher: cipher, authentication: authentication)
        }
        // The session comes out of the ticket next, and then `acceptTicket` is called.
        if isSealing == 0, result > 0 { apus_tls_pass_over_keys() }
        return result
    }

    /// A ticket that decrypts is used only if its peer would be accepted today; else a full handshake decides.
    static func acceptTicket(
        _ ssl: OpaquePointer?, _ session: OpaquePointer?, _ name: UnsafePointer<UInt8>?, _ length: Int,
        _ status: SSL_TICKET_STATUS, _ unused: UnsafeMutableRawPointer?
    ) -> SSL_TICKET_RETURN {
        apus_tls_decode_keys()
        guard status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW else {
            return SSL_TICKET_RETURN_IGNORE_RENEW
        }
        guard let session, let owner = stream(of: ssl),
            owner._withUnsafeGuaranteedRef({ $0.acceptsSession(session) })
        else { return SSL_TICKET_RETURN_IGNORE_RENEW }
        // A ticket of TLS 1.3 is used once, so there has to be a next one.
        let isRenewed = status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == 0x0304
        return isRenewed ? SSL_TICKET_RETURN_USE_RENEW : SSL_TICKET_RETURN_USE
    }

    /// The server gave a client a session.
    static func keepSession(_ ssl: OpaquePointer?, _ session: OpaquePointer?) -> Int32 {
        guard let session, let owner = stream(of: ssl) else { return 0 }
        _ = apus_tls_keep_peer_signature(ssl, session)
        return owner._withUnsafeGuaranteedRef { $0.keepSession(session) } ? 1 : 0
    }
}
