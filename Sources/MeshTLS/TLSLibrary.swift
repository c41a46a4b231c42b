// SPDX-License-Identifier: Apache-2.0
import COpenSSL
import MeshIO

/// OpenSSL as this process uses it: one library context and what would otherwise be fetched for every handshake.
///
/// Sendable because all of it is made once and only read afterwards.
final class TLSLibrary: @unchecked Sendable {
    static let shared = TLSLibrary()

    /// False only when OpenSSL could not be set up at all.
    let isReady: Bool
    /// The library context: the process's own one, in which OpenSSL decodes sessions.
    let context: OpaquePointer?
    let sha256: OpaquePointer?
    /// The cipher that seals session tickets.
    let ticketCipher: OpaquePointer?
    let transportMethod: OpaquePointer?

    private init() {
        let isSetUp = apus_tls_set_up()
        context = apus_tls_library()
        sha256 = EVP_MD_fetch(context, "SHA256", nil)
        ticketCipher = EVP_CIPHER_fetch(context, "AES-256-CBC", nil)
        transportMethod = TransportBIO.makeMethod()
        isReady = isSetUp && sha256 != nil && ticketCipher != nil && transportMethod != nil
    }

    /// Empties this thread's error queue, which `SSL_get_error` would otherwise take for the next call's.
    @inline(__always) static func forgetErrors() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }
}

/// OpenSSL's view of the `ByteStream` below: ciphertext is read out of its input ring and written into its output queue.
/// Neither ever blocks: an empty ring is "retry", and room was looked at before anything is encrypted.
enum TransportBIO {
    /// Values of OpenSSL's `BIO_FLAGS_READ` with `BIO_FLAGS_SHOULD_RETRY`, which are macros of macros.
    private static let retryRead: Int32 = 0x09
    private static let allRetryFlags: Int32 = 0x0F
    /// `BIO_CTRL_FLUSH`: the output queue is flushed by the loop, so there is nothing to do, successfully.
    private static let flushCommand: Int32 = 11

    static func makeMethod() -> OpaquePointer? {
        guard let method = BIO_meth_new(BIO_get_new_index() | 0x0400, "byte stream") else { return nil }
        BIO_meth_set_read(method) { bio, bytes, count in
            guard let bytes, count > 0, let data = BIO_get_data(bio) else { return -1 }
            return Unmanaged<ByteStream>.fromOpaque(data)._withUnsafeGuaranteedRef { transport in
                let waiting = transport.input.readable
                BIO_clear_flags(bio, TransportBIO.allRetryFlags)
                guard let base = waiting.baseAddress, waiting.count > 0 else {
                    BIO_set_flags(bio, TransportBIO.retryRead)
                    return -1
                }
                let taken = min(Int(count), waiting.count)
                UnsafeMutableRawPointer(bytes).copyMemory(from: base, byteCount: taken)
                transport.input.consume(taken)
                return Int32(truncatingIfNeeded: taken)
            }
        }
        BIO_meth_set_write(method) { bio, bytes, count in
            guard let bytes, count > 0, let data = BIO_get_data(bio) else { return -1 }
            BIO_clear_flags(bio, TransportBIO.allRetryFlags)
            Unmanaged<ByteStream>.fromOpaque(data)._withUnsafeGuaranteedRef { transport in
                transport.write(copying: UnsafeRawBufferPointer(start: bytes, count: Int(count)))
            }
            return count
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == TransportBIO.flushCommand ? 1 : 0 }
        BIO_meth_set_create(method) { bio in
            BIO_set_init(bio, 1)
            return 1
        }
        return method
    }

    /// A BIO over `transport`, which has to outlive it.
    static func make(over transport: ByteStream) -> OpaquePointer? {
        guard let method = TLSLibrary.shared.transportMethod, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(transport).toOpaque())
        return bio
    }
}
