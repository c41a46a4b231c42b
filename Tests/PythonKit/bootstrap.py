# SPDX-License-Identifier: Apache-2.0
"""Bootstraps from short pieces: what every listener needs is written once, what a test is about stays in the test."""

import yaml

_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters."


def typed(name, type_url, **fields):
    return {"name": name, "typed_config": {"@type": type_url, **fields}}


def router(**fields):
    return typed("envoy.filters.http.router", _FILTERS + "http.router.v3.Router", **fields)


def from_yaml(text):
    return yaml.safe_load(text) if isinstance(text, str) else text


def hcm(routes=None, *, stat_prefix="in", virtual_hosts=None, route_config=None, options=None):
    """An HTTP connection manager; `routes` is the route list of one virtual host for every domain."""
    if route_config is None:
        hosts = from_yaml(virtual_hosts) or [{"name": "all", "domains": ["*"], "routes": from_yaml(routes)}]
        route_config = {"name": "local", "virtual_hosts": hosts}
    fields = {"stat_prefix": stat_prefix, "route_config": from_yaml(route_config), "http_filters": [router()]}
    fields.update(from_yaml(options) or {})
    return typed(
        "envoy.filters.network.http_connection_manager",
        _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        **fields,
    )


def tcp_proxy(*, stat_prefix="tcp", options=None, **fields):
    return typed(
        "envoy.filters.network.tcp_proxy",
        _FILTERS + "network.tcp_proxy.v3.TcpProxy",
        stat_prefix=stat_prefix,
        **fields,
        **(from_yaml(options) or {}),
    )


def http_inspector():
    return typed("envoy.filters.listener.http_inspector", _FILTERS + "listener.http_inspector.v3.HttpInspector")


def proxy_protocol(**fields):
    return typed(
        "envoy.filters.listener.proxy_protocol", _FILTERS + "listener.proxy_protocol.v3.ProxyProtocol", **fields
    )


def tls_inspector():
    return typed("envoy.filters.listener.tls_inspector", _FILTERS + "listener.tls_inspector.v3.TlsInspector")


_TLS = _TYPE + "envoy.extensions.transport_sockets.tls.v3."


def downstream_tls(*credentials, ca=None, validation=None, alpn=(), params=None, common=None, **fields):
    """A listener's TLS; `ca` (a path) alone demands a client certificate of it."""
    if ca:
        fields.setdefault("require_client_certificate", True)
    common = _common_tls(credentials, ca, validation, alpn, params, common)
    return typed("envoy.transport_sockets.tls", _TLS + "DownstreamTlsContext", common_tls_context=common, **fields)


def upstream_tls(*credentials, ca=None, validation=None, alpn=(), params=None, common=None, **fields):
    """A cluster's TLS; without `ca` the server is not verified."""
    common = _common_tls(credentials, ca, validation, alpn, params, common)
    return typed("envoy.transport_sockets.tls", _TLS + "UpstreamTlsContext", common_tls_context=common, **fields)


def _common_tls(credentials, ca, validation, alpn, params, common):
    made = {**(common or {})}
    if credentials:
        made["tls_certificates"] = [credential.as_config() for credential in credentials]
    if ca or validation:
        trusted = {"trusted_ca": {"filename": str(ca)}} if ca else {}
        made["validation_context"] = {**trusted, **(from_yaml(validation) or {})}
    if alpn:
        made["alpn_protocols"] = list(alpn)
    if params:
        made["tls_params"] = params
    return made


def http_protocol(**fields):
    """The cluster field that says how its endpoints speak HTTP: `http_protocol(explicit_http_config={...})`."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": _TYPE + name, **fields}
    return {"typed_extension_protocol_options": {name: options}}


def http2(**options):
    """The cluster field of an HTTP/2 cluster."""
    return http_protocol(explicit_http_config={"http2_protocol_options": options})


def file_access_log(path, text_format=None):
    fields = {"path": path}
    if text_format:
        fields["log_format"] = {"text_format_source": {"inline_string": text_format}}
    return typed("envoy.access_loggers.file", _TYPE + "envoy.extensions.access_loggers.file.v3.FileAccessLog", **fields)


def address(port, host="127.0.0.1"):
    return {"socket_address": {"address": host, "port_value": port}}


def listener(name, port, *filters, chains=None, host="127.0.0.1", **fields):
    return {
        "name": name,
        "address": address(port, host),
        "filter_chains": chains if chains is not None else [{"filters": list(filters)}],
        **fields,
    }


def endpoint(port, host="127.0.0.1", weight=None, **fields):
    result = {"endpoint": {"address": address(port, host)}, **fields}
    if weight is not None:
        result["load_balancing_weight"] = weight
    return result


def cluster(name, *endpoints, **fields):
    """A STATIC cluster; an endpoint is a port or what `endpoint` made."""
    made = [endpoint(e) if isinstance(e, int) else e for e in endpoints]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": made}] if made else []},
        **fields,
    }


def bootstrap(admin_port, listeners, clusters, **fields):
    return {
        "node": {"id": "test", "cluster": "test"},
        "admin": {"address": address(admin_port)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
        **fields,
    }


def write(path, config):
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path
