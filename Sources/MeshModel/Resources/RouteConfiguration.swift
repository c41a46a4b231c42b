// SPDX-License-Identifier: Apache-2.0

/// Virtual hosts and what applies to all of them.
///
/// - Source: `envoy.config.route.v3.RouteConfiguration`. `RouteTable` is the compiled form.
package struct RouteConfiguration: Equatable, Sendable {
    /// Source: `name`; may be empty when written in a listener.
    package var name: String
    package var virtualHosts: [VirtualHost]
    /// Names removed from external requests, lower case. Source: `internal_only_headers`.
    package var internalOnlyHeaders: [String] = []
    package var headers = HeaderMutations()
    /// Apply header operations from the outside in, so that the most specific wins.
    /// Source: `most_specific_header_mutations_wins`. Default: false (route configuration last).
    package var mostSpecificHeaderMutationsWin = false
    /// A route to an unknown cluster rejects the configuration. Source: `validate_clusters`.
    /// Default: true for a static, false for a dynamic configuration; nil when not said.
    package var validateClusters: Bool?
    /// Source: `max_direct_response_body_size_bytes`. Default: 4096.
    package var maxDirectResponseBodyBytes: UInt32 = 4096
    /// Domains are compared without the port of the host. Source: `ignore_port_in_host_matching`. Default: false.
    package var ignorePortInHostMatching = false
    /// A path is matched without its `;parameters`. Source: `ignore_path_parameters_in_path_matching`. Default: false.
    package var ignorePathParameters = false
    /// Source: `typed_per_filter_config`, in order of name.
    package var perFilterConfigs: [TypedConfig] = []

    package init(name: String = "", virtualHosts: [VirtualHost] = []) {
        self.name = name
        self.virtualHosts = virtualHosts
    }
}

/// The routes of a set of domains.
///
/// - Source: `envoy.config.route.v3.VirtualHost`.
package struct VirtualHost: Equatable, Sendable {
    package var name: String
    /// Exact names, `*.suffix`, `prefix.*` or `*`; with a port where hosts carry one. No duplicates in a configuration.
    package var domains: [String]
    /// First match in this order wins.
    package var routes: [Route]
    /// Which requests that came in clear text are sent to `https`. Source: `require_tls`. Default: none.
    package var tlsRequirement = TLSRequirement.none
    package var headers = HeaderMutations()
    /// Source: `include_request_attempt_count`. Default: false.
    package var includeRequestAttemptCount = false
    /// Source: `include_attempt_count_in_response`. Default: false.
    package var includeAttemptCountInResponse = false
    /// Tell the upstream whether an attempt follows on one that timed out. Source: `include_is_timeout_retry_header`.
    /// Default: false.
    package var includeIsTimeoutRetry = false
    /// For the routes without one of their own. Source: `retry_policy`. Default: nil.
    package var retryPolicy: RetryPolicy?
    /// For the routes without one of their own.
    package var requestBufferLimit = RequestBufferLimit.inherit
    /// Source: `metadata`.
    package var metadata = MetadataTable()
    /// Sets of requests that are counted apart; the first that a request belongs to counts it, `other` the rest.
    /// Source: `virtual_clusters`.
    package var virtualClusters: [VirtualCluster] = []
    /// Source: `typed_per_filter_config`.
    package var perFilterConfigs: [TypedConfig] = []

    package init(name: String, domains: [String], routes: [Route] = []) {
        self.name = name
        self.domains = domains
        self.routes = routes
    }
}

/// Requests that are counted apart. Source: `envoy.config.route.v3.VirtualCluster`.
package struct VirtualCluster: Equatable, Sendable {
    /// Part of the stats' names.
    package var name: String
    /// All of them must hold. Source: `headers`.
    package var headers: [HeaderMatcher]

    package init(name: String, headers: [HeaderMatcher]) {
        self.name = name
        self.headers = headers
    }
}

/// Source: `VirtualHost.TlsRequirementType`.
package enum TLSRequirement: UInt8, BitwiseCopyable, Sendable {
    case none
    /// Requests from outside the mesh.
    case externalOnly
    case all
}

/// A condition and what to do with the requests that meet it.
///
/// - Source: `envoy.config.route.v3.Route`.
package struct Route: Equatable, Sendable {
    /// For logs and stats; may be empty. Source: `name`.
    package var name = ""
    package var match: RouteMatch
    package var action: Action
    package var headers = HeaderMutations()
    /// Value of x-envoy-decorator-operation; empty sets none. Source: `decorator.operation`.
    package var decoratorOperation = ""
    /// Whether the decorator's operation is sent upstream. Source: `decorator.propagate`. Default: true.
    package var decoratorPropagates = true
    package var requestBufferLimit = RequestBufferLimit.inherit
    /// Source: `metadata`.
    package var metadata = MetadataTable()
    /// Scope of per-route stats. Source: `stat_prefix`. Default: empty (none).
    package var statPrefix = ""
    /// Source: `typed_per_filter_config`.
    package var perFilterConfigs: [TypedConfig] = []

    package enum Action: Equatable, Sendable {
        case forward(RouteAction)
        case redirect(RedirectAction)
        case directResponse(DirectResponse)
    }

    package init(match: RouteMatch, action: Action) {
        self.match = match
        self.action = action
    }
}
