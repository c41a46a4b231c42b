#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Benchmarks/profile.sh [--peer apus] [--scenario h1-tiny] [--seconds 5] [--callers] : where one proxy spends its time
# (perf, user and kernel) and which system calls a request makes, while a scenario of run.sh loads it.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
for tool in cc taskset wrk perf strace python3; do
    command -v "$tool" >/dev/null || { echo "Benchmarks/profile.sh needs $tool (Debian: gcc util-linux wrk linux-perf strace python3)" >&2; exit 1; }
done
exec python3 "$root/Benchmarks/peers/profile_proxy.py" "$@"
