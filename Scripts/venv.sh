#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The Python environment of the suites, in .venv; made once for each content of Tests/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=".venv/$(sha256sum < Tests/requirements.txt | cut -c1-16).installed"
[ -e "$stamp" ] && exit 0
[ -x .venv/bin/python ] || python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r Tests/requirements.txt
touch "$stamp"
