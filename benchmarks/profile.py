"""Where time goes, the worker's for P-6: py-spy if it is there, else cProfile on the server's event loop alone."""

from __future__ import annotations

import io
import os
import pstats
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import growth, small, streams
from benchmarks.contest import OURS, Contestant, Setting, contestants
from benchmarks.pieces import publish, store_chunks
from benchmarks.processes import Served

SECONDS: Final = 6.0
STARTS: Final = 3
START: Final = "P-9"
OF_WORKER: Final = {"P-6"}
"""Where it is the worker's time that counts."""
NO_TIME: Final = {"P-7": "memory is no matter of time; see the table that it prints, or tracemalloc"}
RATE: Final = 250
TOP: Final = 25
_IDLE: Final = (
    "_wait_for_end (onward/server/child.py",
    "_worker (concurrent/",
    "Condition.wait (",
    "Popen._try_wait (",
    "Writer._run (",
    "EpollSelector.select (",
)
"""Where threads wait: the sampler cannot always tell a lock that is waited for from work."""

Load = Callable[[Contestant], Callable[[], object]]
"""Makes ready what is asked again and again."""

LAYERS: Final = (
    ("onward/journal", "journal (SQLite)"),
    ("onward/broker", "queue"),
    ("onward/storage", "storage: read, write, sync"),
    ("onward/core/digest", "storage: SHA-256"),
    ("onward/locks", "locks"),
    ("onward/engine", "engine"),
    ("onward/core", "core: fold and decide"),
    ("onward/wire", "dialects"),
    ("onward/web", "web"),
    ("onward/server", "connection"),
    ("onward/", "other of Onward"),
    ("uvicorn/", "uvicorn"),
    ("litestar/", "Litestar"),
    ("anyio/", "anyio"),
    ("asyncio/", "event loop"),
    ("concurrent/", "threads"),
    ("threading", "threads"),
)
"""A sample belongs to the layer of its innermost frame that is in the list: what a layer calls is its own cost."""


def profiled(name: str, setting: Setting) -> str:
    """Load our server as the goal ``name`` does, and tell the shares. Raises ``KeyError`` for what is no load."""
    if name in NO_TIME:
        return f"{name}: {NO_TIME[name]}"
    if name == START and setting.peers.profiler is not None:
        return _profiled_start(name, setting, setting.peers.profiler)
    load = _loads(setting)[name]
    if setting.peers.profiler is None:
        if name in OF_WORKER or name == START:
            return f"{name}: without py-spy there is nothing that sees all threads of that process"
        return _profiled_from_inside(name, setting, load)
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        run = load(ours)
        run()
        seen = ours.served.worker if name in OF_WORKER else ours.started.server
        out = setting.folder / "profile.txt"
        command = [*_recording(setting.peers.profiler, out), "--pid", str(seen.pid), "--duration", "600"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as recorder:
            _repeat(run)
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=60)
        if not out.exists():
            raise RuntimeError(f"py-spy has recorded nothing: {said.decode(errors='replace')}")
        return _told(name, out)


def _recording(profiler: Path, out: Path) -> list[str]:
    return [str(profiler), "record", "--format", "raw", "--output", str(out), "--threads", "--rate", str(RATE)]


def _profiled_start(name: str, setting: Setting, profiler: Path) -> str:
    """A server from its first instruction to its first answer, several times; by the module that was loaded."""
    data, shares = setting.folder / "started", Counter[str]()
    for number in range(STARTS):
        out = setting.folder / f"start-{number}.txt"
        served = Served(data, python=(*_recording(profiler, out), "--", sys.executable), durability="none")
        try:
            served.wait_for("/health")
            os.kill(served.server.pid, signal.SIGINT)  # py-spy's, which then writes, and ends what it has started
            while not (out.exists() and out.stat().st_size):
                time.sleep(0.05)
        finally:
            served.stop()
        for frames, samples in _samples(out):
            shares[_loaded(frames)] += samples
    shutil.rmtree(data, ignore_errors=True)
    return "\n".join([f"{name}: {shares.total()} samples of {STARTS} starts", *_lines("by what was loaded", shares)])


def _loaded(frames: list[str]) -> str:
    """The distribution, or the part of Onward, whose module was being executed; else what was being done."""
    for frame in reversed(frames):
        place = frame.rpartition("(")[2]
        if frame.startswith("<module>") and not place.startswith("<"):
            path = place.rpartition("site-packages/")[2].rpartition("src/")[2]
            return "/".join(path.split("/")[: 2 if path.startswith("onward/") else 1]).partition(":")[0]
    return "no module"


def _profiled_from_inside(name: str, setting: Setting, load: Load) -> str:
    """The event loop's thread alone, slowed down by being watched, but without anything to install."""
    data, out = setting.folder / "profiled", setting.folder / "profile.bin"
    served = Served(data, python=(sys.executable, "-m", "cProfile", "-o", str(out)), durability="none")
    try:
        served.wait_for_all()
        _repeat(load(Contestant(OURS, served)))
    finally:
        served.stop()
        shutil.rmtree(data, ignore_errors=True)
    told = io.StringIO()
    pstats.Stats(str(out), stream=told).strip_dirs().sort_stats("tottime").print_stats(TOP)
    return f"{name}: the event loop, by cProfile\n{told.getvalue()}"


def _repeat(run: Callable[[], object]) -> None:
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        run()


def _loads(setting: Setting) -> dict[str, Load]:
    bodies = [os.urandom(small.SIZE) for _ in range(16)]

    def creating(one: Contestant) -> Callable[[], object]:
        return lambda: small.hammered(one, [small.creation(body) for body in bodies], 201)

    def looking(one: Contestant) -> Callable[[], object]:
        questions = small.questions(one)
        return lambda: small.hammered(one, questions, 200)

    return {
        "P-1": lambda one: lambda: streams.send(setting, one, 1),
        "P-2": lambda one: lambda: streams.send(setting, one, streams.PARALLEL),
        "P-3": creating,
        "P-4": looking,
        "P-5": lambda one: lambda: store_chunks(setting, one, f"p-{time.monotonic_ns()}", "raw"),
        "P-6": lambda one: lambda: publish(setting, one, f"p-{time.monotonic_ns()}"),
        "P-8": lambda one: lambda: growth.store_small(one, f"p-{time.monotonic_ns()}", growth.CHUNKS // 10),
    }


def _told(name: str, out: Path) -> str:
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    for frames, samples in _samples(out):
        threads[frames[0]] += samples
        layers[_layer(frames)] += samples
        functions[frames[-1].rpartition("site-packages/")[2].rpartition("src/")[2]] += samples
    lines = [f"{name}: {layers.total()} samples of busy threads"]
    for title, shares in (("by layer", layers), ("by thread", threads), ("by function", functions)):
        lines += _lines(title, shares)
    return "\n".join(lines)


def _lines(title: str, shares: Counter[str]) -> Iterator[str]:
    yield f"  {title}"
    for what, samples in shares.most_common(TOP):
        yield f"    {samples / (shares.total() or 1):6.1%}  {what}"


def _samples(out: Path) -> Iterator[tuple[list[str], int]]:
    for line in out.read_text(encoding="utf-8").splitlines():
        stack, _, samples = line.rpartition(" ")
        frames = [frame for frame in stack.split(";") if frame]
        if frames and not frames[-1].startswith(_IDLE):
            yield frames, int(samples)


def _layer(frames: list[str]) -> str:
    for frame in reversed(frames):
        for part, layer in LAYERS:
            if part in frame:
                return layer
    return "other"
