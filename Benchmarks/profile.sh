#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Benchmarks/profile.sh [--proxy apus] [--scenario h1-tiny] [--seconds 5] [--top 40] : where one proxy spends its time (perf,
# user and kernel) and which system calls it makes, while `meshbench compare` loads it with a scenario.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
proxy=apus scenario=h1-tiny seconds=5 top=40
while [ $# -gt 0 ]; do
    case $1 in
    --proxy) proxy=$2 ;;
    --scenario) scenario=$2 ;;
    --seconds) seconds=$2 ;;
    --top) top=$2 ;;
    *) sed -n 3,4p "$0" >&2; exit 64 ;;
    esac
    shift 2
done
for tool in perf strace taskset; do
    command -v "$tool" >/dev/null || { echo "Benchmarks/profile.sh needs $tool (Debian: linux-perf strace util-linux)" >&2; exit 1; }
done
meshbench=${MESHBENCH_BINARY:-$root/.build/release/meshbench}
apus=${APUS_BINARY:-$root/.build/release/apus}
# The twin with symbols, which `make build` keeps.
[ "$proxy" = apus ] && [ -x "$apus.symbols" ] && proxy="apus=$apus.symbols"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$meshbench" compare --proxy "$proxy" --scenario "$scenario" --rounds 1 --duration "$((seconds + 5))s" --folder "$folder" >"$folder/out" 2>&1 &
load=$!
file=$folder/$scenario-0/pid
until [ -s "$file" ]; do
    kill -0 $load 2>/dev/null || { cat "$folder/out" >&2; exit 1; }
    sleep 0.1
done
pid=$(cat "$file")
sleep 2 # the warm-up
perf record -q -e cpu-clock -F 4999 --call-graph fp -o "$folder/perf.data" -p "$pid" -- sleep "$seconds" >/dev/null 2>&1
# It slows the proxy down, but a request makes the same calls.
timeout -s INT 1 strace -f -c -S calls -o "$folder/strace" -p "$pid" >/dev/null 2>&1 || true
wait $load || true
cat "$folder/out"
demangle() { if command -v swift-demangle >/dev/null; then swift-demangle -compact; else cat; fi; }
for level in '[.] user' '[k] kernel'; do
    printf '\n%s, share of all samples:\n' "${level#* }"
    perf report -i "$folder/perf.data" --stdio --no-children --no-demangle --sort sym,dso -g none -w 8,120,30 2>/dev/null |
        grep -F "${level% *}" | head -n "$top" | demangle
done
printf '\nsystem calls in a second under strace:\n'
head -n "$top" "$folder/strace"
