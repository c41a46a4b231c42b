// SPDX-License-Identifier: Apache-2.0
// An HTTP/2 connection of the load tools: an nghttp2 session over a non-blocking socket, with or without TLS. Frames are
// gathered and leave in one send per turn, received bytes go in as they come.
#ifndef APUS_BENCH_H2_H
#define APUS_BENCH_H2_H

#include "tls.h"
#include <nghttp2/nghttp2.h>

#define GATHER 65536

typedef struct {
    int fd, blocked;  // blocked: EPOLLOUT is armed
    SSL *tls;         // NULL: plain
    nghttp2_session *session;
    uint8_t *out;
    size_t out_from, out_to, out_room;
} h2link;

#define FIELD(name, value) field(name, sizeof name - 1, value, strlen(value))
static inline nghttp2_nv field(const char *name, size_t name_length, const char *value, size_t value_length) {
    nghttp2_nv f = {(uint8_t *)name, (uint8_t *)value, name_length, value_length, NGHTTP2_NV_FLAG_NONE};
    return f;
}

static inline void link_watch(h2link *l, int set, int operation, void *owner) {
    struct epoll_event event = {.events = EPOLLIN | (l->blocked ? (uint32_t)EPOLLOUT : 0), .data.ptr = owner};
    if (epoll_ctl(set, operation, l->fd, &event) != 0) die("epoll_ctl");
}

// 0: everything is sent, 1: the socket is full, -1: the connection is over.
static inline int link_send(h2link *l) {
    for (;;) {
        if (l->out_from == l->out_to) l->out_from = l->out_to = 0;
        while (l->out_to - l->out_from < GATHER) {
            const uint8_t *bytes;
            ssize_t size = nghttp2_session_mem_send(l->session, &bytes);
            if (size < 0) return -1;
            if (size == 0) break;
            if (l->out_to + (size_t)size > l->out_room) {
                l->out_room = (l->out_to + (size_t)size) * 2;
                l->out = realloc(l->out, l->out_room);
                if (l->out == NULL) die("realloc");
            }
            memcpy(l->out + l->out_to, bytes, (size_t)size);
            l->out_to += (size_t)size;
        }
        size_t left = l->out_to - l->out_from;
        if (left == 0) return 0;
        ssize_t sent;
        if (l->tls == NULL) {
            sent = send(l->fd, l->out + l->out_from, left, MSG_NOSIGNAL);
            if (sent < 0) return errno == EAGAIN ? 1 : -1;
        } else {
            ERR_clear_error();
            sent = SSL_write(l->tls, l->out + l->out_from, left < 16384 ? (int)left : 16384);
            if (sent <= 0) {
                int why = SSL_get_error(l->tls, (int)sent);
                return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 1 : -1;
            }
        }
        l->out_from += (size_t)sent;
    }
}

// Sends, and watches for room only while there is none. 0, or -1: the connection is over.
static inline int link_flush(h2link *l, int set, void *owner) {
    int state = link_send(l);
    if (state < 0) return -1;
    if (state != l->blocked) {
        l->blocked = state;
        link_watch(l, set, EPOLL_CTL_MOD, owner);
    }
    return 0;
}

// Hands what has arrived to the session. 0, or -1: the connection is over.
static inline int link_receive(h2link *l) {
    static uint8_t buffer[GATHER];
    if (l->tls == NULL) {
        ssize_t got = recv(l->fd, buffer, sizeof buffer, 0);
        if (got <= 0) return got < 0 && errno == EAGAIN ? 0 : -1;
        return nghttp2_session_mem_recv(l->session, buffer, (size_t)got) == got ? 0 : -1;
    }
    for (;;) {
        ERR_clear_error();
        int got = SSL_read(l->tls, buffer, sizeof buffer);
        if (got <= 0) return SSL_get_error(l->tls, got) == SSL_ERROR_WANT_READ ? 0 : -1;
        if (nghttp2_session_mem_recv(l->session, buffer, (size_t)got) != got) return -1;
    }
}

static inline void link_close(h2link *l) {
    nghttp2_session_del(l->session);
    if (l->tls != NULL) SSL_free(l->tls);
    close(l->fd);
    free(l->out);
    memset(l, 0, sizeof *l);
    l->fd = -1;
}

#endif
