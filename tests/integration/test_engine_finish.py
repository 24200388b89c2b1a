"""From sealed to published: read back, proved, made visible, under which name."""

from __future__ import annotations

import anyio
import pytest

from onward.core import manifest
from onward.core.digest import sha256
from onward.core.types import (
    ClientName,
    Created,
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
    Refused,
    StorageFault,
)
from onward.hooks.none import NoHooks
from onward.ports import FINISH, OnConflict, WorkDone
from tests.integration.engine_room import Room

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
