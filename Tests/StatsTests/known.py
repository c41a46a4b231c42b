# SPDX-License-Identifier: Apache-2.0
"""Stats that Envoy has in this scenario and Apus has not, by pattern, with the reason; and the other way round.

`test_names.py` holds the lists to the truth: what is missing must be listed, and what is listed must be missing.
`*` stands for anything. docs/stats.md says more.
"""

_NO_HTTP3 = "Apus does not speak HTTP/3"
_NO_SUBSETS = "Apus has no subset load balancing"
_NO_ZONES = "Apus has no zone aware routing"
_NO_XDS = "comes with configuration over xDS"
_NO_INTERNAL_REDIRECTS = "Apus does not follow redirects itself"
_NO_TRACING = "Apus does no tracing"
_NO_WATCHDOG = "Apus has no watchdog"
_NO_OVERLOAD = "Apus has no overload action of this name"
_BUFFERED = "a level that would be written with every read and write"
_INSIDE = "about the inside of Envoy"
_HISTOGRAM_OF_HEADS = "would be a histogram more for each head"
_NOT_COUNTED = "not counted"

MISSING = {
    "*.upstream_cx_http3_total": _NO_HTTP3,
    "*.downstream_*_http3_*": _NO_HTTP3,
    "*.upstream_http3_broken": _NO_HTTP3,
    "*_rq_0rtt": _NO_HTTP3,
    "*.upstream_cx_connect_with_0_rtt": _NO_HTTP3,
    "*.lb_subsets_*": _NO_SUBSETS,
    "*.lb_zone_*": _NO_ZONES,
    "*.lb_recalculate_zone_structures": _NO_ZONES,
    "*.lb_local_cluster_not_ok": _NO_ZONES,
    "*.lb_healthy_panic": _NOT_COUNTED,
    "*.max_host_weight": _NOT_COUNTED,
    "*.default.total_match_count": _INSIDE,
    "*.assignment_*": _NO_XDS,
    "cluster.*.version": _NO_XDS,
    "*.warming_state": _NO_XDS,
    "*.original_dst_host_invalid": _NOT_COUNTED,
    "*.upstream_internal_redirect_*": _NO_INTERNAL_REDIRECTS,
    "*.passthrough_internal_redirect_*": _NO_INTERNAL_REDIRECTS,
    "*.upstream_rq_maintenance_mode": "Apus does not know the runtime key upstream.maintenance_mode",
    "*.upstream_queue_overloaded": _NO_OVERLOAD,
    "cluster.*_bytes_buffered": _BUFFERED,
    "http.*_bytes_buffered": _BUFFERED,
    "tcp.*.downstream_cx_rx_bytes_buffered": _BUFFERED,
    "*.upstream_cx_close_notify": _NOT_COUNTED,
    "*.bind_errors": _NOT_COUNTED,
    "*.upstream_cx_preconnect_skipped": _NOT_COUNTED,
    "*.upstream_rq_rx_reset_no_error": _NOT_COUNTED,
    "cluster.*.http1.*": "upstream codecs of HTTP/1 count in the cluster's own stats",
    "*http2.cookie*": _HISTOGRAM_OF_HEADS,
    "*http2.header_count": _HISTOGRAM_OF_HEADS,
    "*http2.header_list_size": _HISTOGRAM_OF_HEADS,
    "*http2.oghttp2_*": "Envoy's other HTTP/2 library",
    "*http2.deferred_stream_close": _INSIDE,
    "*http2.headers_cb_no_stream": _INSIDE,
    "*http2.metadata_empty_frames": "Apus does not forward METADATA",
    "*http2.outbound_*frames_active": _BUFFERED,
    "*http2.pending_send_bytes": _BUFFERED,
    "*http2.stream_refused_errors": _NOT_COUNTED,
    "*http2.tx_flush_timeout": _NOT_COUNTED,
    "*.metadata_not_supported_error": "Apus does not forward METADATA",
    "cluster_manager.*_updated*": _NO_XDS,
    "cluster_manager.cluster_modified": _NO_XDS,
    "cluster_manager.cluster_removed": _NO_XDS,
    "cluster_manager.update_*": _NO_XDS,
    "listener_manager.listener_in_place_updated": _NO_XDS,
    "listener_manager.listener_modified": _NO_XDS,
    "listener_manager.listener_removed": _NO_XDS,
    "listener_manager.listener_stopped": _NOT_COUNTED,
    "listener_manager.total_filter_chains_draining": _NO_XDS,
    "listener_manager.workers_pinned": _INSIDE,
    "listener.*extension_config_missing": _NO_XDS,
    "*.connections_accepted_per_socket_event": _NOT_COUNTED,
    "envoy.overload_actions.*": _NO_OVERLOAD,
    "overload.refresh_interval_delay": _NO_OVERLOAD,
    "http.async-client.*": "Apus has no clients of its own",
    "http.*.tracing.*": _NO_TRACING,
    "http.*.downstream_cx_http1_soft_drain": _NOT_COUNTED,
    "http.*.rq_overload_local_reply": _NO_OVERLOAD,
    "http.*.rq_reset_after_downstream_response_started": _NOT_COUNTED,
    "http.*.rs_too_large": "no filter of Apus buffers a response",
    "*watchdog*": _NO_WATCHDOG,
    "runtime.deprecated_feature_*": "Apus has no feature that is deprecated",
    "runtime.load_error": "a runtime that cannot be read is refused at the start",
    "runtime.override_dir_*": "Apus reads no runtime from disk",
    "server.compilation_settings.fips_mode": "how Envoy was built",
    "server.debug_assertion_failures": _INSIDE,
    "server.dropped_stat_flushes": "there are no stats sinks",
    "server.envoy_*": _INSIDE,
    "server.hot_restart_epoch": "Apus has no hot restart",
    "server.parent_connections": "Apus has no hot restart",
    "server.seconds_until_first_ocsp_response_expiring": "Apus does not staple OCSP responses",
    "server.stats_recent_lookups": "stats are not looked up by name while serving",
    "server.wip_protos": _INSIDE,
    "tcp.*.downstream_cx_drain_close": _NOT_COUNTED,
    "tcp.*.downstream_cx_overload_close": _NO_OVERLOAD,
    "tcp.*.early_data_received_count_total": "early data belongs to receive_before_connect",
    "tcp.*.route_delayed_total": "Apus does not ask for clusters on demand",
    "thread_local_cluster_manager.*": "a cluster is made by its first use",
    "tls_inspector.bytes_processed": _NOT_COUNTED,
}

EXTRA = {
    "dns.cares.*": "the resolver is there before a cluster with names is",
    "overload.envoy.overload_actions.*": "listed before an action is configured",
    "server.cgroup.*": "how the kernel throttles the process",
    "http.admin.no_*": "admin's manager lists what one with a router has",
    "http.admin.rq_*": "admin's manager lists what one with a router has",
    "filesystem.write_dropped": "lines that were dropped because a file's queue was full",
    "tls_files.*": "certificates in files are watched without SDS",
}

#: Stats of both that have other values, with the reason.
DIFFERENT = {
    "*.remaining_cx_pools": "what is left of no limit is 2^32, not 2^64",
    "runtime.load_success": "Envoy loads it twice",
    "server.version": "Apus has its own",
    "server.memory_*": "another process",
    "server.uptime": "another process",
    "server.days_until_first_cert_expiring": "the certificate expires in a whole number of days, give or take a second",
    "server.static_unknown_fields": "Apus counts what it does not honour as well",
    "server.initialization_time_ms": "another process",
    "cluster.h2.upstream_cx_*_bytes_total": "frames and header compression differ",
    "*.downstream_cx_tx_bytes_total": "x-envoy-upstream-service-time has as many digits as it needs",
    "listener.*.expiration_unix_time_seconds": "read at another moment",
    "http.admin.*": "how often the tests ask differs, and Envoy closes its connections itself",
    "listener.admin.*": "how often the tests ask differs",
}
