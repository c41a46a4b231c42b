# SPDX-License-Identifier: Apache-2.0
"""The suite against the ledger: no case of HTTP/1 is without a test."""

import pathlib
import re


def test_every_case_of_the_ledger_is_there():
    sources = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
    names = re.findall(r"def test_case_((?:\d\d_)+)", sources)
    found = {int(number) for name in names for number in name.strip("_").split("_")}
    assert found >= set(range(1, 35)), f"no test for {sorted(set(range(1, 35)) - found)}"
