// SPDX-License-Identifier: Apache-2.0
// idleconns --port P --count N [--request] [--byte]
// Opens N connections, on each sends one request and reads its answer (--request), then leaves one byte of the next
// request pending (--byte). Prints "ready N", then holds them until standard input closes.
#include "load.h"
#include <poll.h>

static int wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 10000) == 1 ? 0 : -1;
}

int main(int argc, char **argv) {
    int port = atoi(option(argc, argv, "--port", "0")), count = atoi(option(argc, argv, "--count", "0"));
    int ask = flag(argc, argv, "--request"), byte = flag(argc, argv, "--byte"), open_count = 0;
    raise_fd_limit();
    char request[128];
    size_t size = (size_t)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
    static char buffer[65536];
    static response answer;
    int *fds = calloc((size_t)count + 1, sizeof *fds);
    if (fds == NULL) die("malloc");
    for (int i = 0; i < count; i++) {
        int fd = connect_to(port, 1 + i % 32);
        if (fd < 0 || wait_for(fd, POLLOUT) != 0) die("connect");
        if (ask) {
            if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
            response_reset(&answer);
            for (int state = 0; state == 0;) {
                if (wait_for(fd, POLLIN) != 0) die("no answer");
                ssize_t got = recv(fd, buffer, sizeof buffer, 0);
                state = got <= 0 ? -1 : response_feed(&answer, buffer, (size_t)got);
                if (state < 0 || (state == 1 && answer.status != 200)) {
                    fprintf(stderr, "connection %d: bad answer (%zd bytes, status %d)\n", i, got, answer.status);
                    return 1;
                }
            }
        }
        if (byte && send(fd, "G", 1, MSG_NOSIGNAL) != 1) die("send");
        fds[open_count++] = fd;
    }
    printf("ready %d\n", open_count);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0) continue;
    int alive = 0;  // a connection the proxy closed behind our back would flatter its figure
    for (int i = 0; i < open_count; i++) alive += recv(fds[i], buffer, 1, MSG_PEEK) < 0 && errno == EAGAIN;
    printf("alive %d\n", alive);
    return 0;
}
