// SPDX-License-Identifier: Apache-2.0
#include "COpenSSL.h"
#include "decoder.h"
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <string.h>
#include <strings.h>
#include <time.h>

// MARK: The lean provider

// OpenSSL's own default provider, loaded in a context nobody else uses: the lean one passes its algorithms on.
static OSSL_PROVIDER *full;
static OSSL_LIB_CTX *full_library;
// One in which nothing is known.
static OSSL_LIB_CTX *empty_library;
// The filtered tables, by operation number (OSSL_OP_KEYMGMT is 10, decoders are 21).
enum { max_algorithms = 160, max_operations = 32 };
static OSSL_ALGORITHM lean_tables[max_operations][max_algorithms + 1];

static bool is_named(const char *names, const char *wanted) {
    size_t length = strlen(wanted);
    for (const char *name = names; name != NULL;) {
        if (strncasecmp(name, wanted, length) == 0 && (name[length] == 0 || name[length] == ':')) return true;
        name = strchr(name, ':');
        if (name != NULL) name++;
    }
    return false;
}

// What a handshake needs, by OpenSSL's first name, under as few names as do: for every certificate, each name of every key
// type is compared with each name of every decoder. Private keys are read with the full provider (`apus_tls_read_key`).
// Ed25519 and RSA-PSS certificates are left out, as Envoy does not take them either.
static const char *const lean_keys[][2] = {
    {"EC", "EC:id-ecPublicKey"}, {"RSA", "RSA:rsaEncryption"}, {"X25519", "X25519"}, {"HMAC", "HMAC"}, {NULL, NULL}};
static const char *const lean_decoders[][2] = {{"EC", "EC"}, {"RSA", "RSA"}, {NULL, NULL}};

// Of everything else what TLS 1.2 and 1.3, tickets and the random generator use, under all its names. Reading a certificate
// goes through every algorithm and every name that OpenSSL has heard of, some twenty times; it hears of all there are for an
// operation when it first needs one.
static const char *const lean_digests[] = {
    "SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512", "MD5", "MD5-SHA1", NULL};
static const char *const lean_ciphers[] = {
    "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-128-CCM", "AES-256-CCM", "AES-128-CBC", "AES-256-CBC",
    "AES-128-CBC-HMAC-SHA1", "AES-256-CBC-HMAC-SHA1", "AES-128-CBC-HMAC-SHA256", "AES-256-CBC-HMAC-SHA256",
    "AES-128-CTR", "AES-256-CTR", "AES-128-ECB", "AES-256-ECB", "NULL", NULL};
static const char *const lean_macs[] = {"HMAC", NULL};
static const char *const lean_derivations[] = {"HKDF", "TLS13-KDF", "TLS1-PRF", NULL};
static const char *const lean_generators[] = {"CTR-DRBG", "SEED-SRC", NULL};
static const char *const lean_exchanges[] = {"ECDH", "X25519", NULL};
static const char *const lean_signatures[] = {"RSA", "ECDSA", "HMAC", NULL};
static const char *const lean_encryptions[] = {"RSA", NULL};

// NULL where nothing is left out.
static const char *const *lean_list(int operation) {
    switch (operation) {
    case OSSL_OP_DIGEST: return lean_digests;
    case OSSL_OP_CIPHER: return lean_ciphers;
    case OSSL_OP_MAC: return lean_macs;
    case OSSL_OP_KDF: return lean_derivations;
    case OSSL_OP_RAND: return lean_generators;
    case OSSL_OP_KEYEXCH: return lean_exchanges;
    case OSSL_OP_SIGNATURE: return lean_signatures;
    case OSSL_OP_ASYM_CIPHER: return lean_encryptions;
    default: return NULL;
    }
}

// The names under which an algorithm is kept; NULL for one that is not.
static const char *lean_names(int operation, const OSSL_ALGORITHM *algorithm) {
    const char *const *plain = lean_list(operation);
    if (plain != NULL) {
        for (; *plain != NULL; plain++)
            if (is_named(algorithm->algorithm_names, *plain)) return algorithm->algorithm_names;
        return NULL;
    }
    const char *const(*list)[2] = operation == OSSL_OP_KEYMGMT ? lean_keys : lean_decoders;
    if (operation == OSSL_OP_DECODER &&
        strstr(algorithm->property_definition, "structure=SubjectPublicKeyInfo") == NULL)
        return NULL;
    for (; (*list)[0] != NULL; list++)
        if (is_named(algorithm->algorithm_names, (*list)[0])) return (*list)[1];
    return NULL;
}

// The tables are made once: OpenSSL asks for them again with every certificate.
static void make_lean_table(int operation) {
    int no_cache = 0;
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(full, operation, &no_cache);
    OSSL_ALGORITHM *kept = lean_tables[operation];
    int count = 0;
    for (; all != NULL && all->algorithm_names != NULL && count < max_algorithms; all++) {
        const char *names = lean_names(operation, all);
        if (names == NULL) continue;
        kept[count] = *all;
        kept[count++].algorithm_names = names;
    }
    kept[count].algorithm_names = NULL;
}

static bool is_lean(int operation) {
    return lean_list(operation) != NULL || operation == OSSL_OP_KEYMGMT || operation == OSSL_OP_DECODER;
}

static const OSSL_ALGORITHM *lean_query(void *unused, int operation, int *no_cache) {
    (void)unused;
    if (!is_lean(operation)) return OSSL_PROVIDER_query_operation(full, operation, no_cache);
    *no_cache = 0;
    return lean_tables[operation];
}

static int lean_capabilities(void *unused, const char *capability, OSSL_CALLBACK *each, void *argument) {
    (void)unused;
    return OSSL_PROVIDER_get_capabilities(full, capability, each, argument);
}

static void lean_teardown(void *unused) { (void)unused; }

static const OSSL_DISPATCH lean_functions[] = {
    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))lean_query},
    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))lean_capabilities},
    {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))lean_teardown},
    {0, NULL},
};

static int lean_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context) {
    (void)handle;
    for (OSSL_ALGORITHM *decoder = lean_tables[OSSL_OP_DECODER]; decoder->algorithm_names != NULL; decoder++)
        if (is_named(decoder->algorithm_names, "EC"))
            decoder->implementation = apus_tls_wrap_decoder(decoder->implementation, full_library, in);
    *out = lean_functions;
    // The algorithms are the default provider's and expect its context.
    *context = OSSL_PROVIDER_get0_provider_ctx(full);
    return *context != NULL;
}

bool apus_tls_set_up(void) {
    apus_tls_keep_memory();
    // No clean-up at exit: connections of other threads may still be in use then.
    OPENSSL_init_crypto(
        OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
            OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
        NULL);
    // The names of OpenSSL's old tables would all go into every library context, where it walks through all names for every
    // certificate. By name it needs the digests of signatures alone.
    const EVP_MD *digests[] = {EVP_sha1(), EVP_sha224(), EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_md5()};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) EVP_add_digest(digests[i]);
    full_library = OSSL_LIB_CTX_new();
    if (full_library == NULL) return false;
    full = OSSL_PROVIDER_load(full_library, "default");
    if (full == NULL) return false;
    for (int operation = 0; operation < max_operations; operation++)
        if (is_lean(operation)) make_lean_table(operation);
    // Into the default library context, because sessions are decoded there and nowhere else. Loading a provider by name
    // keeps OpenSSL's own one from being loaded there.
    if (!OSSL_PROVIDER_add_builtin(NULL, "apus-lean", lean_init) || OSSL_PROVIDER_load(NULL, "apus-lean") == NULL)
        return false;
    empty_library = OSSL_LIB_CTX_new();
    if (empty_library != NULL && OSSL_PROVIDER_load(empty_library, "null") == NULL) {
        OSSL_LIB_CTX_free(empty_library);
        empty_library = NULL;
    }
    return true;
}

OSSL_LIB_CTX *apus_tls_library(void) { return OSSL_LIB_CTX_get0_global_default(); }

void apus_tls_pass_over_keys(void) {
    if (empty_library != NULL) OSSL_LIB_CTX_set0_default(empty_library);
}

void apus_tls_decode_keys(void) { OSSL_LIB_CTX_set0_default(OSSL_LIB_CTX_get0_global_default()); }

// MARK: Contexts

SSL_CTX *apus_tls_context_new(OSSL_LIB_CTX *library, bool is_server, int min_version, int max_version) {
    SSL_CTX *context = SSL_CTX_new_ex(library, NULL, is_server ? TLS_server_method() : TLS_client_method());
    if (context == NULL) return NULL;
    SSL_CTX_set_options(
        context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                     SSL_OP_PRIORITIZE_CHACHA | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(
        context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_early_data(context, 0);
    SSL_CTX_set_recv_max_early_data(context, 0);
    if (!SSL_CTX_set_min_proto_version(context, min_version) || !SSL_CTX_set_max_proto_version(context, max_version)) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

// Sessions one context keeps of TLS 1.2 clients that take no tickets. Each may hold a certificate: 8 MiB at most.
enum { max_kept_sessions = 2048 };

void apus_tls_context_set_resumption(
    SSL_CTX *context, bool is_server, bool tickets, bool keeps, uint32_t timeout, const uint8_t *id, size_t id_length) {
    SSL_CTX_set_session_id_context(context, id, (unsigned)id_length);
    SSL_CTX_set_timeout(context, (long)timeout);
    if (!tickets) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    if (is_server) {
        // Tickets carry the state; one a connection is what a client needs. A session that went into a ticket is not kept.
        SSL_CTX_set_num_tickets(context, tickets ? 1 : 0);
        SSL_CTX_set_session_cache_mode(context, keeps ? SSL_SESS_CACHE_SERVER : SSL_SESS_CACHE_OFF);
        SSL_CTX_sess_set_cache_size(context, max_kept_sessions);
    } else {
        SSL_CTX_set_session_cache_mode(
            context, tickets ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
    }
}

void apus_tls_context_name_authorities(SSL_CTX *context, X509_STORE *store) {
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (authority != NULL) SSL_CTX_add_client_CA(context, authority);
    }
}

int apus_tls_context_add(SSL_CTX *context, X509 *leaf, STACK_OF(X509) *chain, EVP_PKEY *key) {
    return SSL_CTX_use_cert_and_key(context, leaf, key, chain, 1) == 1;
}

int apus_tls_use(SSL *ssl, X509 *leaf, STACK_OF(X509) *chain, EVP_PKEY *key) {
    return SSL_use_cert_and_key(ssl, leaf, key, chain, 1) == 1;
}

int apus_tls_context_set_groups(SSL_CTX *context, const char *list) {
    return SSL_CTX_set1_groups_list(context, list) == 1;
}

void apus_tls_context_set_ticket_callback(
    SSL_CTX *context,
    int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, callback);
}

bool apus_tls_has_cipher(const char *name) {
    // "@SECLEVEL", "ALL" and the like are words of OpenSSL's list language and not suites.
    for (const char *c = name; *c != 0; c++)
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-')) return false;
    SSL_CTX *scratch = SSL_CTX_new(TLS_method());
    bool found = false;
    if (scratch != NULL && SSL_CTX_set_cipher_list(scratch, "ALL:COMPLEMENTOFALL") == 1) {
        STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(scratch);
        for (int i = 0; i < sk_SSL_CIPHER_num(all) && !found; i++)
            found = strcmp(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(all, i)), name) == 0;
    }
    SSL_CTX_free(scratch);
    return found;
}

int apus_tls_set_host_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name) == 1; }

SSL *apus_tls_of(X509_STORE_CTX *store) {
    return X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
}

const char *apus_tls_group_name(SSL *ssl) {
    int id = (int)SSL_get_negotiated_group(ssl);
    switch (id & 0xffff) {
    case NID_X9_62_prime256v1: return "P-256";
    case NID_secp384r1: return "P-384";
    case NID_secp521r1: return "P-521";
    case NID_undef: return NULL;
    }
    if (id == NID_X25519) return "X25519";
    return OBJ_nid2sn(id);
}

int apus_tls_peer_signature(SSL *ssl, int *hash, int *key_type) {
    if (SSL_session_reused(ssl)) {
        int *kept = NULL;
        size_t length = 0;
        if (!SSL_SESSION_get0_ticket_appdata(SSL_get0_session(ssl), (void **)&kept, &length)) return 0;
        if (length != 2 * sizeof(int)) return 0;
        int pair[2];
        memcpy(pair, kept, sizeof pair);
        *hash = pair[0];
        *key_type = pair[1];
        return 1;
    }
    return SSL_get_peer_signature_nid(ssl, hash) == 1 && SSL_get_peer_signature_type_nid(ssl, key_type) == 1;
}

int apus_tls_keep_peer_signature(SSL *ssl, SSL_SESSION *session) {
    int pair[2];
    if (!SSL_session_reused(ssl) && apus_tls_peer_signature(ssl, &pair[0], &pair[1]))
        SSL_SESSION_set1_ticket_appdata(session, pair, sizeof pair);
    return 1;
}

// MARK: After the handshake

bool apus_tls_can_park(void) {
    // SSL_set_session puts a connection back to the method of its context if that is another one. From 3.2 on it is the
    // method the connection was made with, which cannot be changed; before, it is that of the context it has now.
    return OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 2;
}

int apus_tls_park(SSL *ssl, SSL_CTX *context, SSL_SESSION *session) {
    const SSL_SESSION *own = SSL_get0_session(ssl);
    if (!SSL_is_init_finished(ssl) || SSL_CTX_get_ssl_method(context) != SSL_get_ssl_method(ssl)) return 0;
    // What a client asked for the size of records is kept in its session.
    if (own == NULL || SSL_SESSION_get_max_fragment_length(own) != 0) return 0;
    if (SSL_set_SSL_CTX(ssl, context) != context) {
        ERR_clear_error();
        return 0;
    }
    // A session that is left in the middle of a connection is taken for a broken one, and never resumed.
    int shutdown = SSL_get_shutdown(ssl);
    SSL_set_shutdown(ssl, shutdown | SSL_SENT_SHUTDOWN);
    int done = SSL_set_session(ssl, session);
    SSL_set_shutdown(ssl, shutdown);
    SSL_free_buffers(ssl);
    ERR_clear_error();
    return done;
}

// MARK: Reading PEM

static bool reached_end(void) {
    unsigned long error = ERR_peek_last_error();
    bool is_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return is_end;
}

STACK_OF(X509) *apus_tls_read_certificates(OSSL_LIB_CTX *library, const void *pem, int length) {
    BIO *bio = BIO_new_mem_buf(pem, length);
    STACK_OF(X509) *stack = sk_X509_new_null();
    if (bio == NULL || stack == NULL) goto failed;
    ERR_clear_error();
    for (;;) {
        X509 *x = X509_new_ex(library, NULL);
        X509 *given = x;
        if (x == NULL) goto failed;
        if (PEM_read_bio_X509_AUX(bio, &x, NULL, NULL) == NULL) {
            // A failed read may have freed what it was given, and then says so.
            if (x == given) X509_free(x);
            if (!reached_end()) goto failed;
            break;
        }
        if (!sk_X509_push(stack, x)) {
            X509_free(x);
            goto failed;
        }
    }
    BIO_free(bio);
    return stack;
failed:
    ERR_clear_error();
    BIO_free(bio);
    sk_X509_pop_free(stack, X509_free);
    return NULL;
}

static int no_password(char *buffer, int size, int writing, void *unused) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)unused;
    return -1;
}

// The same key in another library context.
static EVP_PKEY *move_key(EVP_PKEY *key, OSSL_LIB_CTX *library) {
    OSSL_PARAM *parts = NULL;
    EVP_PKEY *moved = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(library, EVP_PKEY_get0_type_name(key), NULL);
    if (context != NULL && EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &parts) == 1 && EVP_PKEY_fromdata_init(context) == 1)
        EVP_PKEY_fromdata(context, &moved, EVP_PKEY_KEYPAIR, parts);
    OSSL_PARAM_free(parts);
    EVP_PKEY_CTX_free(context);
    return moved;
}

EVP_PKEY *apus_tls_read_key(OSSL_LIB_CTX *library, const void *pem, int length) {
    BIO *bio = BIO_new_mem_buf(pem, length);
    if (bio == NULL) return NULL;
    EVP_PKEY *read = PEM_read_bio_PrivateKey_ex(bio, NULL, no_password, NULL, full_library, NULL);
    BIO_free(bio);
    EVP_PKEY *key = read == NULL ? NULL : move_key(read, library);
    EVP_PKEY_free(read);
    ERR_clear_error();
    return key;
}

static int add_lists(X509_STORE *store, const void *crl, int length, int64_t *next_update) {
    BIO *bio = BIO_new_mem_buf(crl, length);
    int count = 0;
    if (bio == NULL) return -1;
    ERR_clear_error();
    for (;;) {
        X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
        if (list == NULL) break;
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
        int64_t end = next == NULL ? INT64_MAX : apus_tls_time(next);
        if (end < *next_update) *next_update = end;
        int added = X509_STORE_add_crl(store, list);
        X509_CRL_free(list);
        if (!added) {
            BIO_free(bio);
            return -1;
        }
        count++;
    }
    BIO_free(bio);
    return reached_end() ? count : -1;
}

X509_STORE *apus_tls_make_store(
    OSSL_LIB_CTX *library, const void *ca, int ca_length, const void *crl, int crl_length, bool leaf_only, int depth,
    int *error, int64_t *next_update) {
    *next_update = INT64_MAX;
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *trusted = apus_tls_read_certificates(library, ca, ca_length);
    *error = trusted == NULL ? 1 : sk_X509_num(trusted) == 0 ? 3 : 0;
    for (int i = 0; *error == 0 && i < sk_X509_num(trusted); i++)
        if (!X509_STORE_add_cert(store, sk_X509_value(trusted, i))) *error = 1;
    sk_X509_pop_free(trusted, X509_free);
    // An intermediate may be the anchor, as in Envoy.
    unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN;
    if (*error == 0 && crl != NULL) {
        int count = add_lists(store, crl, crl_length, next_update);
        if (count <= 0) *error = count == 0 ? 4 : 2;
        flags |= X509_V_FLAG_CRL_CHECK | (leaf_only ? 0 : X509_V_FLAG_CRL_CHECK_ALL);
    }
    if (*error != 0) {
        X509_STORE_free(store);
        return NULL;
    }
    X509_STORE_set_flags(store, flags);
    if (depth >= 0) X509_STORE_set_depth(store, depth);
    return store;
}

// MARK: Certificates

int apus_tls_stack_count(const STACK_OF(X509) *stack) { return stack == NULL ? 0 : sk_X509_num(stack); }
X509 *apus_tls_stack_at(const STACK_OF(X509) *stack, int index) { return sk_X509_value(stack, index); }
void apus_tls_stack_free(STACK_OF(X509) *stack) { sk_X509_pop_free(stack, X509_free); }
void apus_tls_stack_drop_first(STACK_OF(X509) *stack) { X509_free(sk_X509_shift(stack)); }

int apus_tls_alternative_names(X509 *x, void *owner, void (*each)(void *, int, const uint8_t *, size_t)) {
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, &critical, NULL);
    // -1: there is no such extension; -2: there are two; anything else: it does not decode.
    if (names == NULL) return critical == -1 ? 0 : -1;
    int count = sk_GENERAL_NAME_num(names);
    for (int i = 0; i < count; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        int kind = -1;
        const ASN1_STRING *text = NULL;
        if (name->type == GEN_DNS) { kind = 0; text = name->d.dNSName; }
        if (name->type == GEN_URI) { kind = 1; text = name->d.uniformResourceIdentifier; }
        if (name->type == GEN_EMAIL) { kind = 2; text = name->d.rfc822Name; }
        if (name->type == GEN_IPADD) { kind = 3; text = name->d.iPAddress; }
        if (kind >= 0) each(owner, kind, ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    }
    GENERAL_NAMES_free(names);
    return count;
}

int apus_tls_name_text(const X509_NAME *name, char **text) {
    BIO *bio = BIO_new(BIO_s_mem());
    *text = NULL;
    if (bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0) {
        BIO_free(bio);
        return -1;
    }
    char *data = NULL;
    long length = BIO_get_mem_data(bio, &data);
    *text = OPENSSL_malloc((size_t)length + 1);
    if (*text != NULL && length > 0) memcpy(*text, data, (size_t)length);
    BIO_free(bio);
    return *text == NULL ? -1 : (int)length;
}

int apus_tls_common_name(X509 *x, uint8_t **text) {
    const X509_NAME *subject = X509_get_subject_name(x);
    int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    *text = NULL;
    if (index < 0) return -1;
    return ASN1_STRING_to_UTF8(text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
}

char *apus_tls_serial(X509 *x) {
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *text = number == NULL ? NULL : BN_bn2hex(number);
    BN_free(number);
    return text;
}

int apus_tls_der(X509 *x, uint8_t **bytes) {
    *bytes = NULL;
    return i2d_X509(x, bytes);
}

int apus_tls_hash(const void *bytes, size_t length, const EVP_MD *digest, uint8_t out[32]) {
    unsigned size = 0;
    return EVP_Digest(bytes, length, out, &size, digest, NULL) == 1 && size == 32;
}

int apus_tls_digest(X509 *x, const EVP_MD *digest, uint8_t out[32]) {
    uint8_t *der = NULL;
    int length = i2d_X509(x, &der);
    int done = length > 0 && apus_tls_hash(der, (size_t)length, digest, out);
    OPENSSL_free(der);
    return done;
}

int apus_tls_sha1(X509 *x, uint8_t out[20]) {
    unsigned size = 0;
    return X509_digest(x, EVP_sha1(), out, &size) == 1 && size == 20;
}

int apus_tls_key_digest(X509 *x, const EVP_MD *digest, uint8_t out[32]) {
    uint8_t *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    int done = length > 0 && apus_tls_hash(der, (size_t)length, digest, out);
    OPENSSL_free(der);
    return done;
}

int64_t apus_tls_time(const ASN1_TIME *time) {
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return INT64_MIN;
    return (int64_t)timegm(&parts);
}

void apus_tls_free(void *memory) { OPENSSL_free(memory); }

// MARK: Tickets

int apus_tls_ticket_keys(OSSL_LIB_CTX *library, const uint8_t secret[32], uint64_t period, uint8_t out[80]) {
    uint8_t block[128];
    for (uint8_t part = 0; part < 2; part++) {
        uint8_t input[9];
        for (int i = 0; i < 8; i++) input[i] = (uint8_t)(period >> (8 * i));
        input[8] = part;
        size_t length = 0;
        if (EVP_Q_mac(
                library, "HMAC", NULL, "SHA512", NULL, secret, 32, input, sizeof input, block + 64 * part, 64,
                &length) == NULL || length != 64)
            return 0;
    }
    memcpy(out, block, 80);
    OPENSSL_cleanse(block, sizeof block);
    return 1;
}

int apus_tls_ticket_begin(
    EVP_CIPHER_CTX *cipher_context, EVP_MAC_CTX *mac_context, const EVP_CIPHER *cipher, const uint8_t keys[80],
    const uint8_t *iv, int encrypt) {
    OSSL_PARAM parameters[3];
    parameters[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(keys + 48), 32);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
    parameters[2] = OSSL_PARAM_construct_end();
    return EVP_CipherInit_ex(cipher_context, cipher, NULL, keys + 16, iv, encrypt) == 1 &&
        EVP_MAC_CTX_set_params(mac_context, parameters) == 1;
}
