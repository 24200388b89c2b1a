"""How long a newcomer waits for an upload whose old request hangs: ``python -m benchmarks.hand_over``.

A client opens a ``PATCH``, sends part of the body and falls silent; a moment later, before what it
sent has been recorded, somebody else asks with ``HEAD``, ``PATCH`` or ``DELETE``: of the same process,
or of another one over the same data. What is timed is the newcomer's whole exchange, its connection
included. Each offset that is told must count every byte that the old request brought.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.figures import Figure, percentile
from benchmarks.processes import Served, serving
from benchmarks.wire import HOST, Line

SENT: Final = 300_000
LENGTH: Final = 10_000_000
SETTLE: Final = 0.02
"""Seconds from the last byte of the old request to the newcomer; a segment is recorded after 1 s of silence."""
GOALS: Final = {"one process": 250.0, "two processes": 1000.0}
METHODS: Final = ("HEAD", "PATCH", "DELETE")

DIALECTS: Final[Mapping[str, tuple[Mapping[str, str], Mapping[str, str]]]] = {
    "tus": (
        {"Tus-Resumable": "1.0.0"},
        {"Content-Type": "application/offset+octet-stream"},
    ),
    "draft": (
        {"Upload-Draft-Interop-Version": "8"},
        {"Content-Type": "application/partial-upload", "Upload-Complete": "?0"},
    ),
}
"""Headers of every request, and those that a ``PATCH`` has beside them."""


def main() -> int:
    """Measure and print; 0 if every goal is reached."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hand_over", description=__doc__)
    parser.add_argument("--tries", type=int, default=100, metavar="N", help="of each kind (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    asked = parser.parse_args()
    build = Path(__file__).parents[1] / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".hand-over-", dir=build) as name:
        about = report.machine(Path(name))
        print("\n".join(f"{what}: {value}" for what, value in about.items()), flush=True)
        figures = list(_measured(Path(name), asked.tries))
    print(report.table(figures))
    if asked.json is not None:
        asked.json.write_text(report.as_json(figures, about), encoding="utf-8")
    return 0 if all(figure.met for figure in figures) else 1


def _measured(folder: Path, tries: int) -> Iterator[Figure]:
    with serving(folder / "data") as one, serving(folder / "data") as other:
        for where, (old, new) in {"one process": (one, one), "two processes": (one, other)}.items():
            for dialect in DIALECTS:
                for method in METHODS:
                    took = [_hand_over(old, new, dialect, method) for _ in range(tries)]
                    median, longest = percentile(took, 0.5) * 1000, max(took) * 1000
                    yield Figure(
                        measure=f"{method} takes over, {dialect}, {where}, p99",
                        value=percentile(took, 0.99) * 1000,
                        unit="ms",
                        goal=GOALS[where],
                        note=f"median {median:.1f}, longest {longest:.0f}, {tries} tries",
                    )


def _hand_over(old: Served, new: Served, dialect: str, method: str) -> float:
    """Seconds that the newcomer's exchange took. Raises if a byte was lost on the way."""
    said, of_patch = DIALECTS[dialect]
    body = secrets.token_bytes(SENT)
    path = _begin(old.port, said)
    with contextlib.closing(Line(old.port)) as hanging:
        rest = str(LENGTH)
        hanging.send("PATCH", path, {**said, **of_patch, "Upload-Offset": "0", "Content-Length": rest}, more=True)
        hanging.send_bytes(body)
        time.sleep(SETTLE)
        while _unread(old.port):
            time.sleep(0.001)
        began = time.perf_counter()
        with contextlib.closing(Line(new.port)) as newcomer:
            headers = dict(said)
            if method == "PATCH":
                headers |= {**of_patch, "Upload-Offset": str(SENT), "Content-Length": "1000"}
            newcomer.send(method, path, headers, more=method == "PATCH")
            if method == "PATCH":
                newcomer.send_bytes(body[:1000])
            status = 0
            while status < 200:  # a 104 may come first
                status, _ = newcomer.answer(bare=method == "HEAD")
            took = time.perf_counter() - began
    if status not in {200, 204}:
        raise RuntimeError(f"{method} was answered with {status}")
    stands_at = _offset(new.port, path, said)
    if stands_at != {"HEAD": SENT, "PATCH": SENT + 1000, "DELETE": None}[method]:
        raise RuntimeError(f"after {method} the upload stands at {stands_at}")
    return took


def _unread(port: int) -> bool:
    """Whether bytes wait in the kernel that were sent to the server and not yet read by it."""
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        local, remote = (int(fields[n].partition(":")[2], 16) for n in (1, 2))
        sending, receiving = (int(size, 16) for size in fields[4].split(":"))
        if (remote == port and sending) or (local == port and receiving and fields[3] == "01"):
            return True
    return False


def _begin(port: int, said: Mapping[str, str]) -> str:
    """The path of a new upload."""
    headers = {**said, "Upload-Length": str(LENGTH), "Content-Length": "0"}
    if "Tus-Resumable" not in said:
        headers["Upload-Complete"] = "?0"
    return _ask(port, "POST", "/files", headers)["location"].partition(f"{HOST}:{port}")[2] or "/"


def _offset(port: int, path: str, said: Mapping[str, str]) -> int | None:
    told = _ask(port, "HEAD", path, said).get("upload-offset")
    return None if told is None else int(told)


def _ask(port: int, method: str, path: str, headers: Mapping[str, str]) -> dict[str, str]:
    connection = HTTPConnection(HOST, port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers))
        return {name.lower(): value for name, value in connection.getresponse().getheaders()}


if __name__ == "__main__":
    sys.exit(main())
