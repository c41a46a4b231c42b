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

// Ends of ranges shorter than sixteen bytes, one byte at a time; out of line, to keep the loops below small.
const uint8_t *apus_scan_value_tail(const uint8_t *p, const uint8_t *end);
const uint8_t *apus_scan_target_tail(const uint8_t *p, const uint8_t *end);
const uint8_t *apus_scan_token_tail(const uint8_t *p, const uint8_t *end);
void apus_copy_lowercase_tail(uint8_t *to, const uint8_t *from, size_t count);

#if defined(__SSE2__)
/// Bits of the bytes that may not stand in a field value.
static inline unsigned apus_value_stops(__m128i x) {
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1f)), x);
    const __m128i stop = _mm_or_si128(
        _mm_andnot_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8(0x09)), control), _mm_cmpeq_epi8(x, _mm_set1_epi8(0x7f)));
    return (unsigned)_mm_movemask_epi8(stop);
}
#endif

/// The first byte from `p` on that may not stand in a field value (RFC 9110 §5.5): a control character other than tab.
/// Bytes from `begin` on are readable.
static inline const uint8_t *apus_scan_value(const uint8_t *begin, const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    while (end - p >= 16) {
        const unsigned mask = apus_value_stops(_mm_loadu_si128((const __m128i *)p));
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
    if (end - begin >= 16) {
        // The last bytes are looked at together with some before them.
        const unsigned mask = apus_value_stops(_mm_loadu_si128((const __m128i *)(end - 16))) >> (16 - (end - p));
        return mask ? p + __builtin_ctz(mask) : end;
    }
#endif
    return apus_scan_value_tail(p, end);
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
    return apus_scan_target_tail(p, end);
}

#if defined(__SSE2__)
/// Bits of the bytes that are not letters, digits, '-' or '_'.
static inline unsigned apus_uncommon_token_bytes(__m128i x) {
    // Signed comparisons are right here: bytes from 0x80 on are negative and fail every lower bound.
    const __m128i folded = _mm_or_si128(x, _mm_set1_epi8(0x20));
    const __m128i letter = _mm_and_si128(
        _mm_cmpgt_epi8(folded, _mm_set1_epi8('a' - 1)), _mm_cmplt_epi8(folded, _mm_set1_epi8('z' + 1)));
    const __m128i digit = _mm_and_si128(
        _mm_cmpgt_epi8(x, _mm_set1_epi8('0' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('9' + 1)));
    const __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('-')), _mm_cmpeq_epi8(x, _mm_set1_epi8('_')));
    return 0xffffu & ~(unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letter, digit), mark));
}
#endif

/// The first byte that is not a token character.
static inline const uint8_t *apus_scan_token(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    // Sixteen bytes at once know the usual characters; any other byte is settled by the table.
    while (end - p >= 16) {
        const unsigned other = apus_uncommon_token_bytes(_mm_loadu_si128((const __m128i *)p));
        if (!other) {
            p += 16;
            continue;
        }
        p += __builtin_ctz(other);
        if (*p == ':' || !(apus_byte_class[*p] & 1)) return p;
        p++;
    }
#endif
    return apus_scan_token_tail(p, end);
}

/// The first byte that does not belong to an authority (RFC 3986 §3.2 without userinfo).
static inline const uint8_t *apus_scan_authority(const uint8_t *p, const uint8_t *end) {
#if defined(__SSE2__)
    while (end - p >= 16) {
        const __m128i x = _mm_loadu_si128((const __m128i *)p);
        const __m128i dot = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('.')), _mm_cmpeq_epi8(x, _mm_set1_epi8(':')));
        const unsigned other = apus_uncommon_token_bytes(x) & ~(unsigned)_mm_movemask_epi8(dot);
        if (other) break;
        p += 16;
    }
#endif
    while (p < end && (apus_byte_class[*p] & 2)) p++;
    return p;
}

/// Copies `count` bytes with ASCII letters in lower case. The 16 bytes behind the destination may be overwritten; up to
/// `readable` source bytes may be read.
static inline void apus_copy_lowercase(uint8_t *to, const uint8_t *from, size_t count, size_t readable) {
#if defined(__SSE2__)
    if (readable >= count + 16) {
#pragma clang loop unroll(disable)
        for (size_t i = 0; i < count; i += 16) {
            const __m128i x = _mm_loadu_si128((const __m128i *)(from + i));
            const __m128i upper = _mm_and_si128(
                _mm_cmpgt_epi8(x, _mm_set1_epi8('A' - 1)), _mm_cmplt_epi8(x, _mm_set1_epi8('Z' + 1)));
            _mm_storeu_si128((__m128i *)(to + i), _mm_or_si128(x, _mm_and_si128(upper, _mm_set1_epi8(0x20))));
        }
        return;
    }
#endif
    apus_copy_lowercase_tail(to, from, count);
}

/// Copies `count` bytes. The 16 bytes behind the destination may be overwritten; up to `readable` source bytes may be read.
static inline void apus_copy_short(uint8_t *to, const uint8_t *from, size_t count, size_t readable) {
#if defined(__SSE2__)
    if (count <= 256 && readable >= count + 16) {
        size_t i = 0;
        // Most copies are one or two rounds: what unrolling has to find out first costs more than they do.
#pragma clang loop unroll(disable)
        do {
            _mm_storeu_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
            i += 16;
        } while (i < count);
        return;
    }
#endif
    memcpy(to, from, count);
}

/// Copies `count` bytes that do not overlap the destination, reading and writing no others; no call for up to 64.
static inline void apus_copy(uint8_t *to, const uint8_t *from, size_t count) {
#if defined(__SSE2__)
    if (count >= 16) {
        if (count > 64) {
            memcpy(to, from, count);
            return;
        }
        const __m128i last = _mm_loadu_si128((const __m128i *)(from + count - 16));
#pragma clang loop unroll(disable)
        for (size_t i = 0; i + 16 < count; i += 16)
            _mm_storeu_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
        _mm_storeu_si128((__m128i *)(to + count - 16), last);
        return;
    }
    if (count >= 8) {
        uint64_t x, y;
        memcpy(&x, from, 8);
        memcpy(&y, from + count - 8, 8);
        memcpy(to, &x, 8);
        memcpy(to + count - 8, &y, 8);
        return;
    }
    if (count >= 4) {
        uint32_t x, y;
        memcpy(&x, from, 4);
        memcpy(&y, from + count - 4, 4);
        memcpy(to, &x, 4);
        memcpy(to + count - 4, &y, 4);
        return;
    }
    if (count == 0) return;
    to[0] = from[0];
    if (count > 1) {
        uint16_t x;
        memcpy(&x, from + count - 2, 2);
        memcpy(to + count - 2, &x, 2);
    }
#else
    memcpy(to, from, count);
#endif
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

/// The sixteen hexadecimal digits of `value`, most significant first.
static inline void apus_write_hex64(uint8_t *to, uint64_t value) {
#if defined(__SSE2__)
    const __m128i bytes = _mm_cvtsi64_si128((long long)__builtin_bswap64(value));
    const __m128i mask = _mm_set1_epi8(0x0f);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(bytes, 4), mask), low = _mm_and_si128(bytes, mask);
    const __m128i nibbles = _mm_unpacklo_epi8(high, low);
    const __m128i letters = _mm_and_si128(_mm_cmpgt_epi8(nibbles, _mm_set1_epi8(9)), _mm_set1_epi8('a' - '0' - 10));
    _mm_storeu_si128((__m128i *)to, _mm_add_epi8(_mm_add_epi8(nibbles, _mm_set1_epi8('0')), letters));
#else
    for (int i = 0; i < 16; i++) to[i] = (uint8_t)"0123456789abcdef"[value >> (60 - 4 * i) & 15];
#endif
}

/// A UUID as text, 36 bytes, from its two halves.
static inline void apus_write_uuid(uint8_t *to, uint64_t high, uint64_t low) {
    uint8_t digits[32];
    apus_write_hex64(digits, high);
    apus_write_hex64(digits + 16, low);
    memcpy(to, digits, 8);
    to[8] = '-';
    memcpy(to + 9, digits + 8, 4);
    to[13] = '-';
    memcpy(to + 14, digits + 12, 4);
    to[18] = '-';
    memcpy(to + 19, digits + 16, 4);
    to[23] = '-';
    memcpy(to + 24, digits + 20, 12);
}

/// Eight bytes as one number, in memory order.
static inline uint64_t apus_load64(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/// A known header name, zeros behind it.
struct apus_header_name {
    char text[63];
    uint8_t length;
};

enum { APUS_HEADER_TOKENS = 64 };
extern const struct apus_header_name apus_header_names[];

/// The number of a lower-case name, 0 when it is none of the known ones.
uint8_t apus_header_token(const uint8_t *name, size_t length);

/// A known name, with at least sixteen readable bytes behind it; empty for a number that names nothing.
static inline const uint8_t *apus_header_text(uint8_t token) {
    return (const uint8_t *)apus_header_names[token & (APUS_HEADER_TOKENS - 1)].text;
}

static inline size_t apus_header_length(uint8_t token) {
    return apus_header_names[token & (APUS_HEADER_TOKENS - 1)].length;
}

/// One finished field line: lengths in bytes, `value` from the start of the line; the value without white space around it.
struct apus_field_line {
    uint32_t name, value, value_length, line;
};

/// Reads the field line at `line`, if all of it is there and nothing is wrong with it. Otherwise returns 0 and the caller
/// finds out what is missing. Bytes from `begin` on are readable.
int apus_read_field_line(const uint8_t *begin, const uint8_t *line, const uint8_t *end, struct apus_field_line *field);

/// One finished request line in HTTP/1.1: the method's bytes, a space, the target's bytes, and ten more.
struct apus_request_line {
    uint32_t method, target;
};

/// Reads the request line at `line`, if all of it is there, nothing is wrong with it, the version is 1.1 and the target has no
/// fragment. Otherwise returns 0 and the caller looks closer.
int apus_read_request_line(const uint8_t *line, const uint8_t *end, struct apus_request_line *found);

/// Whether `count` bytes are a host of letters, digits, '-', '_' and '.' with or without a port up to 65535. Of anything else
/// nothing is said.
int apus_is_plain_authority(const uint8_t *text, size_t count);
