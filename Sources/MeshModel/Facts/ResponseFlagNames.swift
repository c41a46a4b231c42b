// SPDX-License-Identifier: Apache-2.0

/// Envoy's names of the response flags, by their bit.
package enum ResponseFlagNames {
    /// As `%RESPONSE_FLAGS%` prints them.
    package static let short: [StaticString] = [
        "LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NR", "DI", "FI", "RL", "UAEX", "RLSE", "DC", "URX", "SI", "IH",
        "DPE", "UMSDR", "RFCF", "NFCF", "DT", "UPE", "NC", "OM", "DF", "DO", "DR",
    ]

    /// As `%RESPONSE_FLAGS_LONG%` prints them.
    package static let long: [StaticString] = [
        "FailedLocalHealthCheck", "NoHealthyUpstream", "UpstreamRequestTimeout", "LocalReset", "UpstreamRemoteReset",
        "UpstreamConnectionFailure", "UpstreamConnectionTermination", "UpstreamOverflow", "NoRouteFound",
        "DelayInjected", "FaultInjected", "RateLimited", "UnauthorizedExternalService", "RateLimitServiceError",
        "DownstreamConnectionTermination", "UpstreamRetryLimitExceeded", "StreamIdleTimeout",
        "InvalidEnvoyRequestHeaders", "DownstreamProtocolError", "UpstreamMaxStreamDurationReached",
        "ResponseFromCacheFilter", "NoFilterConfigFound", "DurationTimeout", "UpstreamProtocolError", "NoClusterFound",
        "OverloadManagerTerminated", "DnsResolutionFailed", "DropOverload", "DownstreamRemoteReset",
    ]
}
