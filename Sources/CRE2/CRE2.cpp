// SPDX-License-Identifier: Apache-2.0
#include "CRE2.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <re2/re2.h>
#include <re2/set.h>

struct apus_regex {
    re2::RE2 re2;
};

struct apus_regex_set {
    re2::RE2::Set set;
    // Kept between matches, so that its memory is taken once.
    std::vector<int> found;
};

namespace {

// Groups beyond this are not reported; substitutions name \0 to \9 only.
constexpr int kMaxGroups = 16;

re2::RE2::Options options(bool latin1) {
    re2::RE2::Options result(latin1 ? re2::RE2::Latin1 : re2::RE2::Quiet);
    result.set_log_errors(false);
    return result;
}

void set_error(char *error, size_t size, const std::string &text) {
    if (error == nullptr || size == 0) return;
    size_t count = text.size() < size - 1 ? text.size() : size - 1;
    std::memcpy(error, text.data(), count);
    error[count] = 0;
}

re2::StringPiece piece(const char *text, size_t length) { return re2::StringPiece(length ? text : "", length); }

}  // namespace

apus_regex *apus_regex_new(const char *pattern, size_t length, bool latin1, char *error, size_t error_size) {
    std::unique_ptr<apus_regex> regex(new apus_regex{re2::RE2(piece(pattern, length), options(latin1))});
    if (!regex->re2.ok()) {
        set_error(error, error_size, regex->re2.error());
        return nullptr;
    }
    return regex.release();
}

void apus_regex_delete(apus_regex *regex) { delete regex; }

int apus_regex_group_count(const apus_regex *regex) { return regex->re2.NumberOfCapturingGroups(); }

int apus_regex_program_size(const apus_regex *regex) { return regex->re2.ProgramSize(); }

bool apus_regex_full_match(const apus_regex *regex, const char *text, size_t length) {
    return regex->re2.Match(piece(text, length), 0, length, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

bool apus_regex_search(const apus_regex *regex, const char *text, size_t length, size_t start, int32_t *groups, int count) {
    re2::StringPiece found[kMaxGroups];
    int wanted = count < kMaxGroups ? count : kMaxGroups;
    int known = 1 + regex->re2.NumberOfCapturingGroups();
    int asked = wanted < known ? wanted : known;
    re2::StringPiece whole = piece(text, length);
    if (start > length) return false;
    if (!regex->re2.Match(whole, start, length, re2::RE2::UNANCHORED, found, asked)) return false;
    for (int i = 0; i < count; i++) {
        bool there = i < asked && found[i].data() != nullptr;
        groups[2 * i] = there ? static_cast<int32_t>(found[i].data() - whole.data()) : -1;
        groups[2 * i + 1] = there ? static_cast<int32_t>(found[i].data() - whole.data() + found[i].size()) : -1;
    }
    return true;
}

bool apus_regex_check_substitution(const apus_regex *regex, const char *text, size_t length, char *error, size_t error_size) {
    std::string problem;
    if (regex->re2.CheckRewriteString(piece(text, length), &problem)) return true;
    set_error(error, error_size, problem);
    return false;
}

void apus_regex_replace_all(
    const apus_regex *regex, const char *text, size_t length, const char *substitution, size_t substitution_length,
    void *context, void (*emit)(void *context, const char *bytes, size_t count)) {
    std::string result(text, length);
    re2::RE2::GlobalReplace(&result, regex->re2, piece(substitution, substitution_length));
    emit(context, result.data(), result.size());
}

apus_regex_set *apus_regex_set_new(bool latin1) {
    return new apus_regex_set{re2::RE2::Set(options(latin1), re2::RE2::ANCHOR_BOTH), {}};
}

void apus_regex_set_delete(apus_regex_set *set) { delete set; }

int apus_regex_set_add(apus_regex_set *set, const char *pattern, size_t length) {
    return set->set.Add(piece(pattern, length), nullptr);
}

bool apus_regex_set_compile(apus_regex_set *set) { return set->set.Compile(); }

int apus_regex_set_match(apus_regex_set *set, const char *text, size_t length, int32_t *matches, int capacity) {
    re2::RE2::Set::ErrorInfo info;
    info.kind = re2::RE2::Set::kNoError;
    set->found.clear();
    if (!set->set.Match(piece(text, length), &set->found, &info)) {
        return info.kind == re2::RE2::Set::kNoError ? 0 : -1;
    }
    int count = static_cast<int>(set->found.size());
    for (int i = 0; i < count && i < capacity; i++) matches[i] = set->found[i];
    return count;
}
