// SPDX-License-Identifier: Apache-2.0
// h2back --plain PORT --tls PORT --certs D: the HTTP/2 backend of the benchmarks, one thread, one epoll set. Without TLS it
// wants prior knowledge, with TLS a client certificate. A GET is answered 200 "ok", /size/N with N bytes, /hold with a head
// and no end; a POST is answered as a unary gRPC call is, with a message of 12 bytes and trailers, once its body has ended.
#include "h2.h"

#define MAX_EVENTS 256
#define MAX_SIZE (1u << 20)

typedef struct stream {
    struct stream *next_free;
    size_t left;
    char post, hold;
} stream;

typedef struct {
    h2link link;
    char is_listener, with_tls, handshaking;
} connection;

static int set;
static SSL_CTX *context;
static nghttp2_session_callbacks *callbacks;
static nghttp2_option *options;
static stream *free_streams;
static char body[MAX_SIZE];
static const char message[12] = "\0\0\0\0\x07" "message";

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *owner) {
    (void)owner;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    stream *s = free_streams;
    if (s != NULL) free_streams = s->next_free;
    else if ((s = malloc(sizeof *s)) == NULL) die("malloc");
    *s = (stream){.left = 2};
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *owner) {
    (void)flags, (void)owner;
    if (name_length < 5 || name[0] != ':') return 0;
    stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (s == NULL) return 0;
    if (name_length == 7 && memcmp(name, ":method", 7) == 0) {
        s->post = value_length == 4 && memcmp(value, "POST", 4) == 0;
        if (s->post) s->left = sizeof message;
    } else if (name_length == 5 && memcmp(name, ":path", 5) == 0) {
        if (value_length > 6 && memcmp(value, "/size/", 6) == 0) {
            unsigned long long size = strtoull((const char *)value + 6, NULL, 10);  // nghttp2 ends a value with a zero
            s->left = size < MAX_SIZE ? (size_t)size : MAX_SIZE;
        }
        s->hold = value_length == 5 && memcmp(value, "/hold", 5) == 0;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *into, size_t room, uint32_t *flags,
                         nghttp2_data_source *source, void *owner) {
    (void)owner;
    stream *s = source->ptr;
    size_t take = s->left < room ? s->left : room;
    memcpy(into, s->post ? message : s->left == 2 ? "ok" : body, take);
    s->left -= take;
    if (s->left == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (s->post) {
            nghttp2_nv trailers[] = {FIELD("grpc-status", "0"), FIELD("grpc-message", "")};
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            nghttp2_submit_trailer(session, id, trailers, 2);
        }
    }
    return (ssize_t)take;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *owner) {
    (void)owner;
    int32_t id = frame->hd.stream_id;
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) return 0;
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s == NULL) return 0;
    char length[24];
    snprintf(length, sizeof length, "%zu", s->left);
    nghttp2_nv plain[] = {FIELD(":status", "200"), FIELD("content-type", "text/plain"), FIELD("content-length", length)};
    nghttp2_nv grpc[] = {FIELD(":status", "200"), FIELD("content-type", "application/grpc")};
    nghttp2_data_provider data = {.source.ptr = s, .read_callback = read_body};
    if (s->hold) return nghttp2_submit_headers(session, NGHTTP2_FLAG_NONE, id, NULL, plain, 2, NULL) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    return nghttp2_submit_response(session, id, s->post ? grpc : plain, s->post ? 2 : 3, &data);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *owner) {
    (void)code, (void)owner;
    stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (s != NULL) {
        s->next_free = free_streams;
        free_streams = s;
    }
    return 0;
}

static void accept_from(connection *listener) {
    int fd = accept4(listener->link.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    connection *c = calloc(1, sizeof *c);
    if (c == NULL) die("calloc");
    c->link.fd = fd;
    if (listener->with_tls) {
        c->link.tls = SSL_new(context);
        SSL_set_fd(c->link.tls, fd);
        SSL_set_accept_state(c->link.tls);
        c->handshaking = 1;
    }
    if (nghttp2_session_server_new2(&c->link.session, callbacks, c, options) != 0) die("session");
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000}};
    nghttp2_submit_settings(c->link.session, NGHTTP2_FLAG_NONE, settings, 1);
    link_watch(&c->link, set, EPOLL_CTL_ADD, c);
}

// 0, or -1: the connection is over.
static int serve(connection *c) {
    if (c->handshaking) {
        ERR_clear_error();
        int done = SSL_do_handshake(c->link.tls), why = SSL_get_error(c->link.tls, done);
        if (done != 1) return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
        c->handshaking = 0;
    }
    return link_receive(&c->link) == 0 ? link_flush(&c->link, set, c) : -1;
}

int main(int argc, char **argv) {
    raise_fd_limit();
    signal(SIGPIPE, SIG_IGN);
    memset(body, 'a', sizeof body);
    set = epoll_create1(EPOLL_CLOEXEC);
    context = tls_server(option(argc, argv, "--certs", "."));
    SSL_CTX_set_read_ahead(context, 1);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_closed_streams(options, 1);
    connection listeners[2] = {{.is_listener = 1}, {.is_listener = 1, .with_tls = 1}};
    const char *names[] = {"--plain", "--tls"};
    for (int i = 0; i < 2; i++) {
        listeners[i].link.fd = listen_on(atoi(option(argc, argv, names[i], "0")));
        link_watch(&listeners[i].link, set, EPOLL_CTL_ADD, &listeners[i]);
    }
    struct epoll_event events[MAX_EVENTS];
    for (;;) {
        int count = epoll_wait(set, events, MAX_EVENTS, -1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            connection *c = events[i].data.ptr;
            if (c->is_listener) {
                accept_from(c);
            } else if (serve(c) != 0) {
                link_close(&c->link);
                free(c);
            }
        }
    }
}
