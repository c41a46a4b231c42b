// SPDX-License-Identifier: Apache-2.0
import COpenSSL

/// What a context's session tickets are sealed with.
struct SessionTicketKeys: Sendable {
    /// Name 16, HMAC key 32, AES-256 key 32: BoringSSL's and therefore Envoy's order.
    static let keyLength = 80

    /// The configured keys, each as name, cipher key, authentication key. Empty: the process's own.
    let fixed: [[UInt8]]
    /// What the process's own keys are derived from.
    let secret: [UInt8]

    init(_ options: TLSContextOptions) throws(TLSContextError) {
        var fixed: [[UInt8]] = []
        for (index, key) in options.ticketKeys.enumerated() {
            guard key.count == SessionTicketKeys.keyLength else { throw .badTicketKey(index, key.count) }
            fixed.append(Array(key[0..<16] + key[48..<80] + key[16..<48]))
        }
        self.fixed = fixed
        var secret = [UInt8](repeating: 0, count: 32)
        guard RAND_priv_bytes_ex(TLSLibrary.shared.context, &secret, 32, 0) == 1 else { throw .libraryFailed }
        self.secret = secret
    }
}

/// The keys of a server's session tickets at one moment.
///
/// Without configured keys all workers derive the same ones from the context's secret and the number of the period, so a
/// client may resume at another worker and nothing is shared that would need a lock. A ticket is opened in the period it
/// was sealed in and in the next one. Of configured keys the first one seals and every one opens.
struct SessionTicket {
    private static let nameLength = 16
    private static let vectorLength: Int32 = 16

    private let context: TLSContext
    private let workspace: TLSWorkspace
    private let period: UInt64

    init(context: TLSContext, workspace: TLSWorkspace, now: Int64) {
        self.context = context
        self.workspace = workspace
        period = UInt64(clamping: now) / max(1, context.options.ticketKeyPeriodSeconds)
    }

    /// Keys that open a ticket; the first one is also what seals.
    private var candidateCount: Int {
        let fixed = context.ticketKeys.fixed
        return fixed.isEmpty ? 2 : fixed.count
    }

    private func candidate(_ index: Int) -> [UInt8]? {
        let fixed = context.ticketKeys.fixed
        return fixed.isEmpty ? workspace.ticketKey(of: context, in: period &- UInt64(index)) : fixed[index]
    }

    /// 1 on success, -1 on failure.
    func seal(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer?,
        authentication: OpaquePointer?
    ) -> Int32 {
        guard let key = candidate(0),
            RAND_bytes_ex(TLSLibrary.shared.context, vector, Int(SessionTicket.vectorLength), 0) == 1
        else { return -1 }
        for index in 0..<SessionTicket.nameLength { name[index] = key[index] }
        return apus_tls_ticket_begin(cipher, authentication, TLSLibrary.shared.ticketCipher, key, vector, 1) == 1 ? 1 : -1
    }

    /// 1: opened; 2: opened, and the client should get a new one; 0: not ours, or too old.
    func open(
        name: UnsafeMutablePointer<UInt8>, vector: UnsafeMutablePointer<UInt8>, cipher: OpaquePointer?,
        authentication: OpaquePointer?
    ) -> Int32 {
        for index in 0..<candidateCount {
            guard let key = candidate(index) else { return -1 }
            // The name is no secret: it is in every ticket.
            guard (0..<SessionTicket.nameLength).allSatisfy({ key[$0] == name[$0] }) else { continue }
            guard apus_tls_ticket_begin(cipher, authentication, TLSLibrary.shared.ticketCipher, key, vector, 0) == 1 else {
                return -1
            }
            return index == 0 ? 1 : 2
        }
        return 0
    }
}
