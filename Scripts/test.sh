#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make test`: every step, one after the other, and a closing line with the totals. Exits 1 if anything failed.
#
# A step that cannot run counts as one failure: a suite that was skipped proves nothing.
set -uo pipefail
cd "$(dirname "$0")/.."

logs=.build-test-logs
mkdir -p "$logs"
passed=0
failed=0
broken=()
started=$SECONDS

# step NAME COMMAND...: runs it with its output in a file; prints how it went.
# The number of passed and failed tests comes from count_NAME, or is one of either by the exit status.
step() {
    local name=$1 begin=$SECONDS status=0
    shift
    printf '%-14s …\n' "$name"
    "$@" > "$logs/$name.log" 2>&1 || status=$?
    local ok bad
    read -r ok bad < <(count "$name" $status)
    passed=$((passed + ok))
    failed=$((failed + bad))
    printf '%-14s %s passed, %s failed, %d s\n' "$name" "$ok" "$bad" $((SECONDS - begin))
    if [ "$bad" -ne 0 ]; then
        broken+=("$name")
        grep -E '✘|^(FAILED|ERROR)|error:|SUMMARY:|^not ok|FAIL' "$logs/$name.log" | sed -n '1,25s/^/    /p'
        tail -n 12 "$logs/$name.log" | sed 's/^/    | /'
        return 1
    fi
}

# count STEP STATUS: "passed failed" from the step's log. A failing exit status is at least one failure.
count() {
    local log="$logs/$1.log" status=$2 ok=0 bad=0
    case $1 in
    unit)
        ok=$(grep -cE '^✔ Test .* passed after' "$log")
        bad=$(grep -cE '^✘ Test .* failed after' "$log") ;;
    differential | upstreams | stats | admin | hostile | faults | conformance | peers | meshbench | callgrind-parser)
        local line
        line=$(grep -E '^(=+ )?[0-9]+ (passed|failed|error).* in [0-9.]+s' "$log" | tail -n 1)
        ok=$(grep -oE '[0-9]+ passed' <<< "$line" | grep -oE '[0-9]+' || echo 0)
        bad=$(grep -oE '[0-9]+ (failed|error)' <<< "$line" | grep -oE '[0-9]+' | awk '{ sum += $1 } END { print sum + 0 }') ;;
    *)
        [ "$status" -eq 0 ] && ok=1 ;;
    esac
    ok=${ok:-0}
    bad=${bad:-0}
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    # A suite that ran nothing did not pass.
    [ "$ok" -eq 0 ] && [ "$bad" -eq 0 ] && bad=1
    echo "$ok $bad"
}

finish() {
    echo
    [ ${#broken[@]} -gt 0 ] && echo "failed: ${broken[*]} (logs in $logs)"
    echo "$passed passed, $failed failed ($(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s)"
    [ "$failed" -eq 0 ]
    exit
}

pytest() { .venv/bin/python -m pytest -q -p no:cacheprovider "$@"; }
export APUS_BINARY=$PWD/.build/release/apus MESHBENCH_BINARY=$PWD/.build/release/meshbench

step packages Scripts/packages.sh || finish
step release make --no-print-directory build || finish
step venv Scripts/venv.sh || finish
step unit swift test
step differential pytest Tests/DifferentialTests
step upstreams pytest Tests/UpstreamTests
step stats pytest Tests/StatsTests
step admin pytest Tests/AdminTests
step hostile pytest Tests/HostileTests
step faults pytest Tests/FaultTests
step conformance pytest Tests/ConformanceTests
step peers pytest Tests/PeerTests
step meshbench pytest Tests/MeshbenchTests
step callgrind-parser pytest Benchmarks/micro/test_callgrind.py
step callgrind Benchmarks/micro/callgrind.sh
step callgrind-http2 Benchmarks/micro/callgrind.sh --scenario http2
step libraries Scripts/check-libraries.sh
step fuzz Scripts/fuzz.sh
finish
