# SPDX-License-Identifier: Apache-2.0
"""Waiting and looking at the process from outside."""

import os
import time


def wait_until(condition, timeout=5.0, what="it"):
    """Polls; a fault that is not over in time fails the test."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {timeout} s"
        time.sleep(0.02)


def cpu_seconds(proxy) -> float:
    with open(f"/proc/{proxy.process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
