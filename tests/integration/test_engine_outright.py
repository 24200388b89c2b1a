"""A small file that comes whole with its creation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.summary import Summary
from onward.core.types import (
    Completes,
    Create,
    Declaration,
    Digest,
    First,
    Layout,
    Policy,
    Sealed,
    Spec,
    State,
    Stored,
    UploadId,
)
from onward.engine.intake import Body, Bytes
from onward.engine.sweep import sweep
from onward.errors import (
    BadBody,
    BodyIncomplete,
    ClientGone,
    DigestMismatch,
    Draining,
    OnwardError,
    ServerFault,
    StorageFault,
)
from tests.integration.engine_room import LONG, ME, Pieces, Room, Wire

pytestmark = pytest.mark.anyio

DATA = b"few bytes"


async def create(
    room: Room,
    body: Body,
    *,
    size: int | None = len(DATA),
    digests: tuple[Digest, ...] = (),
    key: str | None = None,
    completes: Completes = Completes.WHEN_FULL,
    **said: Any,
) -> Outcome:
    spec = Spec(declared=Declaration(**{"length": len(DATA), **said}))
    first = First(size=size, digests=digests, ends=False)
    command = Create(spec=spec, policy=Policy(completes=completes), first=first, idempotency_key=key)
    return await room.engine.run(command, ME, body)


async def ids(room: Room) -> list[UploadId]:
    rows, _ = await room.journal.page(owner=None, everyone=True, states=(), after=None, limit=100)
    return [row.id for row in rows]


@pytest.mark.parametrize("durable", [True, False], ids=["ack", "none"])
async def test_it_is_one_entry_and_waits_for_the_worker(*, durable: bool) -> None:
    room = Room(durable_parts=durable, durable_seal=durable)
    done = await create(room, Bytes(DATA))
    assert (done.created, done.fresh, done.size, done.upload.state) == (True, True, len(DATA), State.SEALED)
    assert [what for what in room.log if what[0] != "bytes"] == [("created", durable)]
    assert room.queue.waiting == [done.upload.id]
    events = [record.event for record in await room.journal.read(done.upload.id)]
    assert [event.digest for event in events if isinstance(event, Stored)] == [sha256(DATA)]
    assert [event.length for event in events if isinstance(event, Sealed)] == [len(DATA)]
    assert (await room.engine.view(done.upload.id, ME)).version == len(events) == done.upload.version
    await room.engine.finish(done.upload.id)
    assert (await room.engine.view(done.upload.id, ME)).state is State.DONE


async def test_its_bytes_last_before_anybody_hears_of_them_when_a_seal_must() -> None:
    room = Room(durable_parts=False, durable_seal=True)
    await create(room, Bytes(DATA))
    assert room.log == [("bytes", True), ("created", True)]


@pytest.mark.parametrize(
    ("body", "said", "error"),
    [
        (Pieces(DATA[:3], ClientGone()), {}, ClientGone),
        (Pieces(DATA[:3]), {}, BodyIncomplete),
        (Pieces(DATA, b"more"), {}, BadBody),
        (Pieces(DATA), {"digests": (sha256(b"other bytes"),)}, DigestMismatch),
        (Pieces(DATA), {"digest": sha256(b"another whole")}, DigestMismatch),
    ],
    ids=["cut", "short", "long", "body digest", "digest of the whole"],
)
async def test_what_does_not_come_as_announced_leaves_nothing(
    body: Body, said: dict[str, Any], error: type[OnwardError]
) -> None:
    room = Room()
    with pytest.raises(error):
        await create(room, body, **said)
    assert await ids(room) == []
    assert room.storage.homes == set()
    assert room.queue.waiting == []


async def test_a_stop_in_the_middle_leaves_nothing() -> None:
    room, wire = Room(), Wire()

    async def send() -> None:
        with pytest.raises(Draining):
            await create(room, wire)

    async with anyio.create_task_group() as group:
        group.start_soon(send)
        with anyio.fail_after(LONG):
            await wire.asked.wait()
        wire.give(DATA[:3])
        room.engine.drain()
    assert await ids(room) == []
    assert room.storage.homes == set()


async def test_bytes_whose_entry_may_have_been_made_are_left_to_the_sweep() -> None:
    room = Room()

    async def fail(*_: object, **__: object) -> None:
        raise StorageFault

    room.journal.create = fail  # type: ignore[method-assign, assignment]  # as a disk fails: in the middle of a commit
    with pytest.raises(StorageFault):
        await create(room, Bytes(DATA))
    assert len(room.storage.homes) == 1


@pytest.mark.parametrize(
    "said",
    [{"size": None}, {"length": len(DATA) + 1}, {"length": None}, {"key": "k"}, {"completes": Completes.EXPLICIT}],
    ids=["size unknown", "not all", "length unknown", "has a key", "more may come"],
)
async def test_whatever_could_be_asked_for_or_continued_is_begun_first(said: dict[str, Any]) -> None:
    room = Room()
    done = await create(room, Bytes(DATA), **said)
    assert room.log[0] == ("created", True)
    assert done.upload.received_bytes == len(DATA)
    if done.upload.state is State.OPEN:
        assert await room.engine.view(done.upload.id, ME) is done.upload


async def test_who_hears_of_the_upload_early_hears_of_it_before_its_bytes() -> None:
    room, heard = Room(), list[int]()

    async def told(upload: Any) -> None:
        heard.append(upload.offset)

    spec = Spec(declared=Declaration(length=len(DATA)))
    command = Create(spec=spec, first=First(size=len(DATA)))
    await room.engine.run(command, ME, Bytes(DATA), told)
    assert heard[0] == 0


async def test_a_search_for_orphans_before_its_entry_takes_the_bytes_and_it_is_refused() -> None:
    room = Room()
    begin, found = room.journal.create, list[int]()

    async def late(*args: Any, **rest: Any) -> UploadId:
        room.journal.create = begin  # type: ignore[method-assign]  # once
        done = await sweep(room.another(), started=True)
        found.append(done.orphans if done else -1)
        return await begin(*args, **rest)

    room.journal.create = late  # type: ignore[method-assign]  # the moment between the bytes and the entry
    with pytest.raises(ServerFault):
        await create(room, Bytes(DATA))
    assert (found, room.storage.kept, room.queue.waiting) == ([1], [], [])
    again = await create(room, Bytes(DATA))
    await room.engine.finish(again.upload.id)
    assert list(room.storage.files.values()) == [DATA]


async def test_a_search_for_orphans_that_looked_before_its_entry_and_comes_after_it_takes_nothing() -> None:
    room = Room()
    id = (await create(room, Bytes(DATA))).upload.id
    summary, asked = room.journal.summary, list[UploadId]()

    async def early(wanted: UploadId) -> Summary | None:
        asked.append(wanted)
        return None if asked == [id] else await summary(wanted)

    room.journal.summary = early  # type: ignore[assignment, method-assign]  # as it stood a moment ago
    done = await sweep(room.another(), started=True)
    assert done is not None
    assert (asked[:1], done.orphans, room.storage.kept) == ([id], 0, [id])


async def test_an_orphan_is_ended_for_good() -> None:
    room, orphan = Room(), UploadId("e" * 32)

    async def left() -> AsyncIterator[bytes]:
        yield DATA

    await room.storage.write(orphan, Layout.FLAT, 0, left(), algorithms=(), durable=True)
    done = await sweep(room.engine, started=True)
    assert done is not None
    assert (done.orphans, room.storage.kept) == (1, [])
    assert (await room.engine.view(orphan, ME)).word == "expired"
