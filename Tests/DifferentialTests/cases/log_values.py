# SPDX-License-Identifier: Apache-2.0
"""Operators of access logs about bytes on the wire, queries and certificates; and expressions that share their values."""

import ssl

from cases.http2_bridges import h2
from exchanges import TLS, Ask, OverTLS
from harness import Case, Group, Kept, Receive, Send

from PythonKit.bootstrap import cluster, downstream_tls, file_access_log, hcm, http2, http_protocol, listener, router, upstream_tls
from PythonKit.certificates import material
from PythonKit.client import request
from PythonKit.h2upstream import H2Upstream, answer
from PythonKit.tls import server_context
from PythonKit.upstream import BODY, CLOSE, Upstream, response

_ROUTES = """
- {match: {prefix: /direct}, direct_response: {status: 418, body: {inline_string: teapot}}}
- {match: {prefix: /dead}, route: {cluster: dead}}
- {match: {prefix: /slow}, route: {cluster: a, timeout: 0.2s}}
- {match: {prefix: /retry}, route: {cluster: a, retry_policy: {retry_on: 5xx}}}
- {match: {prefix: /2}, route: {cluster: m}}
- {match: {prefix: /secure}, route: {cluster: secure}}
- {match: {prefix: /}, route: {cluster: a}}
"""
_BYTES = {
    side: " ".join(
        f"%{side}_{name}%"
        for name in (
            "WIRE_BYTES_RECEIVED", "WIRE_BYTES_SENT", "HEADER_BYTES_RECEIVED", "HEADER_BYTES_SENT",
            "DECOMPRESSED_HEADER_BYTES_RECEIVED", "DECOMPRESSED_HEADER_BYTES_SENT",
        )
    )
    for side in ("DOWNSTREAM", "UPSTREAM")
}
# Of HTTP/2 streams Apus knows neither yet.
_BOTH, _CLIENTS, _UPSTREAMS = " ".join(_BYTES.values()) + "\n", _BYTES["DOWNSTREAM"] + "\n", _BYTES["UPSTREAM"] + "\n"
_QUERY = (
    "%QUERY_PARAM(x)%|%QUERY_PARAM(x):2%|%QUERY_PARAM(a b)%|%QUERY_PARAM(y)%|%QUERY_PARAM(empty)%|%QUERY_PARAM(bare)%|"
    "%QUERY_PARAMS%|%QUERY_PARAMS(ORIG)%|%QUERY_PARAMS(DECODED)%\n"
)
_TLS = "|".join(
    f"{name}=%{name}%"
    for name in (
        "DOWNSTREAM_PEER_FINGERPRINT_1", "DOWNSTREAM_PEER_FINGERPRINT_256", "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_1",
        "DOWNSTREAM_PEER_CHAIN_FINGERPRINTS_256", "DOWNSTREAM_PEER_CHAIN_SERIALS", "DOWNSTREAM_PEER_SERIAL",
        "DOWNSTREAM_PEER_ISSUER_FINGERPRINT_256", "DOWNSTREAM_PEER_ISSUER_SERIAL", "DOWNSTREAM_PEER_OTHERNAME_SAN",
        "DOWNSTREAM_LOCAL_OTHERNAME_SAN", "DOWNSTREAM_TLS_GROUP", "UPSTREAM_TLS_GROUP", "UPSTREAM_SERVER_NAME",
    )
) + "\n"
_FORMATS = {
    "bytes1": _BOTH, "to2": _CLIENTS, "bytes2": _UPSTREAMS, "query": _QUERY, "certificates": _TLS, "old_tls": _TLS, "unasked": _TLS, "plain": _TLS,
}


def _build(ports):
    m = material()

    def made(name, text):
        log = file_access_log(ports.log(name), text)
        options = {"access_log": [log], "delayed_close_timeout": "0.2s"}
        # x-envoy-upstream-service-time has as many digits as it needs.
        options["http_filters"] = [router(suppress_envoy_headers=True)]
        options["http_protocol_options"] = {"enable_trailers": True}
        if name == "bytes2":
            options["codec_type"] = "HTTP2"
        filters = [hcm(_ROUTES, stat_prefix=name, options=options)]
        if name not in ("certificates", "old_tls", "unasked"):
            return listener(name, ports[name], *filters)
        params = {"params": {"tls_maximum_protocol_version": "TLSv1_2"}} if name == "old_tls" else {}
        fields = {"disable_stateless_session_resumption": True} if name == "old_tls" else {}
        trust = {} if name == "unasked" else {"ca": m.ca.path}
        socket = downstream_tls(m.server, **trust, **params, **fields)
        return listener(name, ports[name], chains=[{"filters": filters, "transport_socket": socket}])

    trailers = http_protocol(explicit_http_config={"http_protocol_options": {"enable_trailers": True}})
    return [made(name, text) for name, text in _FORMATS.items()], [
        cluster("a", ports["a"], **trailers),
        cluster("m", ports["m"], **http2()),
        cluster("dead", ports["dead"]),
        cluster("secure", ports["s"], transport_socket=upstream_tls(m.client, ca=m.ca.path, sni="server.test")),
    ]


def _secure(port, name):
    return Upstream(port, name, context=server_context(material().server, trust=material().ca.path))


def _one(feature, outcome, status, data, *steps, name="bytes1", **options):
    return Case(
        feature, outcome, status, listener=name, log=name, steps=(Send(data), *(steps or (Receive(), Kept()))), **options
    )


def _from2(outcome, status, *steps, **options):
    return h2("log bytes from HTTP/2 to HTTP/1", outcome, status, *steps, listener_name="bytes2", **options)


def _tls(outcome, status=200, name="certificates", path="/", **options):
    return Case("log TLS", outcome, status, listener=name, log=name, exchange=OverTLS(TLS(**options), path))


_POST = {"method": "POST", "body": b"0123456789"}
_CHUNKED = [("transfer-encoding", "chunked")]
_B1 = "log bytes of HTTP/1"

GROUP = Group(
    "log values",
    tuple(_FORMATS),
    ("a", "m", "s"),
    _build,
    (
        _one(_B1, "GET", 200, request("/x", headers=[("x-a", "1"), ("X-B", "two")])),
        _one(_B1, "POST with a length", 200, request("/x", **_POST)),
        _one(_B1, "POST in chunks", 200, request("/x", method="POST", headers=_CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n"),
        _one(_B1, "trailers", 200, request("/x", method="POST", headers=_CHUNKED) + b"5\r\nhello\r\n0\r\nx-t: v\r\n\r\n",
             upstream=(BODY, response(200, headers=[("x-up", "1")], chunks=[b"x"], trailers=[("x-rt", "tv")]))),
        _one(_B1, "spaces about a value", 200, b"GET /x HTTP/1.1\r\nhost: a.test\r\nx-a:   1  \r\n\r\n"),
        _one(_B1, "absolute target", 200, b"GET http://a.test/x HTTP/1.1\r\nhost: a.test\r\n\r\n"),
        _one(_B1, "malformed", 400, b"GET /x HTTP/1.1\r\nhost: a.test\r\nx y: 1\r\n\r\n", Receive()),
        _one(_B1, "no host", 400, b"GET /x HTTP/1.1\r\nx-a: 1\r\n\r\n", Receive()),
        _one(_B1, "direct response", 418, request("/direct")),
        _one(_B1, "no route to a host", 503, request("/dead")),
        _one(_B1, "no answer in time", 504, request("/slow"), upstream=(BODY, 0.6, CLOSE)),
        _one(_B1, "100 Continue and hints", 200, request("/x"),
             upstream=(BODY, b"HTTP/1.1 103 Early Hints\r\nlink: </s.css>\r\n\r\n", response(200, b"x"))),
        _one(_B1, "HEAD", 200, request("/x", method="HEAD"), Receive("HEAD"), Kept()),
        _one(_B1, "retried", 503, request("/retry"), upstream=(BODY, response(503, b"no"))),
        _one(_B1, "to HTTP/2", 200, request("/2/x", **_POST), name="to2"),
        _one(_B1, "to HTTP/2 with trailers", 200, request("/2/x"), name="to2",
             upstream=answer(200, b"hello", (("x-up", "1"),), (("x-t", "v"),))),
        _from2("GET", 200, Ask("/x", headers=(("x-a", "1"), ("x-b", "two")))),
        _from2("POST", 200, Ask("/x", method="POST", body=b"0123456789")),
        _from2("trailers", 200, Ask("/x", method="POST", body=b"0123456789", trailers=(("x-t", "v"),))),
        _from2("cookie crumbs", 200, Ask("/x", headers=(("cookie", "a=1"), ("cookie", "b=2")))),
        _from2("direct response", 418, Ask("/direct")),
        _one("log query", "values", 200, request("/p?x=one%20two&a%20b=c&y=a+b&empty=&bare&x=2"), name="query"),
        _one("log query", "no query", 200, request("/p"), name="query"),
        _one("log query", "an empty query", 200, request("/p?"), name="query"),
        _one("log query", "fragments and bad escapes", 200, request("/p?x=%zz%4&y=%00%ff"), name="query"),
        _one("log query", "escapes in names and in escapes", 200, request("/p?%78=%%41&y=%2541&%61%20b=%g%7E%3C%3e&empty=%"), name="query"),
        _one("log query", "every escape", 200, request("/p?y=" + "".join(f"%{byte:02x}" for byte in range(256))), name="query"),
        _tls("client certificate", credential="client"),
        _tls("client certificate with an intermediate", credential="chained_client"),
        _tls("a certificate that no CA is asked about", name="unasked", credential="client"),
        _tls("both sides", credential="client", path="/secure"),
        _tls("TLS 1.2", name="old_tls", credential="client", maximum=ssl.TLSVersion.TLSv1_2),
        _one("log TLS", "plain", 200, request("/x"), name="plain"),
        _one("log TLS", "plain client, TLS upstream", 200, request("/secure"), name="plain"),
    ),
    dead_ports=("dead",),
    made_by={"m": H2Upstream, "s": _secure},
)
