"""From sealed to published: read back, proved, made visible; repeated, interrupted, damaged."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from onward.core import manifest
from onward.core.digest import sha256
from onward.core.types import (
    Cancel,
    ClientName,
    Create,
    Created,
    Damaged,
    Digest,
    Phase,
    Policy,
    Published,
    Record,
    Spec,
    State,
    Unknown,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine import finish as finishing
from onward.engine.finish import final_name
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
from onward.ports import FINISH, OnConflict, WorkDone
from tests.integration.engine_room import LONG, ME, NAME, Room

pytestmark = pytest.mark.anyio


async def events(room: Room, id: UploadId) -> list[str]:
    return [type(record.event).__name__ for record in await room.journal.read(id)]


# -- published -------------------------------------------------------------------------------------


async def test_a_file_is_published_with_its_manifest_and_its_scratch_is_freed() -> None:
    room = Room()
    upload = await room.done(b"aaaa", b"bb")
    assert upload.published == Published(ref="f.bin", size=6, digest=sha256(b"aaaabb"))
    assert room.storage.files == {"f.bin": b"aaaabb"}
    assert room.storage.kept == []
    described = manifest.decode(await room.storage.manifest(upload.id))
    assert (described.name, described.length, described.sha256) == ("f.bin", 6, sha256(b"aaaabb").value.hex())
    assert [piece.sha256 for piece in described.parts] == [sha256(b"aaaa").value.hex(), sha256(b"bb").value.hex()]
    assert described.published_at == room.now


async def test_finishing_again_and_from_many_sides_does_nothing_more() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal(parts=1)).upload.id
    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(room.engine.finish, id)
    await room.engine.finish(id)
    assert (await events(room, id)).count("Published") == 1


async def test_only_who_holds_the_finish_works(caplog: pytest.LogCaptureFixture) -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    async with room.locks.hold(id, FINISH, timeout=0):
        await room.engine.finish(id)
        assert (await room.status()).state is State.SEALED
    await room.engine.finish(id)
    assert (await room.status()).state is State.DONE


async def test_what_is_not_there_or_not_sealed_is_left_alone() -> None:
    room = Room()
    await room.engine.finish(UploadId("0" * 32))
    id = (await room.chunk(1, b"aaaa")).upload.id
    await room.engine.finish(id)
    assert (await room.status()).state is State.OPEN
    assert room.storage.kept == [id]


async def test_what_a_newer_version_wrote_is_not_published() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    upload = (await room.seal()).upload
    newer = Unknown(raw=b'{"type":"sources-ready"}')
    await room.journal.append(upload.id, [newer], version=upload.version, at=1.0, sync=True)
    await room.work()
    assert (await room.status()).state is State.SEALED
    assert room.storage.files == {}
    assert room.storage.kept == [upload.id]


async def test_a_publish_whose_event_was_lost_is_repeated() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    room.journal.lose = Published
    with pytest.raises(StorageFault):
        await room.engine.finish(id)
    assert room.storage.files == {"f.bin": b"aaaa"}
    assert (await room.status()).state is State.SEALED
    room.journal.lose = None
    await room.engine.finish(id)
    assert (await room.status()).state is State.DONE
    assert room.storage.files == {"f.bin": b"aaaa"}


async def test_progress_is_told_with_its_phases() -> None:
    room = Room()
    upload = await room.done(b"aaaa", b"bb")
    assert await room.journal.work(upload.id) == WorkDone(phase=Phase.VERIFYING, done=6, total=6, at=room.now)
    assert room.journal.reported == [
        (Phase.ASSEMBLING, 0, 6),
        (Phase.ASSEMBLING, 6, 6),
        (Phase.VERIFYING, 0, 6),
        (Phase.VERIFYING, 6, 6),
    ]


async def test_progress_is_not_told_more_often_than_anybody_looks() -> None:
    room = Room()
    room.storage.chatty = 100
    await room.done(b"aaaa")
    assert len(room.journal.reported) == 4


async def test_progress_is_told_again_when_it_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finishing, "REPORT_EVERY", 0.0)
    room = Room()
    room.storage.chatty = 100
    await room.done(b"aaaa")
    assert len(room.journal.reported) > 100


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "files", "ref"),
    [
        (OnConflict.REFUSE, {"f.bin": b"aaaa"}, "{id}/f.bin"),
        (OnConflict.RENAME, {"f.bin": b"aaaa"}, "f (1).bin"),
        (OnConflict.REPLACE, {}, "f.bin"),
    ],
)
async def test_a_name_that_was_taken_meanwhile(how: OnConflict, files: dict[str, bytes], ref: str) -> None:
    """The fallback is said in the result, and nothing is lost."""
    room = Room(on_conflict=how)
    await room.chunk(1, b"bbbb")
    room.storage.take("f.bin", b"aaaa")
    await room.seal()
    await room.work()
    upload = await room.status()
    assert upload.published is not None
    assert upload.published.ref == ref.format(id=upload.id)
    assert room.storage.files == files | {upload.published.ref: b"bbbb"}


@pytest.mark.parametrize(
    ("owner", "name", "filename", "template", "path"),
    [
        (None, None, None, "{id}/{filename}", "ID/file"),
        (None, None, "photo.jpg", "{id}/{filename}", "ID/photo.jpg"),
        (None, "f", "photo.jpg", "{filename}", "f"),
        ("anna", None, "p", "{id}/{filename}", "anna/ID/p"),
        ("anna", "f", None, "{filename}", "anna/f"),
        ("anna", None, "p", "{owner}/in/{filename}", "anna/in/p"),
        (None, None, "p", "{owner}/in/{filename}", "in/p"),
        ("a/b", None, "p", "{filename}", "a%2Fb/p"),
        ("..", None, "p", "{filename}", "%2E%2E/p"),
        ("{id}", None, "p", "{filename}", "%7Bid%7D/p"),
        (None, None, "../../etc/passwd", "{id}/{filename}", "ID/file"),
        (None, None, "..", "{filename}", "file"),
        (None, None, "", "{filename}", "file"),
        (None, None, "a\x00b", "{filename}", "file"),
        (None, None, "x" * 256, "{filename}", "file"),
        (None, None, "{id}{owner}", "{filename}", "{id}{owner}"),
        (None, None, "p", "/{id}//{filename}", "ID/p"),
    ],
)
def test_final_names(owner: str | None, name: str | None, filename: str | None, template: str, path: str) -> None:
    spec = Spec(
        name=ClientName(owner, name) if name else None,
        owner=owner,
        metadata={} if filename is None else {"filename": filename},
    )
    id = UploadId("1" * 32)
    upload = Upload.fold(id, [Record(1, 1.0, Created(id=id, spec=spec, policy=Policy()))])
    assert final_name(template, upload) == path.replace("ID", id) if "{id}" not in path else path


async def test_an_upload_without_a_name_follows_the_template() -> None:
    room = Room(name_template="in/{filename}")
    id = (await room.create(None, metadata={"filename": "p.jpg"})).upload.id
    await room.chunk(1, b"aaaa", target=id)
    await room.seal(id)
    await room.work()
    assert room.storage.files == {"in/p.jpg": b"aaaa"}


class Naming(NoHooks):
    def __init__(self, answer: str | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def before_publish(self, upload: Upload, name: str) -> str:
        self.asked.append(name)
        assert upload.state is State.SEALED
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_hook_may_choose_the_name() -> None:
    hooks = Naming("reports/new.bin")
    room = Room(hooks)
    await room.done(b"aaaa")
    assert room.storage.files == {"reports/new.bin": b"aaaa"}
    assert hooks.asked == ["f.bin"]


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "", "a//b", "a/./b"])
async def test_a_name_of_a_hook_that_is_none_keeps_no_file_from_being_published(name: str) -> None:
    room = Room(Naming(name))
    await room.done(b"aaaa")
    id = (await room.status()).id
    assert room.storage.files == {f"{id}/f.bin": b"aaaa"}


async def test_a_hook_may_refuse_the_file() -> None:
    room = Room(Naming(Refused("a virus")))
    await room.chunk(1, b"aaaa")
    await room.seal()
    await room.work()
    upload = await room.status()
    assert (upload.state, upload.reason, upload.failure and upload.failure.detail) == (
        State.FAILED,
        "refused",
        "a virus",
    )
    assert room.storage.files == {}
    assert room.storage.kept == []


async def test_a_hook_that_fails_is_asked_again() -> None:
    hooks = Naming(ConnectionError("the scanner is down"))
    room = Room(hooks)
    await room.chunk(1, b"aaaa")
    id = (await room.seal()).upload.id
    with pytest.raises(ConnectionError):
        await room.engine.finish(id)
    assert (await room.status()).state is State.SEALED
    hooks.answer = "f.bin"
    await room.engine.finish(id)
    assert (await room.status()).state is State.DONE


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
