#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building and testing need; does nothing when all are there.
set -euo pipefail

build_packages="libuv1-dev libc-ares-dev libnghttp2-dev libre2-dev libssl-dev libstdc++-12-dev pkg-config binutils git"
test_packages="python3-venv curl wrk apache2-utils nginx libnginx-mod-stream haproxy nghttp2-proxy nghttp2-client nghttp2-server openssl valgrind gcc libc6-dev chromium"

if ! command -v swift >/dev/null; then
    echo "packages: no swift on PATH; Apus needs Swift 6.3 or newer (https://www.swift.org/install/linux)" >&2
    exit 1
fi

missing=()
for package in $build_packages $test_packages; do
    # Another version of the compiler's library does as well.
    [ "$package" = libstdc++-12-dev ] && ls -d /usr/include/c++/* >/dev/null 2>&1 && continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "packages: installing ${missing[*]}"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "packages: run as root, or install: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
# Daemons among the peers must not be started by their installation.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    trap '"${as_root[@]}" rm -f $policy' EXIT
fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
