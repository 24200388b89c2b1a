"""A client that asks again and again how an upload stands, from a process of its own.

``python -m benchmarks.probe PORT PATH FIELDS`` (as JSON) asks until its standard input ends, then writes
as JSON when each question was sent (by ``time.perf_counter``) and how many seconds later it was answered.
"""

from __future__ import annotations

import contextlib
import json
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Final

from benchmarks.wire import Line

EVERY: Final = 0.01
"""Seconds from one question to the next, if the first is answered by then."""


@contextlib.contextmanager
def probing(port: int, path: str, headers: Mapping[str, str] | None = None) -> Iterator[list[tuple[float, float]]]:
    """Ask ``HEAD path`` as long as the block runs; afterwards the list holds what was measured."""
    asked: list[tuple[float, float]] = []
    with subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(port), path, json.dumps(headers or {})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError("the prober did not start")
            yield asked
        finally:
            said, _ = process.communicate(timeout=60)
    if process.returncode:
        raise RuntimeError("the prober failed")
    asked += [(began, took) for began, took in json.loads(said)]


def _ask(port: int, path: str, headers: Mapping[str, str]) -> list[tuple[float, float]]:
    asked = []
    line = Line(port)
    _head(line, path, headers)
    print("ready", flush=True)
    pause = 0.0
    while not select.select([sys.stdin], [], [], pause)[0]:
        began = time.perf_counter()
        _head(line, path, headers)
        took = time.perf_counter() - began
        asked.append((began, took))
        pause = max(0.0, EVERY - took)
    line.close()
    return asked


def _head(line: Line, path: str, headers: Mapping[str, str]) -> None:
    line.send("HEAD", path, headers)
    status, _ = line.answer(bare=True)
    if status != 200:
        raise ConnectionError(f"HEAD was answered with {status}")


if __name__ == "__main__":
    print(json.dumps(_ask(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))))
