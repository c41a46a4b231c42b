// SPDX-License-Identifier: Apache-2.0

/// One element of `x-forwarded-client-cert`.
///
/// - Source: `HttpConnectionManager.set_current_client_cert_details`. Order and quoting are Envoy's:
///   `By`, `Hash`, then `Cert`, `Chain`, `Subject`, `URI`, `DNS` as asked for.
package struct ForwardedClientCertificate: Hashable, Sendable {
    package var includesSubject = false
    package var includesCertificate = false
    package var includesChain = false
    package var includesURI = false
    package var includesDNS = false

    package init() {}

    /// Appends the element for `peer` to `output`.
    ///
    /// - Parameter local: our certificate's identity; without a URI name in it there is no `By`.
    package func append(peer: PeerIdentity, local: PeerIdentity?, to output: inout [UInt8]) {
        var isFirst = true
        func pair(_ key: StaticString, _ value: [UInt8], isQuoted: Bool = false) {
            if !isFirst { output.append(UInt8(ascii: ";")) }
            isFirst = false
            key.withUTF8Buffer { output.append(contentsOf: $0) }
            output.append(UInt8(ascii: "="))
            if isQuoted { output.append(UInt8(ascii: "\"")) }
            output.append(contentsOf: value)
            if isQuoted { output.append(UInt8(ascii: "\"")) }
        }
        for name in local?.uriNames ?? [] { pair("By", value(name)) }
        pair("Hash", peer.fingerprintText)
        if includesCertificate { pair("Cert", peer.encodedCertificate, isQuoted: true) }
        if includesChain { pair("Chain", PEMText.percentEncoded(peer.pemChain), isQuoted: true) }
        if includesSubject { pair("Subject", printable(peer.subject), isQuoted: true) }
        if includesURI {
            for name in peer.uriNames { pair("URI", value(name)) }
            // Envoy says so when there is none; of DNS names it says nothing.
            if peer.uriNames.isEmpty { pair("URI", []) }
        }
        if includesDNS { for name in peer.dnsNames { pair("DNS", value(name)) } }
    }

    /// A name with a separator in it would end the pair or the element and begin one of the peer's own making.
    private func value(_ name: [UInt8]) -> [UInt8] {
        let special: (UInt8) -> Bool = {
            $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: "\"")
                || $0 < 0x21 || $0 == 0x7F
        }
        guard name.contains(where: special) else { return name }
        return [UInt8(ascii: "\"")] + escaped(name) + [UInt8(ascii: "\"")]
    }

    /// RFC 2253 text has its quotes and backslashes escaped already.
    private func printable(_ text: [UInt8]) -> [UInt8] {
        text.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
    }

    /// Quotes and backslashes get a backslash; what may not stand in a header field at all becomes a space.
    private func escaped(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        for byte in text {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { output.append(UInt8(ascii: "\\")) }
            output.append(byte < 0x20 || byte == 0x7F ? UInt8(ascii: " ") : byte)
        }
        return output
    }
}
