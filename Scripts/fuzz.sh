#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the libFuzzer driver and runs each target for FUZZ_SECONDS (20) seconds: Scripts/fuzz.sh [target...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${FUZZ_SECONDS:-20}
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(bootstrap codec expression http2 path matcher tls-inspector)

export APUS_FUZZ=1
swift build -c release --product apus-fuzz --scratch-path .build-fuzz -Xswiftc -use-ld=lld
for target in "${targets[@]}"; do
    corpus=.build-fuzz/corpus/$target
    mkdir -p "$corpus"
    seeds=xds-fixtures/corpus/$target
    echo "fuzz $target for $seconds s"
    [ -d "$seeds" ] || seeds=
    dictionary=xds-fixtures/corpus/$target.dict
    [ -f "$dictionary" ] && dictionary=-dict=$dictionary || dictionary=
    APUS_FUZZ_TARGET=$target .build-fuzz/release/apus-fuzz "$corpus" $seeds $dictionary \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix=.build-fuzz/crash-$target-
done
