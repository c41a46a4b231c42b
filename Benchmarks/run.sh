#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Benchmarks/run.sh [--quick] [--rounds N] [--scenario NAME]… [--peer NAME]… : Apus against its peers; --help says more.
# APUS_BINARY (default .build/release/apus) and ENVOY_BINARY name other binaries.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
for tool in cc taskset wrk iperf3 python3; do
    command -v "$tool" >/dev/null || { echo "Benchmarks/run.sh needs $tool (Debian: gcc util-linux wrk iperf3 python3)" >&2; exit 1; }
done
exec python3 "$root/Benchmarks/peers/bench.py" "$@"
