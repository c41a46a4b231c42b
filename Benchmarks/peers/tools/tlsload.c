// SPDX-License-Identifier: Apache-2.0
// tlsload --port P --certs D [--slots 32] [--seconds 3] [--clients 1] [--resume] [--rate R] [--background]
// A new mTLS connection for every HTTP/1.1 request: connect, handshake, one GET, read the answer, close. Closed loop with so
// many slots at once, or with --rate as many new connections per second (Poisson; no more than the slots at once).
// --clients N: the connections take turns among N client certificates. --resume: each slot offers the newest ticket it was
// given; a connection that was not resumed, but for the first of a slot, is an error. --background: only on CPU
// time that nobody else wants; connections that were due while there was none are left out, not made up for in a burst.
// Prints one JSON object; latency is from connect() (or the due time) to the last byte.
#include "tls.h"
#include <sched.h>

#define SOURCES 32
#define LATE_NS 3e6

typedef struct {
    int fd, asked;
    uint32_t interest;
    uint64_t start;
    SSL *tls;
    SSL_SESSION *session;
    response answer;
} slot;

static histogram latencies;
static uint64_t completed, errors, not_ok, not_resumed, resumed;
static int set, port, next_source, clients, resume;
static unsigned next_client;
static SSL_CTX *contexts[MAX_CLIENTS];
static char request[1024];
static size_t request_size;

static int on_session(SSL *tls, SSL_SESSION *session) {
    slot *s = SSL_get_app_data(tls);
    SSL_SESSION_free(s->session);
    s->session = session;
    return 1;  // kept
}

// A context for each client: giving a certificate to a connection makes OpenSSL convert the key anew, as dear as a handshake.
static void load_clients(const char *directory) {
    FILE *file = fopen(file_in(directory, "clients.pem"), "r");
    if (file == NULL) die("clients.pem");
    for (int i = 0; i < clients; i++) {
        EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
        X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
        if (key == NULL || certificate == NULL) die_tls("clients.pem");
        contexts[i] = tls_client_named(directory, NULL, 0);
        if (SSL_CTX_use_cert_and_key(contexts[i], certificate, key, NULL, 1) != 1) die_tls("client certificate");
        SSL_CTX_set_session_cache_mode(contexts[i], resume ? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL : SSL_SESS_CACHE_OFF);
        if (resume) SSL_CTX_sess_set_new_cb(contexts[i], on_session);
    }
    fclose(file);
}

static void watch(slot *s, uint32_t interest, int operation) {
    if (operation == EPOLL_CTL_MOD && interest == s->interest) return;
    s->interest = interest;
    struct epoll_event event = {.events = interest, .data.ptr = s};
    if (epoll_ctl(set, operation, s->fd, &event) != 0) die("epoll_ctl");
}

static void begin(slot *s, uint64_t due) {
    next_source = next_source % SOURCES + 1;
    s->start = due;
    s->asked = 0;
    s->fd = connect_to(port, next_source);
    if (s->fd < 0) die("connect");
    response_reset(&s->answer);
    s->tls = SSL_new(contexts[next_client++ % (unsigned)clients]);
    SSL_set_app_data(s->tls, s);
    SSL_set_fd(s->tls, s->fd);
    SSL_set_connect_state(s->tls);
    if (resume && s->session != NULL) SSL_set_session(s->tls, s->session);
    watch(s, EPOLLOUT, EPOLL_CTL_ADD);
}

// 1: answered, 0: wants more, -1: failed.
static int advance(slot *s) {
    static char buffer[65536];
    ERR_clear_error();
    int done = 1;
    if (!s->asked) {
        done = SSL_do_handshake(s->tls);
        if (done == 1) {
            s->asked = 1;
            if (SSL_write(s->tls, request, (int)request_size) != (int)request_size) return -1;
        }
    }
    while (done > 0) {
        done = SSL_read(s->tls, buffer, sizeof buffer);
        if (done <= 0) break;
        int state = response_feed(&s->answer, buffer, (size_t)done);
        if (state != 0) return state;
    }
    int why = SSL_get_error(s->tls, done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return -1;
    watch(s, why == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT, EPOLL_CTL_MOD);
    return 0;
}

static void end_connection(slot *s, int state) {
    if (state < 0) {
        errors++;
    } else {
        uint64_t now = now_ns();
        hist_add(&latencies, now > s->start ? now - s->start : 0);
        completed++;
        if (s->answer.status != 200) not_ok++;
        if (SSL_session_reused(s->tls)) resumed++;
        else not_resumed++;
    }
    // Without this OpenSSL takes the session for one that was cut off and marks it as not resumable.
    SSL_set_shutdown(s->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(s->tls);
    close(s->fd);
    s->fd = -1;
}

int main(int argc, char **argv) {
    port = atoi(option(argc, argv, "--port", "0"));
    int slots = atoi(option(argc, argv, "--slots", "32"));
    double seconds = atof(option(argc, argv, "--seconds", "3")), rate = atof(option(argc, argv, "--rate", "0"));
    clients = atoi(option(argc, argv, "--clients", "1"));
    resume = flag(argc, argv, "--resume");
    if (clients < 1 || clients > MAX_CLIENTS || (resume && clients > 1)) {
        fprintf(stderr, "--clients: 1 to %d, and 1 with --resume, for a ticket is its client's\n", MAX_CLIENTS);
        return 1;
    }
    request_size = (size_t)snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", port);
    load_clients(option(argc, argv, "--certs", "."));
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    precise_sleeps();
    struct sched_param parameter = {0};
    int background = flag(argc, argv, "--background");
    if (background && sched_setscheduler(0, SCHED_IDLE, &parameter) != 0) die("SCHED_IDLE");
    set = epoll_create1(EPOLL_CLOEXEC);
    slot *all = calloc((size_t)slots, sizeof *all);
    slot **idle = calloc((size_t)slots, sizeof *idle);
    if (set < 0 || all == NULL || idle == NULL) die("start");
    int idle_count = 0;
    for (int i = slots - 1; i >= 0; i--) idle[idle_count++] = &all[i];
    uint64_t seed = 0x9e3779b97f4a7c15ull, start = now_ns(), end = start + (uint64_t)(seconds * 1e9), now = start, waiting = 0;
    double mean = rate > 0 ? 1e9 / rate : 0, next = (double)start;
    struct epoll_event events[256];
    while (now < end) {
        if (background && next < (double)now - LATE_NS) next = (double)now;
        while (idle_count > 0 && (rate <= 0 || next <= (double)now)) {
            begin(idle[--idle_count], rate > 0 ? (uint64_t)next : now_ns());
            if (rate > 0) next += random_exponential(&seed, mean);
        }
        double wake = rate > 0 && idle_count > 0 && next < (double)end ? next : (double)end;
        now = now_ns();
        uint64_t wait = wake > (double)now ? (uint64_t)(wake - (double)now) : 0;
        struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000u), .tv_nsec = (long)(wait % 1000000000u)};
        int count = epoll_pwait2(set, events, 256, &timeout, NULL);
        if (count < 0 && errno != EINTR) die("epoll_pwait2");
        for (int i = 0; i < count; i++) {
            slot *s = events[i].data.ptr;
            int state = advance(s);
            if (state == 0) continue;
            end_connection(s, state);
            idle[idle_count++] = s;
        }
        now = now_ns();
    }
    while (rate > 0 && next <= (double)now) {
        waiting++;
        next += random_exponential(&seed, mean);
    }
    if (resume && not_resumed > (uint64_t)slots) errors += not_resumed - (uint64_t)slots;
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\": %llu, \"errors\": %llu, \"not_200\": %llu, \"unanswered\": %llu, \"resumed\": %llu, \"seconds\": %.6f, "
           "\"rps\": %.1f, \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f}\n",
           (unsigned long long)completed, (unsigned long long)errors, (unsigned long long)not_ok, (unsigned long long)waiting,
           (unsigned long long)resumed, took, (double)completed / took, hist_us(&latencies, 0.5), hist_us(&latencies, 0.9),
           hist_us(&latencies, 0.99), hist_us(&latencies, 0.999));
    return 0;
}
