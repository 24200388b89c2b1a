"""Uploads whose name is only a key: what the file is called, what ends it, and bodies that count as a whole or not."""

from __future__ import annotations

from typing import Any, Final

import pytest

from onward.core.outcome import Outcome
from onward.core.types import ClientName, Completes, Declaration, Offset, Policy, Spec, State, Store
from onward.errors import (
    AlreadyComplete,
    BadBody,
    BodyIncomplete,
    ChunkTooLarge,
    ClientGone,
    NameTaken,
    OnwardError,
)
from onward.hooks.none import NoHooks
from onward.ports import Caller, OnConflict
from tests.integration.engine_room import ME, Pieces, Room

pytestmark = pytest.mark.anyio

KEY: Final = ClientName(None, "front~10-f")
POLICY: Final = Policy(dialect="front", completes=Completes.WHEN_FULL, reopens=False)


async def put(room: Room, offset: int, *pieces: bytes | OnwardError, size: int = 4, **more: Any) -> Outcome:
    declared = Declaration(length=more.pop("length", 8), filename=more.pop("filename", "f.bin"))
    command = Store(
        target=more.pop("key", KEY),
        at=Offset(offset),
        size=size,
        whole=True,
        declared=declared,
        policy=POLICY,
        metadata={"a": "b"},
    )
    return await room.engine.run(command, ME, Pieces(*pieces))


async def test_it_is_published_as_what_the_file_is_called() -> None:
    room = Room()
    assert (await put(room, 4, b"bbbb")).created
    last = await put(room, 0, b"aa", b"aa")
    assert (last.created, last.upload.state) == (False, State.SEALED)
    await room.work()
    upload = await room.status(KEY)
    assert room.storage.files == {"f.bin": b"aaaabbbb"}
    assert (upload.called, upload.policy, upload.spec.metadata) == ("f.bin", POLICY, {"a": "b"})
    row = await room.journal.summary(upload.id)
    assert row is not None
    assert row.name == "f.bin"


@pytest.mark.parametrize(
    ("on_conflict", "second"),
    [(OnConflict.REFUSE, "ID/f.bin"), (OnConflict.RENAME, "f (1).bin"), (OnConflict.REPLACE, "f.bin")],
)
async def test_the_name_of_another_file(on_conflict: OnConflict, second: str) -> None:
    room = Room(on_conflict=on_conflict)
    await put(room, 0, b"aaaa", length=4)
    await room.work()
    outcome = await put(room, 0, b"bbbb", key=ClientName(None, "front~other"), length=4)
    await room.work()
    refs = {ref: data for ref, data in room.storage.files.items() if data == b"bbbb"}
    assert refs == {second.replace("ID", outcome.upload.id): b"bbbb"}


async def test_a_body_counts_as_a_whole_or_not_at_all() -> None:
    room = Room()
    await put(room, 0, b"aaaa")
    for pieces, error in (
        ((b"xx", ClientGone()), ClientGone),
        ((b"xx",), BodyIncomplete),
        ((b"xxxx", b"x"), BadBody),
    ):
        with pytest.raises(error):
            await put(room, 4, *pieces)
        assert list((await room.status(KEY)).ranges) == [(0, 4)]
    assert (await put(room, 4, b"bbbb")).upload.state is State.SEALED


async def test_a_whole_body_is_a_chunk_and_may_have_no_more_bytes() -> None:
    room = Room()
    with pytest.raises(ChunkTooLarge):
        await put(room, 0, b"a" * 17, size=17, length=20)
    assert room.storage.kept == []


async def test_a_key_belongs_to_one_file() -> None:
    room = Room()
    await put(room, 0, b"aaaa")
    with pytest.raises(NameTaken):
        await put(room, 4, b"bbbb", filename="g.bin")
    assert (await room.status(KEY)).called == "f.bin"


async def test_the_empty_body_at_the_end_of_a_finished_upload_may_come_again() -> None:
    room = Room()
    for _ in range(2):
        assert (await put(room, 0, size=0, length=0)).upload.state is State.SEALED
    await room.work()
    assert not (await put(room, 0, size=0, length=0)).fresh
    with pytest.raises(AlreadyComplete):
        await put(room, 0, b"a", size=1, length=0)
    assert room.storage.files == {"f.bin": b""}


async def test_hooks_see_what_the_file_is_called_before_a_byte_is_read() -> None:
    class Namer(NoHooks):
        async def before_create(self, caller: Caller, spec: Spec) -> Spec:
            seen.append((spec.called, dict(spec.metadata)))
            return spec

    seen: list[tuple[str | None, dict[str, str]]] = []
    await put(Room(Namer()), 0, b"aaaa")
    assert seen == [("f.bin", {"a": "b"})]
