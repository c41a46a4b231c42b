// SPDX-License-Identifier: Apache-2.0
// OpenSSL for MeshTLS: its headers, its macros as functions, and what is shorter in C than through imported stacks.
#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Gives the process's OpenSSL a provider that offers only the algorithms that TLS needs. OpenSSL 3.0 looks through every
/// decoder, every algorithm and every name for every certificate and session it reads. False when OpenSSL cannot be set
/// up. Call once, before anything else of OpenSSL.
bool apus_tls_set_up(void);

/// The context that `apus_tls_set_up` made lean, by its address and not by NULL: what is given it keeps working between the
/// next two calls.
OSSL_LIB_CTX *apus_tls_library(void);
/// From here to `apus_tls_decode_keys`, keys of certificates that this thread reads without naming a context are left
/// undecoded. OpenSSL reads the peer's certificate back with every ticket it makes or opens, decoding its key for a sixth of
/// what is not cryptography in a resumed handshake, and nobody uses that key.
void apus_tls_pass_over_keys(void);
void apus_tls_decode_keys(void);

/// Has OpenSSL take its memory from blocks that are kept for each thread. False when it has taken some already, or a
/// sanitizer watches memory. Nothing depends on it.
bool apus_tls_keep_memory(void);

// MARK: Contexts

/// A context with the options every context has: no renegotiation, no compression, no chain built per handshake, buffers
/// given back when idle.
SSL_CTX *apus_tls_context_new(OSSL_LIB_CTX *library, bool is_server, int min_version, int max_version);
/// Sets whether sessions are resumed, by tickets or by a memory of the server (`keeps`), and for how many seconds one may
/// be. - Parameter id: session id context, at most 32 bytes.
void apus_tls_context_set_resumption(
    SSL_CTX *context, bool is_server, bool tickets, bool keeps, uint32_t timeout, const uint8_t *id, size_t id_length);
/// Has a server tell clients by whom their certificate is to be signed: the certificates of `store`.
void apus_tls_context_name_authorities(SSL_CTX *context, X509_STORE *store);
/// Adds a certificate with its chain and key; 0 when OpenSSL refuses them.
int apus_tls_context_add(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain, EVP_PKEY *key);
/// Makes a connection offer this certificate beside those already chosen for it; 0 when OpenSSL refuses.
int apus_tls_use(SSL *ssl, X509 *leaf, STACK_OF(X509) *chain, EVP_PKEY *key);
int apus_tls_context_set_groups(SSL_CTX *context, const char *list);
void apus_tls_context_set_ticket_callback(
    SSL_CTX *context,
    int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int));
/// Whether the context's library knows this TLS 1.2 suite by its OpenSSL name.
bool apus_tls_has_cipher(const char *name);
int apus_tls_set_host_name(SSL *ssl, const char *name);
/// The connection a chain is being verified for.
SSL *apus_tls_of(X509_STORE_CTX *store);
/// The group of the key exchange, NULL when there was none.
const char *apus_tls_group_name(SSL *ssl);
/// How the peer signed in this handshake, or in the one that the session began with. 0 when it did not.
int apus_tls_peer_signature(SSL *ssl, int *hash, int *key_type);
/// Stores that in the session, for OpenSSL does not. Always 1.
int apus_tls_keep_peer_signature(SSL *ssl, SSL_SESSION *session);

// MARK: After the handshake

/// Whether `apus_tls_park` works with the OpenSSL in use.
bool apus_tls_can_park(void);
/// Gives a connection whose handshake is complete a session it shares with others, and frees its own with the peer's
/// certificate, and its buffers. - Parameter context: of the method that was negotiated. 0 when it stays as it is.
int apus_tls_park(SSL *ssl, SSL_CTX *context, SSL_SESSION *session);

// MARK: Reading PEM

/// All certificates in a PEM text. NULL when one is malformed; an empty stack when there is none.
STACK_OF(X509) *apus_tls_read_certificates(OSSL_LIB_CTX *library, const void *pem, int length);
/// The first private key in a PEM text (PKCS#8, SEC1 or PKCS#1; never encrypted). NULL when there is none.
EVP_PKEY *apus_tls_read_key(OSSL_LIB_CTX *library, const void *pem, int length);
/// A store of the trusted certificates and the revocation lists. - Parameter error: 1 a CA, 2 a CRL could not be read,
/// 3 there is no CA, 4 there is no CRL. - Parameter leaf_only: the lists are asked about leaves. - Parameter next_update: earliest end of a list, in seconds; INT64_MAX for none.
X509_STORE *apus_tls_make_store(
    OSSL_LIB_CTX *library, const void *ca, int ca_length, const void *crl, int crl_length, bool leaf_only, int depth,
    int *error, int64_t *next_update);

// MARK: Certificates

int apus_tls_stack_count(const STACK_OF(X509) *stack);
X509 *apus_tls_stack_at(const STACK_OF(X509) *stack, int index);
void apus_tls_stack_free(STACK_OF(X509) *stack);
/// Removes and frees the first certificate.
void apus_tls_stack_drop_first(STACK_OF(X509) *stack);
/// Calls `each` with the alternative names: kind 0 DNS, 1 URI, 2 e-mail, 3 address (4 or 16 bytes). Others are skipped.
/// -1 when the extension is malformed, else the number of names of any kind.
int apus_tls_alternative_names(X509 *x, void *owner, void (*each)(void *, int, const uint8_t *, size_t));
/// RFC 2253 text; free with `apus_tls_free`. - Returns: length, -1 on failure.
int apus_tls_name_text(const X509_NAME *name, char **text);
/// The common name as UTF-8, or -1.
int apus_tls_common_name(X509 *x, uint8_t **text);
/// Upper-case hexadecimal digits of the serial number; free with `apus_tls_free`.
char *apus_tls_serial(X509 *x);
/// DER; free with `apus_tls_free`. - Returns: length, -1 on failure.
int apus_tls_der(X509 *x, uint8_t **bytes);
int apus_tls_digest(X509 *x, const EVP_MD *digest, uint8_t out[32]);
/// SHA-1 of the certificate, for logs; nothing is decided by it.
int apus_tls_sha1(X509 *x, uint8_t out[20]);
int apus_tls_key_digest(X509 *x, const EVP_MD *digest, uint8_t out[32]);
int apus_tls_hash(const void *bytes, size_t length, const EVP_MD *digest, uint8_t out[32]);
/// Seconds since 1970; INT64_MIN when the time is malformed.
int64_t apus_tls_time(const ASN1_TIME *time);
void apus_tls_free(void *memory);

// MARK: Tickets

/// 16 bytes of name, 32 of cipher key and 32 of authentication key for one period. 1 on success.
int apus_tls_ticket_keys(OSSL_LIB_CTX *library, const uint8_t secret[32], uint64_t period, uint8_t out[80]);
/// Sets one ticket up for encryption (1) or decryption (0). 1 on success.
int apus_tls_ticket_begin(
    EVP_CIPHER_CTX *cipher_context, EVP_MAC_CTX *mac_context, const EVP_CIPHER *cipher, const uint8_t keys[80],
    const uint8_t *iv, int encrypt);
