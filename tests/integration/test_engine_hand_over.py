"""Who asks how far an upload is, where its lock makes trouble: told the truth or to ask again, never of a fault."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockBuster

from onward.core.types import Append, Create, Declaration, Spec, Status, Store, UploadId
from onward.engine.engine import Engine
from onward.errors import Locked, NoSpace, ServerFault
from onward.locks.file import FileLocks
from tests.integration.engine_room import ME, Pieces, Room

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def loop_guard(loop_guard: BlockBuster) -> BlockBuster:
    """The lock files are metadata of a local disk: they may be touched on the loop."""
    for function in loop_guard.functions.values():
        function.can_block_in("onward/locks/file/spanfile.py", {"lock", "forget"})
        function.can_block_in("onward/locks/file/bell.py", {"listen", "ring", "close"})
    return loop_guard


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    room = Room()
    locks = FileLocks(tmp_path / "locks")
    room.locks = locks  # type: ignore[assignment]  # what the next engine is made with
    yield room.another()
    await locks.close()


async def three_bytes(engine: Engine) -> UploadId:
    created = await engine.run(Create(spec=Spec(declared=Declaration(length=9))), ME)
    id = created.upload.id
    await engine.run(Store(target=id, at=Append(0), size=3), ME, Pieces(b"abc"))
    return id


async def test_no_room_for_a_lock_file(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a file nobody holds the upload, so what is recorded is the truth; who writes is told of the disk."""
    id = await three_bytes(engine)
    await engine.locks.forget(id)
    opened = os.open

    def full(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & os.O_CREAT and Path(path).is_relative_to(tmp_path / "locks"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", full)
    assert (await engine.run(Status(target=id, takes_over=True), ME)).upload.offset == 3
    with pytest.raises(NoSpace):
        await engine.run(Store(target=id, at=Append(3), size=1), ME, Pieces(b"d"))


async def test_a_lock_file_that_cannot_be_used(engine: Engine, tmp_path: Path) -> None:
    id = await three_bytes(engine)
    await engine.locks.forget(id)
    (tmp_path / "locks" / id[:2]).rmdir()
    (tmp_path / "locks" / id[:2]).write_bytes(b"")  # in the way
    with pytest.raises(Locked) as caught:
        await engine.run(Status(target=id, takes_over=True), ME)
    assert caught.value.facts == {"retry_after": 1}
    with pytest.raises(ServerFault):
        await engine.run(Store(target=id, at=Append(3), size=1), ME, Pieces(b"d"))
    assert (await engine.run(Status(target=id), ME)).upload.offset == 3
