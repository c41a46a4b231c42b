// SPDX-License-Identifier: Apache-2.0
import MeshIO
import MeshModel
import MeshProto

extension Translator {
    private typealias Context = Envoy_Extensions_TransportSockets_Tls_V3_CertificateValidationContext

    /// What a peer's certificate has to be.
    ///
    /// - Throws: `ConfigError` also for checks that mean nothing without a CA: they would look like safety.
    func validation(
        _ message: Envoy_Extensions_TransportSockets_Tls_V3_CertificateValidationContext, at path: String
    ) throws(ConfigError) -> CertificateValidation {
        var validation = CertificateValidation()
        if message.hasTrustedCa {
            validation.trustedCA = try pem(
                message.trustedCa, " CERTIFICATE-----", "certificates", at: path + ".trusted_ca")
        }
        if message.hasCrl {
            validation.revocationList = try pem(message.crl, " X509 CRL-----", "revocation lists", at: path + ".crl")
            try requireCA(validation, "a revocation list", at: path + ".crl")
        }
        if !message.watchedDirectory.path.isEmpty { validation.watchedDirectory = message.watchedDirectory.path }
        validation.certificateHashes = try certificateHashes(message, at: path + ".verify_certificate_hash")
        validation.keyPins = try keyPins(message, at: path + ".verify_certificate_spki")
        validation.names = try names(message, at: path)
        if !validation.names.isEmpty {
            let isTyped = !message.matchTypedSubjectAltNames.isEmpty
            let field = isTyped ? "match_typed_subject_alt_names" : "match_subject_alt_names"
            try requireCA(validation, "names to match", at: "\(path).\(field)")
        }
        if message.allowExpiredCertificate {
            validation.allowsExpired = true
            try requireCA(validation, "true", at: path + ".allow_expired_certificate")
        }
        validation.acceptsUntrusted = message.trustChainVerification == .acceptUntrusted
        validation.checksRevocationOfLeafOnly = message.onlyVerifyLeafCertCrl
        if message.hasMaxVerifyDepth { validation.maxDepth = message.maxVerifyDepth.value }
        return validation
    }

    private func requireCA(_ validation: CertificateValidation, _ found: String, at path: String) throws(ConfigError) {
        guard validation.trustedCA == nil else { return }
        throw error(path, found: "\(found) without trusted_ca", allowed: "it beside trusted_ca")
    }

    // MARK: Digests

    /// 64 hexadecimal digits, or 32 pairs of them with colons between.
    private func certificateHashes(_ message: Context, at path: String) throws(ConfigError) -> [[UInt8]] {
        var hashes: [[UInt8]] = []
        for (index, text) in message.verifyCertificateHash.enumerated() {
            let hash = Self.hash(text)
            guard let hash else {
                throw error(
                    "\(path)[\(index)]", found: "'\(text)'",
                    allowed: "a SHA-256 digest as 64 hexadecimal digits, or with a colon after every two")
            }
            hashes.append(hash)
        }
        return hashes
    }

    private static func hash(_ text: String) -> [UInt8]? {
        var digits = Array(text.utf8)
        if digits.count == 95 {
            for index in stride(from: 2, to: 95, by: 3) where digits[index] != UInt8(ascii: ":") { return nil }
            digits = digits.enumerated().filter { $0.offset % 3 != 2 }.map(\.element)
        }
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: 64, by: 2) {
            guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x41...0x46: digit - 0x41 + 10
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }

    private func keyPins(_ message: Context, at path: String) throws(ConfigError) -> [[UInt8]] {
        var pins: [[UInt8]] = []
        for (index, text) in message.verifyCertificateSpki.enumerated() {
            guard let pin = Base64.decode(text), pin.count == 32 else {
                throw error("\(path)[\(index)]", found: "'\(text)'", allowed: "a SHA-256 digest in base64")
            }
            pins.append(pin)
        }
        return pins
    }

    // MARK: Names

    private func names(_ message: Context, at path: String) throws(ConfigError) -> [SANMatcher] {
        var names: [SANMatcher] = []
        for (index, matcher) in message.matchTypedSubjectAltNames.enumerated() {
            let place = "\(path).match_typed_subject_alt_names[\(index)]"
            let type: SANMatcher.NameType
            switch matcher.sanType {
            case .email: type = .email
            case .dns: type = .dns
            case .uri: type = .uri
            case .ipAddress: type = .ipAddress
            default:
                throw error(
                    place + ".san_type", found: "\(matcher.sanType)", allowed: "EMAIL, DNS, URI or IP_ADDRESS")
            }
            names.append(SANMatcher(type, try checked(matcher.matcher, at: place + ".matcher")))
        }
        // Where there are both, Envoy looks at the typed ones alone.
        guard names.isEmpty else { return names }
        for (index, matcher) in message.matchSubjectAltNames.enumerated() {
            names.append(SANMatcher(.any, try checked(matcher, at: "\(path).match_subject_alt_names[\(index)]")))
        }
        return names
    }

    private func checked(
        _ message: Envoy_Type_Matcher_V3_StringMatcher, at path: String
    ) throws(ConfigError) -> StringMatcher {
        let matcher = try stringMatcher(message, at: path)
        do throws(ResourceError) {
            try matcher.check(maxProgramSize: maxRegexProgramSize)
        } catch {
            throw self.error(error, under: path)
        }
        return matcher
    }
}
