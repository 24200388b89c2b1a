"""One pass over a file, seen by several at a time, while it is still being made."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from msgspec.structs import replace

from onward.core.digest import sha256
from onward.core.types import Layout, Phase
from onward.errors import StorageFault
from onward.storage.fs import Fs
from onward.storage.local import LocalStorage
from onward.storage.local.disk import Disk
from onward.storage.local.readback import BLOCK, BLOCKS, ReadBack
from onward.testing.crash import Inline, SimFs
from onward.testing.storage_steps import ID, PART, make_plan, no_progress, put, put_all, some_bytes

LONG = 30.0
SIZES = pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, (2 * BLOCKS + 1) * BLOCK + 7])


class Taker:
    """Keeps what it is shown; slow, if told so, in the way that lets others overtake."""

    def __init__(self, spoiled_at: int | None = None) -> None:
        self.seen = bytearray()
        self._spoiled_at = spoiled_at

    def __call__(self, start: int, block: memoryview) -> None:
        assert start == len(self.seen)
        if self._spoiled_at is not None and start >= self._spoiled_at:
            raise ValueError("spoiled")
        self.seen += block


@pytest.fixture(params=["inline", "one thread", "many threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[Executor]:
    if request.param == "inline":
        yield Inline()
        return
    with ThreadPoolExecutor(1 if request.param == "one thread" else 8) as pool:
        yield pool


@pytest.fixture
def disk(threads: Executor, tmp_path: Path) -> Iterator[Disk]:
    fs = Fs(tmp_path)
    yield Disk(fs, threads, lambda: "token")
    fs.shut()


def written(disk: Disk, data: bytes) -> int:
    fd = disk.fs.open("file", os.O_RDWR | os.O_CREAT)
    disk.write_all(fd, [data], 0)
    return fd


@SIZES
def test_everybody_sees_every_byte_once_in_order(disk: Disk, size: int) -> None:
    data = some_bytes(size)
    takers = [Taker(), Taker(), Taker()]
    reading = ReadBack(disk, written(disk, data), size, takers)
    reading.may_read(size)
    reading.over.result(LONG)
    assert reading.passed == size
    for taker in takers:
        assert bytes(taker.seen) == data


def test_what_is_not_ready_is_not_read(disk: Disk) -> None:
    data = some_bytes(3 * BLOCK)
    fd = written(disk, bytes(len(data)))
    taker = Taker()
    reading = ReadBack(disk, fd, len(data), [taker])
    for start in range(0, len(data), BLOCK // 2):
        disk.write_all(fd, [data[start : start + BLOCK // 2]], start)
        reading.may_read(start + BLOCK // 2)
    reading.over.result(LONG)
    assert bytes(taker.seen) == data


def test_a_hole_at_the_end_so_far_is_not_the_end(disk: Disk) -> None:
    """A part that is missing leaves the file short until the next one is copied."""
    data = some_bytes(BLOCK)
    fd = written(disk, data)
    taker = Taker()
    reading = ReadBack(disk, fd, 3 * BLOCK, [taker])
    reading.may_read(2 * BLOCK)
    disk.write_all(fd, [data], 2 * BLOCK)
    reading.may_read(3 * BLOCK)
    reading.over.result(LONG)
    assert bytes(taker.seen) == data + bytes(BLOCK) + data


def test_a_file_that_stays_short_ends_the_pass(disk: Disk) -> None:
    data = some_bytes(BLOCK + 5)
    taker = Taker()
    reading = ReadBack(disk, written(disk, data), 9 * BLOCK, [taker])
    reading.may_read(9 * BLOCK)
    reading.over.result(LONG)
    assert bytes(taker.seen) == data
    assert reading.passed == len(data)


def test_a_taker_that_fails_ends_the_pass(disk: Disk) -> None:
    size = 4 * BLOCKS * BLOCK
    reading = ReadBack(disk, written(disk, bytes(size)), size, [Taker(), Taker(spoiled_at=2 * BLOCK)])
    reading.may_read(size)
    with pytest.raises(ValueError, match="spoiled"):
        reading.over.result(LONG)


def test_a_pass_that_is_stopped_before_its_end_is_over(disk: Disk) -> None:
    reading = ReadBack(disk, written(disk, bytes(BLOCK)), 2 * BLOCK, [Taker()])
    reading.may_read(BLOCK)
    reading.stop()
    reading.stop()
    reading.over.result(LONG)
    assert reading.passed in {0, BLOCK}


def test_threads_that_are_closed_are_a_failure_not_a_hang(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        disk = Disk(Fs(tmp_path), pool, lambda: "token")
        reading = ReadBack(disk, written(disk, b"data"), 4, [Taker()])
    reading.may_read(4)
    with pytest.raises(RuntimeError):
        reading.over.result(LONG)
    disk.fs.shut()


# -- what is proven ---------------------------------------------------------------------------------


PIECES = [some_bytes(PART, seed) for seed in range(4)]


def simulated(**options: Any) -> LocalStorage:
    return LocalStorage(SimFs(**options), threads=Inline(), patience=0.01)


async def bad_of(storage: LocalStorage, layout: Layout, whole: bytes) -> list[int]:
    plan = replace(make_plan(layout, PIECES), digest=sha256(whole))
    async with storage.assembling(ID, plan, no_progress) as assembly:
        return [copy.key for copy in assembly.bad]


@pytest.mark.anyio
@pytest.mark.parametrize("layout", list(Layout))
async def test_a_digest_that_the_client_named_proves_the_parts_or_has_them_looked_at(layout: Layout) -> None:
    storage = simulated()
    plan = make_plan(layout, PIECES)
    await put_all(storage, plan, PIECES)
    await put(storage, layout, plan.copies[2].key, bytes(PART))
    assert await bad_of(storage, layout, b"".join(PIECES)) == [plan.copies[2].key]
    await put(storage, layout, plan.copies[2].key, PIECES[2])
    assert await bad_of(storage, layout, b"".join(PIECES)) == []
    assert await bad_of(storage, layout, b"another file") == []  # no part is to blame
    await storage.close()


@pytest.mark.anyio
async def test_one_pass_does_where_the_digest_of_the_whole_is_known() -> None:
    fs = SimFs()
    storage = LocalStorage(fs, threads=Inline())
    await put_all(storage, make_plan(Layout.FLAT, PIECES), PIECES)
    wrong = [replace(copy, digest=sha256(b"never compared")) for copy in make_plan(Layout.FLAT, PIECES).copies]
    plan = replace(make_plan(Layout.FLAT, PIECES), copies=tuple(wrong), digest=sha256(b"".join(PIECES)))
    async with storage.assembling(ID, plan, no_progress) as assembly:
        assert assembly.bad == ()
    await storage.close()


@pytest.mark.anyio
async def test_parts_are_read_back_while_others_are_still_copied() -> None:
    fs = SimFs()
    storage = LocalStorage(fs, threads=Inline())
    plan = make_plan(Layout.NUMBERED, PIECES)
    await put_all(storage, plan, PIECES)
    fs.trace.clear()
    async with storage.assembling(ID, plan, no_progress) as assembly:
        assert not assembly.bad
    copied = [at for at, name in enumerate(fs.trace) if name == "copy_file_range"]
    assert fs.trace.index("pread") < copied[-1]
    assert fs.trace.count("pread") <= len(PIECES) + 1  # and each byte once
    await storage.close()


class Unsyncable(Fs):
    """The disk fails when the file is to be made durable, a moment after the reading has begun."""

    def fdatasync(self, fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.anyio
async def test_what_cannot_be_synced_is_not_proven(tmp_path: Path) -> None:
    data = some_bytes(8 * BLOCK)
    storage = await anyio.to_thread.run_sync(
        partial(LocalStorage, await anyio.to_thread.run_sync(Unsyncable, tmp_path))
    )
    await put(storage, Layout.FLAT, 0, data, durable=False)
    with pytest.raises(StorageFault):
        async with storage.assembling(ID, make_plan(Layout.FLAT, [data]), no_progress):
            pytest.fail("it was proven")
    await storage.close()


@pytest.mark.anyio
async def test_whoever_leaves_in_the_middle_leaves_no_thread_at_the_file(tmp_path: Path) -> None:
    data = some_bytes(64 * BLOCK)
    fs = await anyio.to_thread.run_sync(Fs, tmp_path)
    storage = await anyio.to_thread.run_sync(LocalStorage, fs)
    await put(storage, Layout.FLAT, 0, data, durable=False)
    with anyio.CancelScope() as scope:

        async def leave(phase: Phase, done: int, _total: int) -> None:
            assert (phase, done) == (Phase.VERIFYING, 0)
            scope.cancel()

        async with storage.assembling(ID, make_plan(Layout.FLAT, [data[:PART], data[PART:]]), leave):
            pytest.fail("it went on")
    assert scope.cancelled_caught
    async with storage.assembling(ID, make_plan(Layout.FLAT, [data[:PART], data[PART:]]), no_progress) as assembly:
        assert not assembly.bad
    await storage.close()
