// SPDX-License-Identifier: Apache-2.0
// TLS of the load tools: TLS 1.3 with X25519, P-256 certificates and AES-128-GCM, from the files that `makecerts` wrote.
#ifndef APUS_BENCH_TLS_H
#define APUS_BENCH_TLS_H

#include "load.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define MAX_CLIENTS 1000

static inline void die_tls(const char *what) {
    fprintf(stderr, "%s: ", what);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static inline const char *file_in(const char *directory, const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

// With the certificate and the key of `who`; without any where that is NULL.
static inline SSL_CTX *tls_context(const SSL_METHOD *method, const char *directory, const char *who) {
    SSL_CTX *context = SSL_CTX_new(method);
    char name[64];
    if (context == NULL) die_tls("SSL_CTX_new");
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set1_groups_list(context, "X25519");
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (who == NULL) return context;
    snprintf(name, sizeof name, "%s.pem", who);
    if (SSL_CTX_use_certificate_file(context, file_in(directory, name), SSL_FILETYPE_PEM) != 1) die_tls(name);
    snprintf(name, sizeof name, "%s.key", who);
    if (SSL_CTX_use_PrivateKey_file(context, file_in(directory, name), SSL_FILETYPE_PEM) != 1) die_tls(name);
    return context;
}

// Generators do not check the server's certificate: their time is not what is measured.
static inline SSL_CTX *tls_client_named(const char *directory, const char *who, int http2) {
    SSL_CTX *context = tls_context(TLS_client_method(), directory, who);
    if (SSL_CTX_set_alpn_protos(context, http2 ? (const uint8_t *)"\x02h2" : (const uint8_t *)"\x08http/1.1", http2 ? 3 : 9) != 0)
        die_tls("ALPN");
    return context;
}

static inline SSL_CTX *tls_client(const char *directory, int http2) { return tls_client_named(directory, "client", http2); }

static inline int choose_http2(SSL *tls, const uint8_t **out, uint8_t *out_length, const uint8_t *in, unsigned in_length, void *unused) {
    (void)tls, (void)unused;
    for (unsigned i = 0; i + 2 < in_length; i += 1u + in[i])
        if (in[i] == 2 && in[i + 1] == 'h' && in[i + 2] == '2') {
            *out = in + i + 1;
            *out_length = 2;
            return SSL_TLSEXT_ERR_OK;
        }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// A server that speaks HTTP/2 only and demands a client certificate of our CA.
static inline SSL_CTX *tls_server(const char *directory) {
    SSL_CTX *context = tls_context(TLS_server_method(), directory, "server");
    if (SSL_CTX_load_verify_file(context, file_in(directory, "ca.pem")) != 1) die_tls("ca.pem");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_session_id_context(context, (const uint8_t *)"bench", 5);
    SSL_CTX_set_alpn_select_cb(context, choose_http2, NULL);
    return context;
}

#endif
