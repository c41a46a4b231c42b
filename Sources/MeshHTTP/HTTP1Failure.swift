// SPDX-License-Identifier: Apache-2.0

/// Why an HTTP/1 message was refused. Numbers in comments are cases of the attack ledger.
@frozen @usableFromInline package enum HTTP1Failure: UInt8, Error, Equatable, Sendable, CaseIterable {
    /// No failure; the value in steps that are none.
    case none

    // Start lines
    /// Not method SP target SP version CRLF (19).
    case malformedRequestLine
    /// The method is no token, or not one served (19).
    case badMethod
    /// Not HTTP/1.0 or HTTP/1.1 (19).
    case badVersion
    /// HTTP/2 or later in an HTTP/1 request line (19).
    case unsupportedVersion
    /// HTTP/1.0 and not accepted.
    case lowVersion
    /// 8-bit byte or a form that is not allowed for the method (19, 21).
    case malformedTarget
    /// A target that is no URL, or `*` outside OPTIONS, or CONNECT without a port (21).
    case badURL
    /// Absolute form of a scheme other than http and https.
    case badScheme
    /// `#` in the target (22).
    case fragmentInPath
    /// Not HTTP-version SP 3DIGIT (32).
    case malformedStatusLine
    /// A status below 100 or above 999 (32).
    case badStatus

    // Fields
    /// A control character, bare CR or LF in a value or target (15).
    case invalidCharacter
    /// A line that starts with a space or tab: obs-fold, or before the first field (16).
    case lineFolding
    /// Space between name and colon (16).
    case spaceBeforeColon
    /// A line without a colon (17).
    case missingColon
    /// A line that starts with its colon (17).
    case emptyName
    /// A byte in a name that is no token character (18).
    case badName
    /// CR without LF, LF without CR at a line's end (10, 15).
    case bareLineEnd
    /// An underscore in a name while they are refused (24).
    case underscore
    /// The head or trailers are over the byte limit (27).
    case headTooLarge
    /// Too many fields (27).
    case tooManyFields
    /// HTTP/1.1 without Host (20). The head is usable for logging.
    case missingHost
    /// More than one Host (20).
    case duplicateHost
    /// Host with userinfo, a bad port or bytes an authority does not have (20).
    case badHost
    /// `Connection` nominates a field that must not be removed (30).
    case badConnection

    // Framing
    /// Content-Length beside Transfer-Encoding (1).
    case lengthAndChunked
    /// More than one Content-Length value, equal ones too (2).
    case duplicateLength
    /// Content-Length that is not a plain decimal below 2^63 (3, 4).
    case badLength
    /// Content-Length on a response that cannot have one (31).
    case lengthNotAllowed
    /// Transfer-Encoding whose value is no list of codings, or names chunked twice, or given twice (5, 6).
    case malformedTransferEncoding
    /// A coding other than chunked (5).
    case unknownTransferEncoding
    /// Transfer-Encoding with HTTP/1.0, 1xx, 204 (7, 31).
    case transferEncodingNotAllowed
    /// A body with CONNECT (26).
    case bodyNotAllowed
    /// A chunk size that is not 1 to 16 hexadecimal digits below 2^63, or what follows it is not allowed (9, 10).
    case badChunkSize
    /// Chunk extensions over the limit (11).
    case chunkExtensionsTooLarge
    /// A chunk's bytes are not followed by CRLF (12).
    case badChunkEnd
    /// A framing or routing field among the trailers.
    case badTrailer

    // Responses and ends
    /// Bytes where no response is expected (32).
    case unexpectedResponse
    /// 101 to a request that did not ask for it.
    case unexpectedUpgrade
    /// More than sixteen 1xx (28).
    case tooManyInterimResponses
    /// The input ended before a response began.
    case closedBeforeHead
    /// The input ended inside a head (34).
    case truncatedHead
    /// The input ended inside a body (34).
    case truncatedBody

    /// The status to answer a client with. From an upstream every failure is a 502, except `closedBeforeHead` (503).
    package var status: UInt16 {
        switch self {
        case .unsupportedVersion: 505
        case .lowVersion: 426
        case .headTooLarge, .tooManyFields: 431
        case .unknownTransferEncoding: 501
        default: 400
        }
    }

    /// Envoy's `%RESPONSE_CODE_DETAILS%`.
    package var details: StaticString {
        switch self {
        case .none: ""
        case .lowVersion: "low_version"
        case .badURL: "http1.invalid_url"
        case .badScheme: "http1.invalid_scheme"
        case .fragmentInPath: "path_normalization_failed"
        case .invalidCharacter: "http1.invalid_characters"
        case .underscore: "http1.unexpected_underscore"
        case .headTooLarge: "http1.headers_too_large"
        case .tooManyFields: "http1.too_many_headers"
        case .missingHost: "missing_host_header"
        case .badHost: "http.invalid_authority"
        case .badConnection: "http1.connection_header_rejected"
        case .lengthAndChunked: "http1.content_length_and_chunked_not_allowed"
        case .lengthNotAllowed: "http1.content_length_not_allowed"
        case .malformedTransferEncoding, .unknownTransferEncoding: "http1.invalid_transfer_encoding"
        case .transferEncodingNotAllowed: "http1.transfer_encoding_not_allowed"
        case .bodyNotAllowed: "http1.body_disallowed"
        case .malformedRequestLine, .badMethod, .badVersion, .unsupportedVersion, .malformedTarget, .malformedStatusLine,
            .badStatus, .lineFolding, .spaceBeforeColon, .missingColon, .emptyName, .badName, .bareLineEnd, .duplicateHost,
            .duplicateLength, .badLength, .badChunkSize, .chunkExtensionsTooLarge, .badChunkEnd, .badTrailer,
            .unexpectedResponse, .unexpectedUpgrade, .tooManyInterimResponses, .closedBeforeHead, .truncatedHead,
            .truncatedBody:
            "http1.codec_error"
        }
    }

    /// The body of the answer, as Envoy sends it: the reason phrase, or nothing where Envoy's connection manager and not
    /// its codec refuses.
    package var body: StaticString {
        switch self {
        case .missingHost, .fragmentInPath, .badConnection: ""
        default: ReasonPhrase.text(status)
        }
    }

    /// Whether the access log carries flag `DPE`. Where it does not, the head is complete and may be logged.
    package var isProtocolError: Bool {
        switch self {
        case .missingHost, .fragmentInPath: false
        default: true
        }
    }
}
