// SPDX-License-Identifier: Apache-2.0
// OpenSSL's memory, with blocks kept for each thread.
//
// A handshake asks for some thousand small blocks, and frees most of them in one go: more than malloc keeps at hand (seven
// of a size), so that most of its calls take its slow way. Here a thread keeps up to 8 KiB of each size, and a few of the
// 16 KiB buffers that come and go with every record; what is over is malloc's. Every block is malloc's own, so a block may
// be freed by another thread.
#include "COpenSSL.h"
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    // Sizes are those of malloc's chunks, whose usable part is 8 bytes shorter.
    small_step = 16, small_limit = 1024, large_step = 256, large_limit = 18 * 1024,
    small_classes = small_limit / small_step + 1, classes = small_classes + large_limit / large_step + 1,
    kept_small_bytes = 8192, kept_large_blocks = 4, kept_bytes = 1 << 20,
};

struct block { struct block *next; };
struct cache {
    struct block *first[classes];
    uint16_t count[classes];
    size_t bytes;
    bool is_known;
};
static _Thread_local struct cache cache;
static pthread_key_t at_thread_end;

static size_t chunk_for(size_t size) {
    size_t chunk = (size + 8 + small_step - 1) & ~(size_t)(small_step - 1);
    if (chunk < 32) return 32;
    return chunk <= small_limit ? chunk : (size + 8 + large_step - 1) & ~(size_t)(large_step - 1);
}

// The class of the largest size that a chunk is good for.
static size_t class_of(size_t chunk) {
    return chunk <= small_limit ? chunk / small_step : small_classes + chunk / large_step;
}

static void *take(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    if (size == 0) return NULL;
    if (size > large_limit - large_step) return malloc(size);
    size_t chunk = chunk_for(size);
    size_t class = class_of(chunk);
    struct block *block = cache.first[class];
    if (block == NULL) return malloc(chunk - 8);
    cache.first[class] = block->next;
    cache.count[class]--;
    cache.bytes -= chunk;
    return block;
}

static void give(void *memory, const char *file, int line) {
    (void)file;
    (void)line;
    if (memory == NULL) return;
    size_t chunk = malloc_usable_size(memory) + 8;
    if (chunk > small_limit) chunk &= ~(size_t)(large_step - 1);
    if (chunk > large_limit || cache.bytes + chunk > kept_bytes) {
        free(memory);
        return;
    }
    size_t class = class_of(chunk);
    size_t kept = chunk <= small_limit ? kept_small_bytes / chunk : kept_large_blocks;
    if (cache.count[class] >= kept) {
        free(memory);
        return;
    }
    if (!cache.is_known) {
        cache.is_known = true;
        pthread_setspecific(at_thread_end, &cache);
    }
    struct block *block = memory;
    block->next = cache.first[class];
    cache.first[class] = block;
    cache.count[class]++;
    cache.bytes += chunk;
}

static void *change(void *memory, size_t size, const char *file, int line) {
    if (memory == NULL) return take(size, file, line);
    if (size == 0) {
        give(memory, file, line);
        return NULL;
    }
    size_t usable = malloc_usable_size(memory);
    // Growing a large one is what malloc can do in place.
    if (usable >= large_limit && size >= large_limit) return realloc(memory, size);
    if (size <= usable && size > usable / 2) return memory;
    void *moved = take(size, file, line);
    if (moved == NULL) return NULL;
    memcpy(moved, memory, usable < size ? usable : size);
    give(memory, file, line);
    return moved;
}

static void empty(void *unused) {
    (void)unused;
    for (int class = 0; class < classes; class++) {
        for (struct block *block = cache.first[class]; block != NULL;) {
            struct block *next = block->next;
            free(block);
            block = next;
        }
        cache.first[class] = NULL;
        cache.count[class] = 0;
    }
    cache.bytes = 0;
    cache.is_known = false;
}

bool apus_tls_keep_memory(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    // Blocks that are kept would hide what is done with memory that was freed.
    return false;
#endif
#endif
    return pthread_key_create(&at_thread_end, empty) == 0 && CRYPTO_set_mem_functions(take, change, give) == 1;
}
