#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Benchmarks/micro/callgrind.sh [--scenario http1|http2|http1-logged] [--requests N] [--binary apus|nginx|haproxy|nghttpx] [--top N]: user
# instructions, retain/release pairs and allocations per request, held against thresholds.json. APUS_BINARY names another binary.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
for tool in strip taskset valgrind callgrind_control python3; do
    command -v "$tool" >/dev/null || { echo "callgrind.sh needs $tool (Debian: binutils util-linux valgrind python3)" >&2; exit 1; }
done
exec python3 "$root/Benchmarks/micro/callgrind.py" "$@"
