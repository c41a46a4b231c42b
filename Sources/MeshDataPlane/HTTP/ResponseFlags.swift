// SPDX-License-Identifier: Apache-2.0
import MeshHTTP
import MeshIO
import MeshModel
import MeshStats

/// What went wrong on a stream or connection, as `%RESPONSE_FLAGS%` prints it. Several may be set.
///
/// The bit order is Envoy's print order.
package struct ResponseFlags: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    package static let failedLocalHealthCheck = ResponseFlags(rawValue: 1 << 0)
    package static let noHealthyUpstream = ResponseFlags(rawValue: 1 << 1)
    package static let upstreamRequestTimeout = ResponseFlags(rawValue: 1 << 2)
    package static let localReset = ResponseFlags(rawValue: 1 << 3)
    package static let upstreamRemoteReset = ResponseFlags(rawValue: 1 << 4)
    package static let upstreamConnectionFailure = ResponseFlags(rawValue: 1 << 5)
    package static let upstreamConnectionTermination = ResponseFlags(rawValue: 1 << 6)
    package static let upstreamOverflow = ResponseFlags(rawValue: 1 << 7)
    package static let noRouteFound = ResponseFlags(rawValue: 1 << 8)
    package static let delayInjected = ResponseFlags(rawValue: 1 << 9)
    package static let faultInjected = ResponseFlags(rawValue: 1 << 10)
    package static let rateLimited = ResponseFlags(rawValue: 1 << 11)
    package static let unauthorizedExternalService = ResponseFlags(rawValue: 1 << 12)
    package static let rateLimitServiceError = ResponseFlags(rawValue: 1 << 13)
    package static let downstreamConnectionTermination = ResponseFlags(rawValue: 1 << 14)
    package static let upstreamRetryLimitExceeded = ResponseFlags(rawValue: 1 << 15)
    package static let streamIdleTimeout = ResponseFlags(rawValue: 1 << 16)
    package static let invalidEnvoyRequestHeaders = ResponseFlags(rawValue: 1 << 17)
    package static let downstreamProtocolError = ResponseFlags(rawValue: 1 << 18)
    package static let upstreamMaxStreamDurationReached = ResponseFlags(rawValue: 1 << 19)
    package static let responseFromCacheFilter = ResponseFlags(rawValue: 1 << 20)
    package static let noFilterConfigFound = ResponseFlags(rawValue: 1 << 21)
    package static let durationTimeout = ResponseFlags(rawValue: 1 << 22)
    package static let upstreamProtocolError = ResponseFlags(rawValue: 1 << 23)
    package static let noClusterFound = ResponseFlags(rawValue: 1 << 24)
    package static let overloadManager = ResponseFlags(rawValue: 1 << 25)
    package static let dnsResolutionFailed = ResponseFlags(rawValue: 1 << 26)
    package static let dropOverload = ResponseFlags(rawValue: 1 << 27)
    package static let downstreamRemoteReset = ResponseFlags(rawValue: 1 << 28)
}
