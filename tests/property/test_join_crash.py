"""Concatenation on a machine that dies at every single step: after it, the file comes all the same."""

from __future__ import annotations

import itertools
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

import pytest

from onward.core.types import (
    Append,
    Completes,
    Create,
    Declaration,
    First,
    Policy,
    Spec,
    State,
    Status,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.sweep import sweep
from tests.property.power import ME, PowerCutError, Powered, Sent

FIRST: Final = Random(1).randbytes(1300)
SECOND: Final = Random(2).randbytes(901)
WHOLE: Final = FIRST + SECOND + FIRST
POLICY: Final = Policy(completes=Completes.WHEN_FULL, reopens=False)
SENT: Final = 600
"""Bytes of the second piece that are there before anything goes wrong."""


class Machine(Powered):
    """Two pieces, the second cut short, and the file that waits for it. Then ``steps_left`` steps of luck."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.begin(FIRST, len(FIRST))
        self.two = self.begin(SECOND[:SENT], len(SECOND))
        spec = Spec(sources=(self.one, self.two, self.one), metadata={"filename": "f"})
        self.whole = self.run(self.engine.run(Create(spec=spec, policy=POLICY), ME)).upload.id

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def begin(self, data: bytes, length: int) -> UploadId:
        spec = Spec(partial=True, declared=Declaration(length=length))
        made = self.run(self.engine.run(Create(spec=spec, policy=POLICY, first=First(size=len(data))), ME, Sent(data)))
        id: UploadId = made.upload.id
        return id

    def go_on(self) -> None:
        """The client sends what lacks, then the worker does what is queued."""
        at = self.status(self.two).offset
        if at < len(SECOND):
            rest = SECOND[at:]
            self.run(self.engine.run(Store(target=self.two, at=Append(at), size=len(rest)), ME, Sent(rest)))
        while self.jobs.waiting:
            self.run(self.engine.finish(self.jobs.waiting.pop()))

    def die(self, random: Random | None) -> None:
        """Lose power, or with ``None`` only the process."""
        self.steps_left = None
        if random is None:
            self.fs.kill()
        else:
            self.fs.cut(random)
            self.journal = self.run(self.journal.after_power_cut(random))
        self.boot()
        self.run(sweep(self.engine, started=True))

    def status(self, id: UploadId) -> Upload:
        upload: Upload = self.run(self.engine.run(Status(target=id), ME)).upload
        return upload

    def content(self) -> bytes:
        upload = self.status(self.whole)
        assert upload.state is State.DONE, (upload.state, upload.failure)
        assert upload.published is not None
        return bytes(self.run(self._read(upload.published.ref)))

    async def _read(self, ref: str) -> bytes:
        size = await self.engine.storage.stat(ref)
        return b"".join([bytes(block) async for block in self.engine.storage.read(ref, 0, size)])


@pytest.mark.parametrize("power", [True, False], ids=["power", "process"])
def test_whenever_it_dies_the_file_comes_all_the_same(*, power: bool) -> None:
    for luck in itertools.count():
        machine = Machine()
        machine.steps_left = luck
        try:
            machine.go_on()
        except PowerCutError:
            died = True
        else:
            died = False
        machine.die(Random(luck) if power else None)
        machine.go_on()
        assert machine.content() == WHOLE, luck
        for id in (machine.one, machine.two):
            assert machine.status(id).state is State.OPEN
        assert machine.fs.open_files == 0
        machine.runner.close()
        if not died:
            break
    assert luck > 40, "the steps of joining were not among those that failed"
