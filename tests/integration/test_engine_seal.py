"""Completing and cancelling, beside writers and beside each other."""

from __future__ import annotations

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.types import Cancel, ClientName, Sealed, State, Target, Unknown
from onward.errors import (
    AlreadyComplete,
    Incomplete,
    LengthConflict,
    Locked,
    NotFound,
    Refused,
    Unreadable,
    UploadOver,
    WritersBusy,
)
from onward.ports import FINISH, WHOLE, OnConflict
from tests.integration.engine_room import LONG, ME, NAME, Room, Wire

pytestmark = pytest.mark.anyio

G = ClientName(None, "g")


async def cancel(room: Room, target: Target = NAME) -> Outcome:
    return await room.engine.run(Cancel(target=target), ME)


async def kinds(room: Room) -> list[str]:
    return [type(item.record.event).__name__ for item in await room.journal.feed(after=0, limit=1000)]


# -- completing ------------------------------------------------------------------------------------


async def test_what_lacks_is_named_and_nothing_is_sealed() -> None:
    room = Room()
    await room.chunk(2, b"bbbb")
    with pytest.raises(Incomplete) as caught:
        await room.seal(parts=3)
    assert caught.value.facts == {"missing": [[1, 1], [3, 3]]}
    with pytest.raises(NotFound):
        await room.seal(G)
    assert room.queue.waiting == []
    assert (await room.status()).state is State.OPEN


async def test_fifty_complete_at_once_and_one_seals() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    outcomes: list[Outcome] = []

    async def complete() -> None:
        outcomes.append(await room.seal(parts=1))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(complete)
    assert len(outcomes) == 50
    assert sum(outcome.fresh for outcome in outcomes) == 1
    assert (await kinds(room)).count("Sealed") == 1
    assert len(room.queue.waiting) == 1


async def test_completing_again_says_the_same_at_every_stage() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    assert (await room.seal()).fresh
    assert not (await room.seal(parts=1, length=4)).fresh
    await room.work()
    assert not (await room.seal(parts=1)).fresh
    assert room.queue.waiting == []
    with pytest.raises(LengthConflict):
        await room.seal(parts=2)
    await room.chunk(1, b"aaaa", target=G)
    await cancel(room, G)
    with pytest.raises(UploadOver) as caught:
        await room.seal(G)
    assert caught.value.facts == {"reason": "cancelled"}


async def test_the_seal_says_whether_the_total_was_known() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    assert (await room.seal()).upload.sealed == Sealed(length=4, parts=1, total_known=False)


async def test_a_seal_waits_for_a_running_chunk() -> None:
    room, wire = Room(), Wire()
    sealed: list[Outcome] = []

    async def complete() -> None:
        sealed.append(await room.seal())

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            await room.chunk(1, b"aaaa")
            group.start_soon(lambda: room.chunk(2, body=wire))
            await wire.asked.wait()
            group.start_soon(complete)
            await anyio.wait_all_tasks_blocked()
            assert sealed == []
            wire.give(b"bb")
            wire.end()
    assert sealed[0].upload.sealed is not None
    assert sealed[0].upload.sealed.length == 6


async def test_a_seal_does_not_wait_for_ever_and_cuts_no_writer() -> None:
    room, wire = Room(seal_wait=0.05), Wire()
    stored: list[Outcome] = []

    async def store() -> None:
        stored.append(await room.chunk(2, body=wire))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            await room.chunk(1, b"aaaa")
            group.start_soon(store)
            await wire.asked.wait()
            with pytest.raises(WritersBusy) as caught:
                await room.seal()
            assert caught.value.facts == {"retry_after": 1}
            wire.give(b"bb")
            wire.end()
    assert stored[0].fresh
    assert (await room.seal(parts=2)).fresh


async def test_a_chunk_that_waited_for_the_seal_comes_too_late() -> None:
    room = Room()
    id = (await room.chunk(1, b"aaaa")).upload.id
    seen: list[str] = []

    async def late() -> None:
        with pytest.raises(AlreadyComplete) as caught:
            await room.chunk(2, b"bbbb")
        seen.append(caught.value.code)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(id, WHOLE, timeout=0):
            group.start_soon(late)
            await anyio.wait_all_tasks_blocked()
            upload = await room.status()
            seal = Sealed(length=4, parts=1)
            await room.journal.append(id, [seal], version=upload.version, at=1.0, sync=True)
    assert seen == ["already-complete"]


async def test_an_upload_sealed_by_another_process_while_one_waited_is_not_sealed_again() -> None:
    room = Room(durable_parts=False)
    id = (await room.chunk(1, b"aaaa")).upload.id
    seen: list[Outcome] = []

    async def complete() -> None:
        seen.append(await room.seal(parts=1))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(id, WHOLE, timeout=0):
            group.start_soon(complete)
            await anyio.wait_all_tasks_blocked()
            other = room.another()
            await other.ledger.record(await other.ledger.load(id), lambda _: [Sealed(length=4, parts=1)])
    assert not seen[0].fresh
    assert (await kinds(room)).count("Sealed") == 1
    assert ("sync", True) not in room.log


async def test_a_queue_that_is_down_fails_no_complete() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    room.queue.broken = True
    assert (await room.seal()).fresh
    assert (await room.status()).state is State.SEALED


# -- cancelling ------------------------------------------------------------------------------------


async def test_a_cancelled_upload_frees_its_bytes_and_stays_known() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await cancel(room)
    assert room.storage.kept == []
    assert ((await room.status()).word, room.locks.busy) == ("cancelled", 0)
    await cancel(room)
    assert (await kinds(room)).count("Removed") == 1
    with pytest.raises(NotFound):
        await cancel(room, G)


async def test_a_cancel_ends_a_running_write_and_nothing_of_it_comes_back() -> None:
    room, wire = Room(), Wire()
    wire.give(b"aa")
    seen: list[str] = []

    async def store() -> None:
        with pytest.raises(Locked) as caught:
            await room.at(0, body=wire)
        seen.append(caught.value.code)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(store)
            await wire.asked.wait()
            await anyio.wait_all_tasks_blocked()
            await cancel(room)
    assert seen == ["locked"]
    upload = await room.status()
    assert upload.word == "cancelled"
    assert room.storage.kept == []
    with pytest.raises(UploadOver):
        await room.at(2, b"bb")


async def test_a_writer_that_waited_for_the_cancel_stores_nothing() -> None:
    room = Room()
    id = (await room.chunk(1, b"aaaa")).upload.id

    async def late() -> None:
        with pytest.raises(UploadOver):
            await room.chunk(2, b"bbbb")

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(id, WHOLE, timeout=0):
            group.start_soon(cancel, room)
            await anyio.wait_all_tasks_blocked()
            group.start_soon(late)
            await anyio.wait_all_tasks_blocked()
    assert room.storage.kept == []


async def test_who_cannot_be_made_to_leave_holds_up_a_cancel() -> None:
    room = Room(lock_wait=0.02)
    id = (await room.chunk(1, b"aaaa")).upload.id
    async with room.locks.hold(id, (5, 6), timeout=0):
        with pytest.raises(Locked):
            await cancel(room)
    assert (await room.status()).state is State.OPEN


async def test_a_finished_file_is_deleted_only_where_that_is_allowed() -> None:
    kept = Room()
    await kept.done(b"aaaa")
    with pytest.raises(Refused):
        await cancel(kept)
    assert kept.storage.files == {"f.bin": b"aaaa"}
    room = Room(delete_finished=True)
    upload = await room.done(b"aaaa")
    await cancel(room)
    assert room.storage.files == {}
    with pytest.raises(NotFound):
        await room.storage.manifest(upload.id)


async def test_a_file_that_is_finished_while_a_cancel_waits_is_kept_too() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id

    async def too_late() -> None:
        with pytest.raises(Refused):
            await cancel(room)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(id, WHOLE, timeout=0):
            group.start_soon(too_late)
            await anyio.wait_all_tasks_blocked()
            await room.work()
    assert (await room.status()).state is State.DONE
    assert room.storage.files == {"f.bin": b"aaaa"}


async def test_nobody_who_may_not_delete_disturbs_a_writer() -> None:
    room = Room()
    id = (await room.done(b"aaaa")).id
    async with room.locks.hold(id, (1, 2), timeout=0) as lease:
        with pytest.raises(Refused):
            await cancel(room)
        assert not lease.revoked.is_set()


async def test_a_cancel_does_not_wait_for_the_worker() -> None:
    room = Room(lock_wait=0.02)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    async with room.locks.hold(id, FINISH, timeout=0):
        await cancel(room)
    assert (await room.status()).word == "cancelled"


async def test_a_cancelled_upload_takes_no_file_of_a_later_one_with_it() -> None:
    room = Room(delete_finished=True)
    old = await room.done(b"aaaa")
    await cancel(room)
    await room.done(b"bbbb")
    await cancel(room, old.id)
    assert room.storage.files == {"f.bin": b"bbbb"}


async def test_an_upload_that_was_replaced_takes_no_file_of_its_successor_with_it() -> None:
    room = Room(delete_finished=True, on_conflict=OnConflict.REPLACE)
    old = await room.done(b"aaaa")
    await room.create()
    await room.done(b"bbbb")
    await cancel(room, old.id)
    assert room.storage.files == {"f.bin": b"bbbb"}
    assert (await room.engine.view(old.id, ME)).word == "cancelled"


async def test_an_upload_that_was_replaced_is_over_and_has_no_file() -> None:
    room = Room(on_conflict=OnConflict.REPLACE)
    old = await room.done(b"aaaa")
    await room.create()
    new = await room.done(b"bbbb")
    replaced = await room.engine.view(old.id, ME)
    assert (replaced.word, replaced.cause) == ("cancelled", "replaced")
    with pytest.raises(NotFound):
        await room.storage.manifest(old.id)
    assert (await room.engine.view(new.id, ME)).word == "done"
    assert await room.storage.manifest(new.id)


async def test_a_replaced_upload_takes_no_file_with_it_when_a_third_has_the_name() -> None:
    room = Room(delete_finished=True, on_conflict=OnConflict.REPLACE)
    old = await room.done(b"aaaa")
    await room.create()
    await room.done(b"bbbb")
    await room.create()
    await cancel(room, old.id)
    assert room.storage.files == {"f.bin": b"bbbb"}


async def test_an_upload_whose_successor_is_not_finished_takes_its_own_file() -> None:
    room = Room(delete_finished=True, on_conflict=OnConflict.REPLACE)
    old = await room.done(b"aaaa")
    await room.create()
    await cancel(room, old.id)
    assert room.storage.files == {}


async def test_an_upload_whose_successor_was_renamed_takes_its_own_file() -> None:
    room = Room(delete_finished=True, on_conflict=OnConflict.RENAME)
    old = await room.done(b"aaaa")
    await room.create()
    await room.done(b"bbbb")
    await cancel(room, old.id)
    assert room.storage.files == {"f (1).bin": b"bbbb"}


async def test_a_cancel_that_was_cut_short_is_finished_by_the_next_one() -> None:
    room = Room(delete_finished=True)
    await room.done(b"aaaa")
    room.storage.stuck = True
    with pytest.raises(ConnectionError):
        await cancel(room)
    assert room.storage.files == {"f.bin": b"aaaa"}
    room.storage.stuck = False
    await cancel(room)
    assert room.storage.files == {}


async def test_without_a_name_only_the_first_cancel_takes_the_file() -> None:
    room = Room(delete_finished=True, name_template="{filename}")
    ids = []
    for data in (b"aaaa", b"bbbb"):
        id = (await room.create(None, metadata={"filename": "p"})).upload.id
        ids.append(id)
        await room.chunk(1, data, target=id)
        await room.seal(id)
        await room.work()
        if len(ids) == 1:
            await cancel(room, id)
            assert room.storage.files == {}
    await cancel(room, ids[0])
    assert room.storage.files == {"p": b"bbbb"}


async def test_a_failed_upload_can_be_cancelled() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal(digest=sha256(b"x"))
    await room.work()
    await cancel(room)
    assert (await room.status()).word == "cancelled"


# -- written by a newer version --------------------------------------------------------------------


async def test_what_a_newer_version_wrote_can_be_read_and_not_changed() -> None:
    room = Room()
    upload = (await room.chunk(1, b"aaaa")).upload
    newer = Unknown(raw=b'{"type":"extended","expires_at":1}')
    await room.journal.append(upload.id, [newer], version=upload.version, at=1.0, sync=True)
    before = list(room.log)
    seen = await room.status()
    assert (seen.received_bytes, seen.read_only) == (4, True)
    for attempt in (room.chunk(2, b"bbbb"), room.chunk(1, b"aaaa"), room.seal(), room.create(length=8), cancel(room)):
        with pytest.raises(Unreadable):
            await attempt
    assert room.log == before
    assert room.storage.kept == [upload.id]
