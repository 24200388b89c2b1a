"""A thousand clients that have fallen silent in the middle of a body, on one server: ``python -m benchmarks.stalled``.

Each opens a ``PATCH`` of tus, sends part of it, and says no more. Meanwhile somebody else asks, every
10 ms, how another upload stands. Told are the waits of that one while the others come and while they
rest, what memory they take, and that every byte they brought was kept.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.figures import MIB, Figure, percentile
from benchmarks.probe import probing
from benchmarks.processes import Served, serving
from benchmarks.wire import HOST, Line

LENGTH: Final = 10_000_000
REST: Final = 65.0
"""Seconds that they are watched at rest: the server gives memory back after one to two half minutes."""
HEAD_P99: Final = 100.0
SAID: Final = {"Tus-Resumable": "1.0.0"}
OTHER: Final = "/upload/other.bin"


def main() -> int:
    """Measure and print; 0 if every goal is reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stalled", description=__doc__)
    parser.add_argument("--clients", type=int, default=1000, metavar="N", help="that stall (default %(default)s)")
    parser.add_argument("--sent", type=int, default=50_000, metavar="BYTES", help="by each (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    build = Path(__file__).parents[1] / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".stalled-", dir=build) as name:
        about = report.machine(Path(name))
        print("\n".join(f"{what}: {value}" for what, value in about.items()), flush=True)
        with serving(Path(name) / "data", body_idle=3600) as served:
            figures = list(measured(served, asked.clients, asked.sent))
    print(report.table(figures))
    if asked.json is not None:
        asked.json.write_text(report.as_json(figures, about), encoding="utf-8")
    return 0 if all(figure.met in {None, True} for figure in figures) else 1


def measured(served: Served, count: int, sent: int) -> Iterator[Figure]:
    """Have so many clients send so many bytes each and fall silent; what that does to others and to memory."""
    _ask(served.port, "POST", f"{OTHER}-1", {"Content-Type": "application/octet-stream"}, b"other")
    with contextlib.ExitStack() as lines:
        paths = [_begin(served.port) for _ in range(count)]
        before = served.server.memory
        with probing(served.port, OTHER) as asked:
            began = time.perf_counter()
            for path in paths:
                _stall(lines.enter_context(contextlib.closing(Line(served.port))), path, sent)
            time.sleep(2)  # a second after the last byte of each it is made to last
            at_rest = time.perf_counter()
            time.sleep(REST)
        coming = [took for at, took in asked if began <= at < at_rest]
        resting = [took for at, took in asked if at >= at_rest]
        growth = served.server.memory - before
        yield _head(f"HEAD p99 while {count} clients come and stall", coming)
        yield _head(f"HEAD p99 while {count} clients are silent", resting)
        yield Figure(
            measure=f"memory that {count} silent clients take",
            value=growth / MIB,
            unit="MiB",
            note=f"{growth / count / 1024:.1f} KiB each; {before / MIB:.0f} MiB before",
        )
        began = time.perf_counter()
        offsets = [_offset(served.port, path) for path in paths]
        yield Figure(
            measure="bytes lost of those they brought",
            value=float(sum(sent - offset for offset in offsets)),
            unit="bytes",
            goal=0.0,
            note=f"all of them taken over in {time.perf_counter() - began:.1f} s",
        )


def _head(measure: str, took: Sequence[float]) -> Figure:
    median, longest = percentile(took, 0.5) * 1000, max(took) * 1000
    return Figure(
        measure=measure,
        value=percentile(took, 0.99) * 1000,
        unit="ms",
        goal=HEAD_P99,
        note=f"median {median:.1f}, longest {longest:.0f}, {len(took)} asked",
    )


def _begin(port: int) -> str:
    """The path of a new upload."""
    location = _ask(port, "POST", "/files", {**SAID, "Upload-Length": str(LENGTH)})["location"]
    return location.partition(f"{HOST}:{port}")[2]


def _stall(line: Line, path: str, sent: int) -> None:
    headers = {
        **SAID,
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(LENGTH),
    }
    line.send("PATCH", path, headers, more=True)
    line.send_bytes(b"x" * sent)


def _offset(port: int, path: str) -> int:
    return int(_ask(port, "HEAD", path, SAID)["upload-offset"])


def _ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> dict[str, str]:
    with contextlib.closing(HTTPConnection(HOST, port, timeout=60)) as connection:
        connection.request(method, path, body, headers)
        return {name.lower(): value for name, value in connection.getresponse().getheaders()}


if __name__ == "__main__":
    sys.exit(main())
