// SPDX-License-Identifier: Apache-2.0
// streamload --port P [--connections 10] [--streams 32] [--seconds 3] [--rate R] [--path /] [--post] [--certs D]
// HTTP/2 load. Closed loop: each of so many streams on each connection asks again as soon as it is answered. --rate: open
// loop, requests are due at the times of a Poisson process of R per second over all connections, and latency counts from the due time.
// --certs: over TLS with a client certificate. --post: unary gRPC-like calls, 12 bytes each way; an answer without the
// trailer grpc-status 0 counts as not 200. Every answer is checked to the last frame. Prints one JSON object.
#include "h2.h"

typedef struct request {
    struct request *next_free;
    uint64_t due;
    size_t bytes, sent;
    char ok, trailer;
} request;

typedef struct {
    h2link link;
    int open, dirty;
} client;

static histogram latencies;
static uint64_t completed, errors, not_ok;
static int set, port, streams, post, closed_loop;
static SSL_CTX *context;
static nghttp2_session_callbacks *callbacks;
static request *free_requests;
static char authority[32];
static const char *path;
static size_t wanted_bytes;
static const char message[12] = "\0\0\0\0\x07" "request";

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                            nghttp2_data_source *source, void *owner) {
    (void)session, (void)id, (void)owner;
    request *r = source->ptr;
    size_t take = sizeof message - r->sent < room ? sizeof message - r->sent : room;
    memcpy(into, message + r->sent, take);
    r->sent += take;
    if (r->sent == sizeof message) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

static void ask(client *c, uint64_t due) {
    request *r = free_requests;
    if (r != NULL) free_requests = r->next_free;
    else if ((r = malloc(sizeof *r)) == NULL) die("malloc");
    *r = (request){.due = due};
    nghttp2_nv get[] = {FIELD(":method", "GET"), FIELD(":scheme", context != NULL ? "https" : "http"), FIELD(":authority", authority),
                        FIELD(":path", path), FIELD("user-agent", "streamload")};
    nghttp2_nv call[] = {FIELD(":method", "POST"), FIELD(":scheme", context != NULL ? "https" : "http"), FIELD(":authority", authority),
                         FIELD(":path", path), FIELD("content-type", "application/grpc"), FIELD("te", "trailers"),
                         FIELD("user-agent", "streamload")};
    nghttp2_data_provider data = {.source.ptr = r, .read_callback = read_message};
    if (nghttp2_submit_request(c->link.session, NULL, post ? call : get, post ? 7 : 5, post ? &data : NULL, r) < 0) {
        fprintf(stderr, "no stream could be opened\n");
        exit(1);
    }
    c->open++;
    c->dirty = 1;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *owner) {
    (void)flags, (void)owner;
    request *r = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (r == NULL) return 0;
    if (name_length == 7 && memcmp(name, ":status", 7) == 0) r->ok = value_length == 3 && memcmp(value, "200", 3) == 0;
    // As a trailer only: what a proxy answers by itself has the status in its one head.
    if (name_length == 11 && r->bytes > 0 && memcmp(name, "grpc-status", 11) == 0) r->trailer = value_length == 1 && value[0] == '0';
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t length, void *owner) {
    (void)flags, (void)data, (void)owner;
    request *r = nghttp2_session_get_stream_user_data(session, id);
    if (r != NULL) r->bytes += length;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner) {
    client *c = owner;
    request *r = nghttp2_session_get_stream_user_data(session, id);
    if (r == NULL) return 0;
    c->open--;
    uint64_t now = now_ns();
    if (code != NGHTTP2_NO_ERROR) {
        errors++;
    } else {
        completed++;
        if (!r->ok || r->bytes != wanted_bytes || r->trailer != (char)post) not_ok++;
        hist_add(&latencies, now > r->due ? now - r->due : 0);
    }
    r->next_free = free_requests;
    free_requests = r;
    if (closed_loop) ask(c, now);
    return 0;
}

// Connected, and over TLS shaken hands, when it returns: the cost of that is not the cost of a request.
static void open_client(client *c) {
    memset(c, 0, sizeof *c);
    c->link.fd = connect_to(port, 0);
    if (c->link.fd < 0) die("connect");
    if (context != NULL) {
        int modes = fcntl(c->link.fd, F_GETFL);
        fcntl(c->link.fd, F_SETFL, modes & ~O_NONBLOCK);
        c->link.tls = SSL_new(context);
        SSL_set_fd(c->link.tls, c->link.fd);
        if (SSL_connect(c->link.tls) != 1) die_tls("SSL_connect");
        const uint8_t *chosen;
        unsigned length;
        SSL_get0_alpn_selected(c->link.tls, &chosen, &length);
        if (length != 2) die_tls("the proxy did not choose h2");
        fcntl(c->link.fd, F_SETFL, modes);
    }
    if (nghttp2_session_client_new(&c->link.session, callbacks, c) != 0) die("session");
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0}, {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20}};
    nghttp2_submit_settings(c->link.session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(c->link.session, NGHTTP2_FLAG_NONE, 0, 1 << 24);
    link_watch(&c->link, set, EPOLL_CTL_ADD, c);
    c->dirty = 1;
}

static void lost(client *c) {
    errors += c->open > 0 ? (uint64_t)c->open : 1;
    link_close(&c->link);
    open_client(c);
    for (int i = 0; closed_loop && i < streams; i++) ask(c, now_ns());
}

static void flush_all(client *clients, int connections) {
    for (int i = 0; i < connections; i++)
        if (clients[i].dirty) {
            clients[i].dirty = 0;
            if (link_flush(&clients[i].link, set, &clients[i]) != 0) lost(&clients[i]);
        }
}

int main(int argc, char **argv) {
    port = atoi(option(argc, argv, "--port", "0"));
    double rate = atof(option(argc, argv, "--rate", "0")), seconds = atof(option(argc, argv, "--seconds", "3"));
    int connections = atoi(option(argc, argv, "--connections", "10"));
    streams = atoi(option(argc, argv, "--streams", "32"));
    path = option(argc, argv, "--path", "/");
    post = flag(argc, argv, "--post");
    closed_loop = rate <= 0;
    wanted_bytes = post ? sizeof message : strncmp(path, "/size/", 6) == 0 ? strtoull(path + 6, NULL, 10) : 2;
    snprintf(authority, sizeof authority, "127.0.0.1:%d", port);
    if (flag(argc, argv, "--certs")) {
        context = tls_client(option(argc, argv, "--certs", "."), 1);
        SSL_CTX_set_read_ahead(context, 1);
    }
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    precise_sleeps();
    set = epoll_create1(EPOLL_CLOEXEC);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    client *clients = calloc((size_t)connections, sizeof *clients);
    size_t backlog_size = 1u << 22, backlog_first = 0, backlog_last = 0;  // due times no stream was free for
    uint64_t *backlog = malloc(backlog_size * sizeof *backlog);
    if (set < 0 || clients == NULL || backlog == NULL) die("start");
    for (int i = 0; i < connections; i++) open_client(&clients[i]);
    flush_all(clients, connections);
    usleep(50000);

    uint64_t seed = 0x9e3779b97f4a7c15ull, start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now = start;
    double mean = rate > 0 ? 1e9 / rate : 0, next = rate > 0 ? (double)start + random_exponential(&seed, mean) : 0;
    for (int i = 0; closed_loop && i < connections * streams; i++) ask(&clients[i % connections], start);
    struct epoll_event events[256];
    int turn = 0;
    while (now < end) {
        while (rate > 0 && next <= (double)now) {
            if (backlog_last - backlog_first < backlog_size) backlog[backlog_last++ % backlog_size] = (uint64_t)next;
            next += random_exponential(&seed, mean);
        }
        for (int full = 0; backlog_first < backlog_last && full < connections; turn = (turn + 1) % connections) {
            if (clients[turn].open < streams) ask(&clients[turn], backlog[backlog_first++ % backlog_size]), full = 0;
            else full++;
        }
        flush_all(clients, connections);
        double wake = rate > 0 && next < (double)end ? next : (double)end;
        now = now_ns();
        uint64_t wait = wake > (double)now ? (uint64_t)(wake - (double)now) : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        int count = epoll_pwait2(set, events, 256, &timeout, NULL);
        if (count < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < count; i++) {
            client *c = events[i].data.ptr;
            c->dirty = 1;
            if (link_receive(&c->link) != 0) lost(c);
        }
        now = now_ns();
    }
    uint64_t unanswered = backlog_last - backlog_first;
    for (int i = 0; i < connections; i++) unanswered += closed_loop ? 0 : (uint64_t)clients[i].open;
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\": %llu, \"errors\": %llu, \"not_200\": %llu, \"unanswered\": %llu, \"seconds\": %.6f, "
           "\"rps\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)completed, (unsigned long long)errors, (unsigned long long)not_ok,
           (unsigned long long)unanswered, took, (double)completed / took,
           hist_us(&latencies, 0.5), hist_us(&latencies, 0.9), hist_us(&latencies, 0.99), hist_us(&latencies, 0.999));
    return 0;
}
