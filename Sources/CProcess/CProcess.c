// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CProcess.h"
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void apus_heap(uint64_t *in_use, uint64_t *taken, uint64_t *unused) {
    struct mallinfo2 info = mallinfo2();
    *in_use = info.uordblks + info.hblkhd;
    *taken = info.arena + info.hblkhd;
    *unused = info.fordblks;
}

void apus_trim_heap(void) { malloc_trim(0); }

int32_t apus_thread_number(void) { return gettid(); }

void apus_set_thread_name(const char *name) {
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    pthread_setname_np(pthread_self(), cut);
}

int apus_wake_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC | O_NONBLOCK); }

void apus_print_error(const char *text) {
    size_t rest = strlen(text);
    while (rest > 0) {
        ssize_t count = write(2, text, rest);
        if (count <= 0) return;
        text += count;
        rest -= (size_t)count;
    }
}

void apus_allow_core_dumps(int allow) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
    limit.rlim_cur = allow ? limit.rlim_max : 0;
    setrlimit(RLIMIT_CORE, &limit);
}
