// SPDX-License-Identifier: Apache-2.0
#include "CBytes.h"
#include <malloc.h>

void apus_release_free_pages(void) { malloc_trim(0); }

// One row per sixteen bytes, from 0x00.
const uint8_t apus_byte_class[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 3, 0, 1, 3, 3, 3, 3, 2, 2, 3, 3, 2, 3, 3, 0,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 2, 0, 2, 0, 0,
    0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 2, 0, 2, 1, 3,
    1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3,
    3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0, 1, 0, 3, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
};

const uint8_t *apus_scan_value_tail(const uint8_t *p, const uint8_t *end) {
    while (p < end && ((*p >= 0x20 && *p != 0x7f) || *p == 0x09)) p++;
    return p;
}

const uint8_t *apus_scan_target_tail(const uint8_t *p, const uint8_t *end) {
    while (p < end && *p > 0x20 && *p < 0x7f && *p != '#') p++;
    return p;
}

const uint8_t *apus_scan_token_tail(const uint8_t *p, const uint8_t *end) {
    while (p < end && (apus_byte_class[*p] & 1)) p++;
    return p;
}

void apus_copy_lowercase_tail(uint8_t *to, const uint8_t *from, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (uint8_t)(from[i] - 'A') < 26 ? from[i] | 0x20 : from[i];
}
