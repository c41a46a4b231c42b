// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshModel

// How a connection manager's options become those of its codec.
extension HTTP1Limits {
    init(_ limits: HeadLimits) {
        self.init()
        maxHeadBytes = limits.maxRequestHeadersBytes
        maxFields = Int(limits.maxHeadersCount)
    }
}

extension PathNormalization {
    init(_ options: PathOptions) {
        self.init(normalizesPath: options.normalize, mergesSlashes: options.mergeSlashes)
        switch options.escapedSlashes {
        case .keepUnchanged: escapedSlashes = .keep
        case .reject: escapedSlashes = .reject
        case .unescapeAndRedirect: escapedSlashes = .unescapeAndRedirect
        case .unescapeAndForward: escapedSlashes = .unescapeAndForward
        }
    }
}

extension FieldNameCase {
    init(_ format: HTTP1Options.KeyFormat) {
        switch format {
        case .lowerCase: self = .lower
        case .properCase: self = .proper
        case .preserve: self = .original
        }
    }
}

extension HTTP1ServerOptions {
    /// - Parameter defaultHost: `default_host_for_http_10`; outlives the options.
    init(_ terminal: HTTPTerminal, defaultHost: ConstantBytes) {
        self.init()
        acceptsHTTP10 = terminal.http1.acceptHTTP10
        defaultHostForHTTP10 = defaultHost.bytes
        allowsAbsoluteForm = terminal.http1.allowAbsoluteURL
        enableTrailers = terminal.http1.enableTrailers
        allowsChunkedLength = terminal.http1.allowChunkedLength
        keepsNameCase = terminal.http1.keyFormat == .preserve
        switch terminal.limits.underscores {
        case .allow: underscores = .allow
        case .reject: underscores = .reject
        case .drop: underscores = .drop
        }
    }
}
