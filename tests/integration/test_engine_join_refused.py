"""Concatenation: what is refused, how long pieces are kept, and what is repeated."""

from __future__ import annotations

import pytest

from onward.core.types import (
    Cancel,
    Command,
    Create,
    First,
    Published,
    Spec,
    State,
    Status,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.sweep import expire, sweep
from onward.errors import (
    BadField,
    NameTaken,
    NotFound,
    Refused,
    StorageFault,
    UploadTooLarge,
)
from onward.hooks.none import NoHooks
from onward.ports import Caller
from tests.integration.engine_room import ME, NAME, Pieces, Room
from tests.integration.joints import WHOLE, A, final, piece, send

pytestmark = pytest.mark.anyio


@pytest.fixture
async def room() -> Room:
    return Room()


# -- refused ----------------------------------------------------------------------------------------


async def test_only_pieces_of_ones_own_can_be_joined(room: Room) -> None:
    mine = await piece(room.engine, A)
    other = await piece(room.engine, A, caller=Caller(owner="other"))
    ordinary = (await room.create(None, length=5)).upload.id
    gone = await piece(room.engine, A)
    await room.engine.run(Cancel(target=gone), ME)
    before = await room.journal.last_seq()
    for id, error in ((other, NotFound), (UploadId("e" * 32), NotFound), (gone, NotFound), (ordinary, BadField)):
        with pytest.raises(error):
            await final(room.engine, mine, id)
    assert await room.journal.last_seq() == before
    assert (await final(room.engine, mine, other, caller=Caller(operator=True))).state is State.SEALED


async def test_whoever_may_not_see_a_piece_may_not_join_it() -> None:
    class Strict(NoHooks):
        async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
            if upload is not None and isinstance(command, Status):
                raise Refused("not this one")

    room = Room(Strict())
    one = await piece(room.engine, A)
    with pytest.raises(Refused):
        await final(room.engine, one)


async def test_what_is_known_to_be_too_large_is_refused_at_once(room: Room) -> None:
    one = await piece(room.engine, length=600)
    before = await room.journal.last_seq()
    with pytest.raises(UploadTooLarge):
        await final(room.engine, one, one)
    assert await room.journal.last_seq() == before


async def test_it_takes_no_bytes_of_its_own(room: Room) -> None:
    one = await piece(room.engine, length=5)
    with pytest.raises(Refused):
        await room.engine.run(Create(spec=Spec(sources=(one,)), policy=WHOLE, first=First(size=1)), ME, Pieces(b"x"))
    made = await final(room.engine, one)
    for call in (send(room.engine, made.id, 0, b"x"), room.at(0, b"x", target=made.id), room.seal(made.id)):
        with pytest.raises(Refused):
            await call
    assert (await room.status(made.id)).version == 2


async def test_a_piece_is_never_published_by_itself(room: Room) -> None:
    one = await piece(room.engine, A)
    with pytest.raises(Refused):
        await room.seal(one)
    assert await sweep(room.engine, started=True) is not None
    assert (room.queue.waiting, room.storage.files) == ([], {})
    assert (await room.status(one)).state is State.OPEN


async def test_a_name_in_use_is_not_taken_for_it(room: Room) -> None:
    one = await piece(room.engine, A)
    await room.create(length=5)
    with pytest.raises(NameTaken):
        await room.engine.run(Create(spec=Spec(name=NAME, sources=(one,)), policy=WHOLE), ME)


# -- how long they stay -----------------------------------------------------------------------------


async def test_a_piece_that_is_waited_for_stays_and_then_all_go_together(room: Room) -> None:
    done, running = await piece(room.engine, A), await piece(room.engine, length=5)
    alone = await piece(room.engine, A)
    made = await final(room.engine, done, running)
    room.now = 2000.0
    await send(room.engine, running, 0, b"x")
    await expire(room.engine, before=1500.0)
    assert [(await room.status(id)).state for id in (done, running, made.id)] == [State.OPEN] * 3
    assert (await room.status(alone)).reason == "expired"
    for _ in range(2):  # it goes first, then nobody needs its pieces
        await expire(room.engine, before=2500.0)
    assert [(await room.status(id)).reason for id in (done, running, made.id)] == ["expired"] * 3
    assert room.storage.kept == []


async def test_a_piece_stays_until_it_was_joined(room: Room) -> None:
    one = await piece(room.engine, A)
    made = await final(room.engine, one)
    assert await expire(room.engine, before=2000.0) == 0
    await room.work()
    assert (await room.status(made.id)).state is State.DONE
    assert await expire(room.engine, before=2000.0) == 1
    assert (await room.status(one)).reason == "expired"


async def test_what_is_kept_does_not_keep_others(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onward.engine.sweep.BATCH", 2)
    kept = [await piece(room.engine, A) for _ in range(5)]
    room.now = 1100.0
    running = await piece(room.engine, length=5)
    await final(room.engine, *kept, running)
    alone = await piece(room.engine, A)
    room.now = 2000.0
    await send(room.engine, running, 0, b"x")
    assert await expire(room.engine, before=1500.0) == 1
    assert (await room.status(alone)).reason == "expired"


# -- interrupted ------------------------------------------------------------------------------------


async def test_a_worker_that_dies_before_it_is_known_to_be_published_is_repeated(room: Room) -> None:
    one = await piece(room.engine, A)
    made = await final(room.engine, one)
    room.journal.lose = Published
    with pytest.raises(StorageFault):
        await room.work()
    assert len(room.storage.files) == 1
    room.journal.lose = None
    await room.engine.run(Cancel(target=one), ME)  # it has served
    await room.engine.finish(made.id)
    done = await room.status(made.id)
    assert (done.state, list(room.storage.files.values())) == (State.DONE, [A])


async def test_the_same_request_again_gives_the_same_file(room: Room) -> None:
    one = await piece(room.engine, A)
    command = Create(spec=Spec(sources=(one,)), policy=WHOLE, idempotency_key="k")
    first, second = await room.engine.run(command, ME), await room.engine.run(command, ME)
    assert (first.upload.id, first.created, second.created) == (second.upload.id, True, True)
