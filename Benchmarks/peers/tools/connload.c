// SPDX-License-Identifier: Apache-2.0
// connload --port P [--slots 32] [--seconds 2] [--path /] [--announce]
// A new connection for every request: connect, one GET, read the answer, close; `slots` of them at any time.
// The client closes, without having announced it, unless --announce adds "Connection: close" (then the proxy closes).
// Prints one JSON object; latency is from connect() to the last byte.
#include "load.h"

#define SOURCES 32

typedef struct {
    int fd, connected;
    uint64_t start;
    response answer;
} slot;

static histogram latencies;
static int set, port, next_source;

static void begin(slot *s) {
    next_source = next_source % SOURCES + 1;
    s->start = now_ns();
    s->connected = 0;
    s->fd = connect_to(port, next_source);
    if (s->fd < 0) die("connect");
    response_reset(&s->answer);
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = s};
    if (epoll_ctl(set, EPOLL_CTL_ADD, s->fd, &event) != 0) die("epoll_ctl");
}

int main(int argc, char **argv) {
    port = atoi(option(argc, argv, "--port", "0"));
    int slots = atoi(option(argc, argv, "--slots", "32"));
    double seconds = atof(option(argc, argv, "--seconds", "2"));
    int announce = flag(argc, argv, "--announce");
    char request[1024];
    size_t request_size =
        (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%s\r\n",
                         option(argc, argv, "--path", "/"), port, announce ? "Connection: close\r\n" : "");
    raise_fd_limit();
    set = epoll_create1(EPOLL_CLOEXEC);
    slot *all = calloc((size_t)slots, sizeof *all);
    if (set < 0 || all == NULL) die("start");
    uint64_t completed = 0, errors = 0, not_ok = 0, start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now = start;
    for (int i = 0; i < slots; i++) begin(&all[i]);
    struct epoll_event events[256];
    static char buffer[262144];
    while (now < end) {
        int count = epoll_wait(set, events, 256, 100);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            slot *s = events[i].data.ptr;
            int state;
            if (!s->connected) {
                s->connected = 1;
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
                epoll_ctl(set, EPOLL_CTL_MOD, s->fd, &event);
                state = send(s->fd, request, request_size, MSG_NOSIGNAL) == (ssize_t)request_size ? 0 : -1;
            } else {
                ssize_t got = recv(s->fd, buffer, sizeof buffer, 0);
                if (got < 0 && errno == EAGAIN) continue;
                state = got <= 0 ? -1 : response_feed(&s->answer, buffer, (size_t)got);
            }
            if (state == 0) continue;
            if (state < 0) {
                errors++;
            } else {
                hist_add(&latencies, now_ns() - s->start);
                completed++;
                if (s->answer.status != 200) not_ok++;
            }
            close(s->fd);
            begin(s);
        }
        now = now_ns();
    }
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\": %llu, \"errors\": %llu, \"not_200\": %llu, \"seconds\": %.6f, \"rps\": %.1f, \"p50_us\": %.1f, "
           "\"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)completed, (unsigned long long)errors, (unsigned long long)not_ok, took,
           (double)completed / took, hist_us(&latencies, 0.5), hist_us(&latencies, 0.9), hist_us(&latencies, 0.99),
           hist_us(&latencies, 0.999));
    return 0;
}
