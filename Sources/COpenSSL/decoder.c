// SPDX-License-Identifier: Apache-2.0
// Public keys on P-256 out of certificates.
//
// OpenSSL's decoder builds the curve anew for every key, which costs more than the rest of reading a certificate. Here the key
// gets a copy of a curve that was built once, and the last keys of a thread are at hand: a certificate is read when it comes,
// again when its session goes into a ticket, and whenever that is resumed. Anything but a plain key on P-256 is left to
// OpenSSL's decoder.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "COpenSSL.h"
#include "decoder.h"
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/ec.h>
#include <openssl/params.h>
#include <pthread.h>
#include <string.h>

// SubjectPublicKeyInfo of a key on P-256 (RFC 5480 §2) up to the point, which is not compressed.
static const uint8_t head[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE,
    0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};
// A point is 0x04, x and y. `kept_keys` is a power of two; each takes some 2 KiB.
enum { point_length = 65, point_start = sizeof head - 1, whole_length = point_start + point_length, kept_keys = 64 };

static OSSL_FUNC_BIO_read_ex_fn *read_bio;
static OSSL_FUNC_BIO_ctrl_fn *control_bio;
static OSSL_FUNC_decoder_decode_fn *decode_any;
static EC_KEY *pattern;

struct kept_key { uint8_t point[point_length]; EC_KEY *key; };
static _Thread_local struct kept_key *kept;
static pthread_key_t at_thread_end;

static void forget(void *keys) {
    for (int i = 0; i < kept_keys; i++) EC_KEY_free(((struct kept_key *)keys)[i].key);
    OPENSSL_free(keys);
    kept = NULL;
}

// The key of a point on the curve; the caller's reference. NULL for one that is not on it.
static EC_KEY *key_of(const uint8_t *point) {
    if (kept == NULL) {
        kept = OPENSSL_zalloc(kept_keys * sizeof *kept);
        if (kept == NULL) return NULL;
        pthread_setspecific(at_thread_end, kept);
    }
    struct kept_key *place = &kept[point[point_length - 1] & (kept_keys - 1)];
    if (place->key == NULL || memcmp(place->point, point, point_length) != 0) {
        ERR_set_mark();
        EC_KEY *made = EC_KEY_dup(pattern);
        // Refuses a point that is not on the curve.
        if (made == NULL || EC_KEY_oct2key(made, point, point_length, NULL) != 1) {
            EC_KEY_free(made);
            ERR_pop_to_mark();
            return NULL;
        }
        ERR_clear_last_mark();
        EC_KEY_free(place->key);
        place->key = made;
        memcpy(place->point, point, point_length);
    }
    // Nothing changes a public key, so that many may hold it.
    return EC_KEY_up_ref(place->key) == 1 ? place->key : NULL;
}

static int decode(
    void *context, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *done, void *done_argument,
    OSSL_PASSPHRASE_CALLBACK *password, void *password_argument) {
    uint8_t bytes[whole_length + 1];
    size_t count = 0;
    long start = control_bio(in, BIO_C_FILE_TELL, 0, NULL);
    EC_KEY *key = NULL;
    if (start >= 0 && read_bio(in, bytes, sizeof bytes, &count) == 1 && count == whole_length &&
        memcmp(bytes, head, sizeof head) == 0)
        key = key_of(bytes + point_start);
    if (key == NULL) {
        if (start < 0 || control_bio(in, BIO_C_FILE_SEEK, start, NULL) < 0) return 0;
        return decode_any(context, in, selection, done, done_argument, password, password_argument);
    }
    int kind = OSSL_OBJECT_PKEY;
    OSSL_PARAM parameters[4];
    parameters[0] = OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &kind);
    parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, (char *)"EC", 0);
    // Whoever takes the key writes NULL in its place.
    parameters[2] = OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &key, sizeof key);
    parameters[3] = OSSL_PARAM_construct_end();
    int result = done(parameters, done_argument);
    EC_KEY_free(key);
    return result;
}

const OSSL_DISPATCH *apus_tls_wrap_decoder(const OSSL_DISPATCH *original, OSSL_LIB_CTX *library, const OSSL_DISPATCH *core) {
    static OSSL_DISPATCH wrapped[32];
    for (; core->function_id != 0; core++) {
        if (core->function_id == OSSL_FUNC_BIO_READ_EX) read_bio = OSSL_FUNC_BIO_read_ex(core);
        if (core->function_id == OSSL_FUNC_BIO_CTRL) control_bio = OSSL_FUNC_BIO_ctrl(core);
    }
    int count = 0;
    for (; original[count].function_id != 0; count++) {
        if (count == 31) return original;
        wrapped[count] = original[count];
        if (original[count].function_id == OSSL_FUNC_DECODER_DECODE) {
            decode_any = OSSL_FUNC_decoder_decode(&original[count]);
            wrapped[count].function = (void (*)(void))decode;
        }
    }
    wrapped[count] = (OSSL_DISPATCH){0, NULL};
    pattern = EC_KEY_new_by_curve_name_ex(library, NULL, NID_X9_62_prime256v1);
    bool isReady = read_bio != NULL && control_bio != NULL && decode_any != NULL && pattern != NULL;
    return isReady && pthread_key_create(&at_thread_end, forget) == 0 ? wrapped : original;
}
