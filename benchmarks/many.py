"""Large numbers: the status of an upload of 10 000 chunks, and a start over 100 000 uploads."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import random
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.figures import MIB, Figure
from benchmarks.processes import Served, serving
from benchmarks.transfer import warm_up
from benchmarks.wire import Line
from onward import config, worker
from onward.config import Settings
from onward.core.types import (
    AnyEvent,
    ClientName,
    Created,
    Declaration,
    Digest,
    Failed,
    Layout,
    Number,
    Policy,
    Published,
    Sealed,
    Spec,
    Store,
    Stored,
    UploadId,
    make_id,
)
from onward.engine.engine import Engine
from onward.engine.intake import Bytes
from onward.journal.sqlite import SqliteJournal
from onward.ports import Caller

CHUNKS: Final = 10_000
UPLOADS: Final = 100_000
STATUS: Final = 20.0
START: Final = 5.0
_ASKED: Final = 50
_TOGETHER: Final = 500
_PART: Final = 64
_NAME: Final = "many.bin"
_DAY: Final = 86_400.0


def status(folder: Path, chunks: int = CHUNKS) -> Iterator[Figure]:
    """Store that many chunks through the engine, then ask a fresh server how the upload stands."""
    data = folder / "status"
    try:
        asyncio.run(_store_all(data, chunks))
        with serving(data) as served, contextlib.closing(Line(served.port)) as line:
            warm_up(line)  # a worker that is still starting takes processor time
            yield from _asked(line, served, chunks)
            yield Figure(
                measure="peak memory of the server, status", value=served.server.peak_memory / MIB, unit="MiB", goal=120
            )
    finally:
        shutil.rmtree(data, ignore_errors=True)


def _asked(line: Line, served: Served, chunks: int) -> Iterator[Figure]:
    cold, body = _timed(line, "GET", f"/upload/{_NAME}")
    found = json.loads(body)
    if found["offset"] != chunks * _PART or len(found["chunks"]) != chunks:
        raise ValueError("the status is not that of the upload")
    cpu = served.server.cpu
    warm = [_timed(line, "GET", f"/upload/{_NAME}")[0] for _ in range(_ASKED)]
    cpu = (served.server.cpu - cpu) * 1000 / _ASKED
    heads = [_timed(line, "HEAD", f"/upload/{_NAME}")[0] for _ in range(_ASKED)]
    goal = STATUS if chunks == CHUNKS else None
    size = f"{len(body) / MIB:.1f} MiB of JSON; server's CPU {cpu:.0f} ms each"
    yield Figure(measure=f"status of {chunks} chunks", value=statistics.median(warm), unit="ms", goal=goal, note=size)
    yield Figure(
        measure="the first status after a start",
        value=cold,
        unit="ms",
        goal=goal,
        note="the journal is read and folded",
    )
    yield Figure(measure="the same by HEAD", value=statistics.median(heads), unit="ms", goal=goal)


async def _store_all(data: Path, chunks: int) -> None:
    settings = Settings(data=data, durability="none")
    async with worker.open_jobs(settings) as jobs, config.open_engine(settings, jobs=jobs) as engine:
        numbers = list(range(1, chunks + 1))
        random.Random(1).shuffle(numbers)
        turn = iter(numbers)
        await asyncio.gather(*(_store_some(engine, turn) for _ in range(16)))


async def _store_some(engine: Engine, numbers: Iterator[int]) -> None:
    declared = Declaration(part_size=_PART)
    for number in numbers:
        body = number.to_bytes(8, "big") * (_PART // 8)
        digest = Digest("sha-256", hashlib.sha256(body).digest())
        place = Number(number)
        command = Store(target=ClientName(None, _NAME), at=place, size=_PART, digests=(digest,), declared=declared)
        await engine.run(command, Caller(), Bytes(body))


def start(folder: Path, uploads: int = UPLOADS) -> Iterator[Figure]:
    """Fill a journal with finished, failed and unfinished uploads; start a server over it."""
    data = folder / "start"
    try:
        empty = Served(folder / "empty")
        try:
            bare = empty.wait_for("/ready")
        finally:
            empty.stop()
        asyncio.run(fill(data, uploads))
        yield from _started(data, uploads, bare)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(folder / "empty", ignore_errors=True)


def _started(data: Path, uploads: int, bare: float) -> Iterator[Figure]:
    served = Served(data)
    try:
        healthy, ready = served.wait_for("/health"), served.wait_for("/ready")
        while not served.server.children:
            time.sleep(0.01)
        with contextlib.closing(Line(served.port)) as line:
            _, body = _timed(line, "GET", "/uploads?limit=200")
            if len(json.loads(body)["uploads"]) != min(200, uploads):
                raise ValueError("the list is not that of the uploads")
            lists = [_timed(line, "GET", "/uploads?limit=200")[0] for _ in range(_ASKED)]
            time.sleep(2)  # the worker sweeps when it has started
            memory = served.server.peak_memory, served.worker.peak_memory
    finally:
        served.stop()
    yield Figure(
        measure=f"start with {uploads} uploads",
        value=ready,
        unit="s",
        goal=START if uploads == UPLOADS else None,
        note=f"`/ready`; `/health` after {healthy:.2f} s; with none {bare:.2f} s",
    )
    yield Figure(measure="the newest 200 of them listed", value=statistics.median(lists), unit="ms")
    yield Figure(measure="peak memory of the server, start", value=memory[0] / MIB, unit="MiB", goal=120)
    yield Figure(measure="peak memory of the worker, start", value=memory[1] / MIB, unit="MiB", goal=100)


async def fill(data: Path, uploads: int, *, every_is_open: bool = False) -> list[UploadId]:
    """Write the journal of so many uploads; their ids."""
    journal = SqliteJournal(data / "onward.db", full_sync=False)
    chance, now = random.Random(1), time.time()
    ids: list[UploadId] = []
    try:
        for first in range(0, uploads, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, uploads))
            ids += await asyncio.gather(
                *(_create(journal, 0 if every_is_open else number, number, chance, now) for number in numbers)
            )
    finally:
        await journal.close()
    return ids


async def _create(journal: SqliteJournal, kind: int, number: int, chance: random.Random, now: float) -> UploadId:
    id = make_id(chance.randbytes(16))
    name = ClientName(None, f"film {number}.mkv")
    got = await journal.create(
        id,
        _life(id, name, chance, kind),
        at=now - chance.uniform(0, 6) * _DAY,
        name=name,
        replaces=None,
        key=None,
        sync=False,
    )
    if got != id:
        raise ValueError(f"{name.name} is there already")
    return id


def _life(id: UploadId, name: ClientName, chance: random.Random, kind: int) -> Sequence[AnyEvent]:
    """Of fifty uploads one is unfinished, one has failed, the others are done."""
    whole = Digest("sha-256", chance.randbytes(32))
    spec = Spec(name=name, declared=Declaration(layout=Layout.FLAT, part_size=8 * MIB, length=8 * MIB))
    begun = Created(id=id, spec=spec, policy=Policy())
    if kind % 50 == 0:
        return [begun, Stored(key=0, size=MIB, digest=whole)]
    stored, sealed = Stored(key=0, size=8 * MIB, digest=whole), Sealed(length=8 * MIB, parts=1)
    if kind % 50 == 1:
        return [begun, stored, sealed, Failed(code="digest-mismatch")]
    return [begun, stored, sealed, Published(ref=name.name, size=8 * MIB, digest=whole)]


def _timed(line: Line, method: str, path: str) -> tuple[float, bytes]:
    """Milliseconds until the whole answer has come, and its body. Raises unless it is 200."""
    began = time.perf_counter()
    code, body = line.ask(method, path)
    took = (time.perf_counter() - began) * 1000
    if code != 200:
        raise RuntimeError(f"{method} {path} was answered with {code}")
    return took, body
