"""Concatenation: made of what is there, of what is still coming, and of what then does not come."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from onward import config
from onward.config import Settings
from onward.core import manifest
from onward.core.types import (
    Append,
    Cancel,
    Declaration,
    Digest,
    Limits,
    Sealed,
    State,
    Store,
    UploadId,
)
from onward.engine.engine import Engine
from onward.engine.sweep import sweep
from onward.errors import (
    ClientGone,
)
from tests.integration.engine_room import ME, Pieces, Queue, Room
from tests.integration.joints import A, B, content, final, piece, send, status

pytestmark = pytest.mark.anyio


async def events(engine: Engine, id: UploadId) -> list[str]:
    return [type(record.event).__name__.lower() for record in await engine.journal.read(id)]


@pytest.fixture
async def room() -> Room:
    return Room()


class Site:
    """Engines as those of several processes, over one directory."""

    def __init__(self, path: Path) -> None:
        self.queue = Queue()
        self._settings = Settings(data=path, min_free=0)

    def engine(self) -> Any:
        return config.open_engine(self._settings, jobs=self.queue)

    async def work(self, engine: Engine) -> None:
        while self.queue.waiting:
            await engine.finish(self.queue.waiting.pop(0))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(params=["memory", "local"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Engine, Queue]]:
    if request.param == "memory":
        room = Room(limits=Limits())
        yield room.engine, room.queue
        return
    site = Site(tmp_path)
    async with site.engine() as engine:
        yield engine, site.queue


async def drain(engine: Engine, queue: Queue) -> None:
    while queue.waiting:
        await engine.finish(queue.waiting.pop(0))


# -- of what is there -------------------------------------------------------------------------------


async def test_finished_pieces_are_joined_in_the_order_listed(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    one, two = await piece(engine, A), await piece(engine, B)
    made = await final(engine, two, one)
    assert (made.state, made.length, made.offset) == (State.SEALED, 8, 8)
    assert queue.waiting == [made.id]
    assert await events(engine, made.id) == ["created", "declared", "sealed"]
    await drain(engine, queue)
    done = await status(engine, made.id)
    assert done.state is State.DONE
    assert await content(engine, done) == B + A
    described = manifest.decode(await engine.storage.manifest(made.id))
    assert [(p.start, p.size, p.sha256) for p in described.parts] == [
        (0, 3, hashlib.sha256(B).hexdigest()),
        (3, 5, hashlib.sha256(A).hexdigest()),
    ]
    assert (described.length, described.name) == (8, "f.bin")


async def test_a_piece_serves_more_than_once_and_stays_a_piece(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    one, two = await piece(engine, A), await piece(engine, B)
    first = await final(engine, one, two, one)
    second = await final(engine, one)
    await drain(engine, queue)
    assert await content(engine, await status(engine, first.id)) == A + B + A
    assert await content(engine, await status(engine, second.id)) == A
    third = await final(engine, two, two)
    await drain(engine, queue)
    assert await content(engine, await status(engine, third.id)) == B + B
    assert [(await status(engine, id)).state for id in (one, two)] == [State.OPEN] * 2
    assert await events(engine, one) == ["created", "declared", "stored"]


async def test_three_odd_mebibytes_come_out_byte_for_byte(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    sizes = ((1 << 20) + 1, (1 << 20) - 7, (1 << 20) + 4099)
    data = [Random(size).randbytes(size) for size in sizes]
    ids = []
    for bytes_ in data:
        id = await piece(engine, bytes_[:333_333], length=len(bytes_))
        await send(engine, id, 333_333, bytes_[333_333:])
        ids.append(id)
    digest = Digest("sha-256", hashlib.sha256(b"".join(data)).digest())
    made = await final(engine, *ids, declared=Declaration(digest=digest))
    await drain(engine, queue)
    done = await status(engine, made.id)
    assert done.published is not None
    assert (done.published.digest, done.published.size) == (digest, sum(sizes))
    assert hashlib.sha256(await content(engine, done)).digest() == digest.value


async def test_pieces_without_a_byte_give_a_file_without_a_byte(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    empty = await piece(engine, length=0)
    made = await final(engine, empty, empty)
    await drain(engine, queue)
    done = await status(engine, made.id)
    assert (done.state, done.length, await content(engine, done)) == (State.DONE, 0, b"")


async def test_a_digest_that_is_not_that_of_the_whole_fails_it(room: Room) -> None:
    one = await piece(room.engine, A)
    made = await final(room.engine, one, declared=Declaration(digest=Digest("md5", bytes(16))))
    await room.work()
    assert (await room.status(made.id)).reason == "digest-mismatch"
    assert (await room.status(one)).state is State.OPEN


# -- of what is still coming ------------------------------------------------------------------------


async def test_it_is_sealed_by_the_last_byte_of_its_last_piece(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    one, two = await piece(engine, A[:2], len(A)), await piece(engine, length=None)
    made = await final(engine, one, two, one)
    assert (made.state, made.length, made.offset, queue.waiting) == (State.OPEN, None, 0, [])
    await send(engine, one, 2, A[2:])
    assert (await status(engine, made.id)).state is State.OPEN
    await send(engine, two, 0, B[:1], length=len(B))
    waiting = await status(engine, made.id)
    assert (waiting.state, waiting.length) == (State.OPEN, 13)
    await send(engine, two, 1, B[1:])
    assert queue.waiting == [made.id]
    await drain(engine, queue)
    assert await content(engine, await status(engine, made.id)) == A + B + A


async def test_the_last_word_may_be_the_length(room: Room) -> None:
    one = await piece(room.engine, A, length=None)
    made = await final(room.engine, one)
    await send(room.engine, one, 5, b"", length=5)
    assert room.queue.waiting == [made.id]


async def test_a_client_that_vanishes_after_the_last_byte_has_sent_it(room: Room) -> None:
    one = await piece(room.engine, length=5)
    made = await final(room.engine, one)
    with pytest.raises(ClientGone):
        await room.engine.run(Store(target=one, at=Append(0)), ME, Pieces(A, ClientGone()))
    assert room.queue.waiting == [made.id]


async def test_every_file_that_waits_is_sealed(room: Room) -> None:
    one = await piece(room.engine, length=5)
    made = [(await final(room.engine, one)).id for _ in range(3)]
    await send(room.engine, one, 0, A)
    assert sorted(room.queue.waiting) == sorted(made)


async def test_the_last_byte_may_come_to_another_process(site: Site) -> None:
    async with site.engine() as here, site.engine() as there:
        one = await piece(here, length=5)
        made = await final(here, one, one)
        await send(there, one, 0, A)
        assert site.queue.waiting == [made.id]
        await site.work(there)
        assert await content(here, await status(here, made.id)) == A + A


async def test_a_process_that_dies_right_after_the_last_byte_leaves_it_to_the_sweep(site: Site) -> None:
    async with site.engine() as engine:
        one = await piece(engine, A)
        late = await piece(engine, length=3)
        made = await final(engine, one, late)
        await _stored_and_died(engine, late, B)
    async with site.engine() as other:
        assert site.queue.waiting == []
        swept = await sweep(other, started=True)
        assert swept is not None
        assert (swept.joined, site.queue.waiting[0]) == (1, made.id)
        await site.work(other)
        assert await content(other, await status(other, made.id)) == A + B


async def test_whoever_asks_finds_it_sealed(room: Room) -> None:
    one = await piece(room.engine, length=3)
    made = await final(room.engine, one)
    await _stored_and_died(room.engine, one, B)
    assert (await status(room.another(), made.id)).state is State.SEALED
    assert room.queue.waiting == [made.id]


async def _stored_and_died(engine: Engine, id: UploadId, data: bytes) -> None:
    """The bytes are recorded, and then nothing more is done."""
    upload = await engine.ledger.load(id)
    outcome = await engine._storing.store(upload, Store(target=id, at=Append(0), size=len(data)), Pieces(data))
    assert outcome.fresh


async def test_a_journal_that_fails_then_costs_time_only(room: Room) -> None:
    one = await piece(room.engine, length=3)
    made = await final(room.engine, one)
    room.journal.lose = Sealed
    assert (await send(room.engine, one, 0, B)).upload.offset == 3
    room.journal.lose = None
    assert room.queue.waiting == []
    await sweep(room.engine)
    assert room.queue.waiting == [made.id]


@pytest.mark.parametrize(("parts", "seal"), [(False, True), (True, True), (False, False)])
async def test_what_it_is_sealed_of_is_durable_before(*, parts: bool, seal: bool) -> None:
    room = Room(durable_parts=parts, durable_seal=seal)
    one, two = await piece(room.engine, A), await piece(room.engine, B)
    room.log.clear()
    await final(room.engine, one, two, one)
    sealing = ("declared sealed", seal)
    synced = [("sync", True)] * 2 if seal and not parts else []
    assert [entry for entry in room.log if entry[0] != "created"] == [*synced, sealing]


# -- of what does not come --------------------------------------------------------------------------


async def test_a_piece_that_is_cancelled_fails_what_waits_for_it(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    one, two = await piece(engine, A), await piece(engine, length=3)
    made = await final(engine, one, two)
    await engine.run(Cancel(target=one), ME)
    assert (await engine.ledger.load(made.id)).reason == "source-gone"
    assert queue.waiting == []
    await send(engine, two, 0, B)
    assert (await status(engine, made.id)).reason == "source-gone"


async def test_a_piece_that_is_cancelled_before_it_was_joined_is_no_damage(place: tuple[Engine, Queue]) -> None:
    engine, queue = place
    one, two = await piece(engine, A), await piece(engine, B)
    made = await final(engine, one, two)
    await engine.run(Cancel(target=one), ME)
    await drain(engine, queue)
    assert (await status(engine, made.id)).reason == "source-gone"
    assert [id async for id in engine.storage.scratch()] == [two]


async def test_a_piece_whose_records_are_gone_too_fails_it(room: Room) -> None:
    one = await piece(room.engine, A)
    made = await final(room.engine, one)
    await room.engine.run(Cancel(target=one), ME)
    await room.journal.drop(one)
    await room.another().finish(made.id)
    assert (await room.status(made.id)).reason == "source-gone"


async def test_damaged_bytes_fail_it_and_leave_the_piece_alone(room: Room) -> None:
    one = await piece(room.engine, A)
    made = await final(room.engine, one)
    room.storage.spoil(one, 0)
    await room.work()
    assert (await room.status(made.id)).reason == "damaged"
    assert (await room.status(one)).offset == 5


async def test_it_fails_when_its_pieces_grow_too_large() -> None:
    room = Room()
    one, two = await piece(room.engine, A), await piece(room.engine, length=None)
    made = await final(room.engine, one, two)
    await send(room.engine, two, 0, b"x", length=room.limits.max_size - 4)
    assert (await room.status(made.id)).reason == "upload-too-large"
