// SPDX-License-Identifier: Apache-2.0
// makecerts --directory D : a CA, a server, a client, and 1,000 clients more, as short-lived P-256 certificates with the
// SPIFFE names of a mesh. ca.pem; server.pem, server.key and both in server-both.pem, the same for client; clients.pem
// holds a key and a certificate per client.
#include "tls.h"

static EVP_PKEY *authority_key;
static X509 *authority;
static long serial = 1;

static void extend(X509 *certificate, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, authority != NULL ? authority : certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    if (extension == NULL || X509_add_ext(certificate, extension, -1) != 1) die_tls("extension");
    X509_EXTENSION_free(extension);
}

static X509 *issue(EVP_PKEY *key, const char *common_name, const char *names) {
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 30 * 86400);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)common_name, -1, -1, 0);
    X509_set_issuer_name(certificate, authority != NULL ? X509_get_subject_name(authority) : name);
    if (names == NULL) {
        extend(certificate, NID_basic_constraints, "critical,CA:TRUE");
        extend(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        extend(certificate, NID_key_usage, "critical,digitalSignature");
        extend(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
        extend(certificate, NID_subject_alt_name, names);
    }
    if (X509_sign(certificate, authority_key, EVP_sha256()) == 0) die_tls("sign");
    return certificate;
}

static FILE *create(const char *directory, const char *name) {
    FILE *file = fopen(file_in(directory, name), "w");
    if (file == NULL) die(name);
    return file;
}

static void write_pair(const char *directory, const char *who, EVP_PKEY *key, X509 *certificate) {
    char name[64];
    const char *endings[] = {".key", ".pem", "-both.pem"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", who, endings[i]);
        FILE *file = create(directory, name);
        if (i != 0) PEM_write_X509(file, certificate);
        if (i != 1) PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
        fclose(file);
    }
}

int main(int argc, char **argv) {
    const char *directory = option(argc, argv, "--directory", ".");
    authority_key = EVP_EC_gen("P-256");
    X509 *root = issue(authority_key, "bench CA", NULL);
    authority = root;
    FILE *file = create(directory, "ca.pem");
    PEM_write_X509(file, root);
    fclose(file);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_pair(directory, "server", key, issue(key, "server", "URI:spiffe://cluster.local/ns/bench/sa/server,DNS:localhost,IP:127.0.0.1"));
    key = EVP_EC_gen("P-256");
    write_pair(directory, "client", key, issue(key, "client", "URI:spiffe://cluster.local/ns/bench/sa/client"));
    file = create(directory, "clients.pem");
    for (int i = 0; i < MAX_CLIENTS; i++) {
        char name[32], names[96];
        snprintf(name, sizeof name, "client %d", i);
        snprintf(names, sizeof names, "URI:spiffe://cluster.local/ns/bench/sa/client-%d", i);
        key = EVP_EC_gen("P-256");
        X509 *certificate = issue(key, name, names);
        PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
        PEM_write_X509(file, certificate);
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    if (fclose(file) != 0) die("clients.pem");
    return 0;
}
