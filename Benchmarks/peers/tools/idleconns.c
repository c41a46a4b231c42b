// SPDX-License-Identifier: Apache-2.0
// idleconns --port P --count N [--request] [--byte] [--http2] [--certs D] [--streams S]
// Opens N connections, on each sends one request and reads its answer (--request), then leaves one byte of the next
// request pending (--byte). --http2 speaks HTTP/2, --certs mTLS. --streams: after that, S requests for /hold on each
// connection, whose answers begin and do not end. Prints "ready N", then holds them until standard input closes.
#include "tls.h"
#include <poll.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7, ACK = 1, END_STREAM = 1, END_HEADERS = 4 };

typedef struct {
    int fd;
    SSL *tls;
} peer;

static uint8_t buffer[65536];

static int wait_for(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 10000) == 1 ? 0 : -1;
}

static void put(peer *p, const void *bytes, size_t size) {
    if (p->tls != NULL ? SSL_write(p->tls, bytes, (int)size) != (int)size : send(p->fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        die("send");
}

// What has arrived, waiting for it; 0 or less at the end of the connection.
static ssize_t get(peer *p, void *bytes, size_t room) {
    for (;;) {
        ssize_t got = p->tls != NULL ? SSL_read(p->tls, bytes, (int)room) : recv(p->fd, bytes, room, 0);
        if (got > 0) return got;
        if (p->tls != NULL ? SSL_get_error(p->tls, (int)got) != SSL_ERROR_WANT_READ : got == 0 || errno != EAGAIN) return -1;
        if (wait_for(p->fd, POLLIN) != 0) die("no answer");
    }
}

static void get_all(peer *p, uint8_t *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t got = get(p, bytes + done, size - done);
        if (got <= 0) die("connection closed");
        done += (size_t)got;
    }
}

static int exchange1(peer *p, const char *request, size_t size) {
    static response answer;
    put(p, request, size);
    response_reset(&answer);
    for (int state = 0; state == 0;) {
        ssize_t got = get(p, buffer, sizeof buffer);
        state = got <= 0 ? -1 : response_feed(&answer, (char *)buffer, (size_t)got);
        if (state < 0) return -1;
    }
    return answer.status == 200 ? 0 : -1;
}

static void put_frame(peer *p, int type, int flags, uint32_t stream, const void *payload, size_t size) {
    uint8_t frame[256] = {0, (uint8_t)(size >> 8), (uint8_t)size, (uint8_t)type, (uint8_t)flags,
                          (uint8_t)(stream >> 24), (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream};
    if (size > 0) memcpy(frame + 9, payload, size);
    put(p, frame, 9 + size);
}

// A GET with no field but the four pseudo-fields, which HPACK has static entries for.
static void put_get(peer *p, uint32_t stream, const char *path) {
    uint8_t block[128] = {0x82, p->tls != NULL ? 0x87 : 0x86};
    int length = 2;
    length += sprintf((char *)block + length, "%c%cbench", 0x01, 5);
    if (strcmp(path, "/") == 0) block[length++] = 0x84;
    else length += sprintf((char *)block + length, "%c%c%s", 0x04, (int)strlen(path), path);
    put_frame(p, HEADERS, END_HEADERS | END_STREAM, stream, block, (size_t)length);
}

// Reads frames until `heads` answers have begun with status 200 and `ends` have ended; -1: something else happened.
static int await(peer *p, int heads, int ends) {
    while (heads > 0 || ends > 0) {
        uint8_t head[9];
        get_all(p, head, 9);
        size_t size = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        if (size > sizeof buffer) return -1;
        get_all(p, buffer, size);
        if (head[3] == SETTINGS && !(head[4] & ACK)) put_frame(p, SETTINGS, ACK, 0, NULL, 0);
        if (head[3] == GOAWAY || head[3] == RST_STREAM) return -1;
        if (head[3] == HEADERS) {
            size_t at = 0;
            while (at < size && (buffer[at] & 0xe0) == 0x20) at++;  // a small change of the table's size
            if (at >= size || buffer[at] != 0x88) return -1;        // 0x88 is ":status: 200" to every encoder we meet
            heads--;
        }
        if ((head[3] == HEADERS || head[3] == DATA) && head[4] & END_STREAM) ends--;
    }
    return 0;
}

static void open_peer(peer *p, int port, int source, SSL_CTX *context) {
    p->fd = connect_to(port, source);
    if (p->fd < 0 || wait_for(p->fd, POLLOUT) != 0) die("connect");
    if (context == NULL) return;
    p->tls = SSL_new(context);
    SSL_set_fd(p->tls, p->fd);
    for (int done; (done = SSL_connect(p->tls)) != 1;)
        if (SSL_get_error(p->tls, done) != SSL_ERROR_WANT_READ || wait_for(p->fd, POLLIN) != 0) die_tls("SSL_connect");
}

// Alive unless it has ended; what TLS and HTTP/2 say by themselves to an idle connection is read and forgotten.
static int is_alive(peer *p) {
    for (;;) {
        ERR_clear_error();
        ssize_t got = p->tls != NULL ? SSL_read(p->tls, buffer, sizeof buffer) : recv(p->fd, buffer, sizeof buffer, 0);
        if (got <= 0) return p->tls != NULL ? SSL_get_error(p->tls, (int)got) == SSL_ERROR_WANT_READ : got < 0 && errno == EAGAIN;
    }
}

int main(int argc, char **argv) {
    int port = atoi(option(argc, argv, "--port", "0")), count = atoi(option(argc, argv, "--count", "0"));
    int ask = flag(argc, argv, "--request"), byte = flag(argc, argv, "--byte"), http2 = flag(argc, argv, "--http2");
    int streams = atoi(option(argc, argv, "--streams", "0")), open_count = 0;
    SSL_CTX *context = flag(argc, argv, "--certs") ? tls_client(option(argc, argv, "--certs", "."), http2) : NULL;
    raise_fd_limit();
    signal(SIGPIPE, SIG_IGN);
    char request[128];
    size_t size = (size_t)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
    peer *peers = calloc((size_t)count + 1, sizeof *peers);
    if (peers == NULL) die("malloc");
    for (int i = 0; i < count; i++) {
        peer *p = &peers[open_count++];
        uint32_t stream = 1;
        open_peer(p, port, 1 + i % 32, context);
        if (http2) {
            put(p, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24);
            put_frame(p, SETTINGS, 0, 0, NULL, 0);
        }
        if (ask && http2) put_get(p, stream, "/");
        if (ask && (http2 ? await(p, 1, 1) : exchange1(p, request, size)) != 0) {
            fprintf(stderr, "connection %d: no good answer\n", i);
            return 1;
        }
        for (int s = 0; s < streams; s++) put_get(p, stream += 2, "/hold");
        if (http2 && await(p, streams, 0) != 0) {
            fprintf(stderr, "connection %d: not all of its streams were opened\n", i);
            return 1;
        }
        if (byte) put(p, "G", 1);
    }
    printf("ready %d\n", open_count);
    fflush(stdout);
    while (read(0, buffer, sizeof buffer) > 0) continue;
    int alive = 0;  // a connection the proxy closed behind our back would flatter its figure
    for (int i = 0; i < open_count; i++) alive += is_alive(&peers[i]);
    printf("alive %d\n", alive);
    return 0;
}
