"""Many writers of one upload at once, with locks and with the lock port removed.

Locks are manners; the journal's version and the read-back are safety. So without any lock the
worst that may happen is damage that the worker finds and asks for again: never a wrong byte in
a published file, never a chunk acknowledged to one client and stored from another.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onward.core.types import Buffer, ClientName, Declaration, Limits, Number, Seal, State, Store, UploadId
from onward.engine.engine import Engine
from onward.engine.rules import Rules
from onward.errors import ClientFault
from onward.hooks.none import NoHooks
from onward.journal.memory import MemoryJournal
from onward.locks.memory import MemoryLocks
from onward.ports import Caller, Locks
from onward.storage.local import LocalStorage
from onward.testing.locks_removed import NoLocks

ME: Final = Caller()
NAME: Final = ClientName(None, "contested.bin")
PART: Final = 3000


class Queue:
    """A queue whose worker is the test."""

    def __init__(self) -> None:
        self.waiting: list[UploadId] = []

    async def finish_later(self, id: UploadId) -> None:
        self.waiting.append(id)

    def finish_soon(self, id: UploadId) -> None:
        self.waiting.append(id)

    async def check(self) -> None:
        """It can always be reached."""


class Halting:
    """A body that comes in pieces and lets others run between them."""

    def __init__(self, data: bytes, random: Random) -> None:
        self._data = data
        self._random = random

    async def next(self) -> Buffer | None:
        for _ in range(self._random.randint(0, 3)):
            await anyio.lowlevel.checkpoint()
        size = self._random.choice([1, 100, 1000, PART])
        piece, self._data = self._data[:size], self._data[size:]
        return piece or None


def engine_over(root: Path, locks: Locks, queue: Queue) -> Engine:
    journal = MemoryJournal()
    return Engine(
        storage=LocalStorage(root),
        journal=journal,
        catalog=journal,
        locks=locks,
        hooks=NoHooks(),
        jobs=queue,
        limits=Limits(max_chunk=PART),
        rules=Rules(min_free=0, durable_parts=False, durable_seal=False),
    )


async def send(engine: Engine, number: int, data: bytes, declared: Declaration, random: Random) -> bool:
    """Send one chunk; whether it was acknowledged."""
    cmd = Store(target=NAME, at=Number(number), size=len(data), declared=declared)
    try:
        await engine.run(cmd, ME, Halting(data, random))
    except ClientFault:
        return False
    return True


async def finish(engine: Engine, queue: Queue, chunks: int) -> State:
    await engine.run(Seal(target=NAME, parts=chunks), ME)
    state = State.SEALED
    while queue.waiting:
        id = queue.waiting.pop()
        await engine.finish(id)
        state = (await engine.view(id, ME)).state
    return state


async def contest(seed: int, chunks: int, clients: int, *, flat: bool, locks: Locks) -> None:
    random = Random(seed)
    bodies = {n: [random.randbytes(PART) for _ in range(2)] for n in range(1, chunks + 1)}
    declared = Declaration(part_size=PART if flat else None)
    queue = Queue()
    with TemporaryDirectory() as root:
        engine = await anyio.to_thread.run_sync(engine_over, Path(root), locks, queue)
        tries = [(n, random.randint(0, 1)) for n in bodies for _ in range(clients)]
        random.shuffle(tries)
        acked: dict[int, set[int]] = {}

        async def one(number: int, variant: int) -> None:
            if await send(engine, number, bodies[number][variant], declared, random):
                acked.setdefault(number, set()).add(variant)

        await asyncio.gather(*(one(*each) for each in tries))
        for number, variants in acked.items():
            assert len(variants) == 1, f"chunk {number} was acknowledged with two different bodies"
        for number in bodies:
            if number not in acked:  # everybody was asked to leave by somebody else: one comes again
                acked[number] = {0}
                assert await send(engine, number, bodies[number][0], declared, random)
        state = await finish(engine, queue, chunks)
        rounds = 0
        while state is State.OPEN:  # damage was found: only what it names is sent again
            rounds += 1
            assert isinstance(locks, NoLocks), "with locks nothing may be damaged"
            assert rounds < 5
            upload = await engine.view((await engine.catalog.feed(after=0, limit=1))[0].id, ME)
            for first, last in list(upload.missing()):
                for number in range(first, last + 1):
                    assert await send(engine, number, bodies[number][min(acked[number])], declared, random)
            state = await finish(engine, queue, chunks)
        assert state is State.DONE
        meant = b"".join(bodies[n][min(acked[n])] for n in sorted(bodies))
        assert (Path(root) / "files" / NAME.name).read_bytes() == meant
        await engine.close()


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "numbered"])
@pytest.mark.parametrize("locks", [MemoryLocks, NoLocks])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), chunks=st.integers(1, 6), clients=st.integers(1, 4))
def test_only_acknowledged_bytes_are_published(
    locks: type[MemoryLocks | NoLocks], seed: int, chunks: int, clients: int, *, flat: bool
) -> None:
    asyncio.run(contest(seed, chunks, clients, flat=flat, locks=locks()))


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "numbered"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), chunks=st.integers(1, 7), last=st.integers(1, PART))
def test_any_order_with_any_duplicates_gives_the_file(
    data: st.DataObject, chunks: int, last: int, *, flat: bool
) -> None:
    order = data.draw(st.permutations(range(1, chunks + 1)))
    again = data.draw(st.lists(st.sampled_from(order), max_size=5))
    sent = data.draw(st.permutations([*order, *again]))
    whole = Random(chunks).randbytes(PART * (chunks - 1) + last)

    async def go() -> None:
        random, queue = Random(1), Queue()
        declared = Declaration(part_size=PART if flat else None)
        with TemporaryDirectory() as root:
            engine = await anyio.to_thread.run_sync(engine_over, Path(root), MemoryLocks(), queue)
            for number in sent:
                piece = whole[(number - 1) * PART : number * PART]
                assert await send(engine, number, piece, declared, random)
            assert await finish(engine, queue, chunks) is State.DONE
            assert (Path(root) / "files" / NAME.name).read_bytes() == whole
            await engine.close()

    asyncio.run(go())
