"""Where the server's time goes: py-spy if it is there, else the standard library's profiler on the event loop alone."""

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

from benchmarks import small, streams
from benchmarks.contest import OURS, Contestant, Setting, contestants
from benchmarks.pieces import store_chunks
from benchmarks.processes import Served

SECONDS: Final = 6.0
RATE: Final = 250
TOP: Final = 25
_IDLE: Final = (
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
    ("onward/storage", "storage: write"),
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
    load = _loads(setting)[name]
    if setting.peers.profiler is None:
        return _profiled_from_inside(name, setting, load)
    with contestants([OURS], setting.folder, setting.peers) as (ours,):
        run = load(ours)
        run()
        out = setting.folder / "profile.txt"
        command = [str(setting.peers.profiler), "record", "--format", "raw", "--output", str(out), "--threads"]
        command += ["--rate", str(RATE), "--pid", str(ours.started.server.pid), "--duration", "600"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as recorder:
            _repeat(run)
            recorder.send_signal(signal.SIGINT)
            _, said = recorder.communicate(timeout=60)
        if not out.exists():
            raise RuntimeError(f"py-spy has recorded nothing: {said.decode(errors='replace')}")
        return _told(name, out)


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
    }


def _told(name: str, out: Path) -> str:
    layers: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    threads: Counter[str] = Counter()
    for frames, samples in _samples(out):
        threads[frames[0]] += samples
        layers[_layer(frames)] += samples
        functions[frames[-1].rpartition("site-packages/")[2].rpartition("src/")[2]] += samples
    total = sum(layers.values()) or 1
    lines = [f"{name}: {total} samples of busy threads"]
    for title, shares in (("by layer", layers), ("by thread", threads), ("by function", functions)):
        lines.append(f"  {title}")
        lines += [f"    {samples / total:6.1%}  {what}" for what, samples in shares.most_common(TOP)]
    return "\n".join(lines)


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
