"""Sealed and not published: wrong, damaged, or cancelled meanwhile."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.types import (
    Cancel,
    ClientName,
    Create,
    Damaged,
    Digest,
    Phase,
    Policy,
    Published,
    Spec,
    State,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.sweep import sweep
from onward.errors import (
    AlreadyComplete,
    DigestConflict,
    LengthConflict,
    NotFound,
    PartConflict,
    Refused,
    StorageFault,
    UploadFailed,
)
from onward.hooks.none import NoHooks
from onward.ports import WorkDone
from tests.integration.engine_room import LONG, ME, NAME, Room

pytestmark = pytest.mark.anyio


async def events(room: Room, id: UploadId) -> list[str]:
    return [type(record.event).__name__ for record in await room.journal.read(id)]


# -- wrong and damaged -----------------------------------------------------------------------------


@pytest.mark.parametrize("digest", [sha256(b"other"), Digest("sha-512", bytes(64))])
async def test_a_whole_with_another_digest_fails_and_frees_its_bytes(digest: Digest) -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal(digest=digest)
    await room.work()
    upload = await room.status()
    assert (upload.state, upload.reason) == (State.FAILED, "digest-mismatch")
    assert room.storage.files == {}
    assert room.storage.kept == []
    with pytest.raises(UploadFailed) as caught:
        await room.seal()
    assert caught.value.facts == {"reason": "digest-mismatch"}
    with pytest.raises(UploadFailed):
        await room.chunk(2, b"bbbb")


async def test_the_declared_digest_is_proved() -> None:
    room = Room()
    await room.create(digest=Digest("md5", bytes.fromhex("74b87337454200d4d33f80c4663dc5e5")))
    await room.done(b"aaaa")
    with pytest.raises(DigestConflict):
        await room.seal(digest=sha256(b"other"))


async def test_a_digest_named_after_the_end_is_held_against_the_file() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal(parts=1)
    with pytest.raises(AlreadyComplete):
        await room.seal(digest=sha256(b"aaaa"))
    await room.work()
    assert not (await room.seal(digest=sha256(b"aaaa"))).fresh
    with pytest.raises(DigestConflict):
        await room.seal(digest=sha256(b"other"))


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_a_damaged_part_is_named_and_when_it_has_come_the_upload_goes_on_by_itself(said: dict[str, Any]) -> None:
    room = Room()
    for number, data in enumerate((b"aaaa", b"bbbb", b"cc"), 1):
        await room.chunk(number, data, **said)
    id = (await room.seal(parts=3)).upload.id
    for number in (1, 3):
        room.storage.spoil(id, (number - 1) * 4 if said else number)
    await room.work()
    upload = await room.status()
    assert (upload.state, list(upload.missing())) == (State.OPEN, [(1, 1), (3, 3)])
    assert room.storage.kept == [id]
    with pytest.raises((LengthConflict, PartConflict)):
        await room.chunk(4, b"dddd")  # it was complete without
    with pytest.raises(LengthConflict):
        await room.seal(parts=2)
    assert (await room.chunk(1, b"aaaa")).fresh
    assert (await room.status()).state is State.OPEN
    assert room.queue.waiting == []
    assert (await room.chunk(3, b"cc")).fresh
    assert (await room.status()).state is State.SEALED
    assert room.queue.waiting == [id]
    await room.work()
    assert room.storage.files == {"f.bin": b"aaaabbbbcc"}


async def test_a_damaged_chunk_must_come_again_in_its_size() -> None:
    room = Room()
    for number, data in enumerate((b"aaaa", b"bbbb"), 1):
        await room.chunk(number, data)
    id = (await room.seal(parts=2)).upload.id
    room.storage.spoil(id, 2)
    await room.work()
    with pytest.raises(LengthConflict):
        await room.chunk(2, b"bbb")
    assert (await room.status()).state is State.OPEN
    await room.chunk(2, b"bbbb")
    await room.work()
    assert room.storage.files == {"f.bin": b"aaaabbbb"}


async def test_a_damaged_run_may_come_again_in_one_body() -> None:
    room = Room(segment=4)
    await room.at(0, b"aaaabbbbcccc")
    id = (await room.seal()).upload.id
    room.storage.spoil(id, 4)
    room.storage.spoil(id, 8)
    await room.work()
    assert list((await room.status()).holes()) == [(4, 12)]
    await room.at(0, b"aaaabbbbcccc")
    assert room.queue.waiting == [id]
    await room.work()
    assert room.storage.files == {"f.bin": b"aaaabbbbcccc"}


async def test_damage_fails_an_upload_that_may_not_reopen() -> None:
    room = Room()
    await room.engine.run(Create(spec=Spec(name=NAME), policy=Policy(reopens=False)), ME)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.storage.spoil(id, 1)
    await room.work()
    assert (await room.status()).reason == "damaged"
    assert room.storage.kept == []


async def test_what_happened_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "onward.finish")
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.storage.spoil(id, 1)
    await room.work()
    await room.chunk(1, b"aaaa")
    await room.work()
    assert f"upload {id} has damaged parts: [1]" in caplog.text
    assert f"published {id} as f.bin: 4 bytes" in caplog.text
    await room.chunk(1, b"aaaa", target=ClientName(None, "g"))
    await room.seal(ClientName(None, "g"), digest=sha256(b"x"))
    await room.work()
    assert "failed: digest-mismatch" in caplog.text


# -- cancelled meanwhile ---------------------------------------------------------------------------


@pytest.mark.parametrize("when", [*Phase])
async def test_a_cancel_while_it_is_verified_calls_it_off(when: Phase) -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id

    async def cancel(phase: Phase) -> None:
        if phase is when:
            await room.engine.run(Cancel(target=NAME), ME)

    room.journal.on_report = cancel
    await room.work()
    assert (await room.status()).word == "cancelled"
    assert room.storage.files == {}
    assert "Published" not in await events(room, id)
    assert not any(phase is Phase.VERIFYING for phase, _, _ in room.journal.reported) or when is Phase.VERIFYING


class CancelsAt(NoHooks):
    """Somebody cancels between the read-back and the publish."""

    async def before_publish(self, upload: Upload, name: str) -> str:
        await self.room.engine.run(Cancel(target=upload.id), ME)
        return name

    room: Room


async def test_a_cancel_between_the_proof_and_the_publish_leaves_nothing_visible() -> None:
    hooks = CancelsAt()
    room = hooks.room = Room(hooks)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    await room.work()
    assert (await room.status()).word == "cancelled"
    assert room.storage.files == {}
    assert room.storage.kept == []
    with pytest.raises(NotFound):
        await room.storage.manifest(id)
    assert (await events(room, id))[-1] == "Removed"


async def test_a_refusal_that_comes_after_a_cancel_changes_nothing() -> None:
    class Both(CancelsAt):
        async def before_publish(self, upload: Upload, name: str) -> str:
            await super().before_publish(upload, name)
            raise Refused("too late")

    hooks = Both()
    room = hooks.room = Room(hooks)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    await room.work()
    assert (await events(room, id))[-1] == "Removed"


async def test_no_writer_gets_in_while_it_is_verified() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal()

    async def late(_: Phase) -> None:
        with pytest.raises(AlreadyComplete):
            await room.chunk(2, b"bbbb")
        assert not (await room.chunk(1, b"aaaa")).fresh

    room.journal.on_report = late
    with anyio.fail_after(LONG):
        await room.work()
    assert room.storage.files == {"f.bin": b"aaaa"}


async def test_damage_found_by_two_workers_is_told_once() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.storage.spoil(id, 1)
    async with anyio.create_task_group() as group:
        group.start_soon(room.engine.finish, id)
        group.start_soon(room.another().finish, id)
    assert (await events(room, id)).count(Damaged.__name__) == 1


# -- visible, and nobody was told -------------------------------------------------------------------


async def died_before_it_was_recorded(room: Room) -> UploadId:
    """A file that has its final name, and a journal that does not know it."""
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.journal.lose = Published
    with pytest.raises(StorageFault):
        await room.work()
    room.journal.lose = None
    assert room.storage.files == {"f.bin": b"aaaa"}
    return id


async def test_a_cancel_takes_away_what_became_visible_before_its_worker_died() -> None:
    room = Room()
    id = await died_before_it_was_recorded(room)
    await room.engine.run(Cancel(target=NAME), ME)
    assert room.storage.files == {}
    assert room.storage.kept == []
    with pytest.raises(NotFound):
        await room.storage.manifest(id)
    await room.engine.finish(id)
    assert room.storage.files == {}


async def test_a_sweep_ends_such_a_cancel_where_it_was_cut_short() -> None:
    room = Room()
    id = await died_before_it_was_recorded(room)
    room.storage.stuck = True
    with pytest.raises(ConnectionError):
        await room.engine.run(Cancel(target=NAME), ME)
    assert (await room.status(id)).word == "cancelled"
    room.storage.stuck = False
    await sweep(room.engine, started=True)
    assert room.storage.files == {}


async def test_an_upload_that_fails_leaves_nothing_visible_either() -> None:
    room = Room(verify_deaths=1)
    id = await died_before_it_was_recorded(room)
    await room.journal.report(id, WorkDone(phase=Phase.VERIFYING, done=0, total=4, at=0.0, deaths=1))
    await room.engine.finish(id)
    assert (await room.status()).state is State.FAILED
    assert room.storage.files == {}
