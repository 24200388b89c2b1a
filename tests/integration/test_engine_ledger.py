"""The journal as the engine reads it."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from onward.core.digest import sha256
from onward.core.types import AnyEvent, Created, Policy, Spec, Stored, UploadId
from onward.core.upload import Upload
from onward.engine.ledger import SLICE, Ledger
from onward.journal.memory import MemoryJournal

pytestmark = pytest.mark.anyio

ID = UploadId("a" * 32)
SLICES = 8


async def test_a_long_upload_is_folded_while_others_have_their_turn() -> None:
    journal = MemoryJournal()
    chunks: list[AnyEvent] = [Stored(key=4 * n, size=4, digest=sha256(b"%d" % n)) for n in range(SLICES * SLICE)]
    events: list[AnyEvent] = [Created(id=ID, spec=Spec(), policy=Policy()), *chunks]
    await journal.create(ID, events, at=1.0, name=None, replaces=None, key=None, sync=False)
    ledger = Ledger(journal, clock=lambda: 1.0, sync_parts=False, sync_seal=False)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        upload = await ledger.load(ID)
        group.cancel_scope.cancel()
    assert upload.received_bytes == 4 * len(chunks)
    assert turns >= SLICES


async def test_an_upload_that_was_just_begun_is_not_folded_anew() -> None:
    ledger = Ledger(MemoryJournal(), clock=lambda: 1.0, sync_parts=False, sync_seal=False)
    upload = Upload(ID)
    await ledger.begin(upload, [Created(id=ID, spec=Spec(), policy=Policy())], 1.0, sync=False)
    assert await ledger.load(ID) is upload
    ledger.forget(ID)
    assert await ledger.load(ID) is not upload
