"""Reading back takes the memory that a file needs, and all of its bytes."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import pytest

from onward.core.digest import SHA256, sha256
from onward.core.types import Layout
from onward.storage.local import LocalStorage
from onward.storage.local.readback import BLOCK, BLOCKS
from onward.testing.storage_steps import ID, make_plan, no_progress, put_all, some_bytes

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[LocalStorage]:
    storage = await anyio.to_thread.run_sync(LocalStorage, tmp_path / "root")
    yield storage
    await storage.close()


@pytest.mark.parametrize(
    "size", [1, BLOCK, BLOCK + 1, 2 * BLOCK + 1, BLOCKS * BLOCK, BLOCKS * BLOCK + 1, 3 * BLOCKS * BLOCK + 5]
)
async def test_every_byte_is_read_back(storage: LocalStorage, size: int) -> None:
    data = some_bytes(size)
    plan = make_plan(Layout.FLAT, [data])
    await put_all(storage, plan, [data])
    async with storage.assembling(ID, plan, no_progress) as assembly:
        assert not assembly.bad
        assert assembly.digests[SHA256] == sha256(data)


async def test_a_small_file_takes_little_memory(storage: LocalStorage) -> None:
    plan = make_plan(Layout.FLAT, [b"small"])
    await put_all(storage, plan, [b"small"])
    tracemalloc.start()
    try:
        async with storage.assembling(ID, plan, no_progress):
            _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < BLOCK // 4
