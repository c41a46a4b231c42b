// SPDX-License-Identifier: Apache-2.0
// tcppp --port P [--connections 64] [--seconds 3] [--bytes 100]
// TCP ping-pong against an echo: each connection sends a message when the last one has come back whole.
// Prints one JSON object; a "request" is one message there and back.
#include "load.h"

typedef struct {
    int fd;
    size_t back;
    uint64_t sent_at;
} pair;

int main(int argc, char **argv) {
    int port = atoi(option(argc, argv, "--port", "0")), connections = atoi(option(argc, argv, "--connections", "64"));
    double seconds = atof(option(argc, argv, "--seconds", "3"));
    size_t bytes = (size_t)atoi(option(argc, argv, "--bytes", "100"));
    static char message[65536], buffer[65536];
    static histogram latencies;
    if (bytes == 0 || bytes > sizeof message) bytes = 100;
    memset(message, 'x', bytes);
    int set = epoll_create1(EPOLL_CLOEXEC);
    pair *pairs = calloc((size_t)connections, sizeof *pairs);
    if (set < 0 || pairs == NULL) die("start");
    for (int i = 0; i < connections; i++) {
        pairs[i].fd = connect_to(port, 0);
        if (pairs[i].fd < 0) die("connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &pairs[i]};
        if (epoll_ctl(set, EPOLL_CTL_ADD, pairs[i].fd, &event) != 0) die("epoll_ctl");
    }
    usleep(50000);
    uint64_t completed = 0, errors = 0, start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now = start;
    for (int i = 0; i < connections; i++) {
        pairs[i].sent_at = now;
        if (send(pairs[i].fd, message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) die("send");
    }
    struct epoll_event events[256];
    int left = connections;
    while (now < end && left > 0) {
        int count = epoll_wait(set, events, 256, 100);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            pair *p = events[i].data.ptr;
            ssize_t got = recv(p->fd, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN) continue;
            if (got <= 0) {
                errors++;
                left--;
                close(p->fd);
                continue;
            }
            p->back += (size_t)got;
            if (p->back < bytes) continue;
            now = now_ns();
            hist_add(&latencies, now - p->sent_at);
            completed++;
            p->back = 0;
            p->sent_at = now;
            if (send(p->fd, message, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) errors++;
        }
        now = now_ns();
    }
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\": %llu, \"errors\": %llu, \"seconds\": %.6f, \"rps\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, "
           "\"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)completed, (unsigned long long)errors, took, (double)completed / took,
           hist_us(&latencies, 0.5), hist_us(&latencies, 0.9), hist_us(&latencies, 0.99), hist_us(&latencies, 0.999));
    return 0;
}
