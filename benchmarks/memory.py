"""P-7: what the processes hold in memory, empty and over a long upload."""

from __future__ import annotations

import contextlib
import resource
import shutil
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from benchmarks import load
from benchmarks.contest import OURS, TUS, Contestant, Setting, contestants
from benchmarks.figures import GIB, MIB, Figure
from benchmarks.processes import serving
from benchmarks.source import check_run
from benchmarks.stalled import measured
from benchmarks.wire import Line

BASE: Final = 75.0
LONG: Final = 16 * GIB
STALLED: Final = 2000
EACH_STALLED: Final = 64 / 1024
"""MiB."""
SENT: Final = 50_000
GROWTH: Final = 8.0
"""MiB by which a process may grow between the first GiB and the last: less than one more segment."""


def memory(setting: Setting) -> Iterator[Figure]:
    """The base of each process, and what many GiB of one upload add to it."""
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        for process, name in ((ours.started.server, "server"), (ours.served.worker, "worker")):
            yield Figure(measure=f"the {name} at rest", value=process.memory / MIB, unit="MiB", goal=BASE)
        size = 2 * setting.source.size if setting.quick else max(LONG, setting.source.size)
        yield from _long(setting, ours, size)
    yield from _stalled(setting)


def _stalled(setting: Setting) -> Iterator[Figure]:
    """Many uploads whose clients have fallen silent in the middle of a body."""
    count = STALLED // 10 if setting.quick else STALLED
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    data = setting.folder / "stalled"
    with serving(data, body_idle=3600) as served:
        for figure in measured(served, count, SENT):
            goal = count * EACH_STALLED if figure.unit == "MiB" else figure.goal
            yield replace(figure, goal=goal)
    shutil.rmtree(data)


def _long(setting: Setting, ours: Contestant, size: int) -> Iterator[Figure]:
    """The source again and again, each time as the next run of one upload that is never full."""
    source, path = setting.source, ours.begin(0, size + 1).ask.path
    held = []
    for start in range(0, size, source.size):
        ask = load.Ask(
            method="PATCH", path=path, start=0, size=source.size, headers=TUS | {"Upload-Offset": str(start)}
        )
        load.send(source.path, [ask], port=ours.started.port, connections=1)
        held.append(ours.started.peak_memory / MIB)
    key = path.rpartition("/")[2]
    stored = ours.started.data / "uploads" / key[:2] / key / "data"
    for start in range(0, size, source.size):
        check_run(stored, start, source)
    _cancel(ours, path)
    yield Figure(
        measure=f"growth of the server from {source.size / GIB:g} to {size / GIB:g} GiB",
        value=held[-1] - held[0],
        unit="MiB",
        goal=GROWTH,
        memory=held[-1],
    )


def _cancel(ours: Contestant, path: str) -> None:
    with contextlib.closing(Line(ours.started.port)) as line:
        line.send("DELETE", path, {"Tus-Resumable": TUS["Tus-Resumable"]})
        status, _ = line.answer()
    if status != 204:
        raise RuntimeError(f"the upload is not cancelled: {status}")
