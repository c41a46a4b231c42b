// SPDX-License-Identifier: Apache-2.0
// echoback --http PORT --tcp PORT: the backend of the benchmarks, one thread, one epoll set, as little work as possible.
// HTTP: any request is answered 200 "ok"; a path that starts with /size/N gets N bytes. Keep-alive always, one request
// at a time per connection (no client here pipelines), request bodies by Content-Length are read and dropped.
// TCP: bytes are sent back as they come.
#include "load.h"

#define MAX_EVENTS 256
#define MAX_SIZES 8

typedef struct {
    int fd;
    char is_echo, is_listener, writing;
    char buffer[16384];
    size_t filled;
    uint64_t skip;  // bytes of a request body still to come
    const char *out;
    size_t out_left;
} connection;

static int set;
static struct {
    uint64_t size;
    char *bytes;
    size_t length;
} answers[MAX_SIZES];
static int answer_count;

static void answer(uint64_t size, const char **bytes, size_t *length) {
    for (int i = 0; i < answer_count; i++)
        if (answers[i].size == size) {
            *bytes = answers[i].bytes;
            *length = answers[i].length;
            return;
        }
    int slot = answer_count < MAX_SIZES ? answer_count++ : MAX_SIZES - 1;
    free(answers[slot].bytes);
    char head[128];
    int head_size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %llu\r\n\r\n",
                             (unsigned long long)size);
    answers[slot].size = size;
    answers[slot].length = (size_t)head_size + size;
    answers[slot].bytes = malloc(answers[slot].length);
    if (answers[slot].bytes == NULL) die("malloc");
    memcpy(answers[slot].bytes, head, (size_t)head_size);
    memset(answers[slot].bytes + head_size, 'a', size);
    if (size == 2) memcpy(answers[slot].bytes + head_size, "ok", 2);
    *bytes = answers[slot].bytes;
    *length = answers[slot].length;
}

static void watch(connection *c, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(set, operation, c->fd, &event) != 0) die("epoll_ctl");
}

static void drop(connection *c) {
    close(c->fd);
    free(c);
}

// 0: all out or waiting for room, -1: gone.
static int push(connection *c) {
    while (c->out_left > 0) {
        ssize_t sent = send(c->fd, c->out, c->out_left, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) return -1;
            if (!c->writing) {
                c->writing = 1;
                watch(c, EPOLLOUT, EPOLL_CTL_MOD);
            }
            return 0;
        }
        c->out += sent;
        c->out_left -= (size_t)sent;
    }
    if (c->writing) {
        c->writing = 0;
        watch(c, EPOLLIN, EPOLL_CTL_MOD);
    }
    return 0;
}

static int serve_http(connection *c) {
    ssize_t got = recv(c->fd, c->buffer + c->filled, sizeof c->buffer - c->filled, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
    c->filled += (size_t)got;
    if (c->skip > 0) {
        size_t gone = c->skip < c->filled ? (size_t)c->skip : c->filled;
        c->skip -= gone;
        memmove(c->buffer, c->buffer + gone, c->filled - gone);
        c->filled -= gone;
        if (c->skip > 0) return 0;
    }
    char *end = memmem(c->buffer, c->filled, "\r\n\r\n", 4);
    if (end == NULL) return c->filled == sizeof c->buffer ? -1 : 0;
    uint64_t size = 2, body = 0;
    char *path = memchr(c->buffer, ' ', (size_t)(end - c->buffer));
    if (path != NULL && strncmp(path, " /size/", 7) == 0) size = strtoull(path + 7, NULL, 10);
    if (size > (64u << 20)) return -1;
    if (c->buffer[0] == 'P') {  // POST, PUT, PATCH
        *end = 0;
        char *field = strcasestr(c->buffer, "\r\ncontent-length:");
        if (field != NULL) body = strtoull(field + 17, NULL, 10);
    }
    size_t used = (size_t)(end - c->buffer) + 4, rest = c->filled - used;
    c->skip = body > rest ? body - rest : 0;
    size_t consumed = used + (body < rest ? (size_t)body : rest);
    c->filled -= consumed;
    if (c->filled > 0) memmove(c->buffer, c->buffer + consumed, c->filled);
    answer(size, &c->out, &c->out_left);
    return push(c);
}

static int serve_echo(connection *c) {
    ssize_t got = recv(c->fd, c->buffer, sizeof c->buffer, 0);
    if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
    c->out = c->buffer;
    c->out_left = (size_t)got;
    return push(c);
}

static void accept_all(connection *listener) {
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
        if (fd < 0) return;
        connection *c = malloc(sizeof *c);
        if (c == NULL) die("malloc");
        memset(c, 0, offsetof(connection, buffer));
        c->filled = 0;
        c->skip = 0;
        c->out_left = 0;
        c->fd = fd;
        c->is_echo = listener->is_echo;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(c, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void add_listener(const char *port, char is_echo) {
    if (port == NULL) return;
    connection *listener = calloc(1, sizeof *listener);
    if (listener == NULL) die("malloc");
    listener->fd = listen_on(atoi(port));
    listener->is_listener = 1;
    listener->is_echo = is_echo;
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
}

int main(int argc, char **argv) {
    if (option(argc, argv, "--http", NULL) == NULL && option(argc, argv, "--tcp", NULL) == NULL) {
        fprintf(stderr, "usage: echoback [--http PORT] [--tcp PORT]\n");
        return 2;
    }
    raise_fd_limit();
    signal(SIGPIPE, SIG_IGN);
    set = epoll_create1(EPOLL_CLOEXEC);
    if (set < 0) die("epoll_create1");
    add_listener(option(argc, argv, "--http", NULL), 0);
    add_listener(option(argc, argv, "--tcp", NULL), 1);
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int count = epoll_wait(set, events, MAX_EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;
            if (c->is_listener) {
                accept_all(c);
                continue;
            }
            int result = c->writing ? push(c) : c->is_echo ? serve_echo(c) : serve_http(c);
            if (result != 0) drop(c);
        }
    }
}
