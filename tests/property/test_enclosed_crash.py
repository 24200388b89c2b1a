"""A small file whose bytes are in the journal: the power fails after each step of its way to its final name."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from random import Random
from typing import Any

import pytest

from onward.core.types import Completes, Create, Declaration, First, Policy, Spec, State, UploadId
from onward.engine.engine import Engine
from onward.engine.intake import Bytes
from onward.engine.sweep import sweep
from onward.ports import Caller
from onward.testing.crash import SimFs
from tests.property.power import PowerCutError, Powered

ME = Caller()
DATA = Random(7).randbytes(2000)


class Site(Powered):
    """One data directory, with power until it fails."""

    def does(self, work: Coroutine[Any, Any, Any], steps: int | None = None) -> Any:
        """What comes of it; ``None``, and the power is back, if it failed after ``steps``."""
        self.steps_left = steps
        try:
            return self.runner.run(work)
        except PowerCutError:
            return None
        finally:
            self.steps_left = None

    def power_fails(self, seed: int) -> None:
        self.steps_left = None
        random = Random(seed)
        self.fs.cut(random)
        self.journal = self.runner.run(self.journal.after_power_cut(random))
        self.boot()
        self.runner.run(sweep(self.engine, started=True))

    def create(self, steps: int | None = None) -> UploadId | None:
        spec = Spec(declared=Declaration(length=len(DATA)))
        policy = Policy(completes=Completes.WHEN_FULL)
        command = Create(spec=spec, policy=policy, first=First(size=len(DATA)))
        outcome = self.does(self.engine.run(command, ME, Bytes(DATA)), steps)
        return None if outcome is None else outcome.upload.id

    def proves(self, ids: list[UploadId]) -> None:
        """Each of them is published, once and whole, and nothing else is."""
        while self.jobs.waiting:
            self.does(self.engine.finish(self.jobs.waiting.pop(0)))
        rows, _ = self.runner.run(self.journal.page(owner=None, everyone=True, states=(), after=None, limit=10))
        assert [(row.id, row.state) for row in rows if row.id in ids] == [(id, State.DONE) for id in ids]
        assert all(row.state is State.DONE for row in rows)
        for row in rows:
            assert self.runner.run(_all(self.engine, row.ref)) == DATA
            assert self.runner.run(self.journal.enclosed(row.id)) == b""
        assert sorted(_tree(self.fs, "files")) == sorted(f"files/{row.ref}" for row in rows)
        assert list(_tree(self.fs, "uploads")) == []


async def _all(engine: Engine, ref: str) -> bytes:
    return b"".join([bytes(block) async for block in engine.storage.read(ref, 0, len(DATA))])


def _tree(fs: SimFs, path: str) -> Iterator[str]:
    if not fs.stat(path).directory:
        yield path
        return
    for name in fs.listdir(path):
        yield from _tree(fs, f"{path}/{name}")


@pytest.mark.parametrize("seed", range(3))
def test_what_was_acknowledged_is_published_once_whenever_the_power_fails(seed: int) -> None:
    steps, cuts = 0, 0
    while True:
        site = Site()
        id = site.create()
        assert id is not None
        site.jobs.waiting.clear()
        site.steps_left = steps
        finished = True
        try:
            site.runner.run(site.engine.finish(id))
        except PowerCutError:
            finished = False
            cuts += 1
        site.power_fails(seed + steps)
        site.proves([id])
        site.runner.close()
        if finished:
            break
        steps += 1
    assert cuts > 10


@pytest.mark.parametrize("seed", range(3))
def test_what_was_not_acknowledged_is_there_whole_or_not_at_all(seed: int) -> None:
    for steps in range(10):
        site = Site()
        id = site.create(steps)
        site.power_fails(seed + steps)
        site.proves([] if id is None else [id])
        site.runner.close()
