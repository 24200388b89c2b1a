"""P-8 and P-9: what many chunks and many uploads do to the cost of one, and to a start after a `kill -9`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.contest import OURS, Contestant, Setting, contestants, ratios
from benchmarks.figures import MIB, Figure, percentile
from benchmarks.hammer import hammer
from benchmarks.many import UPLOADS, fill
from benchmarks.processes import PATIENCE, Served
from benchmarks.wire import HOST, Line

CHUNKS: Final = 10_000
FEW: Final = 10
SIZE: Final = 1024
CONNECTIONS: Final = 8
ROUNDS: Final = 3
OPEN: Final = 10_000
_DAY: Final = 86_400.0


def growth(setting: Setting) -> Iterator[Figure]:
    """P-8: chunks of one long upload beside those of many short ones; questions beside 100 000 uploads."""
    yield from _chunks(setting, CHUNKS // 10 if setting.quick else CHUNKS)
    yield from _uploads(setting, UPLOADS // 10 if setting.quick else UPLOADS)


def _chunks(setting: Setting, total: int) -> Iterator[Figure]:
    long, short = f"{total} chunks of one upload", f"{total} chunks of {total // FEW} uploads"
    took: dict[str, list[float]] = {long: [], short: []}
    cpu: dict[str, list[float]] = {long: [], short: []}
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        for turn in range(min(ROUNDS, setting.repeat)):
            for name, each in ((long, total), (short, FEW)):
                names = [f"{turn}-{each}-{number}.bin" for number in range(total // each)]
                _declare(ours, names, each)
                used = ours.started.cpu
                requests = [_chunk(name, number) for name in names for number in range(1, each + 1)]
                done = hammer(requests, port=ours.started.port, connections=CONNECTIONS, status=201, once=True)
                took[name].append(done.seconds / total * 1000)
                cpu[name].append((ours.started.cpu - used) / total * 1000)
                _prove(ours, names, each)
        memory = ours.started.peak_memory / MIB
    for name, of in took.items():
        yield Figure(
            measure=name,
            value=median(of),
            least=min(of),
            most=max(of),
            unit="ms each",
            cpu=median(cpu[name]) * 1000,
            memory=memory,
        )
    for measure, both in (("cost of a chunk, one upload / many", cpu), ("time of a chunk, one upload / many", took)):
        each_round = ratios(both[long], both[short])
        yield Figure(
            measure=measure,
            value=median(each_round),
            least=min(each_round),
            most=max(each_round),
            unit="x",
            goal=1.2,
            note="processor time" if both is cpu else f"{CONNECTIONS} connections",
        )


def store_small(ours: Contestant, name: str, chunks: int) -> None:
    """Have so many small chunks of one upload stored."""
    _declare(ours, [name], chunks)
    requests = [_chunk(name, number) for number in range(1, chunks + 1)]
    hammer(requests, port=ours.started.port, connections=CONNECTIONS, status=201, once=True)


def _bytes(name: str, number: int) -> bytes:
    return hashlib.sha256(f"{name} {number}".encode()).digest() * (SIZE // 32)


def _chunk(name: str, number: int) -> bytes:
    body = _bytes(name, number)
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    head = (
        f"POST /upload/{name}-{number} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Digest: sha-256=:{digest}:\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _declare(ours: Contestant, names: Sequence[str], chunks: int) -> None:
    with contextlib.closing(Line(ours.started.port)) as line:
        for name in names:
            order = {"name": name, "size": SIZE * chunks, "chunk_size": SIZE}
            status, body = line.ask("POST", "/upload", json.dumps(order).encode())
            if status != 201:
                raise RuntimeError(f"{name} is not declared: {status} {body[:200]!r}")


def _prove(ours: Contestant, names: Sequence[str], chunks: int) -> None:
    """Hold what is stored against what was sent; then nothing of it is needed any more."""
    wanted = {
        hashlib.sha256(b"".join(_bytes(name, number) for number in range(1, chunks + 1))).digest() for name in names
    }
    found = {hashlib.sha256(path.read_bytes()).digest() for path in ours.started.data.glob("uploads/*/*/data")}
    if wanted - found:
        raise ValueError(f"{len(wanted - found)} uploads are not what was sent")


# -- many uploads -------------------------------------------------------------------------------------


def _uploads(setting: Setting, uploads: int) -> Iterator[Figure]:
    """HEAD at a set pace while lists are asked for and old uploads expire: with none, and with many."""
    template = setting.folder / "filled"
    asyncio.run(fill(template, uploads))
    took: dict[int, list[Sequence[float]]] = {0: [], uploads: []}
    expired = 0
    try:
        for _ in range(min(ROUNDS, setting.repeat)):
            for number, latencies in took.items():
                data = setting.folder / "listed"
                if number:
                    shutil.copytree(template, data)
                found, gone = _asked(data)
                latencies.append(found)
                expired += gone
                shutil.rmtree(data)
    finally:
        shutil.rmtree(template)
    for number, of in took.items():
        yield Figure(
            measure=f"HEAD beside {number} uploads that are listed and expire",
            value=median(percentile(one, 0.5) for one in of) * 1000,
            unit="ms",
            note=f"p99 {median(percentile(one, 0.99) for one in of) * 1000:.1f} ms"
            + (f"; {expired // len(of)} expired meanwhile" if number else ""),
        )
    each = ratios(*([percentile(one, 0.5) for one in took[number]] for number in (uploads, 0)))
    yield Figure(
        measure=f"the median, {uploads} / none",
        value=median(each),
        least=min(each),
        most=max(each),
        unit="x",
        goal=1.2,
    )


def _asked(data: Path) -> tuple[Sequence[float], int]:
    """What questions took in the first seconds of a server, and how many uploads expired in them."""
    served = Served(data, durability="none", expire_after=3 * _DAY, sweep_every=1)
    ours = Contestant(OURS, served)
    stop = threading.Event()
    try:
        served.wait_for_all()
        head = f"HEAD {ours.begin(0, MIB).ask.path} HTTP/1.1\r\nHost: {HOST}\r\nTus-Resumable: 1.0.0\r\n\r\n".encode()
        lister = threading.Thread(target=_list, args=(served.port, stop))
        lister.start()
        done = hammer([head], port=served.port, seconds=4, connections=4, status=200, pace=200)
        stop.set()
        lister.join()
        with contextlib.closing(Line(served.port)) as line:
            gone = len(json.loads(line.ask("GET", "/uploads?state=expired&limit=200")[1])["uploads"])
    finally:
        stop.set()
        served.stop()
    return done.latencies, gone


def _list(port: int, stop: threading.Event) -> None:
    with contextlib.closing(Line(port)) as line:
        while not stop.wait(0.05):
            if line.ask("GET", "/uploads?limit=100")[0] != 200:
                raise RuntimeError("the list is refused")


# -- a start ------------------------------------------------------------------------------------------


def restart(setting: Setting) -> Iterator[Figure]:
    """P-9: the server is killed and started again; its first answer is about one of the open uploads."""
    data = setting.folder / "killed"
    opened = OPEN // 10 if setting.quick else OPEN
    ids = asyncio.run(fill(data, opened, every_is_open=True))
    took = []
    served = Served(data, durability="none")
    try:
        served.wait_for_all()
        for number in range(setting.repeat):
            served.kill()
            began = time.perf_counter()
            served = Served(data, durability="none")
            _first_answer(served, f"/upload/film%20{number * 7}.mkv")
            took.append(time.perf_counter() - began)
            served.wait_for_all()
        memory = served.peak_memory / MIB
    finally:
        served.stop()
        shutil.rmtree(data)
    yield Figure(
        measure=f"kill -9 to the first answer, {len(ids)} uploads open",
        value=median(took),
        least=min(took),
        most=max(took),
        unit="s",
        goal=1.5,
        memory=memory,
    )


def _first_answer(served: Served, path: str) -> None:
    while time.perf_counter() - served.began < PATIENCE:
        with contextlib.suppress(ConnectionError), contextlib.closing(Line(served.port)) as line:
            status, _ = line.ask("HEAD", path)
            if status != 200:
                raise RuntimeError(f"the open upload is answered with {status}")
            return
        time.sleep(0.005)
    raise RuntimeError("the server does not come back")
