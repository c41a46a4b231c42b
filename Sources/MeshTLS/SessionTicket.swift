// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// The keys of a server's session tickets at one moment.
///
/// All workers derive the same keys from the context's secret and the number of the period, so a client may resume at
/// another worker and nothing is shared that would need a lock. A ticket is opened in the period it was sealed in and in
/// the next one.
struct SessionTicket {
    private static let nameLength = 16
    private static let vectorLength: Int32 = 16

    private let secret: [UInt8]
    private let period: UInt64

    init(context: TLSContext, now: Int64) {
        secret = context.ticketSecret
        period = UInt64(clamping: now) / max(1, context.options.ticketKeyPeriodSeconds)
    }

    private func keys(_ period: UInt64) -> [UInt8]? {
        var keys = [UInt8](repeating: 0, count: 80)
        return apus_tls_ticket_keys(TLSLibrary.shared.context, secret, period, &keys) == 1 ? keys : nil
    }

    /// 1 on success, -1 on failure.
    func seal(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer?,
        authentication: OpaquePointer?
    ) -> Int32 {
        guard let keys = keys(period),
            RAND_bytes_ex(TLSLibrary.shared.context, vector, Int(SessionTicket.vectorLength), 0) == 1
        else { return -1 }
        for index in 0..<SessionTicket.nameLength { name[index] = keys[index] }
        return apus_tls_ticket_begin(cipher, authentication, TLSLibrary.shared.ticketCipher, keys, vector, 1) == 1 ? 1 : -1
    }

    /// 1: opened; 2: opened, and the client should get a new one; 0: not ours, or too old.
    func open(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer?,
        authentication: OpaquePointer?
    ) -> Int32 {
        for candidate in [period, period &- 1] {
            guard let keys = keys(candidate) else { return -1 }
            // The name is no secret: it is in every ticket.
            guard (0..<SessionTicket.nameLength).allSatisfy({ keys[$0] == name[$0] }) else { continue }
            guard apus_tls_ticket_begin(cipher, authentication, TLSLibrary.shared.ticketCipher, keys, vector, 0) == 1 else {
                return -1
            }
            return candidate == period ? 1 : 2
        }
        return 0
    }
}
