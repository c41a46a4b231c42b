// SPDX-License-Identifier: Apache-2.0
import MeshModel
import MeshTLS
import Testing

@testable import MeshDataPlane

/// Who may say in x-forwarded-client-cert what.
struct ForwardedCertificatesTests {
    @Test(arguments: [
        (ForwardClientCertificate.Mode.sanitize, ForwardedCertificates.Action.remove, ForwardedCertificates.Action.remove),
        (.forwardOnly, .keep, .remove),
        (.appendForward, .append, .remove),
        (.sanitizeSet, .replace, .remove),
        (.alwaysForwardOnly, .keep, .keep),
    ])
    func everyModeSaysWhatBecomesOfIt(
        mode: ForwardClientCertificate.Mode, withPeer: ForwardedCertificates.Action,
        withoutPeer: ForwardedCertificates.Action
    ) {
        #expect(ForwardedCertificates.action(mode, hasPeer: true) == withPeer)
        #expect(ForwardedCertificates.action(mode, hasPeer: false) == withoutPeer)
    }

    @Test func onlyModesThatWriteNeedAnElement() {
        var options = ForwardClientCertificate()
        for mode in [ForwardClientCertificate.Mode.sanitize, .forwardOnly, .alwaysForwardOnly] {
            options.mode = mode
            #expect(ForwardedClientCertificate(options) == nil)
        }
        options.mode = .sanitizeSet
        options.details = [.uri, .subject]
        let element = ForwardedClientCertificate(options)
        #expect(element?.includesURI == true && element?.includesSubject == true)
        #expect(element?.includesChain == false && element?.includesCertificate == false && element?.includesDNS == false)
    }

    @Test func failuresAreTextInEnvoysWords() {
        func text(_ code: Int32) -> String? {
            let sink = ByteSink()
            return TLSReason.append(code, to: sink) ? String(decoding: sink.bytes, as: UTF8.self) : nil
        }
        #expect(text(-125) == "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end")
        #expect(text(-1048)?.contains("268436504:SSL_routines:OPENSSL_internal:TLSV1_ALERT_UNKNOWN_CA") == true)
        #expect(text(TLSReason.peerLeft) == nil)
        #expect(text(0) == nil && text(111) == nil)
        #expect(text(-77)?.contains("PROTOCOL_ERROR") == true)
    }
}
