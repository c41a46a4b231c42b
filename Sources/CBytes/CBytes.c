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

int apus_read_field_line(const uint8_t *begin, const uint8_t *line, const uint8_t *end, struct apus_field_line *field) {
    const uint8_t *colon = apus_scan_token(line, end);
    if (colon == line || colon == end || *colon != ':') return 0;
    const uint8_t *stop = apus_scan_value(begin, colon + 1, end);
    if (end - stop < 2 || stop[0] != '\r' || stop[1] != '\n' || stop - line > INT32_MAX) return 0;
    const uint8_t *low = colon + 1, *high = stop;
    while (low < high && (*low == ' ' || *low == '\t')) low++;
    while (high > low && (high[-1] == ' ' || high[-1] == '\t')) high--;
    field->name = (uint32_t)(colon - line);
    field->value = (uint32_t)(low - line);
    field->value_length = (uint32_t)(high - low);
    field->line = (uint32_t)(stop + 2 - line);
    return 1;
}

int apus_read_request_line(const uint8_t *line, const uint8_t *end, struct apus_request_line *found) {
    const uint8_t *space = apus_scan_token(line, end);
    if (space == line || space == end || *space != ' ') return 0;
    const uint8_t *stop = apus_scan_target(space + 1, end);
    if (stop == space + 1 || end - stop < 11 || *stop != ' ' || stop - line > INT32_MAX) return 0;
    if (memcmp(stop + 1, "HTTP/1.1\r\n", 10) != 0) return 0;
    found->method = (uint32_t)(space - line);
    found->target = (uint32_t)(stop - space - 1);
    return 1;
}

#if defined(__SSE2__)
/// Up to sixteen bytes, some of them twice where there are fewer; at least one.
static __m128i load_some(const uint8_t *p, size_t count) {
    if (count >= 16) return _mm_loadu_si128((const __m128i *)p);
    if (count >= 8) return _mm_set_epi64x((long long)apus_load64(p + count - 8), (long long)apus_load64(p));
    uint8_t bytes[16];
    for (size_t i = 0; i < 16; i++) bytes[i] = p[i < count ? i : 0];
    return _mm_loadu_si128((const __m128i *)bytes);
}
#endif

int apus_is_plain_authority(const uint8_t *text, size_t count) {
#if defined(__SSE2__)
    const uint8_t *end = text + count, *digits = end;
    unsigned port = 0, scale = 1;
    while (digits > text && end - digits < 6 && (uint8_t)(digits[-1] - '0') < 10) {
        digits--;
        port += scale * (*digits - '0');
        scale *= 10;
    }
    if (digits > text && digits[-1] == ':') {
        if (port > 65535) return 0;
        end = digits - 1;
    }
    if (end == text) return 0;
    for (const uint8_t *p = text; p < end; p += 16) {
        const __m128i x = load_some(p, (size_t)(end - p));
        const unsigned dots = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(x, _mm_set1_epi8('.')));
        if (apus_uncommon_token_bytes(x) & ~dots) return 0;
    }
    return 1;
#else
    return 0;
#endif
}
