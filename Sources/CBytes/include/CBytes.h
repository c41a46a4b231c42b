// SPDX-License-Identifier: Apache-2.0
// Byte scans that Swift's SIMD cannot express well (no movemask): static inline, so that they inline into Swift.
// Every scan takes a begin and an end pointer, never reads at or behind the end, and returns the end where nothing stops it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Asks the allocator to return the pages it holds free to the kernel.
void apus_release_free_pages(void);

/// Classes of bytes in HTTP/1 syntax: 1 token (RFC 9110 §5.6.2), 2 authority (RFC 3986 §3.2 without userinfo).
extern const uint8_t apus_byte_class[256];

/// The first byte that may not stand in a field value (RFC 9110 §5.5): a control character other than tab.
static inline const uint8_t *apus_scan_value(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8(0x09), del = _mm_set1_epi8(0x7f);
    while (end - p >= 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)p);
        const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, last_control), x);
        const __m128i stop = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(x, tab), control), _mm_cmpeq_epi8(x, del));
        const unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && ((*p >= 0x20 && *p != 0x7f) || *p == 0x09)) p++;
    return p;
}

/// The first byte that does not belong to a request target as sent: space, controls, DEL, 8-bit bytes, and `#`.
static inline const uint8_t *apus_scan_target(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f), hash = _mm_set1_epi8('#');
    while (end - p >= 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)p);
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(x, space), x);
        const __m128i high = _mm_cmpeq_epi8(_mm_max_epu8(x, del), x);
        const __m128i stop = _mm_or_si128(_mm_or_si128(low, high), _mm_cmpeq_epi8(x, hash));
        const unsigned mask = (unsigned)_mm_movemask_epi8(stop);
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    while (p < end && *p > 0x20 && *p < 0x7f && *p != '#') p++;
    return p;
}

/// The first byte that is not a token character.
static inline const uint8_t *apus_scan_token(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    // Sixteen bytes at once know letters, digits, '-' and '_'; any other byte is settled by the table.
    const __m128i fold = _mm_set1_epi8(0x20);
    while (end - p >= 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)p);
        const __m128i folded = _mm_or_si128(x, fold);
        // Signed comparisons are right here: bytes from 0x80 on are negative and fail every lower bound.
        const __m128i letter = _mm_and_si128(
            _mm_cmpgt_epi8(folded, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(folded, _mm_set1_epi8('z' + 1)));
        const __m128i digit = _mm_and_si128(
            _mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1)));
        const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('-')), _mm_cmpeq_epi8(x, _mm_set1_epi8('_')));
        const unsigned other = 0xffffu & ~(unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), mark));
        if (!other) {
            p += 16;
            continue;
        }
        p += __builtin_ctz(other);
        if (!(apus_byte_class[*p] & 1)) return p;
        p++;
    }
#endif
    while (p < end && (apus_byte_class[*p] & 1)) p++;
    return p;
}

/// The first byte that is neither an authority character nor part of one.
static inline const uint8_t *apus_scan_authority(const uint8_t *p, const uint8_t *end) {
    while (p < end && (apus_byte_class[*p] & 2)) p++;
    return p;
}

/// Copies `count` bytes with ASCII letters in lower case. The 16 bytes behind the destination may be overwritten; up to
/// `readable` source bytes may be read.
static inline void apus_copy_lowercase(uint8_t *to, const uint8_t *from, size_t count, size_t readable) {
    size_t i = 0;
#if defined(__SSE2__)
    for (; i < count && readable - i >= 16; i += 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)(from + i));
        const __m128i upper = _mm_and_si128(
            _mm_cmpgt_epi8(x, _mm_set1_epi8('A' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('Z' + 1)));
        _mm_storeu_si128((__m128i *)(to + i), _mm_or_si128(x, _mm_and_si128(upper, _mm_set1_epi8(0x20))));
    }
#endif
    for (; i < count; i++) to[i] = (uint8_t)(from[i] - 'A') < 26 ? from[i] | 0x20 : from[i];
}

/// Copies `count` bytes. The 16 bytes behind the destination may be overwritten; up to `readable` source bytes may be read.
static inline void apus_copy_short(uint8_t *to, const uint8_t *from, size_t count, size_t readable) {
#if defined(__SSE2__)
    if (count <= 64) {
        size_t i = 0;
        for (; i < count && readable - i >= 16; i += 16)
            _mm_storeu_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
        for (; i < count; i++) to[i] = from[i];
        return;
    }
#endif
    memcpy(to, from, count);
}

/// Whether `count` bytes are equal, without a call for short ones.
static inline int apus_equal(const uint8_t *a, const uint8_t *b, size_t count) {
    if (count >= 8) {
        if (count > 64) return memcmp(a, b, count) == 0;
        uint64_t x, y;
        for (size_t i = 0; i + 8 < count; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            if (x != y) return 0;
        }
        memcpy(&x, a + count - 8, 8);
        memcpy(&y, b + count - 8, 8);
        return x == y;
    }
    if (count >= 4) {
        uint32_t x, y, u, v;
        memcpy(&x, a, 4);
        memcpy(&y, b, 4);
        memcpy(&u, a + count - 4, 4);
        memcpy(&v, b + count - 4, 4);
        return x == y && u == v;
    }
    for (size_t i = 0; i < count; i++)
        if (a[i] != b[i]) return 0;
    return 1;
}

/// Eight bytes as one number, in memory order.
static inline uint64_t apus_load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}
