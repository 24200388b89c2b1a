"""P-3 and P-4: requests in which next to no bytes move, so that what a request costs is all there is."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.contest import ACK, NODE, NOTHING, OURS, Contestant, Setting, contestants, in_turn, ratios
from benchmarks.figures import MIB, Figure, percentile
from benchmarks.hammer import Hammered, agreeing, hammer
from benchmarks.processes import Served
from onward.config import JOURNAL

CONNECTIONS: Final = 16
SIZE: Final = 1024
SECONDS: Final = 2.0
_DIFFERENT: Final = 64


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one server did in one run."""

    rate: float
    cpu: float
    """Seconds for 1 000 requests."""
    memory: float
    sender: float
    """The sender's share of one core."""
    published: int = 0
    latencies: Sequence[float] = ()


def create(setting: Setting) -> Iterator[Figure]:
    """P-3: files of 1 KiB, each by one request that creates it and brings its bytes."""
    bodies = [os.urandom(SIZE) for _ in range(_DIFFERENT)]
    requests = [creation(body) for body in bodies]
    yield ceiling(requests)
    goals: dict[str, tuple[float | None, str]] = {OURS: (9000, "none"), ACK: (2500, "ack")}
    for place, folder in setting.places.items():
        names = [OURS, ACK, NODE, NOTHING]

        def once(name: str, folder: Path = folder) -> Run:
            return _create(setting, folder, name, bodies, requests)

        runs: dict[str, list[Run]] = {name: [] for name in names if name != NODE or NODE in setting.peers.commands}
        for _ in range(setting.repeat):
            for name, of in runs.items():
                of.append(once(name))
        for name, of in runs.items():
            yield _row(f"{name}, {place}", of, goals.get(name, (None, ""))[0])
        yield from _ratio(runs, NODE, place, 5.0)
        yield from _ratio(runs, NOTHING, place, None)


def look(setting: Setting) -> Iterator[Figure]:
    """P-4: HEAD of an upload in progress, as fast as it is answered and then at half that pace."""
    names = [OURS, NODE, NOTHING]
    with contestants(names, setting.folder, setting.peers, settings={"workers": cores()}) as who:
        requests = {one.name: questions(one) for one in who}
        yield ceiling(requests[OURS])
        runs = in_turn(setting.repeat, who, lambda one: _look(one, requests[one.name]))
        for name, of in runs.items():
            yield _row(name, of, 12_000 if name == OURS else None)
        yield from _ratio(runs, NODE, "disk", None)
        yield from _ratio(runs, NOTHING, "disk", None)
        half = median(run.rate for run in runs[OURS]) / 2
        ours = next(one for one in who if one.name == OURS)
        paced = [hammered(ours, requests[OURS], 200, pace=half) for _ in range(setting.repeat)]
    yield Figure(
        measure=f"HEAD p99 at {half:.0f}/s",
        value=median(percentile(one.latencies, 0.99) for one in paced) * 1000,
        unit="ms",
        goal=5,
        note=f"median {median(percentile(one.latencies, 0.5) for one in paced) * 1000:.2f}",
    )


def ceiling(requests: Sequence[bytes]) -> Figure:
    """What the sender itself is able to do, against a process that says yes to everything."""
    with agreeing() as port:
        done = hammer(requests, port=port, seconds=SECONDS, connections=CONNECTIONS, status=200)
    return Figure(
        measure="the sender alone, yes to everything",
        value=done.answered / done.seconds,
        unit="/s",
        more_is_better=True,
        note=f"sender's CPU {done.cpu / done.answered * 1e6:.0f} us each",
    )


def cores() -> int:
    """How many there are for us."""
    return len(os.sched_getaffinity(0))


def creation(body: bytes) -> bytes:
    """A request that creates an upload and brings all of it."""
    head = (
        "POST /files HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n"
        f"Upload-Length: {len(body)}\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/offset+octet-stream\r\n\r\n"
    )
    return head.encode() + body


def _create(setting: Setting, folder: Path, name: str, bodies: Sequence[bytes], requests: Sequence[bytes]) -> Run:
    """One run against a server that has nothing yet; every file that it then has is looked at."""
    with contestants([name], folder, setting.peers, settings={"workers": cores()}) as (one,):
        hammered(one, requests, 201, seconds=0.3)
        cpu = one.started.cpu
        done = hammered(one, requests, 201)
        run = _run(one, done, cpu, published=_published(one))
        one.started.stop()
        if name != NOTHING:
            _prove(one, bodies, done.answered)
    return run


def _published(one: Contestant) -> int:
    return sum(1 for _ in one.started.files.rglob("file")) if isinstance(one.started, Served) else 0


def _prove(one: Contestant, bodies: Sequence[bytes], least: int) -> None:
    """Each stored file is one of those that were sent, and there are no fewer of each than were answered."""
    wanted = {hashlib.sha256(body).digest() for body in bodies}
    ours = isinstance(one.started, Served)
    enclosed = _enclosed(one.started.data) if ours else {}
    found = Counter(hashlib.sha256(data).digest() for data in enclosed.values())
    seen: set[int] = set()
    for path in one.started.data.rglob("*"):
        is_data = path.name in {"data", "file"} if ours else path.suffix == ""
        if not is_data or path.parent.name in enclosed or not path.is_file() or (inode := path.stat().st_ino) in seen:
            continue
        seen.add(inode)
        found[hashlib.sha256(path.read_bytes()).digest()] += 1
    if set(found) - wanted or sum(found.values()) < least:
        raise ValueError(f"{one.name} has {sum(found.values())} files, and not only those that were sent")


def _enclosed(data: Path) -> dict[str, bytes]:
    """What the worker has not come to yet, by the id of the upload."""
    with contextlib.closing(sqlite3.connect(data / JOURNAL)) as journal:
        return dict(journal.execute("SELECT id, bytes FROM enclosed JOIN events USING (seq)"))


def questions(one: Contestant) -> list[bytes]:
    """Requests that ask how uploads stand, each about another one."""
    if one.name == NOTHING:
        return [b"HEAD /files HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
    begun = [one.begin(0, MIB).ask.path for _ in range(CONNECTIONS)]
    return [f"HEAD {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n\r\n".encode() for path in begun]


def _look(one: Contestant, requests: Sequence[bytes]) -> Run:
    cpu = one.started.cpu
    return _run(one, hammered(one, requests, 200), cpu)


def hammered(
    one: Contestant, requests: Sequence[bytes], status: int, *, seconds: float = SECONDS, pace: float = 0.0
) -> Hammered:
    """Send them to a server, by as many connections as all runs here use."""
    return hammer(requests, port=one.started.port, seconds=seconds, connections=CONNECTIONS, status=status, pace=pace)


def _run(one: Contestant, done: Hammered, cpu: float, published: int = 0) -> Run:
    return Run(
        rate=done.answered / done.seconds,
        cpu=(one.started.cpu - cpu) / done.answered * 1000,
        memory=one.started.peak_memory / MIB,
        sender=done.cpu / done.seconds,
        published=published,
        latencies=done.latencies,
    )


def _row(measure: str, runs: Sequence[Run], goal: float | None) -> Figure:
    took = [one for run in runs for one in run.latencies]
    published = f"; {median(run.published for run in runs):.0f} published meanwhile" if measure.startswith(OURS) else ""
    return Figure(
        measure=measure,
        value=median(run.rate for run in runs),
        least=min(run.rate for run in runs),
        most=max(run.rate for run in runs),
        unit="/s",
        goal=goal,
        more_is_better=True,
        cpu=median(run.cpu for run in runs),
        memory=max(run.memory for run in runs),
        note=f"p50 {percentile(took, 0.5) * 1000:.1f} ms, p99 {percentile(took, 0.99) * 1000:.1f} ms; "
        f"sender {median(run.sender for run in runs):.2f} core{published}",
    )


def _ratio(runs: dict[str, list[Run]], other: str, place: str, goal: float | None) -> Iterator[Figure]:
    if other in runs:
        each = ratios([run.rate for run in runs[OURS]], [run.rate for run in runs[other]])
        yield Figure(
            measure=f"{OURS} / {other}, {place}",
            value=median(each),
            least=min(each),
            most=max(each),
            unit="x",
            goal=goal,
            more_is_better=True,
        )
