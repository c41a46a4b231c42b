// SPDX-License-Identifier: Apache-2.0
// RE2 with a C face. Every text is a pointer and a length; nothing throws, nothing is global.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct apus_regex apus_regex;
typedef struct apus_regex_set apus_regex_set;

/// Compiles a pattern. NULL when it is invalid or too large: then `error` holds a NUL-terminated text.
apus_regex *apus_regex_new(const char *pattern, size_t length, bool latin1, char *error, size_t error_size);
void apus_regex_delete(apus_regex *regex);
/// Number of capture groups.
int apus_regex_group_count(const apus_regex *regex);
/// RE2's measure of the compiled program.
int apus_regex_program_size(const apus_regex *regex);
/// Whether all of the text matches.
bool apus_regex_full_match(const apus_regex *regex, const char *text, size_t length);
/// First match at or after `start`. Fills `count` pairs of (start, end), group 0 first, -1 for one that took no part.
bool apus_regex_search(const apus_regex *regex, const char *text, size_t length, size_t start, int32_t *groups, int count);
/// Whether `\1`-style references in a substitution fit the pattern's groups.
bool apus_regex_check_substitution(const apus_regex *regex, const char *text, size_t length, char *error, size_t error_size);
/// Replaces every match, as RE2::GlobalReplace. `emit` gets the whole result once.
void apus_regex_replace_all(
    const apus_regex *regex, const char *text, size_t length, const char *substitution, size_t substitution_length,
    void *context, void (*emit)(void *context, const char *bytes, size_t count));

/// A set of patterns that must match all of the text.
apus_regex_set *apus_regex_set_new(bool latin1);
void apus_regex_set_delete(apus_regex_set *set);
/// Adds a pattern; its index, or -1.
int apus_regex_set_add(apus_regex_set *set, const char *pattern, size_t length);
bool apus_regex_set_compile(apus_regex_set *set);
/// Number of matching patterns, their indices in `matches` (unordered, at most `capacity`). -1 when RE2 ran out of memory:
/// then nothing is known.
int apus_regex_set_match(apus_regex_set *set, const char *text, size_t length, int32_t *matches, int capacity);

#ifdef __cplusplus
}
#endif
