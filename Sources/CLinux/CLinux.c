// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CLinux.h"
#include <linux/filter.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// The kernel's netfilter headers bring linux/in.h, which clashes with netinet/in.h; the values are kernel ABI.
enum { ORIGINAL_DST_V4 = 80, ORIGINAL_DST_V6 = 80 };

// The calls of every request go to the kernel by syscall(): libc's own are cancellation points, which a process with several
// threads pays for at each call. No thread is ever cancelled here.
#define RETRY(result, call) do { (result) = (call); } while ((result) < 0 && errno == EINTR)

static int checked(int result) { return result < 0 ? -errno : result; }

static int set_flag(int descriptor, int level, int name, int value) {
    return checked(setsockopt(descriptor, level, name, &value, sizeof value));
}

int apus_socket(int family) { return checked(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); }

int apus_accept(int listener, struct sockaddr_storage *peer, socklen_t *length) {
    int result;
    *length = sizeof *peer;
    RETRY(result, accept4(listener, (struct sockaddr *)peer, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    return checked(result);
}

// EINTR is not retried here: the kernel goes on connecting, and the result arrives as readiness.
int apus_connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    int result = connect(descriptor, address, length);
    if (result < 0 && errno == EINTR) return -EINPROGRESS;
    return checked(result);
}

int apus_bind(int descriptor, const struct sockaddr *address, socklen_t length) {
    return checked(bind(descriptor, address, length));
}

int apus_listen(int descriptor, int backlog) { return checked(listen(descriptor, backlog)); }

ssize_t apus_recv(int descriptor, void *buffer, size_t size) {
    ssize_t result;
    RETRY(result, syscall(SYS_recvfrom, descriptor, buffer, size, 0, NULL, NULL));
    return result < 0 ? -errno : result;
}

ssize_t apus_peek(int descriptor) {
    char byte;
    ssize_t result;
    RETRY(result, recv(descriptor, &byte, 1, MSG_PEEK));
    return result < 0 ? -errno : result;
}

ssize_t apus_send(int descriptor, const void *bytes, size_t size) {
    ssize_t result;
    RETRY(result, syscall(SYS_sendto, descriptor, bytes, size, MSG_NOSIGNAL, NULL, 0));
    return result < 0 ? -errno : result;
}

ssize_t apus_send_vectors(int descriptor, const struct iovec *vectors, size_t count) {
    struct msghdr message = {.msg_iov = (struct iovec *)vectors, .msg_iovlen = count};
    ssize_t result;
    RETRY(result, syscall(SYS_sendmsg, descriptor, &message, MSG_NOSIGNAL));
    return result < 0 ? -errno : result;
}

int apus_socket_error(int descriptor) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? errno : error;
}

int apus_local_name(int descriptor, struct sockaddr_storage *name, socklen_t *length) {
    *length = sizeof *name;
    return checked(getsockname(descriptor, (struct sockaddr *)name, length));
}

int apus_original_destination(int descriptor, int family, struct sockaddr_storage *name, socklen_t *length) {
    *length = sizeof *name;
    if (family == AF_INET6) return checked(getsockopt(descriptor, IPPROTO_IPV6, ORIGINAL_DST_V6, name, length));
    return checked(getsockopt(descriptor, IPPROTO_IP, ORIGINAL_DST_V4, name, length));
}

int apus_stop_handshakes(int descriptor) {
    // A filter of a TCP socket sees the segment from its TCP header on: byte 13 has the flags. SYN alone is dropped, so that
    // a handshake that has begun can end. Accepted sockets inherit the filter, and get no SYN.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x02, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ? 0 : -errno;
}

int apus_steer_away(int descriptor, uint32_t first, uint32_t count) {
    if (count == 0) return -EINVAL;
    // The result is the place of a socket in its SO_REUSEPORT group; where there is none, the kernel chooses as ever.
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_RANDOM),
        BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, count),
        BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, first),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};
    return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program) == 0 ? 0 : -errno;
}

int apus_stop_steering(int descriptor) {
#ifdef SO_DETACH_REUSEPORT_BPF
    return set_flag(descriptor, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 1);
#else
    (void)descriptor;
    return 0;
#endif
}

int apus_set_no_delay(int descriptor) { return set_flag(descriptor, IPPROTO_TCP, TCP_NODELAY, 1); }

int apus_set_reset_on_close(int descriptor) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return checked(setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

int apus_set_reuse_address(int descriptor) { return set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1); }
int apus_set_reuse_port(int descriptor) { return set_flag(descriptor, SOL_SOCKET, SO_REUSEPORT, 1); }

int apus_set_transparent(int descriptor, int family) {
    if (family == AF_INET6) return set_flag(descriptor, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
    return set_flag(descriptor, IPPROTO_IP, IP_TRANSPARENT, 1);
}

int apus_set_v6_only(int descriptor, int only) { return set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, only); }
int apus_set_mark(int descriptor, uint32_t mark) { return set_flag(descriptor, SOL_SOCKET, SO_MARK, (int)mark); }
int apus_is_connected(int descriptor) {
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    return getpeername(descriptor, (struct sockaddr *)&peer, &length) == 0;
}

int apus_set_option(int descriptor, int level, int name, const void *value, uint32_t length) {
    return setsockopt(descriptor, level, name, value, length) == 0 ? 0 : -errno;
}

int apus_set_late_port(int descriptor) { return set_flag(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); }

int apus_set_keep_alive(int descriptor, int probes, int idle_seconds, int interval_seconds) {
    int result = set_flag(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (result == 0 && probes > 0) result = set_flag(descriptor, IPPROTO_TCP, TCP_KEEPCNT, probes);
    if (result == 0 && idle_seconds > 0) result = set_flag(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
    if (result == 0 && interval_seconds > 0) result = set_flag(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, interval_seconds);
    return result;
}

int apus_pipe(int ends[2], int capacity) {
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) < 0) return -errno;
    if (capacity > 0) {
        // Refused when the user's pipe pages are used up: the default is then good enough.
        int given = fcntl(ends[1], F_SETPIPE_SZ, capacity);
        if (given > 0) return given;
    }
    int given = fcntl(ends[1], F_GETPIPE_SZ);
    return given > 0 ? given : 4096;
}

ssize_t apus_splice(int from, int to, size_t size) {
    ssize_t result;
    RETRY(result, splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    return result < 0 ? -errno : result;
}

_Static_assert(APUS_READABLE == EPOLLIN && APUS_WRITABLE == EPOLLOUT && APUS_ERROR == EPOLLERR
    && APUS_HANG_UP == EPOLLHUP && APUS_DISCONNECT == EPOLLRDHUP, "bits of epoll");

static int control(int set, int operation, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return checked(epoll_ctl(set, operation, descriptor, &event));
}

int apus_epoll(void) { return checked(epoll_create1(EPOLL_CLOEXEC)); }

int apus_epoll_add(int set, int descriptor, uint32_t events, uint64_t token) {
    return control(set, EPOLL_CTL_ADD, descriptor, events, token);
}

int apus_epoll_change(int set, int descriptor, uint32_t events, uint64_t token) {
    return control(set, EPOLL_CTL_MOD, descriptor, events, token);
}

int apus_epoll_remove(int set, int descriptor) { return control(set, EPOLL_CTL_DEL, descriptor, 0, 0); }

static int copy_ready(struct apus_ready *ready, const struct epoll_event *events, int count) {
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < count; index++) {
        ready[index].token = events[index].data.u64;
        ready[index].events = events[index].events;
    }
    return count;
}

int apus_epoll_wait(int set, struct apus_ready *ready, int capacity, int timeout) {
    // struct epoll_event is packed on x86-64, which Swift cannot express; the copy is a few instructions an event.
    struct epoll_event events[128];
    int count = (int)syscall(SYS_epoll_pwait, set, events, capacity < 128 ? capacity : 128, timeout, NULL, 8L);
    return copy_ready(ready, events, count);
}

int apus_epoll_wait_precisely(int set, struct apus_ready *ready, int capacity, uint64_t nanoseconds) {
    struct epoll_event events[128];
    struct timespec timeout = {.tv_sec = (time_t)(nanoseconds / 1000000000), .tv_nsec = (long)(nanoseconds % 1000000000)};
    int count = epoll_pwait2(set, events, capacity < 128 ? capacity : 128, &timeout, NULL);
    if (count < 0 && errno == ENOSYS) return apus_epoll_wait(set, ready, capacity, (int)((nanoseconds + 999999) / 1000000));
    return copy_ready(ready, events, count);
}

void apus_sharpen_timers(void) { prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); }

int apus_reserve_descriptor(void) { return checked(open("/dev/null", O_RDONLY | O_CLOEXEC)); }
int apus_duplicate(int descriptor) { return checked(fcntl(descriptor, F_DUPFD_CLOEXEC, 0)); }
int apus_shutdown_write(int descriptor) { return checked(shutdown(descriptor, SHUT_WR)); }

// Not retried: Linux frees the descriptor even when close reports EINTR.
void apus_close(int descriptor) { close(descriptor); }

int apus_unlink_stale(const char *path) {
    struct stat status;
    if (lstat(path, &status) < 0) return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode)) return -EADDRINUSE;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return -errno;
    int refused = connect(probe, (struct sockaddr *)&address, sizeof address) < 0 && errno == ECONNREFUSED;
    close(probe);
    if (!refused) return -EADDRINUSE;
    return checked(unlink(path));
}

int apus_chmod(const char *path, unsigned int mode) { return checked(chmod(path, mode)); }

void apus_name_thread(const char *name) {
    char cut[16];
    snprintf(cut, sizeof cut, "%s", name);
    pthread_setname_np(pthread_self(), cut);
}

int apus_pin_thread(int index) {
    cpu_set_t allowed, chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) < 0) return -errno;
    int count = CPU_COUNT(&allowed);
    if (count == 0) return -EINVAL;
    int left = index % count;
    CPU_ZERO(&chosen);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        if (left-- > 0) continue;
        CPU_SET(cpu, &chosen);
        break;
    }
    return checked(pthread_setaffinity_np(pthread_self(), sizeof chosen, &chosen) == 0 ? 0 : -1);
}

static uint64_t read_clock(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t apus_monotonic(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t apus_wall_clock(void) { return read_clock(CLOCK_REALTIME); }

void apus_ignore_sigpipe(void) { signal(SIGPIPE, SIG_IGN); }
