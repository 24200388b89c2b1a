"""Machine: uploads on a disk and a journal that lose power at any step.

The engine is the real one, over the real local storage on a simulated file system. A client
sends chunks in any order, again, with other bytes, vanishes in mid-body; the power is cut
between and inside every operation. What was acknowledged must be there afterwards, a sealed
upload always comes to its end, and what is published is byte for byte what was meant. At the
end a patient client always gets its file.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from random import Random
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from onward.core.types import (
    Buffer,
    ClientName,
    Declaration,
    Limits,
    Number,
    Offset,
    Seal,
    State,
    Status,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.engine.rules import Rules
from onward.engine.sweep import sweep
from onward.errors import ClientFault, ClientGone, NotFound, ServerFault
from onward.hooks.none import NoHooks
from onward.locks.memory import MemoryLocks
from onward.ports import Caller
from onward.storage.local import LocalStorage
from onward.testing.crash import Inline, SimFs
from onward.testing.crash_journal import CrashJournal

NAME: Final = ClientName(None, "file.bin")
ME: Final = Caller()
PART: Final = 700  # more than a sector, so that a part can be torn
CHUNKS: Final = 4
LENGTH: Final = PART * (CHUNKS - 1) + 300
WHOLE: Final = Random(7).randbytes(LENGTH)
OTHER: Final = Random(8).randbytes(LENGTH)


class PowerCutError(BaseException):
    """The power failed. Not an ``Exception``: nothing in the program may handle it."""


class Volatile:
    """A queue that forgets everything in a power cut."""

    def __init__(self) -> None:
        self.waiting: list[UploadId] = []

    async def finish_later(self, id: UploadId) -> None:
        self.waiting.append(id)

    def finish_soon(self, id: UploadId) -> None:
        self.waiting.append(id)

    async def check(self) -> None:
        """It can always be reached."""


class Sent:
    """A body of a few pieces; the client may vanish before the end."""

    def __init__(self, data: bytes, vanish_after: int | None = None) -> None:
        cut = data if vanish_after is None else data[:vanish_after]
        self._pieces = [cut[i : i + 256] for i in range(0, len(cut), 256)]
        self._vanishes = vanish_after is not None

    async def next(self) -> Buffer | None:
        if self._pieces:
            return self._pieces.pop(0)
        if self._vanishes:
            raise ClientGone
        return None


class Powered:
    """A server on a disk and a journal that have power for ``steps_left`` steps more; ``None``: it does not fail."""

    limits = Limits()

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.fs = SimFs(most=400)
        self.steps_left: int | None = None
        self.fs.before = self.step
        self.clock = itertools.count(1)
        self.ids = itertools.count(1)
        self.journal = CrashJournal(self.step)
        self.boot()

    def step(self, _: str) -> None:
        if self.steps_left is not None:
            if self.steps_left == 0:
                raise PowerCutError
            self.steps_left -= 1

    def boot(self) -> None:
        self.jobs = Volatile()
        self.engine = Engine(
            storage=LocalStorage(self.fs, threads=Inline()),
            journal=self.journal,
            catalog=self.journal,
            locks=MemoryLocks(),
            hooks=NoHooks(),
            jobs=self.jobs,
            limits=self.limits,
            rules=Rules(segment=512, min_free=0, requeue_after=0),
            clock=lambda: float(next(self.clock)),
            randomness=lambda size: next(self.ids).to_bytes(size, "big"),
        )


class PowerMachine(Powered, RuleBasedStateMachine):
    """See the module."""

    limits = Limits(max_chunk=PART, max_chunks=100)

    def __init__(self) -> None:
        super().__init__()
        self.acked: dict[int, int] = {}  # place -> bytes from there on
        self.sealed = False
        self.done = False

    def run(self, work: Coroutine[Any, Any, Any], power: int | None) -> Any:
        """Do something, with the power failing after ``power`` steps; ``None`` if it failed."""
        self.steps_left = power
        try:
            return self.runner.run(work)
        except PowerCutError:
            self.steps_left = None
            self.black_out()
            return None
        finally:
            self.steps_left = None

    def black_out(self) -> None:
        self.steps_left = None
        random = Random(next(self.ids))
        self.fs.cut(random)
        self.journal = self.runner.run(self.journal.after_power_cut(random))
        self.boot()
        self.recover()

    def recover(self) -> None:
        self.runner.run(sweep(self.engine, started=True))

    # -- rules ------------------------------------------------------------------------------------

    @initialize(kind=st.sampled_from(["numbered", "flat", "sized"]))
    def begin(self, kind: str) -> None:
        self.flat = kind != "numbered"
        self.declared = Declaration(part_size=PART if self.flat else None, length=LENGTH if kind == "sized" else None)

    POWER = st.none() | st.integers(0, 40)

    @rule(number=st.integers(1, CHUNKS), other=st.sampled_from([False, False, True]), power=POWER)
    def chunk(self, number: int, power: int | None, *, other: bool) -> None:
        start = (number - 1) * PART
        data = (OTHER if other else WHOLE)[start : start + PART]
        # Other bytes may only be sent where the right ones are stored, or the file is spoilt for good.
        if other and not self.is_acked(start, len(data)):
            return
        cmd = Store(target=NAME, at=Number(number), size=len(data), declared=self.declared)
        outcome = self.attempt(cmd, Sent(data), power)
        assert not (other and outcome is not None), "other bytes were taken for a stored chunk"
        if outcome is not None:
            self.acked[start] = len(data)

    @rule(number=st.integers(1, CHUNKS), after=st.integers(0, PART - 1), power=POWER)
    def chunk_cut_off(self, number: int, after: int, power: int | None) -> None:
        """The client vanishes in mid-chunk; its Content-Length had promised more."""
        start = (number - 1) * PART
        data = WHOLE[start : start + PART]
        cmd = Store(target=NAME, at=Number(number), size=len(data), declared=self.declared)
        assert self.attempt(cmd, Sent(data, min(after, len(data) - 1)), power) is None

    @precondition(lambda self: self.flat)
    @rule(start=st.integers(0, LENGTH - 1), size=st.integers(1, LENGTH), gone=st.booleans(), power=POWER)
    def run_of_bytes(self, start: int, size: int, power: int | None, *, gone: bool) -> None:
        data = WHOLE[start : start + size]
        cmd = Store(target=NAME, at=Offset(start), size=len(data), declared=self.declared)
        body = Sent(data, len(data) // 2) if gone else Sent(data)
        if self.attempt(cmd, body, power) is not None:
            self.acked[start] = max(self.acked.get(start, 0), len(data))

    @rule(power=POWER, patient=st.booleans())
    def complete(self, power: int | None, *, patient: bool) -> None:
        cmd = Seal(target=NAME, parts=CHUNKS, length=LENGTH)
        try:
            outcome = self.run(self.engine.run(cmd, ME), power)
        except ClientFault:
            return
        self.sealed = self.sealed or outcome is not None
        if patient:
            self.recover()

    @rule(power=POWER)
    def work(self, power: int | None) -> None:
        if not self.jobs.waiting:
            return
        id = self.jobs.waiting.pop(0)
        self.run(self.engine.finish(id), power)

    @rule()
    def power_fails(self) -> None:
        self.black_out()

    @rule()
    def process_is_killed(self) -> None:
        """Everything written is still there, synced or not."""
        self.fs.kill()
        self.boot()
        self.recover()

    def attempt(self, cmd: Store, body: Sent, power: int | None) -> Any:
        try:
            return self.run(self.engine.run(cmd, ME, body), power)
        except ServerFault as error:
            raise AssertionError(f"a fault of ours: {error!r}") from error
        except (ClientFault, ClientGone):
            return None

    # -- invariants -------------------------------------------------------------------------------

    def upload(self) -> Upload | None:
        try:
            return self.runner.run(self.engine.run(Status(target=NAME), ME)).upload
        except NotFound:
            return None

    def is_acked(self, start: int, size: int) -> bool:
        return self.acked.get(start, 0) >= size

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        upload = self.upload()
        assert upload is not None or not self.acked
        if upload is None:
            return
        assert upload.state is not State.FAILED, upload.reason
        for start, size in self.acked.items():
            if self.flat:
                assert not list(upload.ranges.holes(start, start + size)), "acknowledged bytes are gone"
            else:
                assert upload.chunk(start // PART + 1) is not None, "an acknowledged chunk is gone"
        assert not self.sealed or upload.state in {State.SEALED, State.DONE}, "an acknowledged seal is gone"
        assert not self.done or upload.state is State.DONE

    @invariant()
    def sealed_uploads_have_a_job(self) -> None:
        upload = self.upload()
        if upload is not None and upload.state is State.SEALED and not self.jobs.waiting:
            self.recover()
            assert upload.id in self.jobs.waiting, "nobody will ever finish this upload"

    @invariant()
    def done_means_byte_equal(self) -> None:
        upload = self.upload()
        if upload is None or upload.state is not State.DONE:
            return
        self.done = True
        assert upload.published is not None
        assert self.runner.run(self.read(upload.published.ref)) == WHOLE

    async def read(self, ref: str) -> bytes:
        size = await self.engine.storage.stat(ref)
        return b"".join([bytes(block) async for block in self.engine.storage.read(ref, 0, size)])

    def teardown(self) -> None:
        """A patient client: asks, sends what lacks, completes, waits."""
        try:
            if hasattr(self, "declared"):
                self.patient_client()
        finally:
            self.runner.close()

    def patient_client(self) -> None:
        for number in range(1, CHUNKS + 1):
            start = (number - 1) * PART
            data = WHOLE[start : start + PART]
            cmd = Store(target=NAME, at=Number(number), size=len(data), declared=self.declared)
            try:
                self.runner.run(self.engine.run(cmd, ME, Sent(data)))
            except ClientFault as error:
                # Sealed before, and cut in other pieces than chunks: there is nothing to show again.
                assert error.code == "already-complete", error.code  # noqa: PT017 - any other is a failure
        self.runner.run(self.engine.run(Seal(target=NAME, parts=CHUNKS, length=LENGTH), ME))
        self.recover()
        while self.jobs.waiting:
            self.runner.run(self.engine.finish(self.jobs.waiting.pop()))
        self.done_means_byte_equal()
        assert self.done, "a patient client did not get its file"
        upload = self.upload()
        assert upload is not None
        assert self.fs.open_files == 0, "a descriptor is still open"
