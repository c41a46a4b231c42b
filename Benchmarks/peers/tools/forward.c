// SPDX-License-Identifier: Apache-2.0
// forward --listen P --to Q: the floor. A TCP forwarder that parses nothing: one epoll set, one recv and one send per
// readable event, no splice. What it costs is what the kernel costs.
#include "load.h"

typedef struct end {
    int fd, writing, dead;
    struct end *peer, *next_dead;
    char *left;
    size_t left_size, left_from;
} end;

static int set;
static end *graveyard;

static void watch(end *e, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.ptr = e};
    epoll_ctl(set, operation, e->fd, &event);
}

static void drop(end *e) {
    end *both[2] = {e, e->peer};
    for (int i = 0; i < 2; i++)
        if (!both[i]->dead) {
            both[i]->dead = 1;
            close(both[i]->fd);
            both[i]->next_dead = graveyard;
            graveyard = both[i];
        }
}

int main(int argc, char **argv) {
    int to = atoi(option(argc, argv, "--to", "0"));
    raise_fd_limit();
    signal(SIGPIPE, SIG_IGN);
    set = epoll_create1(EPOLL_CLOEXEC);
    end listener = {.fd = listen_on(atoi(option(argc, argv, "--listen", "0")))};
    watch(&listener, EPOLLIN, EPOLL_CTL_ADD);
    struct epoll_event events[256];
    static char buffer[65536];
    for (;;) {
        int count = epoll_wait(set, events, 256, -1);
        for (int i = 0; i < count; i++) {
            end *e = events[i].data.ptr;
            if (e == &listener) {
                int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
                if (fd < 0) continue;
                end *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);
                if (a == NULL || b == NULL) die("malloc");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                a->fd = fd;
                a->peer = b;
                b->peer = a;
                b->fd = connect_to(to, 0);
                if (b->fd < 0) die("connect");
                watch(a, EPOLLIN, EPOLL_CTL_ADD);
                watch(b, EPOLLIN, EPOLL_CTL_ADD);
                continue;
            }
            if (e->dead) continue;
            if (e->writing) {  // what its peer read and it could not take
                ssize_t sent = send(e->fd, e->left + e->left_from, e->left_size - e->left_from, MSG_NOSIGNAL);
                if (sent < 0 && errno == EAGAIN) continue;
                if (sent < 0) {
                    drop(e);
                    continue;
                }
                e->left_from += (size_t)sent;
                if (e->left_from < e->left_size) continue;
                free(e->left);
                e->left = NULL;
                e->writing = 0;
                watch(e, EPOLLIN, EPOLL_CTL_MOD);
                watch(e->peer, e->peer->writing ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
                continue;
            }
            if (e->peer->writing) continue;
            ssize_t got = recv(e->fd, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) {
                drop(e);
                continue;
            }
            ssize_t sent = send(e->peer->fd, buffer, (size_t)got, MSG_NOSIGNAL);
            if (sent < 0 && errno != EAGAIN) {
                drop(e);
                continue;
            }
            if (sent < 0) sent = 0;
            if (sent < got) {
                end *p = e->peer;
                p->left_size = (size_t)(got - sent);
                p->left_from = 0;
                p->left = malloc(p->left_size);
                if (p->left == NULL) die("malloc");
                memcpy(p->left, buffer + sent, p->left_size);
                p->writing = 1;
                watch(p, EPOLLOUT, EPOLL_CTL_MOD);
                watch(e, 0, EPOLL_CTL_MOD);
            }
        }
        while (graveyard != NULL) {
            end *e = graveyard;
            graveyard = e->next_dead;
            free(e->left);
            free(e);
        }
    }
}
