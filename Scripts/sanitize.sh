#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything once more with a sanitizer: Scripts/sanitize.sh [-s address|thread] [PART]...
# Parts: unit, and the Python suites differential, upstreams, stats, admin, hostile, faults, conformance, peers.
#
# The debug build goes to .build-asan or .build-tsan. `unit` runs the Swift tests, with leaks; a Python suite runs against the
# sanitized binary, and fails as well if any process of it left a report. Exits 1 if anything failed.
set -uo pipefail
cd "$(dirname "$0")/.."
kind=address
if [ "${1:-}" = -s ]; then
    kind=$2
    shift 2
fi
case $kind in
address) scratch=.build-asan ;;
thread) scratch=.build-tsan ;;
*) echo "Scripts/sanitize.sh: found '$kind'; allowed: address, thread" >&2; exit 2 ;;
esac
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(unit differential upstreams stats admin hostile faults conformance peers)

reports=$PWD/$scratch/reports
rm -rf "$reports"
mkdir -p "$reports"
common="log_path=$reports/report:log_exe_name=1"
suppressions=$PWD/Scripts/sanitize-leaks.txt
# The proxy leaves without giving everything back: connections of other threads may be in use (see `apus_tls_set_up`), so
# leaks are the unit tests' business. What is freed waits a shorter time than usual, for suites that look at memory. Swift's
# own crash handler is off: it reads memory as it likes, and would be reported for that.
proxy_options="$common:detect_leaks=0:quarantine_size_mb=8"
races=suppressions=$PWD/Scripts/sanitize-races.txt:print_suppressions=0
failed=0

swift build --build-tests --sanitize="$kind" --scratch-path "$scratch" || exit 1
for part in "${parts[@]}"; do
    echo "$kind: $part"
    if [ "$part" = unit ]; then
        ASAN_OPTIONS=detect_leaks=1 LSAN_OPTIONS=suppressions=$suppressions:print_suppressions=0 TSAN_OPTIONS=$races:halt_on_error=0 \
            swift test --skip-build --sanitize="$kind" --scratch-path "$scratch" || failed=1
    else
        suite=${part^}
        case $part in upstreams | faults | peers) suite=${suite%s} ;; esac
        suite=Tests/${suite}Tests
        APUS_BINARY=$PWD/$scratch/debug/apus APUS_SANITIZED=$kind ASAN_OPTIONS=$proxy_options TSAN_OPTIONS=$common:$races \
            SWIFT_BACKTRACE=enable=no .venv/bin/python -m pytest -q -p no:cacheprovider "$suite" || failed=1
    fi
done
for report in "$reports"/*; do
    [ -e "$report" ] || continue
    failed=1
    echo "--- $report"
    head -n 60 "$report"
done
exit $failed
