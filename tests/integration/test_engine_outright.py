"""A small file that comes whole with its creation."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Completes,
    Create,
    Declaration,
    Digest,
    First,
    Policy,
    Published,
    Sealed,
    Spec,
    State,
    Store,
    Stored,
    UploadId,
)
from onward.engine.intake import Body, Bytes
from onward.errors import (
    BadBody,
    BodyIncomplete,
    ClientGone,
    DigestMismatch,
    Draining,
    NoSpace,
    OnwardError,
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


async def test_its_bytes_are_in_that_entry_until_they_are_published() -> None:
    room = Room(durable_parts=False, durable_seal=True)
    id = (await create(room, Bytes(DATA))).upload.id
    assert room.log == [("created", True)]
    assert (await room.journal.enclosed(id), room.storage.kept) == (DATA, [])
    await room.engine.finish(id)
    assert await room.journal.enclosed(id) == b""
    assert list(room.storage.files.values()) == [DATA]


async def test_a_publish_whose_event_was_lost_is_repeated_from_the_entry() -> None:
    room = Room()
    id = (await create(room, Bytes(DATA))).upload.id
    room.journal.lose = Published
    with pytest.raises(StorageFault):
        await room.engine.finish(id)
    assert await room.journal.enclosed(id) == DATA
    room.journal.lose = None
    await room.engine.finish(id)
    assert list(room.storage.files.values()) == [DATA]
    assert (await room.engine.view(id, ME)).state is State.DONE


async def test_what_the_storage_spoils_is_asked_for_again_and_not_taken_from_the_entry() -> None:
    room = Room()
    id = (await create(room, Bytes(DATA))).upload.id
    room.storage.rotten = True
    await room.engine.finish(id)
    upload = await room.engine.view(id, ME)
    assert (upload.state, upload.offset, await room.journal.enclosed(id)) == (State.OPEN, 0, b"")
    room.storage.rotten = False
    await room.engine.run(Store(target=id, at=Append(0), size=len(DATA)), ME, Bytes(DATA))
    await room.engine.finish(id)
    assert list(room.storage.files.values()) == [DATA]


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


async def test_it_has_no_room_that_others_were_promised_or_below_the_floor() -> None:
    for free, promised in ((100 + len(DATA) - 1, 0), (1000, 900)):
        room = Room(min_free=100)
        room.storage.room = free
        if promised:
            await room.create(length=promised)
            room.engine = room.another()
        with pytest.raises(NoSpace):
            await create(room, Bytes(DATA))


async def test_what_others_were_promised_is_not_asked_for_each() -> None:
    room, asked = Room(min_free=100), list[int]()
    room.storage.room = 1000
    promised = room.journal.promised

    async def noted() -> int:
        asked.append(1)
        return await promised()

    room.journal.promised = noted  # type: ignore[method-assign]  # counts
    for _ in range(3):
        await create(room, Bytes(DATA))
    assert len(asked) == 1
