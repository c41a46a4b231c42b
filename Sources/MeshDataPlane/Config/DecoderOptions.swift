// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshHTTP2
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

extension MeshHTTP2.HTTP2Options {
    /// The session options of either side; limits of heads are the caller's to set.
    init(_ options: MeshModel.HTTP2Options) {
        self.init()
        hpackTableSize = options.hpackTableSize
        maxConcurrentStreams = options.maxConcurrentStreams
        initialStreamWindowSize = Int32(clamping: options.initialStreamWindow)
        initialConnectionWindowSize = Int32(clamping: options.initialConnectionWindow)
        allowsExtendedConnect = options.allowsConnect
        maxOutboundFrames = Int(options.maxOutboundFrames)
        maxOutboundControlFrames = Int(options.maxOutboundControlFrames)
        maxConsecutiveEmptyFrames = options.maxConsecutiveEmptyFrames
        maxPriorityFramesPerStream = options.maxPriorityFramesPerStream
        maxWindowUpdateFramesPerDataFrame = options.maxWindowUpdatesPerDataFrame
        resetsStreamOnInvalidMessage = options.streamErrorOnInvalidMessage
    }

    /// The downstream side of a connection manager.
    init(_ terminal: HTTPTerminal) {
        self.init(terminal.http2)
        maxHeaderBytes = terminal.limits.maxRequestHeadersBytes
        maxHeaderFields = Int(terminal.limits.maxHeadersCount)
        switch terminal.limits.underscores {
        case .allow: underscores = .allow
        case .reject: underscores = .reject
        case .drop: underscores = .drop
        }
    }
}
