// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CProcess.h"
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

void apus_heap(uint64_t *in_use, uint64_t *taken, uint64_t *unused) {
    struct mallinfo2 info = mallinfo2();
    *in_use = info.uordblks + info.hblkhd;
    *taken = info.arena + info.hblkhd;
    *unused = info.fordblks;
}

void apus_trim_heap(void) { malloc_trim(0); }

// Only segments that were never writable: they hold what is in the file, so dropping them loses nothing.
static int forget_object(struct dl_phdr_info *info, size_t size, void *context) {
    (void)size;
    uintptr_t page = *(uintptr_t *)context;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
        // Whole pages of this segment alone: the first and the last may be shared with a neighbour that was relocated.
        uintptr_t start = (info->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
        uintptr_t end = (info->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
        if (end > start) madvise((void *)start, end - start, MADV_DONTNEED);
    }
    return 0;
}

void apus_forget_code_pages(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dl_iterate_phdr(forget_object, &page);
}

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

int apus_usable_cpus(void) {
    cpu_set_t allowed;
    // Fails where the machine has more CPUs than the set has bits.
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) return (int)sysconf(_SC_NPROCESSORS_ONLN);
    return CPU_COUNT(&allowed);
}

uint64_t apus_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    rlim_t soft = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : soft;
}
