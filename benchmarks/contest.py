"""Who is measured beside whom: one way to hand a file to each server, and runs that take turns."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from benchmarks.load import Ask
from benchmarks.peers import Command, Peers, nothing
from benchmarks.processes import PATIENCE, Served, Started
from benchmarks.source import Source, check
from benchmarks.transfer import warm_up
from benchmarks.wire import Line, free_port

OURS: Final = "Onward"
ACK: Final = "Onward, ack"
NGINX: Final = "nginx"
NODE: Final = "node"
NOTHING: Final = "do-nothing Litestar"
TUS: Final = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one benchmark run is to do, and with what."""

    folder: Path
    """On the disk that is measured."""
    memory: Path | None
    """On tmpfs: what is left there is the processor's share."""
    peers: Peers
    repeat: int
    quick: bool
    source: Source

    @property
    def places(self) -> dict[str, Path]:
        """Where data may lie, by the word for it."""
        return {"disk": self.folder} | ({"tmpfs": self.memory} if self.memory else {})


@dataclass(frozen=True)
class Stored:
    """An upload that a server has been told of: how to send it, and where it will be."""

    ask: Ask
    key: str


@dataclass
class Contestant:
    """One server, running."""

    name: str
    started: Started
    _number: int = field(default=0)

    @property
    def ours(self) -> bool:
        """Whether it is Onward."""
        return isinstance(self.started, Served)

    @property
    def served(self) -> Served:
        """Onward, with its worker. Raises ``TypeError`` for another server."""
        if not isinstance(self.started, Served):
            raise TypeError(f"{self.name} is not Onward")
        return self.started

    def begin(self, start: int, size: int, headers: Mapping[str, str] | None = None) -> Stored:
        """Tell it of a file of ``size`` bytes, which are those of the source from ``start`` on."""
        if self.name == NGINX:
            self._number += 1
            return Stored(
                Ask(method="PUT", path=f"/file-{self._number}", start=start, size=size), f"file-{self._number}"
            )
        with contextlib.closing(Line(self.started.port)) as line:
            said = {"Tus-Resumable": "1.0.0", "Upload-Length": str(size), "Content-Length": "0"}
            line.send("POST", "/files", said | dict(headers or {}))
            status, fields, body = line.whole_answer()
        if status != 201:
            raise RuntimeError(f"{self.name} does not begin an upload: {status} {body[:200]!r}")
        key = fields["location"].rstrip("/").rpartition("/")[2]
        ask = Ask(method="PATCH", path=f"/files/{key}", start=start, size=size, headers=TUS | {"Upload-Offset": "0"})
        return Stored(ask, key)

    def prove(self, stored: Stored, source: Source) -> None:
        """Hold the stored file against what was sent, then remove it. Raises if one byte differs."""
        path = self.started.data / stored.key
        if isinstance(self.started, Served):
            self.wait_until_done(stored.key)
            path = self.started.files / stored.key / "file"
        check(path, source, stored.ask.start, stored.ask.size)
        path.unlink()

    def wait_until_done(self, key: str) -> None:
        """Wait for the worker. Raises if the file is not published."""
        began = time.perf_counter()
        with contextlib.closing(Line(self.started.port)) as line:
            while (state := json.loads(line.ask("GET", f"/uploads/{key}")[1])["state"]) != "done":
                if state == "failed" or time.perf_counter() - began > PATIENCE:
                    raise RuntimeError(f"the file was not published: {state}")
                time.sleep(0.005)


@contextlib.contextmanager
def contestants(
    names: Sequence[str], folder: Path, peers: Peers, *, settings: Mapping[str, Any] | None = None
) -> Iterator[list[Contestant]]:
    """Start those of ``names`` that can be had, each over a folder of its own; all are gone when the block ends."""
    running: list[Contestant] = []
    try:
        for number, name in enumerate(names):
            data = folder / f"data-{number}"
            if name in {OURS, ACK}:
                ours = Served(data, durability="ack" if name == ACK else "none", **(settings or {}))
                running.append(Contestant(name, ours))
                ours.wait_for_all()
                with contextlib.closing(Line(ours.port)) as line:
                    warm_up(line)
            elif name == NOTHING or name in peers.commands:
                running.append(Contestant(name, start(peers.commands.get(name, nothing), data)))
        yield running
    finally:
        for one in running:
            one.started.stop()
        for number in range(len(names)):
            shutil.rmtree(folder / f"data-{number}", ignore_errors=True)


def start(command: Command, data: Path) -> Started:
    """A peer over a folder that is made for it."""
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    started = Started(command(data, port), data, port)
    try:
        started.wait_for_port()
    except BaseException:
        started.stop()
        raise
    return started


def in_turn(rounds: int, who: Sequence[Contestant], run: Callable[[Contestant], R]) -> dict[str, list[R]]:
    """Run each once, then each once more, and so on: what the machine does meanwhile, it does to all."""
    found: dict[str, list[R]] = {one.name: [] for one in who}
    for turn in range(rounds):
        for one in who if turn % 2 == 0 else reversed(who):
            found[one.name].append(run(one))
    return found


def ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """How many times theirs mine is, for each round that both took part in."""
    return [a / b for a, b in zip(mine, theirs, strict=False)]
