"""What happens without a request: expiry, oblivion, orphans, lost jobs, and telling the hooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.types import Cancel, ClientName, Layout, Published, State, Stored, Unknown, UploadId
from onward.engine import sweep as sweeping
from onward.engine.sweep import HOUSEKEEPER, TELLER, Sweeper, Swept, Teller, sweep
from onward.errors import Draining, NotFound
from onward.hooks.none import NoHooks
from onward.ports import FINISH, FeedItem
from tests.integration.engine_room import LONG, ME, NAME, Room, Watching, Wire

pytestmark = pytest.mark.anyio

G = ClientName(None, "g")


async def swept(room: Room, *, started: bool = False) -> Swept:
    done = await sweep(room.engine, started=started)
    assert done is not None
    return done


async def until(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(LONG):
        while not reached():  # noqa: ASYNC110, a task of the product that signals to nobody
            await anyio.sleep(0.001)


# -- expiry ----------------------------------------------------------------------------------------


async def test_an_unfinished_upload_expires_after_its_last_byte() -> None:
    room = Room(expire_after=100.0)
    await room.chunk(1, b"aaaa")
    room.now += 90
    await room.chunk(2, b"bbbb")
    room.now += 100
    assert (await swept(room)).expired == 0
    room.now += 1
    assert (await swept(room)).expired == 1
    assert (await room.status()).word == "expired"
    assert room.storage.kept == []
    assert (await swept(room)).expired == 0


async def test_what_is_sealed_or_done_does_not_expire() -> None:
    room = Room(expire_after=100.0)
    await room.done(b"aaaa")
    await room.chunk(1, b"bbbb", target=G)
    await room.seal(G)
    room.now += 1000
    assert (await swept(room)).expired == 0
    assert (await room.status(G)).state is State.SEALED


async def test_an_upload_that_is_being_written_does_not_expire() -> None:
    room, wire = Room(expire_after=100.0), Wire()
    await room.create()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: room.chunk(1, body=wire))
            await wire.asked.wait()
            room.now += 1000
            assert (await swept(room)).expired == 0
            wire.give(b"aaaa")
            wire.end()
    assert (await swept(room)).expired == 0
    assert (await room.status()).received_bytes == 4


async def test_a_byte_that_came_after_the_question_keeps_the_upload() -> None:
    """The list of what is due is older than the lock."""
    room = Room(expire_after=100.0)
    id = (await room.chunk(1, b"aaaa")).upload.id
    room.now += 1000

    async def late(found: Sequence[UploadId]) -> None:
        assert found == [id]
        await room.chunk(2, b"bbbb")

    room.journal.on_due = late
    assert (await swept(room)).expired == 0
    assert (await room.status()).received_bytes == 8


async def test_an_upload_that_was_completed_after_the_question_is_kept_whatever_the_clock_says() -> None:
    room = Room(expire_after=100.0)
    await room.chunk(1, b"aaaa")
    room.now += 1000

    async def complete(_: Sequence[UploadId]) -> None:
        room.now -= 1000
        await room.seal()

    room.journal.on_due = complete
    assert (await swept(room)).expired == 0
    assert (await room.status()).state is State.SEALED


async def test_an_upload_that_vanished_after_the_question_is_no_matter() -> None:
    room = Room(expire_after=100.0)
    id = (await room.chunk(1, b"aaaa")).upload.id
    await room.create(G)
    room.now += 1000

    async def vanish(_: Sequence[UploadId]) -> None:
        await room.journal.drop(id)
        room.engine.ledger.forget(id)

    room.journal.on_due = vanish
    assert (await swept(room)).expired == 1
    assert (await room.status(G)).word == "expired"


async def test_a_clock_that_jumps_back_expires_nothing_early() -> None:
    room = Room(expire_after=100.0)
    await room.chunk(1, b"aaaa")
    room.now -= 900  # the clock was wrong, or is now
    await room.chunk(2, b"bbbb")
    room.now += 905
    assert (await swept(room)).expired == 0
    room.now += 200
    assert (await swept(room)).expired == 1


async def test_what_a_newer_version_wrote_does_not_expire() -> None:
    room = Room(expire_after=100.0)
    upload = (await room.chunk(1, b"aaaa")).upload
    newer = Unknown(raw=b'{"type":"extended","expires_at":9999}')
    await room.journal.append(upload.id, [newer], version=upload.version, at=room.now, sync=True)
    room.now += 1000
    assert (await swept(room)).expired == 0
    assert room.storage.kept == [upload.id]


# -- oblivion --------------------------------------------------------------------------------------


async def test_what_is_over_is_answered_for_and_then_forgotten() -> None:
    room = Room(forget_after=100.0)
    cancelled = (await room.chunk(1, b"aaaa")).upload.id
    await room.engine.run(Cancel(target=NAME), ME)
    await room.chunk(1, b"aaaa", target=G)
    await room.seal(G, digest=sha256(b"x"))
    await room.work()
    done = await room.done(b"cccc", target=ClientName(None, "h"))
    room.now += 100
    assert (await swept(room)).forgotten == 0
    assert (await room.status()).word == "cancelled"
    room.now += 1
    assert (await swept(room)).forgotten == 2
    for target in (NAME, G, cancelled):
        with pytest.raises(NotFound):
            await room.status(target)
    assert (await room.engine.view(done.id, ME)).state is State.DONE
    assert (await room.create()).created


async def test_an_expired_upload_is_not_forgotten_by_the_same_sweep() -> None:
    room = Room(expire_after=100.0, forget_after=100.0)
    await room.chunk(1, b"aaaa")
    room.now += 1000
    assert (await swept(room)).forgotten == 0
    assert (await room.status()).word == "expired"


# -- after a crash ---------------------------------------------------------------------------------


async def test_bytes_that_nobody_will_ask_for_are_freed_at_the_start() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    live = (await room.status()).id
    await room.chunk(1, b"aaaa", target=G)
    sealed = (await room.seal(G)).upload.id
    h = ClientName(None, "h")
    over = (await room.chunk(1, b"aaaa", target=h)).upload.id
    await room.engine.run(Cancel(target=h), ME)
    unknown = UploadId("e" * 32)
    for id in (unknown, over):
        await room.storage.write(id, Layout.NUMBERED, 1, _nothing(), algorithms=(), durable=True)
    assert (await swept(room)).orphans == 0
    assert len(room.storage.kept) == 4
    assert (await swept(room, started=True)).orphans == 2
    assert sorted(room.storage.kept) == sorted([live, sealed])


async def _nothing() -> AsyncIterator[bytes]:
    none: tuple[bytes, ...] = ()
    for piece in none:
        yield piece


async def test_what_is_sealed_is_queued_again_when_it_rests_too_long() -> None:
    room = Room(requeue_after=10.0)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.queue.waiting.clear()
    room.now += 10
    assert (await swept(room)).queued == 0
    room.now += 1
    assert (await swept(room)).queued == 1
    assert room.queue.waiting == [id]
    await room.work()
    assert (await swept(room)).queued == 0


async def test_after_a_start_what_is_sealed_is_queued_at_once() -> None:
    room = Room(requeue_after=10.0)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.queue.waiting.clear()
    room.now += 1
    assert (await swept(room, started=True)).queued == 1
    assert room.queue.waiting == [id]


async def test_a_queue_that_is_down_stops_no_sweep() -> None:
    room = Room(requeue_after=10.0, expire_after=100.0)
    await room.chunk(1, b"aaaa")
    await room.seal()
    await room.chunk(1, b"aaaa", target=G)
    room.queue.broken = True
    room.now += 1000
    assert (await swept(room)).expired == 1


# -- one at a time ---------------------------------------------------------------------------------


async def test_one_process_sweeps_at_a_time() -> None:
    room = Room()
    async with room.locks.hold(HOUSEKEEPER, FINISH, timeout=0):
        assert await sweep(room.engine) is None
    assert await sweep(room.engine) is not None


async def test_the_first_sweep_is_the_one_after_a_crash() -> None:
    room, sweeper = Room(), Sweeper()
    orphan = UploadId("e" * 32)

    async def leave() -> None:
        await room.storage.write(orphan, Layout.NUMBERED, 1, _nothing(), algorithms=(), durable=True)

    await leave()
    async with room.locks.hold(HOUSEKEEPER, FINISH, timeout=0):
        await sweeper(room.engine)  # another process was at it: this one's start is still to come
    assert room.storage.kept == [orphan]
    await sweeper(room.engine)
    assert room.storage.kept == []
    await leave()
    await sweeper(room.engine)
    assert room.storage.kept == [orphan]


async def test_a_sweep_after_the_end_of_the_process_says_so() -> None:
    room = Room()
    await room.engine.close()
    with pytest.raises(Draining):
        await sweep(room.engine)


# -- telling ---------------------------------------------------------------------------------------


async def test_hooks_are_told_every_event_once_and_in_order() -> None:
    hooks = Watching()
    room = Room(hooks)
    await room.done(b"aaaa", b"bb")
    assert (await swept(room)).told == len(hooks.seen) == 6
    assert [type(item.record.event).__name__ for item in hooks.seen] == [
        "Created",
        "Declared",
        "Stored",
        "Stored",
        "Sealed",
        "Published",
    ]
    assert [item.seq for item in hooks.seen] == sorted(item.seq for item in hooks.seen)
    assert (await swept(room)).told == 0
    await room.create(G)
    assert (await swept(room)).told == 1


class Stumbling(Watching):
    """Fails on a kind of event as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = True

    async def after(self, item: FeedItem) -> None:
        await super().after(item)
        if self.fails and isinstance(item.record.event, Stored):
            raise ConnectionError


async def test_a_hook_that_fails_is_told_again_from_there() -> None:
    hooks = Stumbling()
    room = Room(hooks)
    await room.done(b"aaaa")
    assert (await swept(room)).told == 2
    assert (await swept(room)).told == 0
    assert isinstance(hooks.seen[-1].record.event, Stored)
    hooks.fails = False
    assert (await swept(room)).told == 3
    names = [type(item.record.event).__name__ for item in hooks.seen]
    assert names == ["Created", "Declared", "Stored", "Stored", "Stored", "Sealed", "Published"]
    assert (await swept(room)).told == 0


async def test_all_is_told_however_much_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 2)
    hooks = Watching()
    room = Room(hooks)
    await room.done(b"aaaa", b"bb")
    assert (await swept(room)).told == 6


async def test_another_process_goes_on_where_the_first_one_stopped() -> None:
    hooks = Watching()
    room = Room(hooks)
    await room.create()
    await swept(room)
    await room.create(G)
    done = await sweep(room.another())
    assert done is not None
    assert done.told == 1
    assert len(hooks.seen) == 2


async def test_hooks_hear_soon_what_happens_and_again_what_they_failed_on() -> None:
    hooks = Stumbling()
    room = Room(hooks)
    async with anyio.create_task_group() as group:
        group.start_soon(Teller(every=0.001), room.engine)
        await room.done(b"aaaa")
        await until(lambda: len(hooks.seen) > 4)
        assert isinstance(hooks.seen[-1].record.event, Stored)
        hooks.fails = False
        await until(lambda: isinstance(hooks.seen[-1].record.event, Published))
        group.cancel_scope.cancel()
    names = [type(item.record.event).__name__ for item in hooks.seen if not isinstance(item.record.event, Stored)]
    assert names == ["Created", "Declared", "Sealed", "Published"]


async def test_only_one_tells_at_a_time() -> None:
    hooks = Watching()
    room = Room(hooks)
    await room.create()
    async with room.engine.locks.hold(TELLER, FINISH, timeout=0):
        assert (await swept(room)).told == 0
    assert (await swept(room)).told == 1


async def test_hooks_that_say_nothing_are_told_all_the_same() -> None:
    room = Room(NoHooks())
    await room.create()
    assert (await swept(room)).told == 1
