# SPDX-License-Identifier: Apache-2.0
"""How a dump of callgrind is read: python3 -m unittest discover -s Benchmarks/micro"""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import callgrind  # noqa: E402


class Callgrind(unittest.TestCase):
    DUMP = """events: Ir
fn=(1) main
1 10
cfn=(2) swift_retain
calls=3 0
1 60
+1 5
fn=(2)
7 60
fn=(3) main'2
1 4
totals: 79
"""

    def test_self_cost_leaves_out_the_callee_and_calls_are_counted(self):
        profile = self.parsed(self.DUMP)
        self.assertEqual(profile.total(), 79)
        self.assertEqual(profile.cost["main"], 19)
        self.assertEqual(profile.calls["swift_retain"], 3)

    OBJECTS = """events: Ir
ob=(1) /usr/bin/apus
fn=(1) onHeader
1 100
cob=(2) /usr/lib/libnghttp2.so.14.20.1
cfn=(2) nghttp2_session_mem_recv
calls=1 0
1 75
cfn=(1)
calls=1 0
1 6
ob=(2)
fn=(2)
7 30
cob=(3) /usr/lib/libc.so.6
cfn=(3) memcpy
calls=2 0
7 20
cfn=(4) nghttp2_hd_inflate
calls=1 0
7 25
cob=(1)
cfn=(1)
calls=1 0
7 9
fn=(4)
9 25
ob=(3)
fn=(3)
1 55
totals: 210
"""

    def test_libnghttp2_and_what_libc_does_for_it_are_told_apart(self):
        profile = self.parsed(self.OBJECTS)
        self.assertEqual(profile.total(), 210)
        self.assertEqual(profile.nghttp2(), 55)  # not the 9 of our callback, which it called
        self.assertEqual(profile.for_nghttp2, 20)  # of libc's 55: the rest was asked for by others
        self.assertEqual(profile.objects["/usr/bin/apus"], 100)

    def parsed(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".out") as file:
            file.write(text)
            file.flush()
            return callgrind.Profile(file.name)


if __name__ == "__main__":
    unittest.main()
