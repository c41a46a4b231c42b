// SPDX-License-Identifier: Apache-2.0

/// Tells from the first bytes of a connection whether it speaks TLS, which server it asks for and which protocols it
/// offers.
///
/// - Source: `envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector`; RFC 8446 §4.1.2 and §5.1, RFC 6066 §3,
///   RFC 7301 §3.1.
/// - It looks and never consumes. A ClientHello may come in any number of segments and of records; it is read in place
///   when one record holds it, and else gathered once, when it is whole.
/// - What is no ClientHello that a handshake could go on from is not TLS, as for Envoy: the connection then has the chain
///   of a plain one, if there is any.
///
/// Invariants:
/// - `nextRecord` is the end of the last whole record, so a client that sends single bytes costs a look at one header
///   for each;
/// - no byte behind `maxBytes` has a say.
struct TLSInspector {
    /// What is known after some bytes.
    enum Verdict: Equatable {
        /// At least so many bytes, counted from the start of the connection, are needed.
        case needMore(Int)
        /// A whole ClientHello.
        case found(ClientHelloFacts)
        case notTLS
        /// `maxBytes` came and the ClientHello is not over.
        case tooLarge
    }

    /// Most bytes looked at, record headers included. Source: `max_client_hello_size`.
    let maxBytes: Int

    private static let headerLength = 5
    /// Type and length of a handshake message.
    private static let messageHeaderLength = 4
    private static let handshakeRecord: UInt8 = 22
    private static let clientHello: UInt8 = 1
    /// Longest record that is read at all: 2^14 of content, 256 and 64 for a cipher's padding and digest. A longer one
    /// is no TLS; those up to here are too large.
    private static let maxRecordLength = 16_384 + 256 + 64
    /// Longest ClientHello, its four bytes of header not counted.
    private static let maxMessageLength = 16_384
    /// Records without content before the ClientHello is whole; each is five bytes for nothing.
    private static let maxEmptyRecords: UInt8 = 32

    private var nextRecord = 0
    /// Handshake bytes in the whole records.
    private var gathered = 0
    /// Length of the message with its header; 0 until its header was seen.
    private var messageLength = 0
    private var header: UInt32 = 0
    private var emptyRecords: UInt8 = 0

    init(maxBytes: Int = 16_384) { self.maxBytes = maxBytes }

    /// Looks at all bytes received so far; `bytes` grows between calls and never loses any.
    mutating func inspect(_ received: UnsafeRawBufferPointer) -> Verdict {
        let bytes = UnsafeRawBufferPointer(rebasing: received[..<min(received.count, maxBytes)])
        while messageLength == 0 || gathered < messageLength {
            let length: Int
            switch nextRecordLength(bytes) {
            case .whole(let value): length = value
            case .needs(let count):
                return bytes.count < maxBytes ? .needMore(count) : .tooLarge
            case .wrong: return .notTLS
            }
            guard takeRecord(bytes, length: length) else { return .notTLS }
        }
        return parseMessage(bytes)
    }

    private enum RecordLength {
        case whole(Int)
        case needs(Int)
        case wrong
    }

    /// Length of the record at `nextRecord`, when all of it is there.
    private func nextRecordLength(_ bytes: UnsafeRawBufferPointer) -> RecordLength {
        let available = bytes.count - nextRecord
        // Decided as early as can be, so that another protocol waits for nothing but its own first bytes.
        if available > 0, bytes[nextRecord] != Self.handshakeRecord { return .wrong }
        if available > 1, bytes[nextRecord + 1] != 3 { return .wrong }
        guard available >= Self.headerLength else { return .needs(max(nextRecord + Self.headerLength, bytes.count + 1)) }
        let length = Int(bytes[nextRecord + 3]) << 8 | Int(bytes[nextRecord + 4])
        guard length <= Self.maxRecordLength else { return .wrong }
        guard available >= Self.headerLength + length else { return .needs(nextRecord + Self.headerLength + length) }
        return .whole(length)
    }

    /// Counts a whole record in; false when it cannot belong to a ClientHello.
    private mutating func takeRecord(_ bytes: UnsafeRawBufferPointer, length: Int) -> Bool {
        if length == 0 {
            emptyRecords += 1
            if emptyRecords > Self.maxEmptyRecords { return false }
        }
        let start = nextRecord + Self.headerLength
        // The header of the message may lie in several records.
        var index = 0
        while index < length, gathered + index < Self.messageHeaderLength {
            header = header << 8 | UInt32(bytes[start + index])
            index += 1
        }
        gathered += length
        nextRecord = start + length
        if messageLength == 0, gathered >= Self.messageHeaderLength {
            guard UInt8(truncatingIfNeeded: header >> 24) == Self.clientHello else { return false }
            let body = Int(header & 0xFF_FFFF)
            guard body <= Self.maxMessageLength else { return false }
            messageLength = Self.messageHeaderLength + body
        }
        return true
    }

    /// The message is whole: in place if the first record holds it.
    private func parseMessage(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        let first = Int(bytes[3]) << 8 | Int(bytes[4])
        if first >= messageLength {
            let start = Self.headerLength + Self.messageHeaderLength
            let body = UnsafeRawBufferPointer(rebasing: bytes[start..<(Self.headerLength + messageLength)])
            return Self.verdict(ClientHelloFacts(body))
        }
        var message: [UInt8] = []
        message.reserveCapacity(gathered)
        var position = 0
        while message.count < messageLength {
            let length = Int(bytes[position + 3]) << 8 | Int(bytes[position + 4])
            message.append(contentsOf: bytes[(position + Self.headerLength)..<(position + Self.headerLength + length)])
            position += Self.headerLength + length
        }
        return message.withUnsafeBytes { all in
            let body = UnsafeRawBufferPointer(rebasing: all[Self.messageHeaderLength..<messageLength])
            return Self.verdict(ClientHelloFacts(body))
        }
    }

    private static func verdict(_ facts: ClientHelloFacts?) -> Verdict { facts.map { .found($0) } ?? .notTLS }
}

/// The libFuzzer target's body: any bytes, however they are cut, give one verdict, and it comes.
///
/// The first byte says where the input is cut in two, the second bounds it; the rest is the input.
package func fuzzTLSInspector(_ bytes: [UInt8]) {
    guard bytes.count > 2 else { return }
    let maxBytes = bytes[1] & 1 == 0 ? 16_384 : 256
    let input = Array(bytes[2...])
    func verdict(cutAt cut: Int) -> TLSInspector.Verdict {
        var inspector = TLSInspector(maxBytes: maxBytes)
        let early = Array(input[..<cut]).withUnsafeBytes { inspector.inspect($0) }
        guard case .needMore(let count) = early else { return early }
        precondition(count > cut, "\(count) bytes wanted when \(cut) are there")
        return input.withUnsafeBytes { inspector.inspect($0) }
    }
    let whole = verdict(cutAt: input.count)
    precondition(verdict(cutAt: Int(bytes[0]) * input.count / 256) == whole, "the cut decides")
}
