// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>

// The decoder of EC keys out of SubjectPublicKeyInfo, quick for those on P-256. - Parameters: OpenSSL's own one and the library
// context of its keys; what the core offers. The original when it cannot be had.
const OSSL_DISPATCH *apus_tls_wrap_decoder(const OSSL_DISPATCH *original, OSSL_LIB_CTX *library, const OSSL_DISPATCH *core);
