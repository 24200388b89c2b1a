"""Freed memory goes back to the system, also what lies between what is in use."""

from __future__ import annotations

import subprocess
import sys

import pytest

from onward.server import heap

_HOLES = """
from pathlib import Path
from onward.server.heap import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

bodies, kept = [], []
for _ in range(2000):
    bodies.append(bytes(50_000))
    kept.append([None] * 100)
full = resident()
bodies.clear()
give_back()
print(full - resident())
"""


def test_what_lies_between_kept_things_goes_back() -> None:
    if heap._trim is None:
        pytest.skip("this C library has no malloc_trim")
    said = subprocess.run([sys.executable, "-c", _HOLES], check=True, capture_output=True, text=True)
    assert int(said.stdout) > 80_000_000
