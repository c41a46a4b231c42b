// SPDX-License-Identifier: Apache-2.0

/// Tells from the first bytes of a connection whether it speaks HTTP, and which version.
///
/// - Source: `envoy.extensions.filters.listener.http_inspector.v3.HttpInspector`.
/// - It looks and never consumes. Bytes that cannot become a request line are recognised as soon as they arrive, so a
///   client of another protocol waits for nothing but its own first bytes.
///
/// Invariants:
/// - `scanned` is the end of the request target as far as it was seen, so a client that sends single bytes costs one look
///   at each of them.
struct HTTPInspector {
    /// What was found, by the name `application_protocols` knows it.
    enum Version: Equatable {
        case http10
        case http11
        case h2c

        /// As a list, the way connection facts hold it; made once.
        var applicationProtocols: [String] {
            switch self {
            case .http10: HTTPInspector.http10Names
            case .http11: HTTPInspector.http11Names
            case .h2c: HTTPInspector.h2cNames
            }
        }
    }

    /// What is known after some bytes.
    enum Verdict: Equatable {
        /// At least so many bytes, counted from the start of the connection, are needed.
        case needMore(Int)
        case found(Version)
        case notHTTP
    }

    /// A request line that is not over by then is no HTTP (Envoy's bound of the peeked bytes).
    static let maxBytes = 64 * 1024

    private static let http10Names = ["http/1.0"]
    private static let http11Names = ["http/1.1"]
    private static let h2cNames = ["h2c"]

    /// RFC 9113 §3.4.
    private static let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// Methods of the IANA registry that servers answer to; a first word that is none of them is another protocol.
    private static let methods: [StaticString] = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "ACL", "BIND", "CHECKOUT", "COPY",
        "LINK", "LOCK", "M-SEARCH", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "NOTIFY", "PROPFIND",
        "PROPPATCH", "PURGE", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE", "UNBIND", "UNLINK", "UNLOCK",
        "UNSUBSCRIBE",
    ]
    /// Length of UNSUBSCRIBE.
    private static let longestMethod = 11

    /// Length of the method with its space; 0 until it was seen.
    private var targetStart = 0
    /// Bytes of method and target known to be good.
    private var scanned = 0
    /// Where the version begins; 0 until the target is over.
    private var versionStart = 0

    /// Looks at all bytes received so far; `bytes` grows between calls and never loses any.
    mutating func inspect(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        let seen = min(bytes.count, Self.preface.utf8CodeUnitCount)
        if UnsafeRawBufferPointer(rebasing: bytes[..<seen]).isPrefix(of: Self.preface) {
            let whole = Self.preface.utf8CodeUnitCount
            return seen == whole ? .found(.h2c) : .needMore(max(seen + 1, bytes.count + 1))
        }
        let verdict = inspectRequestLine(bytes)
        if case .needMore = verdict, bytes.count >= Self.maxBytes { return .notHTTP }
        return verdict
    }

    private mutating func inspectRequestLine(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        if targetStart == 0 {
            let head = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, Self.longestMethod + 1)])
            guard let space = head.firstIndex(of: UInt8(ascii: " ")) else {
                let canGrow = Self.methods.contains { head.isPrefix(of: $0) }
                return canGrow ? .needMore(bytes.count + 1) : .notHTTP
            }
            let word = UnsafeRawBufferPointer(rebasing: head[..<space])
            guard Self.methods.contains(where: { $0.utf8CodeUnitCount == word.count && word.isPrefix(of: $0) }) else {
                return .notHTTP
            }
            targetStart = space + 1
            scanned = targetStart
        }
        while versionStart == 0 {
            guard scanned < bytes.count else { return .needMore(bytes.count + 1) }
            let byte = bytes[scanned]
            if byte == UInt8(ascii: " ") {
                guard scanned > targetStart else { return .notHTTP }
                versionStart = scanned + 1
            } else if byte <= 0x20 || byte == 0x7F {
                return .notHTTP
            }
            scanned += 1
        }
        return inspectVersion(UnsafeRawBufferPointer(rebasing: bytes[versionStart...]))
    }

    /// `HTTP/1.1` and the CR or LF behind it.
    private func inspectVersion(_ bytes: UnsafeRawBufferPointer) -> Verdict {
        let known: StaticString = "HTTP/"
        let letters = known.utf8CodeUnitCount
        let prefix = UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, letters)])
        guard prefix.isPrefix(of: known) else { return .notHTTP }
        for index in letters..<max(letters, min(bytes.count, letters + 4)) {
            let byte = bytes[index]
            let isGood: Bool
            switch index - letters {
            case 0, 2: isGood = byte &- UInt8(ascii: "0") <= 9
            case 1: isGood = byte == UInt8(ascii: ".")
            default: isGood = byte == UInt8(ascii: "\r") || byte == UInt8(ascii: "\n")
            }
            if !isGood { return .notHTTP }
        }
        guard bytes.count >= letters + 4 else { return .needMore(versionStart + bytes.count + 1) }
        let isOneOne = bytes[letters] == UInt8(ascii: "1") && bytes[letters + 2] == UInt8(ascii: "1")
        // Envoy calls every other well-formed version 1.0.
        return .found(isOneOne ? .http11 : .http10)
    }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes are the beginning of `text`, or all of it; no bytes are the beginning of everything.
    func isPrefix(of text: StaticString) -> Bool {
        guard count <= text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }
}
