// SPDX-License-Identifier: Apache-2.0
// rateload --port P --rate R [--connections 64] [--seconds 3] [--path /] [--count N]
// Open loop: requests are due at the times of a Poisson process of R per second, whatever the answers do; latency is
// counted from the due time, so that a stalled proxy pays for those who had to wait (no coordinated omission).
// --rate 0 is a closed loop: every connection sends again as soon as it is answered. --count stops after N answers.
// Prints one JSON object.
#include "load.h"

typedef struct {
    int fd, busy;
    uint64_t due;
    response answer;
} client;

static histogram latencies;
static uint64_t completed, errors, not_ok;
static char request[1024];
static size_t request_size;
static int set, port;

static void open_client(client *c) {
    c->fd = connect_to(port, 0);
    if (c->fd < 0) die("connect");
    c->busy = 0;
    // The handshake of a loopback connection is over in connect(); only a full backlog makes it later.
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(set, EPOLL_CTL_ADD, c->fd, &event) != 0) die("epoll_ctl");
}

static void send_request(client *c, uint64_t due) {
    c->busy = 1;
    c->due = due;
    response_reset(&c->answer);
    if (send(c->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) errors++;  // noticed again by recv
}

int main(int argc, char **argv) {
    port = atoi(option(argc, argv, "--port", "0"));
    double rate = atof(option(argc, argv, "--rate", "8000"));
    int connections = atoi(option(argc, argv, "--connections", "64"));
    double seconds = atof(option(argc, argv, "--seconds", "3"));
    uint64_t stop_count = strtoull(option(argc, argv, "--count", "0"), NULL, 10);
    request_size = (size_t)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
                                    option(argc, argv, "--path", "/"), port);
    raise_fd_limit();
    precise_sleeps();
    set = epoll_create1(EPOLL_CLOEXEC);
    client *clients = calloc((size_t)connections, sizeof *clients);
    client **idle = calloc((size_t)connections, sizeof *idle);
    size_t backlog_size = 1u << 22, backlog_first = 0, backlog_last = 0;  // due times nobody was free for
    uint64_t *backlog = malloc(backlog_size * sizeof *backlog);
    if (set < 0 || clients == NULL || idle == NULL || backlog == NULL) die("start");
    int idle_count = 0;
    for (int i = 0; i < connections; i++) {
        open_client(&clients[i]);
        idle[idle_count++] = &clients[i];
    }
    usleep(50000);

    uint64_t seed = 0x9e3779b97f4a7c15ull, start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
    double mean = rate > 0 ? 1e9 / rate : 0, next = (double)start;
    if (rate > 0) next += random_exponential(&seed, mean);
    struct epoll_event events[256];
    static char buffer[262144];
    uint64_t now = start;
    while (now < end && (stop_count == 0 || completed < stop_count)) {
        if (rate > 0) {
            while (next <= (double)now) {
                if (backlog_last - backlog_first < backlog_size) backlog[backlog_last++ % backlog_size] = (uint64_t)next;
                next += random_exponential(&seed, mean);
            }
            while (idle_count > 0 && backlog_first < backlog_last)
                send_request(idle[--idle_count], backlog[backlog_first++ % backlog_size]);
        } else {
            while (idle_count > 0) send_request(idle[--idle_count], now_ns());
        }
        double wake = rate > 0 && next < (double)end ? next : (double)end;
        now = now_ns();
        uint64_t wait = wake > (double)now ? (uint64_t)(wake - (double)now) : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        int count = epoll_pwait2(set, events, 256, &timeout, NULL);
        if (count < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < count; i++) {
            client *c = events[i].data.ptr;
            ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN) continue;
            int state = got <= 0 ? -1 : !c->busy ? -1 : response_feed(&c->answer, buffer, (size_t)got);
            if (state == 0) continue;
            if (state < 0) {
                if (c->busy) errors++;
                int was_busy = c->busy;
                close(c->fd);
                open_client(c);
                if (was_busy) idle[idle_count++] = c;
                continue;
            }
            now = now_ns();
            hist_add(&latencies, now > c->due ? now - c->due : 0);
            completed++;
            if (c->answer.status != 200) not_ok++;
            c->busy = 0;
            idle[idle_count++] = c;
        }
        now = now_ns();
    }
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\": %llu, \"errors\": %llu, \"not_200\": %llu, \"unanswered\": %llu, \"seconds\": %.6f, "
           "\"rps\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)completed, (unsigned long long)errors, (unsigned long long)not_ok,
           (unsigned long long)(backlog_last - backlog_first), took, (double)completed / took, hist_us(&latencies, 0.5),
           hist_us(&latencies, 0.9), hist_us(&latencies, 0.99), hist_us(&latencies, 0.999));
    return 0;
}
