"""A file in parallel chunks, stored, merged, verified: how fast, and what the processes take."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import load
from benchmarks.figures import GIB, MIB, Figure, percentile
from benchmarks.probe import probing
from benchmarks.processes import PATIENCE, Served, serving
from benchmarks.source import Source, check
from benchmarks.wire import Line

CONNECTIONS: Final = 16
INTAKE: Final = 350.0
INTAKE_ALWAYS: Final = 250.0
SERVER_MEMORY: Final = 120.0
WORKER_MEMORY: Final = 100.0
HEAD_P99: Final = 100.0
MERGE: Final = {"flat": 1.0, "numbered": 2.5}
"""Seconds for 1 GiB."""
_NAME: Final = "bench.bin"
_LOOK_EVERY: Final = 0.005


def transfer(source: Source, folder: Path, layout: str) -> Iterator[Figure]:
    """Store all chunks of the source, 16 at a time, complete, wait for the file and hold it against the source."""
    data = folder / layout
    try:
        with serving(data) as served:
            yield from _measured(source, served, layout)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _measured(source: Source, served: Served, layout: str) -> Iterator[Figure]:
    with contextlib.closing(Line(served.port)) as line:
        warm_up(line)
        _expect(line.ask("POST", "/upload", json.dumps({"name": _NAME, "size": source.size}).encode()), 201)
        cpu = served.server.cpu
        with probing(served.port, f"/upload/{_NAME}") as asked:
            asks = load.chunks(source, _NAME, flat=layout == "flat")
            sent = load.send(source.path, asks, port=served.port, connections=CONNECTIONS)
        cpu = served.server.cpu - cpu
        heads = [took for began, took in asked if 0 <= began - sent.began <= sent.seconds]
        yield from _intake(source, layout, sent, cpu)
        yield from _heads(layout, heads)
        cpu = served.worker.cpu
        order = {"total_chunks": source.chunks, "size": source.size, "sha256": source.sha256}
        seconds = complete(line, _NAME, order)
        check(served.files / _NAME, source)
        yield Figure(
            measure=f"verified merge, {layout}",
            value=seconds,
            unit="s",
            goal=MERGE[layout] if source.size == GIB else None,
            note=f"worker's CPU {(served.worker.cpu - cpu) * GIB / source.size:.2f} s/GiB; from `complete` to `done`",
        )
        for process, name, goal in (
            (served.server, "server", SERVER_MEMORY),
            (served.worker, "worker", WORKER_MEMORY),
        ):
            yield Figure(
                measure=f"peak memory of the {name}, {layout}", value=process.peak_memory / MIB, unit="MiB", goal=goal
            )


def _intake(source: Source, layout: str, sent: load.Sent, cpu: float) -> Iterator[Figure]:
    busy = source.chunks >= CONNECTIONS  # else some connections have nothing to send
    yield Figure(
        measure=f"intake, {layout}",
        value=source.size / MIB / sent.seconds,
        unit="MiB/s",
        goal=INTAKE if busy else None,
        bound=INTAKE_ALWAYS if busy else None,
        more_is_better=True,
        note=f"chunk p50 {percentile(sent.latencies, 0.5):.2f} s, p99 {percentile(sent.latencies, 0.99):.2f} s",
    )
    yield Figure(
        measure=f"server's CPU, {layout}",
        value=cpu * GIB / source.size,
        unit="s/GiB",
        note=f"sender's CPU {sent.cpu * GIB / source.size:.2f} s/GiB",
    )


def _heads(layout: str, took: Sequence[float]) -> Iterator[Figure]:
    """Nothing for a file that is stored before the first question is answered."""
    if took:
        yield Figure(
            measure=f"HEAD p99 meanwhile, {layout}",
            value=percentile(took, 0.99) * 1000,
            unit="ms",
            goal=HEAD_P99,
            note=f"median {percentile(took, 0.5) * 1000:.1f}, longest {max(took) * 1000:.0f}, {len(took)} asked",
        )


def warm_up(line: Line) -> None:
    """Have a small file published: then the worker is there, and both have loaded what they need."""
    _expect(line.ask("POST", "/upload/small.bin-1", b"small", "application/octet-stream"), 201)
    complete(line, "small.bin", {"total_chunks": 1})


def complete(line: Line, name: str, order: Mapping[str, object]) -> float:
    """Seconds from the request that seals to the answer that says done."""
    body = json.dumps({"file_unique_name": name, **order}).encode()
    began = time.perf_counter()
    _, body = _expect(line.ask("POST", "/upload/complete", body), 202)
    id = json.loads(body)["id"]
    while True:
        # The row of the list: one small answer, whatever the number of chunks.
        _, body = _expect(line.ask("GET", "/uploads?limit=1"), 200)
        row = json.loads(body)["uploads"][0]
        took = time.perf_counter() - began
        if row["id"] == id and row["state"] == "done":
            return took
        if row["state"] == "failed" or took > PATIENCE:
            raise RuntimeError(f"the file was not published: {row}")
        time.sleep(_LOOK_EVERY)


def _expect(answer: tuple[int, bytes], status: int) -> tuple[int, bytes]:
    if answer[0] != status:
        raise RuntimeError(f"{answer[0]} instead of {status}: {answer[1].decode(errors='replace')}")
    return answer
