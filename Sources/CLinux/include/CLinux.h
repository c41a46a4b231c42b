// SPDX-License-Identifier: Apache-2.0
// The system calls of the event loop that need _GNU_SOURCE, macros or a negated errno.
// Every function returns a value of 0 or more, or -errno; EINTR is retried.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

/// A non-blocking, close-on-exec stream socket.
int apus_socket(int family);

/// Accepts one connection, non-blocking and close-on-exec, and stores the peer's address.
int apus_accept(int listener, struct sockaddr_storage *peer, socklen_t *length);

int apus_connect(int descriptor, const struct sockaddr *address, socklen_t length);
int apus_bind(int descriptor, const struct sockaddr *address, socklen_t length);
int apus_listen(int descriptor, int backlog);

ssize_t apus_recv(int descriptor, void *buffer, size_t size);
/// Looks at the next byte without taking it: 1 byte waits, 0 the peer sent FIN, -EAGAIN nothing yet.
ssize_t apus_peek(int descriptor);
/// send(2) without SIGPIPE.
ssize_t apus_send(int descriptor, const void *bytes, size_t size);
/// writev(2) without SIGPIPE.
ssize_t apus_send_vectors(int descriptor, const struct iovec *vectors, size_t count);

/// The pending error of a socket as a positive errno, 0 for none.
int apus_socket_error(int descriptor);
int apus_local_name(int descriptor, struct sockaddr_storage *name, socklen_t *length);
/// The destination before netfilter redirected the connection.
int apus_original_destination(int descriptor, int family, struct sockaddr_storage *name, socklen_t *length);

/// Has the kernel drop the SYNs that arrive at a listening TCP socket; handshakes that have begun go on. A client that tries
/// meanwhile repeats its SYN a second later, when the socket is closed, and is refused or finds another listener.
int apus_stop_handshakes(int descriptor);
/// Sends new connections of a SO_REUSEPORT group to its `count` sockets from place `first` on; the kernel numbers them in the
/// order of listen(2), and the last one moves to the place of one that is closed. Places without a socket mean any.
int apus_steer_away(int descriptor, uint32_t first, uint32_t count);
/// Lets the kernel choose by hash again.
int apus_stop_steering(int descriptor);

int apus_set_no_delay(int descriptor);
/// Makes close(2) send RST and drop what was not sent.
int apus_set_reset_on_close(int descriptor);
int apus_set_reuse_address(int descriptor);
int apus_set_reuse_port(int descriptor);
int apus_set_transparent(int descriptor, int family);
int apus_set_v6_only(int descriptor, int only);
int apus_set_mark(int descriptor, uint32_t mark);
int apus_set_option(int descriptor, int level, int name, const void *value, uint32_t length);
/// 1 when the socket has a peer.
int apus_is_connected(int descriptor);
/// Leaves the choice of the source port to connect(2), so that one port serves many destinations.
int apus_set_late_port(int descriptor);
/// SO_KEEPALIVE, with the three settings where they are not 0.
int apus_set_keep_alive(int descriptor, int probes, int idle_seconds, int interval_seconds);

/// A non-blocking, close-on-exec pipe; `ends` is {read, write}. Asks for `capacity` bytes, 0 for the default; returns
/// the capacity the kernel gave.
int apus_pipe(int ends[2], int capacity);
/// Moves up to `size` bytes between a socket and a pipe without copying them.
ssize_t apus_splice(int from, int to, size_t size);

/// One ready descriptor: what epoll was told with it, and EPOLL bits.
struct apus_ready {
    uint64_t token;
    uint32_t events;
};

int apus_epoll(void);
/// Adds a descriptor to an epoll set, level-triggered.
int apus_epoll_add(int set, int descriptor, uint32_t events, uint64_t token);
int apus_epoll_change(int set, int descriptor, uint32_t events, uint64_t token);
int apus_epoll_remove(int set, int descriptor);
/// Waits up to `timeout` milliseconds (-1: for ever) for at most 128 descriptors; an interrupted wait finds none.
int apus_epoll_wait(int set, struct apus_ready *ready, int capacity, int timeout);
/// The same for so many nanoseconds; where the kernel cannot (before 5.11), rounded up to milliseconds.
int apus_epoll_wait_precisely(int set, struct apus_ready *ready, int capacity, uint64_t nanoseconds);
/// Has the kernel end this thread's waits when they are over, and not up to 50 us later.
void apus_sharpen_timers(void);
enum { APUS_READABLE = 0x001, APUS_WRITABLE = 0x004, APUS_ERROR = 0x008, APUS_HANG_UP = 0x010, APUS_DISCONNECT = 0x2000 };

/// Opens /dev/null close-on-exec, to keep a descriptor in reserve.
int apus_reserve_descriptor(void);
/// A second, close-on-exec descriptor of the same file.
int apus_duplicate(int descriptor);
int apus_shutdown_write(int descriptor);
void apus_close(int descriptor);

/// Removes a socket file nobody listens on: 0 when there is none any more, -EADDRINUSE while somebody does.
int apus_unlink_stale(const char *path);
int apus_chmod(const char *path, unsigned int mode);

/// Names the calling thread; cut to the kernel's 15 bytes.
void apus_name_thread(const char *name);
/// Restricts the calling thread to the given CPU of those the process may run on.
int apus_pin_thread(int index);

/// Monotonic and wall clock in nanoseconds.
uint64_t apus_monotonic(void);
uint64_t apus_wall_clock(void);

/// Has writing to a closed connection report EPIPE instead of ending the process; splice has no flag for it.
void apus_ignore_sigpipe(void);
