// SPDX-License-Identifier: Apache-2.0
// The header names that the proxy knows, by token number (HeaderToken.swift has the constants), and a table to find them in.
#include "CBytes.h"

#define NAME(text) {text, sizeof text - 1}

// Swift would make sure at every use that such a table was made; here it is before main runs.
const struct apus_header_name apus_header_names[APUS_HEADER_TOKENS] = {
    NAME(""), NAME(":method"), NAME(":path"), NAME(":authority"), NAME(":scheme"), NAME(":status"), NAME(":protocol"),
    NAME("host"), NAME("content-length"), NAME("transfer-encoding"), NAME("connection"), NAME("keep-alive"),
    NAME("proxy-connection"), NAME("te"), NAME("trailer"), NAME("upgrade"), NAME("expect"), NAME("http2-settings"),
    NAME("x-forwarded-for"), NAME("x-forwarded-proto"), NAME("x-forwarded-host"), NAME("x-forwarded-port"),
    NAME("x-forwarded-client-cert"), NAME("x-request-id"), NAME("via"), NAME("server"), NAME("date"), NAME("location"),
    NAME("content-type"), NAME("user-agent"), NAME("accept"), NAME("cookie"), NAME("set-cookie"), NAME("authorization"),
    NAME("x-envoy-original-path"), NAME("x-envoy-upstream-service-time"), NAME("x-envoy-expected-rq-timeout-ms"),
    NAME("x-envoy-upstream-rq-timeout-ms"), NAME("x-envoy-attempt-count"), NAME("x-envoy-external-address"),
    NAME("x-envoy-internal"), NAME("x-envoy-decorator-operation"), NAME("x-envoy-downstream-service-cluster"),
    NAME("x-envoy-downstream-service-node"), NAME("grpc-timeout"), NAME("grpc-status"), NAME("grpc-message"),
    NAME("accept-encoding"), NAME("x-envoy-original-host"), NAME("x-envoy-upstream-rq-per-try-timeout-ms"),
    NAME("x-envoy-retry-on"), NAME("x-envoy-max-retries"), NAME("origin"), NAME("x-envoy-immediate-health-check-fail"),
    NAME("x-envoy-overloaded"), NAME("x-client-trace-id"), NAME("x-envoy-original-dst-host"),
    NAME("x-envoy-is-timeout-retry"), NAME("x-envoy-ip-tags"), NAME("x-envoy-force-trace"),
    NAME("x-envoy-retry-grpc-on"), NAME("x-envoy-retriable-status-codes"), NAME("x-envoy-retriable-header-names"),
};

// Tokens by the hash of their names, collisions in the next place; 0 where a place is free.
enum { PLACES = 512 };
static uint8_t places[PLACES];

static size_t hash(const uint8_t *name, size_t length) {
    return (length * 37 + name[0] * 3u + name[length / 2] * 31u + name[length - 1] * 11u) & (PLACES - 1);
}

__attribute__((constructor)) static void fill_places(void) {
    for (unsigned token = 1; token < APUS_HEADER_TOKENS; token++) {
        const struct apus_header_name *name = &apus_header_names[token];
        if (name->length == 0) continue;
        size_t place = hash((const uint8_t *)name->text, name->length);
        while (places[place]) place = (place + 1) & (PLACES - 1);
        places[place] = (uint8_t)token;
    }
}

uint8_t apus_header_token(const uint8_t *name, size_t length) {
    if (length < 2) return 0;
    size_t place = hash(name, length);
    for (uint8_t token; (token = places[place]) != 0; place = (place + 1) & (PLACES - 1)) {
        const struct apus_header_name *known = &apus_header_names[token];
        if (known->length == length && apus_equal((const uint8_t *)known->text, name, length)) return token;
    }
    return 0;
}
