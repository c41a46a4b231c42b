# SPDX-License-Identifier: Apache-2.0
"""Prints what both proxies did: `python Tests/DifferentialTests/show.py [--all] WORDS...` (cases whose name contains the words)."""

import pathlib
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).parents[1]), str(pathlib.Path(__file__).parent)]

from cases import GROUPS  # noqa: E402
from harness import Pair, difference  # noqa: E402

from PythonKit.binaries import require_apus, require_envoy  # noqa: E402


def main():
    words = " ".join(a for a in sys.argv[1:] if not a.startswith("--"))
    everything = "--all" in sys.argv
    for group in GROUPS:
        cases = [c for c in group.cases if words in f"{group.name}: {c}"]
        if not cases:
            continue
        with tempfile.TemporaryDirectory() as directory:
            try:
                pair = Pair(group, require_envoy(), require_apus(), pathlib.Path(directory))
            except RuntimeError as error:
                print(f"## group {group.name} did not start: {error}")
                continue
            try:
                for case in cases:
                    envoy, apus = pair.observe(case)
                    found = difference(envoy, apus)
                    text = "\n".join(envoy.lines()) + "\n"
                    wrong = [
                        what
                        for what, bad in (
                            (f"status {envoy.status}, not {case.status}", envoy.status != case.status),
                            (f"does not show {case.shows!r}", case.shows not in text),
                            (f"shows {case.lacks!r}", bool(case.lacks) and case.lacks in text),
                        )
                        if bad
                    ]
                    if everything or found or wrong:
                        print(f"\n## {group.name}: {case}" + "".join(f"\n!! Envoy: {w}" for w in wrong))
                        print("\n".join(f"   {line}" for line in envoy.lines()))
                    if found:
                        print("\n".join(f"  {line}" for line in found))
            finally:
                pair.stop()


main()
