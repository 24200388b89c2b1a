from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio.to_thread
import pytest

from onward.core.digest import SHA256, sha256
from onward.core.types import Buffer, Layout, UploadId
from onward.errors import AlreadyComplete, ClientGone, Locked, NoSpace, NotFound
from onward.ports import OnConflict, Storage
from onward.storage.fs import Fs
from onward.storage.local import LocalStorage
from onward.storage.local.writing import GATHER
from onward.storage.memory import MemoryStorage
from onward.testing.conformance_storage import StorageConformance
from onward.testing.crash import Inline, SimFs
from onward.testing.storage_steps import (
    ID,
    OTHER,
    PART,
    bad_keys,
    cut,
    gather,
    make_joint,
    make_plan,
    no_progress,
    publish,
    put,
    put_all,
    some_bytes,
    whole,
)

pytestmark = pytest.mark.anyio

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))


async def local(root: Path | Fs, **options: Any) -> LocalStorage:
    return await anyio.to_thread.run_sync(lambda: LocalStorage(root, **options))


async def opened(root: Path | Fs, **options: Any) -> AsyncIterator[LocalStorage]:
    storage = await local(root, **options)
    yield storage
    await storage.close()


class TestMemory(StorageConformance):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[Storage]:
        storage = MemoryStorage()
        yield storage
        await storage.close()


class TestLocal(StorageConformance):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        async for storage in opened(tmp_path / "root"):
            yield storage


class TestLocalInSimulation(StorageConformance):
    """On a file system whose reads and writes are short."""

    @pytest.fixture
    async def storage(self) -> AsyncIterator[Storage]:
        fs = SimFs(most=70_000)
        async for storage in opened(fs, threads=Inline(), patience=0.01):
            yield storage
        assert fs.open_files == 0


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[LocalStorage]:
    async for storage in opened(tmp_path / "root", patience=0.05):
        yield storage


# -- threads and files ----------------------------------------------------------------------------


class RecordingFs(Fs):
    """Remembers which thread called what."""

    def __init__(self, root: Path) -> None:
        self.calls: list[tuple[str, int]] = []
        super().__init__(root)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or not callable(found) or name == "names":
            return found

        def recorded(*args: Any, **options: Any) -> Any:
            self.calls.append((name, threading.get_ident()))
            return found(*args, **options)

        return recorded

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]


async def everything(storage: Storage) -> None:
    """Use each method once or more, also where it fails."""
    for layout, id in zip(Layout, (ID, OTHER), strict=True):
        pieces = [some_bytes(PART, seed) for seed in range(3)]
        plan = make_plan(layout, pieces, id)
        await put_all(storage, plan, pieces, id)
        body = cut(some_bytes(2_000_000), 1_500_000)
        with pytest.raises(ClientGone):
            await storage.write(id, layout, 5 * PART, body, algorithms=(), durable=True)
        await gather(storage.peek(id, layout, 1, 10))
        async with aclosing(storage.peek(id, layout, 1, 3_000_000)) as peeking:
            async for _ in peeking:
                break
        async with storage.assembling(id, plan, no_progress) as assembly:
            blob = await assembly.publish(f"{layout}/x", "y", OnConflict.RENAME, b"{}")
        await whole(storage, blob)
        await storage.manifest(id)
        with pytest.raises(NotFound):
            await storage.stat("nothing")
        with pytest.raises(NotFound):
            await gather(storage.read("nothing", 0, 1))
        await bad_keys(storage, make_plan(layout, [some_bytes(PART, 9)], id), id)
        assert [one async for one in storage.scratch()] == [id]
        await storage.discard(id)
        await storage.remove(blob.ref, id)
    await storage.free()
    await storage.check()


async def test_no_file_is_touched_on_the_loop(tmp_path: Path) -> None:
    fs = await anyio.to_thread.run_sync(RecordingFs, tmp_path)
    storage = await local(fs)
    await everything(storage)
    await storage.close()
    loop = threading.get_ident()
    assert len(fs.calls) > 100
    assert [name for name, thread in fs.calls if thread == loop] == []


async def test_enclosed_bytes_are_not_written_into_a_published_file(tmp_path: Path) -> None:
    storage, data = await local(tmp_path), some_bytes(PART)
    plan, file = make_plan(Layout.FLAT, [data]), tmp_path / "files" / "name"
    for _ in range(2):
        async with storage.assembling(ID, plan, no_progress, data) as assembly:
            assert (await assembly.publish("name", "spare", OnConflict.REFUSE, b"{}")).ref == "name"
        await anyio.to_thread.run_sync(os.utime, file, (1, 1))
    async with storage.assembling(ID, plan, no_progress, data):
        assert (await anyio.to_thread.run_sync(file.stat)).st_mtime == 1
    await storage.close()


class NotingFs(Fs):
    """Notes the directories that are synced."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.synced: list[str] = []

    def sync_dir(self, path: str) -> None:
        self.synced.append(path)
        super().sync_dir(path)


async def test_a_directory_that_stays_is_made_durable_once(tmp_path: Path) -> None:
    fs = await anyio.to_thread.run_sync(NotingFs, tmp_path)
    storage = await local(fs)
    one, two, three = (UploadId("ab" + digit * 30) for digit in "123")
    for id in (one, two):
        fs.synced.clear()
        await put(storage, Layout.FLAT, 0, b"bytes", id=id)
        homes = [f"uploads/ab/{id}", "uploads/ab", "uploads"]
        assert fs.synced == (homes if id == one else homes[:2])
        await storage.discard(id)
    await anyio.to_thread.run_sync((tmp_path / "uploads" / "ab").rmdir)  # as somebody might who tidies up
    fs.synced.clear()
    await put(storage, Layout.FLAT, 0, b"bytes", id=three)
    assert fs.synced == [f"uploads/ab/{three}", "uploads/ab", "uploads"]
    await storage.close()


def descriptors(below: Path) -> list[str]:
    """Open files below a directory, but for the directory itself."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the descriptor of this very listing
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(f"{below}/")]


async def test_no_descriptor_leaks(tmp_path: Path) -> None:
    storage = await local(tmp_path)
    await everything(storage)
    assert [path for path in descriptors(tmp_path) if "trash" not in path] == []
    await storage.close()
    assert str(tmp_path) not in descriptors(tmp_path.parent)


class CountingPool(ThreadPoolExecutor):
    hops = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.hops += 1
        return super().submit(fn, *args, **kwargs)


@LAYOUTS
async def test_a_small_body_is_one_hop(tmp_path: Path, layout: Layout) -> None:
    with CountingPool(2) as pool:
        storage = await local(tmp_path, threads=pool)
        pool.hops = 0
        await put(storage, layout, 1, some_bytes(200_000))
        assert pool.hops == 1
        await put(storage, layout, 1, some_bytes(8 << 20))
        assert pool.hops <= 1 + 32 + 1
        await storage.close()


@LAYOUTS
async def test_few_bytes_are_written_when_no_more_come(tmp_path: Path, layout: Layout) -> None:
    """A body that stalls keeps no memory."""
    storage = await local(tmp_path)
    over = anyio.Event()

    async def body() -> AsyncIterator[Buffer]:
        yield some_bytes(1000)
        await over.wait()
        yield some_bytes(1000, 1)

    def stored() -> list[int]:
        return [path.stat().st_size for path in (tmp_path / "uploads").rglob("*") if path.is_file()]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(storage.write, ID, layout, 1, body(), algorithms=(), durable=False))
        with anyio.fail_after(30):
            while sum(await anyio.to_thread.run_sync(stored)) < 1000:  # noqa: ASYNC110  # files tell nobody
                await anyio.sleep(0.01)
        over.set()
    assert await gather(storage.peek(ID, layout, 1, 9999)) == some_bytes(1000) + some_bytes(1000, 1)
    await storage.close()


async def test_lots_are_hashed_in_the_order_they_came(storage: LocalStorage) -> None:
    """Two of them are on threads at a time, of very different sizes."""
    random = Random(1)
    data = some_bytes(30_000_000)

    async def body() -> AsyncIterator[Buffer]:
        at = 0
        while at < len(data):
            size = random.choice([GATHER, GATHER, 4 * GATHER])
            yield data[at : at + size]
            at += size
            if not random.randrange(5):
                await anyio.sleep(0.001)

    written = await storage.write(ID, Layout.FLAT, 0, body(), algorithms=("md5",), durable=False)
    assert written.digests[SHA256] == sha256(data)
    assert await gather(storage.peek(ID, Layout.FLAT, 0, len(data))) == data


class OnceFullFs(Fs):
    """Has no room for the first write."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writes = 0

    def pwritev(self, fd: int, blocks: Any, offset: int) -> int:
        self.writes += 1
        if self.writes == 1:
            raise OSError(errno.ENOSPC, "no space")
        return super().pwritev(fd, blocks, offset)


@LAYOUTS
async def test_a_lot_that_fails_fails_the_body_whatever_becomes_of_the_next(tmp_path: Path, layout: Layout) -> None:
    storage = await local(await anyio.to_thread.run_sync(OnceFullFs, tmp_path))
    with pytest.raises(NoSpace):
        await put(storage, layout, 1, some_bytes(20 << 20))
    await put(storage, layout, 1, some_bytes(PART))
    assert await gather(storage.peek(ID, layout, 1, PART)) == some_bytes(PART)
    await storage.close()


class GatedFs(Fs):
    """Holds every write back until it is let through."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.writing = threading.Event()
        self.gate = threading.Event()
        self.closed_while_writing = False
        self._busy = False

    def pwritev(self, fd: int, blocks: Any, offset: int) -> int:
        self._busy = True
        self.writing.set()
        assert self.gate.wait(30)
        written = super().pwritev(fd, blocks, offset)
        self._busy = False
        return written

    def close(self, fd: int) -> None:
        self.closed_while_writing |= self._busy
        super().close(fd)


@pytest.mark.parametrize("by_scope", [True, False])
@pytest.mark.parametrize("endless", [True, False])
@LAYOUTS
async def test_a_cancelled_writer_leaves_its_file_only_when_the_disk_is_done(
    tmp_path: Path, layout: Layout, *, endless: bool, by_scope: bool
) -> None:
    fs = await anyio.to_thread.run_sync(GatedFs, tmp_path)
    storage = await local(fs)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(1000)  # and no more: it is cancelled in the last hop
        while endless:
            yield bytes(1 << 20)

    async def write() -> None:
        await storage.write(ID, layout, 1, body(), algorithms=(), durable=True)

    async def cancelled_by_scope() -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write)
                assert await anyio.to_thread.run_sync(fs.writing.wait, 30)
                scope.cancel()
                threading.Timer(0.05, fs.gate.set).start()

    async def cancelled_natively() -> None:
        task = asyncio.ensure_future(write())
        assert await anyio.to_thread.run_sync(fs.writing.wait, 30)
        task.cancel()
        threading.Timer(0.05, fs.gate.set).start()
        with pytest.raises(asyncio.CancelledError):
            await task

    await (cancelled_by_scope() if by_scope else cancelled_natively())
    assert not fs.closed_while_writing
    assert descriptors(tmp_path / "uploads") == []
    assert list((tmp_path / "uploads").rglob("*.tmp")) == []
    await storage.close()


@LAYOUTS
async def test_a_body_that_fails_leaves_its_file_only_when_the_disk_is_done(tmp_path: Path, layout: Layout) -> None:
    fs = await anyio.to_thread.run_sync(GatedFs, tmp_path)
    storage = await local(fs)

    async def body() -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        assert await anyio.to_thread.run_sync(fs.writing.wait, 30)
        threading.Timer(0.05, fs.gate.set).start()
        raise ClientGone

    with pytest.raises(ClientGone):
        await storage.write(ID, layout, 1, body(), algorithms=(), durable=True)
    assert not fs.closed_while_writing
    assert descriptors(tmp_path / "uploads") == []
    await storage.close()


async def test_a_reader_that_goes_away_gives_its_file_back(storage: LocalStorage, tmp_path: Path) -> None:
    blob = await publish(storage, some_bytes(3_000_000))
    reading = storage.read(blob.ref, 0, blob.size)
    await anext(reading)
    assert len(descriptors(tmp_path / "root" / "files")) == 1
    await reading.aclose()
    assert descriptors(tmp_path / "root" / "files") == []


# -- holding --------------------------------------------------------------------------------------


async def test_a_stale_writer_cannot_reach_what_is_published(storage: LocalStorage) -> None:
    data = some_bytes(PART)
    plan = make_plan(Layout.FLAT, [data])
    await put(storage, Layout.FLAT, 0, data)
    started, finish = anyio.Event(), anyio.Event()
    outcome: list[type[Exception]] = []

    async def stale() -> AsyncIterator[bytes]:
        yield bytes(300_000)
        started.set()
        await finish.wait()
        yield bytes(300_000)

    async def write() -> None:
        try:
            await storage.write(ID, Layout.FLAT, PART, stale(), algorithms=(), durable=True)
        except AlreadyComplete as error:
            outcome.append(type(error))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write)
        await started.wait()
        await anyio.sleep(0.05)  # its first bytes are on their way to the disk
        async with storage.assembling(ID, plan, no_progress) as assembly:
            assert not assembly.bad
            with pytest.raises(AlreadyComplete):
                await put(storage, Layout.FLAT, 0, bytes(10))
            blob = await assembly.publish("x", "y", OnConflict.REFUSE, b"{}")
        finish.set()
    assert outcome == [AlreadyComplete]
    assert await whole(storage, blob) == data


@LAYOUTS
async def test_two_assemblies_do_not_meet(storage: LocalStorage, layout: Layout) -> None:
    pieces = [some_bytes(PART)]
    plan = make_plan(layout, pieces)
    await put_all(storage, plan, pieces)
    async with storage.assembling(ID, plan, no_progress):
        with pytest.raises(Locked):
            async with storage.assembling(ID, plan, no_progress):
                pytest.fail("both hold it")
    assert await bad_keys(storage, plan) == []


async def test_assembling_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    fs = await anyio.to_thread.run_sync(RecordingFs, tmp_path)
    storage = await local(fs)
    pieces = [some_bytes(PART, seed) for seed in range(4)]
    plan = make_plan(Layout.NUMBERED, pieces)
    await put_all(storage, plan, pieces)
    out = tmp_path / "uploads" / ID[:2] / ID / "out"
    await anyio.Path(out).write_bytes(b"".join(pieces[:3])[:-1])
    fs.calls.clear()
    assert await bad_keys(storage, plan) == []
    assert fs.names().count("copy_file_range") == 2
    await storage.close()


async def test_a_source_that_is_being_assembled_is_waited_for(storage: LocalStorage) -> None:
    await put(storage, Layout.FLAT, 0, b"abc", id=OTHER)
    joint = make_joint([(OTHER, Layout.FLAT, [b"abc"])])
    async with storage.assembling(OTHER, make_plan(Layout.FLAT, [b"abc"], OTHER), no_progress):
        with pytest.raises(Locked):
            async with storage.assembling(ID, joint, no_progress):
                pytest.fail("two have it")
    assert await bad_keys(storage, joint) == []


async def test_an_old_copy_is_made_anew_from_its_part(tmp_path: Path) -> None:
    storage = await local(tmp_path)
    pieces = [some_bytes(PART, seed) for seed in range(4)]
    plan = make_plan(Layout.NUMBERED, pieces)
    await put_all(storage, plan, pieces)
    out = tmp_path / "uploads" / ID[:2] / ID / "out"
    await anyio.Path(out).write_bytes(bytes(4 * PART))  # as a power cut may leave it
    assert await bad_keys(storage, plan) == []
    assert await anyio.Path(out).read_bytes() == b"".join(pieces)
    await storage.close()


async def test_published_bytes_are_not_written_to_even_where_they_are_damaged(tmp_path: Path) -> None:
    storage = await local(tmp_path)
    blob = await publish(storage, some_bytes(PART), layout=Layout.NUMBERED)
    published = anyio.Path(tmp_path / "files" / blob.ref)
    damaged = bytes(10) + some_bytes(PART)[10:]
    await published.write_bytes(damaged)
    assert await bad_keys(storage, make_plan(Layout.NUMBERED, [some_bytes(PART)])) == [1]
    assert await published.read_bytes() == damaged
    await storage.close()


class NoCopyFs(Fs):
    code = 0

    def copy_file_range(self, source: int, target: int, size: int, source_at: int, target_at: int) -> int:
        raise OSError(self.code, os.strerror(self.code))


@pytest.mark.parametrize("name", ["EXDEV", "EINVAL", "ENOSYS", "EOPNOTSUPP"])
async def test_parts_are_copied_by_hand_where_the_kernel_does_not(tmp_path: Path, name: str) -> None:
    fs = await anyio.to_thread.run_sync(NoCopyFs, tmp_path)
    fs.code = getattr(errno, name)
    storage = await local(fs)
    blob = await publish(storage, some_bytes(3_000_000), layout=Layout.NUMBERED)
    assert await whole(storage, blob) == some_bytes(3_000_000)
    await storage.close()
