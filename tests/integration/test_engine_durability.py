"""What survives a power cut, and when: the order in which bytes and events are made to last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from onward.config import JOURNAL, Settings, open_engine
from onward.core.types import Cancel, Create, Declaration, Declared, Event, Spec, UploadId
from onward.core.upload import Upload
from onward.engine import ledger as ledger_module
from onward.errors import Incomplete, NotFound, OnwardError, StorageFault
from onward.ports import WHOLE
from tests.integration.engine_room import ME, NAME, Queue, Room

pytestmark = pytest.mark.anyio

ACK: dict[str, Any] = {"durable_parts": True, "durable_seal": True}
COMPLETE: dict[str, Any] = {"durable_parts": False, "durable_seal": True}
NEVER: dict[str, Any] = {"durable_parts": False, "durable_seal": False}


@pytest.mark.parametrize(
    ("level", "log"),
    [
        (
            ACK,
            [
                ("created", False),  # synced together with the first part, before anybody is told
                ("bytes", True),
                ("declared stored", True),
                ("bytes", True),
                ("stored", True),
                ("sealed", True),
                ("published", True),
            ],
        ),
        (
            COMPLETE,
            [
                ("created", False),
                ("bytes", False),
                ("declared stored", False),
                ("bytes", False),
                ("stored", False),
                ("sync", True),
                ("sealed", True),
                ("published", False),
            ],
        ),
        (
            NEVER,
            [
                ("created", False),
                ("bytes", False),
                ("declared stored", False),
                ("bytes", False),
                ("stored", False),
                ("sealed", False),
                ("published", False),
            ],
        ),
    ],
    ids=["ack", "complete", "none"],
)
async def test_what_is_made_to_last_and_when(level: dict[str, Any], log: list[tuple[str, bool]]) -> None:
    room = Room(**level)
    await room.done(b"aaaa", b"bb")
    assert room.log == log


@pytest.mark.parametrize(("level", "lasts"), [(ACK, True), (COMPLETE, False), (NEVER, False)])
async def test_runs_by_offset_last_as_chunks_do(level: dict[str, Any], *, lasts: bool) -> None:
    room = Room(segment=2, **level)
    await room.at(0, b"aaaa")
    assert room.log == [
        ("created", False),
        ("bytes", lasts),
        ("declared stored", lasts),
        ("bytes", lasts),
        ("stored", lasts),
    ]


@pytest.mark.parametrize(("level", "lasts"), [(ACK, True), (COMPLETE, True), (NEVER, False)])
@pytest.mark.parametrize("by", ["number", "offset"])
async def test_bytes_that_mend_a_seal_last_as_the_seal_does(level: dict[str, Any], by: str, *, lasts: bool) -> None:
    room = Room(**level)
    await (room.chunk(1, b"aaaa") if by == "number" else room.at(0, b"aaaa"))
    id = (await room.seal()).upload.id
    room.storage.spoil(id, 1 if by == "number" else 0)
    await room.work()
    room.log.clear()
    await (room.chunk(1, b"aaaa") if by == "number" else room.at(0, b"aaaa"))
    assert room.log == [("bytes", lasts), ("stored sealed", lasts)]


async def test_a_disk_is_not_troubled_for_what_is_refused() -> None:
    room = Room(**COMPLETE)
    await room.chunk(2, b"bbbb")
    room.log.clear()
    with pytest.raises(Incomplete):
        await room.seal()
    assert room.log == []


async def test_an_upload_shows_an_event_only_when_it_is_recorded() -> None:
    room = Room()
    upload = (await room.create()).upload
    room.journal.lose = Declared
    with pytest.raises(OnwardError):
        await room.chunk(1, b"aaaa")
    assert (upload.version, (await room.status()).stored) == (1, {})
    room.journal.lose = None
    assert (await room.chunk(1, b"aaaa")).fresh


# -- several writers of one journal ----------------------------------------------------------------


def more(length: int) -> list[Event]:
    return [Declared(declared=Declaration(length=length))]


async def test_who_meets_a_newer_journal_decides_anew() -> None:
    room = Room()
    id = (await room.create()).upload.id
    mine, other = room.engine.ledger, room.another().ledger
    held, rival = await mine.load(id), await other.load(id)
    seen: list[int] = []

    def decide(upload: Upload) -> Sequence[Event]:
        seen.append(upload.version)
        return [] if upload.length is not None else more(7)

    await other.record(rival, lambda _: more(5))
    assert held.length is None
    assert await mine.record(held, decide) == []
    assert seen == [2]
    assert held.length == 5


async def test_an_append_that_meets_another_is_tried_again() -> None:
    room = Room()
    await room.create()
    room.journal.rivals = 3
    assert (await room.chunk(1, b"aaaa")).fresh
    assert (await room.status()).version == 3


async def test_a_journal_that_is_never_at_rest_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "ATTEMPTS", 3)
    room = Room()
    await room.create()
    room.journal.rivals = 3
    with pytest.raises(OnwardError, match="never at rest"):
        await room.chunk(1, b"aaaa")


async def test_events_that_a_reader_folded_first_are_not_folded_twice() -> None:
    room = Room()
    await room.create()

    async def look() -> None:
        assert (await room.status()).received_bytes == 4

    room.journal.on_append = look
    await room.chunk(1, b"aaaa")
    assert (await room.status()).received_bytes == 4


async def test_many_side_by_side_lose_nothing() -> None:
    room = Room()
    engines = [room.another() for _ in range(3)]
    await room.create()

    async def store(number: int) -> None:
        room.engine = engines[number % 3]
        await room.chunk(number, bytes([number] * 4))

    async with anyio.create_task_group() as group:
        for number in range(1, 13):
            group.start_soon(store, number)
    for engine in engines:
        upload = await engine.ledger.load((await room.status()).id)
        assert (upload.received_bytes, len(upload.stored)) == (48, 12)
        assert engine.ledger._sections == {}


async def test_an_upload_that_is_not_there_is_not_kept_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room()
    with pytest.raises(NotFound):
        await room.engine.ledger.load(UploadId("0" * 32))
    assert len(room.engine.ledger._warm) == 0
    monkeypatch.setattr(ledger_module, "KEPT", 2)
    ids = [(await room.create(None)).upload.id for _ in range(3)]
    assert list(room.engine.ledger._warm) == ids[1:]
    first = await room.engine.view(ids[1], ME)
    assert await room.engine.view(ids[1], ME) is first
    assert list(room.engine.ledger._warm) == [ids[2], ids[1]]


async def test_what_is_cancelled_needs_no_sync_of_its_bytes() -> None:
    room = Room(**COMPLETE)
    await room.chunk(1, b"aaaa")
    await room.engine.run(Cancel(target=NAME), ME)
    assert room.log[-1] == ("removed", False)


async def test_an_engine_that_is_closed_leaves_nothing_open(tmp_path: Path) -> None:
    log = tmp_path / f"{JOURNAL}-wal"
    async with open_engine(Settings(data=tmp_path), jobs=Queue()) as engine:
        id = (await engine.run(Create(spec=Spec(name=NAME)), ME)).upload.id
        async with engine.locks.hold(id, WHOLE, timeout=0):
            bells = list((tmp_path / "locks" / "run").iterdir())
            assert len(bells) == 1
        assert log.stat().st_size
    assert list((tmp_path / "locks" / "run").iterdir()) == []
    assert log.stat().st_size == 0, "whoever is last folds it into the journal"
    with pytest.raises(StorageFault):
        await engine.run(Create(spec=Spec(name=NAME)), ME)
