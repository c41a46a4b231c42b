# SPDX-License-Identifier: Apache-2.0
"""The suite against the ledger: no case of HTTP/1, HTTP/2 or TLS is without a test, or without its swapped one."""

import pathlib
import re

_SOURCES = "".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("test_*.py"))
_SWAPPED = set(range(35, 53))


def _numbers(pattern):
    names = re.findall(pattern, _SOURCES)
    return {int(number) for name in names for number in name.strip("_").split("_")}


def test_every_case_of_the_ledger_is_there():
    missing = set(range(1, 60)) - _numbers(r"def test_case_((?:\d\d_)+)")
    assert not missing, f"no test for {sorted(missing)}"


def test_every_case_of_http_2_is_there_with_the_roles_swapped():
    missing = _SWAPPED - _numbers(r"def test_case_((?:\d\d_)+)swapped")
    assert not missing, f"no test for {sorted(missing)} from a hostile upstream"
