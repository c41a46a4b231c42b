# SPDX-License-Identifier: Apache-2.0
"""This directory's own modules on the import path."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
