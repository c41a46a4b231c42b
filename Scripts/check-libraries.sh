#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The release binary needs no shared library but those the Dockerfile copies, and none of Swift's.
set -euo pipefail
cd "$(dirname "$0")/.."
allowed='libuv\.so|libnghttp2\.so|libcares\.so|libre2\.so|libssl\.so|libcrypto\.so|libstdc\+\+\.so|libgcc_s\.so|libm\.so|libc\.so|libz\.so|ld-linux|linux-vdso|libpthread\.so|libdl\.so|librt\.so|libutil\.so'
found=$(ldd .build/release/apus)
echo "$found"
if extra=$(grep -vE "$allowed" <<< "$found"); then
    echo "error: unexpected libraries: $extra"
    exit 1
fi
grep -q 'not found' <<< "$found" && { echo "error: a library is missing"; exit 1; }
exit 0
