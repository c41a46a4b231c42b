// SPDX-License-Identifier: Apache-2.0
// What the load tools share: clock, random numbers, histogram, addresses, sockets, one HTTP/1.1 response parser.
#ifndef APUS_BENCH_LOAD_H
#define APUS_BENCH_LOAD_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void die(const char *what) {
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Sleeps end when they are asked to: the default slack of 50 us would be in every open-loop latency.
static inline void precise_sleeps(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0); }

// As many descriptors as the hard limit allows.
static inline void raise_fd_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

// xorshift64*: the schedule of a run is the same for every peer because the seed is.
static inline double random_unit(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return ((double)((*state * 2685821657736338717ull) >> 11) + 0.5) / 9007199254740992.0;
}

static inline double random_exponential(uint64_t *state, double mean) { return -mean * log(random_unit(state)); }

// Log-linear histogram of nanoseconds: 64 steps per power of two, error below 1.6 %.
#define HIST_STEPS 64
#define HIST_SIZE (HIST_STEPS * 40)
typedef struct {
    uint64_t count[HIST_SIZE];
    uint64_t total;
} histogram;

static inline void hist_add(histogram *h, uint64_t ns) {
    unsigned index;
    if (ns < HIST_STEPS) {
        index = (unsigned)ns;
    } else {
        unsigned power = 63u - (unsigned)__builtin_clzll(ns);  // >= 6
        index = (power - 5u) * HIST_STEPS + (unsigned)((ns >> (power - 6u)) - HIST_STEPS);
    }
    if (index >= HIST_SIZE) index = HIST_SIZE - 1;
    h->count[index]++;
    h->total++;
}

// The value in microseconds at or below which `fraction` of all samples lie; 0 of none.
static inline double hist_us(const histogram *h, double fraction) {
    uint64_t wanted = (uint64_t)ceil(fraction * (double)h->total), seen = 0;
    for (unsigned i = 0; i < HIST_SIZE; i++) {
        seen += h->count[i];
        if (seen >= wanted && seen > 0) {
            if (i < HIST_STEPS) return i / 1000.0;
            unsigned power = i / HIST_STEPS + 5u;
            double low = (double)(HIST_STEPS + i % HIST_STEPS) * (double)(1ull << (power - 6u));
            return (low + (double)(1ull << (power - 6u)) / 2) / 1000.0;
        }
    }
    return 0;
}

static inline struct sockaddr_in loopback(int port) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static inline int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    struct sockaddr_in address = loopback(port);
    if (fd < 0) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) die("bind");
    if (listen(fd, 4096) != 0) die("listen");
    return fd;
}

// A non-blocking socket on its way to 127.0.0.1:port. `source` > 0 binds it to 127.0.1.source first: each source
// address has its own 28,000 ports, so that closed connections in TIME_WAIT do not stop a connection benchmark.
static inline int connect_to(int port, int source) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (source > 0) {
        struct sockaddr_in local = loopback(0);
        local.sin_addr.s_addr = htonl(0x7f000100u + (uint32_t)source);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&local, sizeof local) != 0) {
            close(fd);
            return -1;
        }
    }
    struct sockaddr_in address = loopback(port);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

// One HTTP/1.1 response, fed in pieces. Only what our peers send here: a head of at most 8 KiB and either
// Content-Length or no body; chunked bodies are an error, because no peer has a reason to send one.
typedef struct {
    char head[8192];
    size_t head_bytes;
    uint64_t body_left;
    int in_body, status;
} response;

static inline void response_reset(response *r) {
    r->head_bytes = 0;
    r->body_left = 0;
    r->in_body = 0;
    r->status = 0;
}

// 1: complete, 0: wants more, -1: not a response we understand.
static inline int response_feed(response *r, const char *data, size_t length) {
    if (!r->in_body) {
        size_t take = sizeof r->head - 1 - r->head_bytes;
        if (take > length) take = length;
        memcpy(r->head + r->head_bytes, data, take);
        size_t from = r->head_bytes > 3 ? r->head_bytes - 3 : 0;
        r->head_bytes += take;
        char *end = memmem(r->head + from, r->head_bytes - from, "\r\n\r\n", 4);
        if (end == NULL) return r->head_bytes >= sizeof r->head - 1 ? -1 : 0;
        size_t head_size = (size_t)(end - r->head) + 4;
        size_t used = head_size - (r->head_bytes - take);
        *end = 0;
        if (sscanf(r->head, "HTTP/1.%*d %d", &r->status) != 1) return -1;
        for (char *line = strchr(r->head, '\n'); line != NULL; line = strchr(line + 1, '\n')) {
            if (strncasecmp(line + 1, "content-length:", 15) == 0) r->body_left = strtoull(line + 16, NULL, 10);
            if (strncasecmp(line + 1, "transfer-encoding:", 18) == 0) return -1;
        }
        r->in_body = 1;
        data += used;
        length -= used;
    }
    if (length > r->body_left) return -1;
    r->body_left -= length;
    return r->body_left == 0;
}

static inline const char *option(int argc, char **argv, const char *name, const char *otherwise) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0) return argv[i + 1];
    return otherwise;
}

static inline int flag(int argc, char **argv, const char *name) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0) return 1;
    return 0;
}

#endif
