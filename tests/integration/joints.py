"""Concatenations in short: pieces, what is sent to them, and the file made of them."""

from __future__ import annotations

from typing import Any, Final

from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Completes,
    Create,
    Declaration,
    First,
    Policy,
    Spec,
    Status,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.ports import Caller
from tests.integration.engine_room import ME, Pieces

PARTIAL: Final = Policy(dialect="tus", completes=Completes.EXPLICIT, reopens=False)
WHOLE: Final = Policy(dialect="tus", completes=Completes.WHEN_FULL, reopens=False)
A: Final = b"aaaaa"
B: Final = b"bbb"


async def piece(engine: Engine, data: bytes = b"", length: int | None = -1, caller: Caller = ME) -> UploadId:
    """A partial upload that begins with these bytes, of just this length unless another is said."""
    said = len(data) if length == -1 else length
    spec = Spec(partial=True, declared=Declaration(length=said), owner=caller.owner)
    command = Create(spec=spec, policy=PARTIAL, first=First(size=len(data)) if data else None)
    return (await engine.run(command, caller, Pieces(data) if data else None)).upload.id


async def send(engine: Engine, id: UploadId, offset: int, data: bytes, length: int | None = None) -> Outcome:
    declared = Declaration(length=length)
    return await engine.run(Store(target=id, at=Append(offset), size=len(data), declared=declared), ME, Pieces(data))


async def final(engine: Engine, *sources: UploadId, caller: Caller = ME, **words: Any) -> Upload:
    spec = Spec(sources=sources, owner=caller.owner, metadata={"filename": "f.bin"}, **words)
    outcome = await engine.run(Create(spec=spec, policy=WHOLE), caller)
    assert (outcome.created, outcome.fresh) == (True, outcome.upload.sealed is not None)
    return outcome.upload


async def status(engine: Engine, id: UploadId) -> Upload:
    return (await engine.run(Status(target=id), ME)).upload


async def content(engine: Engine, upload: Upload) -> bytes:
    assert upload.published is not None
    found = engine.storage.read(upload.published.ref, 0, upload.published.size)
    return b"".join([bytes(block) async for block in found])
