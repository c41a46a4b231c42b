# SPDX-License-Identifier: Apache-2.0
"""TLS on either side: filter chains by SNI and ALPN, client certificates, XFCC, upstream verification, statistics."""

import ssl

from cases.http2 import counters
from exchanges import TLS, Ask, OverH2, OverTLS, Several
from harness import Case, Group, Receive, Send

from PythonKit.bootstrap import (
    cluster,
    downstream_tls,
    file_access_log,
    hcm,
    http2,
    http_protocol,
    listener,
    tcp_proxy,
    tls_inspector,
    upstream_tls,
)
from PythonKit.certificates import SPIFFE, material
from PythonKit.client import request
from PythonKit.h2upstream import H2Upstream
from PythonKit.tls import server_context
from PythonKit.upstream import Upstream

_ROUTES = """
- {match: {prefix: /to/}, route: {cluster_header: x-cluster}}
- {match: {prefix: /counted}, route: {cluster: counted}}
- {match: {prefix: /direct}, direct_response: {status: 200, body: {inline_string: direct}}}
- match: {prefix: /peer}
  request_headers_to_add:
  - {header: {key: x-peer, value: "%DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_PEER_SUBJECT% %DOWNSTREAM_TLS_VERSION%"}}
  - {header: {key: x-sni, value: "%REQUESTED_SERVER_NAME%"}}
  route: {cluster: a}
- {match: {prefix: /}, route: {cluster: a}}
"""
_LOG = (
    "%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %PROTOCOL% sni=%REQUESTED_SERVER_NAME% "
    "%DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% peer=%DOWNSTREAM_PEER_URI_SAN% "
    "issuer=%DOWNSTREAM_PEER_ISSUER% subject=%DOWNSTREAM_PEER_SUBJECT% local=%DOWNSTREAM_LOCAL_URI_SAN% "
    "upstream=%UPSTREAM_PEER_URI_SAN% %UPSTREAM_LOCAL_URI_SAN% %UPSTREAM_TLS_VERSION% "
    "failure=%DOWNSTREAM_TRANSPORT_FAILURE_REASON% %UPSTREAM_CLUSTER% "
    "cel=%CEL(connection.mtls)% %CEL(connection.tls_version)% %CEL(connection.requested_server_name)% "
    "%CEL(connection.uri_san_peer_certificate)% %CEL(connection.dns_san_peer_certificate)% "
    "%CEL(connection.uri_san_local_certificate)% %CEL(connection.dns_san_local_certificate)% "
    "%CEL(connection.subject_peer_certificate)% %CEL(connection.subject_local_certificate)% "
    "%CEL(connection.sha256_peer_certificate_digest)% %CEL(upstream.tls_version)% "
    "%CEL(upstream.uri_san_peer_certificate)% %CEL(upstream.dns_san_local_certificate)% "
    "%CEL(upstream.subject_peer_certificate)%\n"
)
_FAILURE_LOG = "%RESPONSE_FLAGS% %DOWNSTREAM_TRANSPORT_FAILURE_REASON% %RESPONSE_CODE_DETAILS%\n"
_ALPN = ("h2", "http/1.1")
_ALL_DETAILS = {"subject": True, "cert": True, "chain": True, "dns": True, "uri": True}
_URI = {"subject": True, "uri": True, "dns": True}

#: XFCC listeners: (mode, details)
_XFCC = {
    "sanitize": ("SANITIZE", {}),
    "forward_only": ("FORWARD_ONLY", {}),
    "append": ("APPEND_FORWARD", _URI),
    "append_hash": ("APPEND_FORWARD", {}),
    "sanitize_set": ("SANITIZE_SET", _URI),
    "sanitize_set_all": ("SANITIZE_SET", _ALL_DETAILS),
    "always": ("ALWAYS_FORWARD_ONLY", {}),
}

#: listeners that differ in how they validate the client: (require, validation)
_VALIDATING = {
    "required": (True, lambda m: {}),
    "optional": (False, lambda m: {}),
    "san_uri": (True, lambda m: {"match_typed_subject_alt_names": [
        {"san_type": "URI", "matcher": {"exact": SPIFFE + "client"}}]}),
    "san_prefix": (True, lambda m: {"match_typed_subject_alt_names": [
        {"san_type": "URI", "matcher": {"prefix": SPIFFE + "cl"}}]}),
    "san_regex": (True, lambda m: {"match_typed_subject_alt_names": [
        {"san_type": "URI", "matcher": {"safe_regex": {"regex": "spiffe://mesh.test/ns/[a-z]+/sa/client"}}}]}),
    "san_dns": (True, lambda m: {"match_typed_subject_alt_names": [
        {"san_type": "DNS", "matcher": {"exact": "client.test"}}]}),
    "san_untyped": (True, lambda m: {"match_subject_alt_names": [{"exact": SPIFFE + "client"}]}),
    "hash": (True, lambda m: {"verify_certificate_hash": [m.client.hash]}),
    "spki": (True, lambda m: {"verify_certificate_spki": [m.client.spki]}),
    "either_pin": (True, lambda m: {
        "verify_certificate_hash": [m.client.hash], "verify_certificate_spki": [m.other_client.spki]}),
    "depth": (True, lambda m: {"max_verify_depth": 0}),
    "crl": (True, lambda m: {"crl": {"filename": str(m.crl)}}),
    "allow_expired": (True, lambda m: {"allow_expired_certificate": True}),
    "accept_untrusted": (True, lambda m: {"trust_chain_verification": "ACCEPT_UNTRUSTED"}),
}

_VERSIONS = {
    "only12": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_2"},
    "only13": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
    "ciphers": {
        "tls_maximum_protocol_version": "TLSv1_2",
        "cipher_suites": ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"],
        "ecdh_curves": ["P-256"],
    },
}
_NAMES = (
    "main", "alpn", "h2_only", "h1_only", "sni", "no_default", "two_certificates", "tcp_sni", "counted",
        "plain_local", "failures",
    "no_resumption", "sni_required",
    *_XFCC, *_VALIDATING, *_VERSIONS,
)


def _build(ports):
    m = material()

    def manager(name, **options):
        log = {"access_log": [file_access_log(ports.log(name), _LOG)], "delayed_close_timeout": "0.2s"}
        return hcm(_ROUTES, stat_prefix=name, options={**log, **options})

    def plain(name, socket, **options):
        chain = {"filters": [manager(name, **options)], "transport_socket": socket}
        return listener(name, ports[name], chains=[chain])

    def answering(text):
        routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": text}}}]
        return [hcm(routes, stat_prefix=text)]

    def by_name(text, socket, **match):
        return {"name": text, "filter_chain_match": match, "filters": answering(text), "transport_socket": socket}

    inspected = {"listener_filters": [tls_inspector()]}
    sni_chains = [
        by_name("exact", downstream_tls(m.server, alpn=_ALPN), server_names=["exact.test"]),
        by_name("wildcard", downstream_tls(m.wildcard), server_names=["*.wild.test"]),
        by_name("deeper", downstream_tls(m.wildcard), server_names=["*.deep.wild.test"]),
        by_name("with-alpn", downstream_tls(m.second, alpn=("istio", "h2")), server_names=["alpn.test"],
                application_protocols=["istio", "h2"]),
        by_name("other-alpn", downstream_tls(m.second), server_names=["alpn.test"],
                application_protocols=["http/1.1"]),
        by_name("plaintext", downstream_tls(m.plain), transport_protocol="raw_buffer"),
    ]
    del sni_chains[-1]["transport_socket"]
    listeners = [
        plain("main", downstream_tls(m.server)),
        plain("alpn", downstream_tls(m.server, alpn=_ALPN)),
        plain("h2_only", downstream_tls(m.server, alpn=("h2",))),
        plain("h1_only", downstream_tls(m.server, alpn=("http/1.1",)), codec_type="HTTP1"),
        plain("counted", downstream_tls(m.server, ca=m.ca.path)),
        listener("failures", ports["failures"], access_log=[file_access_log(ports.log("failures"), _FAILURE_LOG)],
                 chains=[{"filters": [manager("failures")],
                     "transport_socket": downstream_tls(m.server, ca=m.ca.path)}]),
        plain("plain_local", downstream_tls(m.plain, ca=m.ca.path), forward_client_cert_details="SANITIZE_SET",
              set_current_client_cert_details=_URI),
        plain("no_resumption", downstream_tls(
            m.server, disable_stateless_session_resumption=True, disable_stateful_session_resumption=True)),
        plain("sni_required", downstream_tls(m.server, require_sni=True)),
        plain("two_certificates", downstream_tls(m.server, m.second, m.rsa)),
        listener("sni", ports["sni"], chains=[*sni_chains, by_name("default", downstream_tls(m.server))], **inspected),
        listener("no_default", ports["no_default"], chains=sni_chains, **inspected),
        listener("tcp_sni", ports["tcp_sni"], chains=[
            {"filter_chain_match": {"server_names": ["pass.test"]}, "filters": [tcp_proxy(cluster="through")]}],
            **inspected),
    ]
    listeners.append(listener("plain", ports["plain"], manager("plain", forward_client_cert_details="SANITIZE_SET")))
    listeners.append(listener(
        "plain_always", ports["plain_always"], manager("plain_always",
            forward_client_cert_details="ALWAYS_FORWARD_ONLY")))
    for name, (mode, details) in _XFCC.items():
        options = {"forward_client_cert_details": mode}
        if details:
            options["set_current_client_cert_details"] = details
        listeners.append(plain(name, downstream_tls(m.server, ca=m.ca.path), **options))
    for name, (require, validation) in _VALIDATING.items():
        listeners.append(plain(name, downstream_tls(
            m.server, ca=m.ca.path, require_client_certificate=require, validation=validation(m))))
    for name, params in _VERSIONS.items():
        listeners.append(plain(name, downstream_tls(m.server, params=params)))
    return listeners, _clusters(ports, m)


def _clusters(ports, m):
    def typed(kind, text):
        return {"match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": text}}]}

    def to(name, port, socket, **fields):
        return cluster(name, ports[port], transport_socket=socket, **fields)

    alpn = http_protocol(auto_config={"http_protocol_options": {}, "http2_protocol_options": {}})
    return [
        cluster("a", ports["a"]),
        cluster("through", ports["s"]),
        to("counted", "s", upstream_tls(ca=m.ca.path, sni="server.test")),
        to("trusted", "s", upstream_tls(ca=m.ca.path, sni="server.test")),
        to("unverified", "foreign", upstream_tls(sni="server.test")),
        to("no_sni", "s", upstream_tls(ca=m.ca.path)),
        to("san", "s", upstream_tls(ca=m.ca.path, validation=typed("URI", SPIFFE + "server"))),
        to("san_dns", "s", upstream_tls(ca=m.ca.path, validation=typed("DNS", "server.test"))),
        to("san_wrong", "s", upstream_tls(ca=m.ca.path, validation=typed("URI", SPIFFE + "nobody"))),
        to("untrusted", "foreign", upstream_tls(ca=m.ca.path, sni="server.test")),
        to("expired", "expired", upstream_tls(ca=m.ca.path, sni="server.test")),
        to("plaintext", "a", upstream_tls(ca=m.ca.path, sni="server.test"), connect_timeout="0.5s"),
        to("mutual", "mutual", upstream_tls(m.client, ca=m.ca.path, sni="server.test")),
        to("mutual_without", "mutual", upstream_tls(ca=m.ca.path, sni="server.test")),
        to("h2", "h2", upstream_tls(m.client, ca=m.ca.path, sni="server.test", alpn=("h2",)), **http2()),
        to("auto_h2", "h2", upstream_tls(ca=m.ca.path, sni="server.test"), **alpn),
        to("auto_h1", "s", upstream_tls(ca=m.ca.path, sni="server.test"), **alpn),
        to("auto_sni", "named", upstream_tls(ca=m.ca.path), **http_protocol(
            explicit_http_config={"http_protocol_options": {}},
            upstream_http_protocol_options={"auto_sni": True, "auto_san_validation": True})),
        to("pinned", "s", upstream_tls(ca=m.ca.path, validation={"verify_certificate_spki": [m.server.spki]})),
        to("pinned_wrong", "s", upstream_tls(ca=m.ca.path, validation={"verify_certificate_spki": [m.second.spki]})),
    ]


def _secure(credential, **options):
    """An upstream that speaks HTTP/1 over TLS."""

    def make(port, name):
        trust = material().ca.path if options.get("mutual") else None
        return Upstream(port, name, context=server_context(getattr(material(), credential), trust=trust))

    return make


def _secure_h2(port, name):
    return H2Upstream(port, name, context=server_context(material().server, alpn=("h2",)))


def _tls(feature, outcome, status, listener_name="main", path="/", host="example.test", headers=(), data=b"",
         resume=False, tls=None, log=True, **options):
    """One handshake; what is given besides goes to the client's side of it."""
    own = {name: options.pop(name) for name in ("sni", "alpn", "credential", "minimum", "maximum", "ciphers")
           if name in options}
    exchange = OverTLS(TLS(**own), path, host, tuple(headers), data, resume)
    if log is True:
        options["log"] = listener_name
    return Case(feature, outcome, status, listener=listener_name, exchange=exchange, **options)


def _refused(feature, outcome, listener_name, shows="refused", **options):
    return _tls(feature, outcome, None, listener_name, shows=shows, log=False, **options)


def _upstream(outcome, status, name, **options):
    return Case("TLS to the upstream", outcome, status, listener="plain", log="plain",
                steps=(Send(request("/to/x", headers=[("x-cluster", name)])), Receive()), **options)


_V12, _V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3

_HANDSHAKES = (
    _tls("TLS", "request and log", 200),
    _tls("TLS", "without SNI", 200, sni=None),
    _tls("TLS", "peer of the certificate in a header", 200, "required", path="/peer", credential="client"),
    _tls("TLS", "no client certificate in a header", 200, path="/peer"),
    Case("TLS", "plaintext to a TLS port", None, listener="main",
         steps=(Send(request("/")), Receive())),
    _tls("ALPN", "h2 chosen by the server's order", 200, "alpn", alpn=("http/1.1", "h2"), shows="ALPN h2"),
    _tls("ALPN", "http/1.1", 200, "alpn", alpn=("http/1.1",), shows="ALPN http/1.1"),
    _tls("ALPN", "client offers none", 200, "alpn", shows="ALPN None"),
    _tls("ALPN", "nothing in common", 200, "alpn", alpn=("spdy/3",), shows="ALPN None"),
    _tls("ALPN", "only h2, and the client chooses it", 200, "h2_only", alpn=("h2", "http/1.1"), shows="ALPN h2"),
    _tls("ALPN", "only http/1.1", 200, "h1_only", alpn=("h2", "http/1.1"), shows="ALPN http/1.1"),
    Case("ALPN", "HTTP/2 over TLS keeps its connection", 200, listener="alpn", log="alpn", exchange=OverH2(
        (Ask("/1", scheme="https"), Ask("/2", scheme="https", method="POST", body=b"x" * 70000)),
        TLS(alpn=("h2",)))),
    _tls("TLS version", "1.2", 200, maximum=_V12, shows="TLSv1.2"),
    _tls("TLS version", "1.3", 200, minimum=_V13, shows="TLSv1.3"),
    _tls("TLS version", "1.2 only", 200, "only12", shows="TLSv1.2"),
    _tls("TLS version", "1.3 only", 200, "only13", shows="TLSv1.3"),
    _refused("TLS version", "1.3 wanted, 1.2 offered", "only12", minimum=_V13),
    _refused("TLS version", "1.2 wanted, 1.3 offered", "only13", maximum=_V12),
    _tls("TLS ciphers", "one in common", 200, "ciphers", ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"),
    _refused("TLS ciphers", "none in common", "ciphers", ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"),
    _tls("resumption", "TLS 1.2", 200, maximum=_V12, resume=True, shows="tls: resumed"),
    _tls("resumption", "TLS 1.3", 200, minimum=_V13, resume=True, shows="tls: resumed"),
    _tls("resumption", "with a client certificate", 200, "required", credential="client", maximum=_V12, resume=True,
         shows="tls: resumed"),
    _tls("resumption", "switched off, TLS 1.2", 200, "no_resumption", maximum=_V12, resume=True, shows="not resumed"),
    _tls("resumption", "switched off, TLS 1.3", 200, "no_resumption", minimum=_V13, resume=True, shows="not resumed"),
    # Envoy has the field and does not act on it.
    _tls("require_sni", "missing, all the same", 200, "sni_required", sni=None),
    _tls("several certificates", "by SNI: the first", 200, "two_certificates", sni="server.test",
         shows="certificate server"),
    _tls("several certificates", "by SNI: the second", 200, "two_certificates", sni="second.test",
         shows="certificate second"),
    _tls("several certificates", "unknown SNI: the first", 200, "two_certificates", sni="unknown.test",
         shows="certificate server"),
    _tls("several certificates", "by key type", 200, "two_certificates", sni="server.test", maximum=_V12,
         ciphers="ECDHE-RSA-AES128-GCM-SHA256", shows="certificate rsa"),
)

_CHAINS = (
    _tls("SNI chain", "exact", 200, "sni", sni="exact.test", log=False, shows="b'exact'"),
    _tls("SNI chain", "in other case", 200, "sni", sni="EXACT.test", log=False, shows="b'exact'"),
    _tls("SNI chain", "wildcard", 200, "sni", sni="a.wild.test", log=False, shows="b'wildcard'"),
    _tls("SNI chain", "wildcard, several labels", 200, "sni", sni="a.b.wild.test", log=False, shows="b'wildcard'"),
    _tls("SNI chain", "the longer wildcard", 200, "sni", sni="a.deep.wild.test", log=False, shows="b'deeper'"),
    _tls("SNI chain", "wildcard does not match its own domain", 200, "sni", sni="wild.test", log=False,
         shows="b'default'"),
    _tls("SNI chain", "unknown goes to the chain without names", 200, "sni", sni="x.test", log=False,
         shows="b'default'"),
    _tls("SNI chain", "none goes to the chain without names", 200, "sni", sni=None, log=False, shows="b'default'"),
    _tls("ALPN chain", "h2", 200, "sni", sni="alpn.test", alpn=("h2",), log=False, shows="b'with-alpn'"),
    _tls("ALPN chain", "the mesh's own", 200, "sni", sni="alpn.test", alpn=("istio", "http/1.1"), log=False,
         shows="b'with-alpn'"),
    _tls("ALPN chain", "http/1.1", 200, "sni", sni="alpn.test", alpn=("http/1.1",), log=False, shows="b'other-alpn'"),
    _refused("ALPN chain", "none of them", "sni", sni="alpn.test", alpn=("spdy/3",)),
    _refused("SNI chain", "unknown, and no chain for it", "no_default", sni="x.test"),
    _refused("SNI chain", "none, and no chain for it", "no_default", sni=None),
    Case("SNI chain", "plaintext beside TLS", 200, request("/"), listener="sni", shows="b'plaintext'"),
    _tls("SNI passthrough", "the upstream's own certificate", 200, "tcp_sni", sni="pass.test", log=False,
         shows="certificate server"),
    _refused("SNI passthrough", "another name", "tcp_sni", sni="other.test"),
)

_CLIENTS = (
    _tls("client certificate", "required and there", 200, "required", credential="client"),
    _tls("client certificate", "required, over HTTP/2 and TLS 1.2", 200, "required", credential="client", maximum=_V12),
    _tls("client certificate", "by an intermediate", 200, "required", credential="chained_client"),
    _tls("client certificate", "optional and there", 200, "optional", credential="client"),
    _tls("client certificate", "optional and absent", 200, "optional"),
    *(
        _refused("client certificate", f"{name}: {credential} ({version.name})", name, credential=credential,
                 maximum=version)
        for version in (_V12, _V13)
        for name, credential in (
            ("required", None), ("required", "foreign_client"), ("required", "expired_client"),
            ("optional", "foreign_client"),
        )
    ),
    _refused("client certificate", "not yet valid", "required", credential="future_client"),
    _refused("client certificate", "for servers only", "required", credential="server_only_client"),
    _tls("client certificate", "not revoked", 200, "crl", credential="client"),
    _refused("client certificate", "deeper than max_verify_depth", "depth", credential="chained_client"),
    _tls("client certificate", "not deeper than max_verify_depth", 200, "depth", credential="client"),
    _refused("client certificate", "revoked", "crl", credential="revoked_client"),
    _tls("client certificate", "expired but allowed", 200, "allow_expired", credential="expired_client"),
    _tls("client certificate", "untrusted but accepted", 200, "accept_untrusted", credential="foreign_client"),
    *(_tls("client SAN", f"{name} matches", 200, name, credential="client")
      for name in ("san_uri", "san_prefix", "san_regex", "san_dns", "san_untyped")),
    *(_refused("client SAN", f"{name} does not match", name, credential="other_client")
      for name in ("san_uri", "san_prefix", "san_regex", "san_dns", "san_untyped")),
    _refused("client SAN", "no SAN at all", "san_uri", credential="nameless_client"),
    _tls("client pin", "hash", 200, "hash", credential="client"),
    _refused("client pin", "another hash", "hash", credential="other_client"),
    _tls("client pin", "SPKI", 200, "spki", credential="client"),
    _refused("client pin", "another SPKI", "spki", credential="other_client"),
    _tls("client pin", "hash or SPKI: the hash", 200, "either_pin", credential="client"),
    _tls("client pin", "hash or SPKI: the SPKI", 200, "either_pin", credential="other_client"),
    _refused("client pin", "hash or SPKI: neither", "either_pin", credential="nameless_client"),
)

_FAILURES = tuple(
    Case("handshake failure in the listener's log", name, None, listener="failures", log="failures",
         exchange=OverTLS(tls), shows="TLS error")
    for name, tls in (("no certificate", TLS(maximum=_V12)),
                      ("another authority", TLS(credential="foreign_client", maximum=_V12)),
                      ("no cipher in common", TLS(ciphers="AES128-SHA", maximum=_V12)))
)

_SENT = (("x-forwarded-client-cert", "By=spiffe://x;Hash=abc;URI=spiffe://claimed"),)
_FORWARDED = (
    *(_tls("XFCC", f"{name}, nothing sent", 200, name, credential="client") for name in _XFCC),
    *(_tls("XFCC", f"{name}, sent by the client", 200, name, credential="client", headers=_SENT) for name in _XFCC),
    _tls("XFCC", "several DNS names and a comma in the subject", 200, "append", credential="client",
         shows="DNS=client.test;DNS=alias.test"),
    _tls("XFCC", "no name in the certificate", 200, "sanitize_set", credential="nameless_client"),
    _tls("XFCC", "no URI of our own", 200, "plain_local", credential="client", lacks="By="),
    Case("XFCC", "plaintext, sent by the client", 200, request("/", headers=_SENT), listener="plain", log="plain"),
    Case("XFCC", "always forwarded on plaintext", 200, request("/", headers=_SENT), listener="plain_always",
         shows="spiffe://claimed"),
)

_UPSTREAMS = (
    _upstream("trusted, with SNI", 200, "trusted", shows="SNI server.test"),
    _upstream("not verified", 200, "unverified"),
    _upstream("without SNI", 200, "no_sni", shows="SNI None"),
    _upstream("URI SAN matches", 200, "san"),
    _upstream("DNS SAN matches", 200, "san_dns"),
    _upstream("SAN does not match", 503, "san_wrong"),
    _upstream("untrusted CA", 503, "untrusted"),
    _upstream("expired certificate", 503, "expired"),
    _upstream("plaintext upstream", 503, "plaintext"),
    _upstream("client certificate given", 200, "mutual", shows="client O=Mesh"),
    _upstream("client certificate missing", 503, "mutual_without"),
    _upstream("HTTP/2 over mTLS", 200, "h2", shows="HTTP/2"),
    _upstream("protocol by ALPN: HTTP/2", 200, "auto_h2", shows="HTTP/2"),
    _upstream("protocol by ALPN: HTTP/1", 200, "auto_h1"),
    _upstream("SPKI pin", 200, "pinned"),
    _upstream("another SPKI pin", 503, "pinned_wrong"),
    Case("TLS to the upstream", "auto_sni and SAN validation", 200, listener="plain", log="plain", steps=(
        Send(request("/to/x", host="server.test", headers=[("x-cluster", "auto_sni")])), Receive())),
    Case("TLS to the upstream", "auto_san_validation refuses", 503, listener="plain", log="plain", steps=(
        Send(request("/to/x", host="second.test", headers=[("x-cluster", "auto_sni")])), Receive())),
)

def _listener_stats(answer):
    """Of the listener `counted`: the name of its stats has its port, its HTTP manager's stat says which one that is."""
    values = dict(line.split(": ", 1) for line in answer.body.decode().splitlines() if ": " in line)
    prefix = next(n.rsplit("http.counted.", 1)[0] for n in values
                  if n.startswith("listener.") and n.endswith("http.counted.downstream_rq_2xx"))
    return "\n".join(
        f"{n.removeprefix(prefix)} {v}" for n, v in values.items()
        if n.startswith(prefix + "ssl.") and v.isdigit() and v != "0" and ".certificate." not in n)


_STATISTICS = (
    Case("TLS statistics", "listener: handshakes and failures", 200, listener="counted", admin="/stats",
         admin_view=_listener_stats,
         exchange=Several(
             OverTLS(TLS(credential="client")), OverTLS(TLS(credential="client", maximum=_V12), resume=True),
             OverTLS(TLS(maximum=_V12)), OverTLS(TLS(credential="foreign_client", maximum=_V12)),
             OverTLS(TLS(credential="expired_client", maximum=_V12)), OverTLS(TLS(credential="client"))),
         shows="admin: ssl.handshake 4"),
    Case("TLS statistics", "upstream", 503, listener="plain", admin="/stats",
         admin_view=counters(
             "cluster.counted.ssl.handshake", "cluster.counted.ssl.connection_error",
             "cluster.counted.ssl.ciphers.ECDHE-ECDSA-AES128-GCM-SHA256", "cluster.counted.ssl.versions.TLSv1.2",
             "cluster.counted.ssl.curves.X25519", "cluster.counted.ssl.sigalgs.ecdsa_secp256r1_sha256",
             "cluster.counted.ssl.fail_verify_san", "cluster.counted.ssl.fail_verify_error",
             "cluster.san_wrong.ssl.fail_verify_san", "cluster.san_wrong.ssl.connection_error",
             "cluster.untrusted.ssl.fail_verify_error", "cluster.untrusted.ssl.connection_error",
             "cluster.pinned_wrong.ssl.fail_verify_cert_hash", "cluster.san_wrong.upstream_cx_connect_fail"),
         steps=(*(step for path in ("/counted", "/counted") for step in (Send(request(path)), Receive())),
                *(step for name in ("san_wrong", "untrusted", "pinned_wrong")
                  for step in (Send(request("/to/x", headers=[("x-cluster", name)])), Receive())))),
)
GROUP = Group(
    "tls",
    (*_NAMES, "plain", "plain_always"),
    ("a", "s", "foreign", "expired", "mutual", "h2", "named"),
    _build,
    made_by={
        "s": _secure("server"), "foreign": _secure("foreign_server"), "expired": _secure("expired_server"),
        "mutual": _secure("server", mutual=True), "h2": _secure_h2, "named": _secure("server"),
    },
    cases=(*_HANDSHAKES, *_CHAINS, *_CLIENTS, *_FAILURES, *_FORWARDED, *_UPSTREAMS, *_STATISTICS),
)
