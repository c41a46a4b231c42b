# SPDX-License-Identifier: Apache-2.0
"""What the kernel of this machine does on its own account."""


def megabytes_held(connections):
    """MiB that the socket buffers of so many TCP connections may hold while nobody reads, at most.

    The kernel grows a socket's receive buffer to `tcp_rmem` and the peer's send buffer to `tcp_wmem` when data keep
    coming; how far it gets differs from machine to machine and from run to run.
    """
    receive, send = (_largest(name) for name in ("tcp_rmem", "tcp_wmem"))
    return -(-connections * (receive + send) // (1 << 20))


def _largest(name):
    with open(f"/proc/sys/net/ipv4/{name}", encoding="ascii") as file:
        return int(file.read().split()[2])
