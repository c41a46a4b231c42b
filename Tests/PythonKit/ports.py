# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports, unique over test processes that run at the same time."""

import fcntl
import os
import pathlib
import random
import socket
import threading

# Below the kernel's ephemeral range (32768 up), so that no outgoing connection takes a port between choice and bind.
# Five digits always, so that a port number in a header is recognised by its text.
# 15000 is left out: it stands in headers as the milliseconds of the default timeout, and would be taken for the port's name.
_RANGE = [port for port in range(12000, 32000) if port != 15000]
_locks: dict[int, int] = {}
_guard = threading.Lock()
_directory = pathlib.Path("/tmp") / f"apus-test-ports-{os.getuid()}"


def free_port() -> int:
    """A port nobody listens on, held by a lock file until this process ends."""
    _directory.mkdir(exist_ok=True)
    with _guard:
        for _ in range(1000):
            port = random.choice(_RANGE)
            if port in _locks:
                continue
            descriptor = os.open(_directory / str(port), os.O_CREAT | os.O_RDWR, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with socket.socket() as probe:
                    probe.bind(("0.0.0.0", port))
            except OSError:
                os.close(descriptor)
                continue
            _locks[port] = descriptor
            return port
    raise RuntimeError("no free port in 1000 attempts")
