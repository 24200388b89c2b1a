"""``Storage`` on one local file system: ``uploads/``, ``files/``, ``manifests/`` and ``trash/`` below a root."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio.to_thread

from onward.core.types import Buffer, Copy, Digest, Layout, Plan, Spec, UploadId, is_id
from onward.errors import BadName, NotFound, StorageFault
from onward.ports import Blob, OnConflict, Progress, Written
from onward.storage import naming
from onward.storage.fs import Fs
from onward.storage.local import publishing
from onward.storage.local.assembly import assemble
from onward.storage.local.disk import FILES, MANIFESTS, TRASH, UPLOADS, Disk, fault, flat, home, log, manifest, parts
from onward.storage.local.enclosed import Proven, place
from onward.storage.local.holding import Held, hold
from onward.storage.local.writing import LONE, FlatWrite, PartWrite, pour

THREADS: Final = 16
"""For work that waits for the disk. What keeps a processor busy gets a thread for each processor, or three."""
_READ: Final = 1 << 20


def _token() -> str:
    return secrets.token_hex(8)


class LocalStorage:
    """Keeps bytes in a directory that belongs to this user alone.

    A flat upload is one file written in place and published by a second name for it; a numbered
    one is a file per part. Making one of these checks and prepares the directory, which blocks:
    do it before the loop runs, or in a thread. Raises ``StorageFault`` for a directory that
    somebody else owns or may write to, or that spans file systems.
    """

    def __init__(
        self,
        root: Path | str | Fs,
        *,
        threads: Executor | None = None,
        token: Callable[[], str] = _token,
        patience: float = 5.0,
    ) -> None:
        """``patience``: seconds that an assembly waits for a writer before it works on a copy."""
        fs = _prepared(root)
        self._pools: list[ThreadPoolExecutor] = []
        lots = threads
        if threads is None:
            threads = self._threads(THREADS, "onward-disk")
            lots = self._threads(max(LONE, len(os.sched_getaffinity(0))), "onward-lots")
        self._disk = Disk(fs, threads, token, lots=lots)
        self._patience = patience
        self._disk.start(self._empty_trash)

    def _threads(self, most: int, name: str) -> ThreadPoolExecutor:
        self._pools.append(pool := ThreadPoolExecutor(most, thread_name_prefix=name))
        return pool

    async def open(self, id: UploadId, spec: Spec) -> str:
        """Nothing to do: the first write makes what it needs."""
        return ""

    async def write(
        self,
        id: UploadId,
        layout: Layout,
        key: int,
        body: AsyncIterator[Buffer],
        *,
        algorithms: Sequence[str],
        durable: bool,
    ) -> Written:
        """Gather, hash and write ``body``; see ``Storage.write``."""
        kind = FlatWrite if layout is Layout.FLAT else PartWrite
        return await pour(self._disk, kind(self._disk, id, key, algorithms, durable=durable), body)

    async def sync(self, id: UploadId) -> None:
        """Sync each file of an upload, then the names of them."""
        await self._disk.run(partial(_sync, self._disk, id))

    def peek(self, id: UploadId, layout: Layout, key: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield stored scratch bytes, fewer if fewer are there."""
        path, start = (flat(id), key) if layout is Layout.FLAT else (f"{parts(id)}/{key}", 0)
        return self._blocks(path, start, size, missing_is_empty=True)

    @asynccontextmanager
    async def assembling(
        self, id: UploadId, plan: Plan, progress: Progress, enclosed: bytes = b""
    ) -> AsyncIterator[LocalAssembly]:
        """Hold, copy if need be, read back. Raises ``Locked`` while another assembly is at it."""
        held, proven = await self._held(id, plan, enclosed)
        try:
            digests, bad = proven or await assemble(self._disk, held, plan, progress)
            yield LocalAssembly(self._disk, id, held, size=plan.size, digests=digests, bad=bad)
        finally:
            await self._disk.run(held.close)

    async def _held(self, id: UploadId, plan: Plan, enclosed: bytes) -> tuple[Held, Proven | None]:
        if enclosed:
            return await self._disk.run(partial(place, self._disk, id, plan, enclosed))
        return await hold(self._disk, id, plan, self._patience), None

    def read(self, ref: str, start: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield published bytes. Raises ``StorageFault`` if the file is shorter than that."""
        return self._blocks(_published(ref), start, size, missing_is_empty=False)

    async def stat(self, ref: str) -> int:
        """Size of a published file."""
        path = _published(ref)
        return await self._disk.run(partial(_size, self._disk, path))

    async def discard(self, id: UploadId) -> None:
        """Out of sight at once, deleted by and by."""
        trashed = self._trashed(id)
        if await self._disk.run(partial(self._discard, id, trashed)):
            self._disk.start(partial(self._delete, trashed))

    async def withdraw(self, id: UploadId, likely: Sequence[str]) -> None:
        """Look for an unrecorded final name, also for one that is given at this moment; then as ``discard``."""
        trashed = self._trashed(id)
        if await self._disk.run(partial(self._withdraw, id, trashed, likely)):
            self._disk.start(partial(self._delete, trashed))

    def _trashed(self, id: UploadId) -> str:
        return f"{TRASH}/{id}.{self._disk.token()}"

    def _withdraw(self, id: UploadId, trashed: str, likely: Sequence[str]) -> bool:
        publishing.withdraw(self._disk, id, home(id), likely)
        thrown = self._throw_away(id, trashed)
        if thrown:  # no more names can be given now; the first look is for a crash between the two
            publishing.withdraw(self._disk, id, trashed, likely)
        return thrown

    async def remove(self, ref: str | None, id: UploadId) -> None:
        """Delete a published file if one is named, the manifest, and directories that it leaves empty."""
        with suppress(BadName):  # cannot have been published, so it is missing
            await self._disk.run(partial(publishing.remove, self._disk, ref, id))

    async def manifest(self, id: UploadId) -> bytes:
        """The manifest as it was published."""
        return await self._disk.run(partial(_load, self._disk, manifest(id)))

    async def scratch(self) -> AsyncIterator[UploadId]:
        """Ids with a scratch directory, one shard of the tree at a time."""
        for shard in await self._disk.run(partial(self._disk.fs.listdir, UPLOADS)):
            for name in await self._disk.run(partial(_names, self._disk, f"{UPLOADS}/{shard}")):
                if is_id(name):
                    yield UploadId(name)

    async def free(self) -> int | None:
        """Bytes that this user may still write to the file system."""
        return await self._disk.run(self._disk.fs.free)

    async def check(self) -> None:
        """Write, sync and remove a probe."""
        await self._disk.run(partial(_probe, self._disk))

    async def close(self) -> None:
        """Wait for work under way, then let go of threads and the root."""
        for pool in self._pools:
            await anyio.to_thread.run_sync(pool.shutdown)
        await anyio.to_thread.run_sync(self._disk.fs.shut)

    # -- reading ----------------------------------------------------------------------------------

    async def _blocks(
        self, path: str, start: int, size: int, *, missing_is_empty: bool
    ) -> AsyncGenerator[Buffer, None]:
        disk = self._disk
        reader = _Reader(disk, path, missing_is_empty=missing_is_empty)
        end = start + size
        try:
            while True:
                block = await disk.run(partial(reader.next, start, min(_READ, end - start)))
                if not block:
                    break
                start += len(block)
                yield block
        finally:
            await disk.run(reader.close)
        if start < end and not missing_is_empty:
            raise StorageFault

    # -- deleting ---------------------------------------------------------------------------------

    def _discard(self, id: UploadId, trashed: str) -> bool:
        return not self._drop_second_name(id) and self._throw_away(id, trashed)

    def _throw_away(self, id: UploadId, trashed: str) -> bool:
        self._disk.unsettle(home(id))
        self._disk.unsettle(parts(id))
        try:
            self._disk.fs.rename(home(id), trashed)
        except FileNotFoundError:
            return False
        return True

    def _drop_second_name(self, id: UploadId) -> bool:
        """True if all that was there was another name of a published file: that is gone in no time."""
        fs = self._disk.fs
        try:
            if fs.stat(flat(id)).links == 1:
                return False
            self._disk.unsettle(home(id))
            fs.unlink(flat(id))
            fs.rmdir(home(id))
        except OSError:  # there is none, or there is more: it goes as everything does
            return False
        return True

    def _empty_trash(self) -> None:
        try:
            names = self._disk.fs.listdir(TRASH)
        except OSError as error:
            log.warning("storage: the trash cannot be read: %s", error)
            return
        for name in names:
            self._delete(f"{TRASH}/{name}")

    def _delete(self, path: str) -> None:
        """Best effort: what is left is tried again at the next start."""
        try:
            self._delete_tree(path)
        except FileNotFoundError:
            return  # another process empties the same trash
        except OSError as error:
            log.warning("storage: trash is left behind: %s", error)

    def _delete_tree(self, path: str) -> None:
        fs = self._disk.fs
        if not fs.stat(path).directory:
            fs.unlink(path)
            return
        for name in fs.listdir(path):
            self._delete_tree(f"{path}/{name}")
        fs.rmdir(path)


class LocalAssembly:
    """The whole, read back, its file locked."""

    def __init__(
        self, disk: Disk, id: UploadId, held: Held, *, size: int, digests: Mapping[str, Digest], bad: Sequence[Copy]
    ) -> None:
        self._disk = disk
        self._id = id
        self._held = held
        self._size = size
        self.digests = digests
        """Over the whole, by algorithm."""
        self.bad = bad
        """Missing or damaged parts."""

    async def publish(self, name: str, fallback: str, on_conflict: OnConflict, manifest: bytes) -> Blob:
        """Link the file under its final name; see ``Assembly.publish``. Refuses what is damaged."""
        if self.bad:
            raise StorageFault("damaged bytes are not published")
        wish = publishing.Wish(name, fallback, on_conflict)
        work = partial(publishing.publish, self._disk, self._id, self._held, wish, manifest)
        return Blob(ref=await self._disk.run(work), size=self._size)


class _Reader:
    """A file that is opened when its first block is asked for."""

    def __init__(self, disk: Disk, path: str, *, missing_is_empty: bool) -> None:
        self._disk = disk
        self._path = path
        self._missing_is_empty = missing_is_empty
        self._fd: int | None = None

    def next(self, start: int, size: int) -> bytes:
        """The bytes at ``start``; empty at the end."""
        if self._fd is None:
            try:
                self._fd = self._disk.fs.open(self._path, os.O_RDONLY)
            except (FileNotFoundError, NotADirectoryError):
                if self._missing_is_empty:
                    return b""
                raise NotFound from None
            if not self._disk.fs.fstat(self._fd).regular:
                raise NotFound
        return self._disk.fs.pread(self._fd, size, start) if size > 0 else b""

    def close(self) -> None:
        """Close, if it was opened."""
        fd, self._fd = self._fd, None
        if fd is not None:
            self._disk.fs.close(fd)


def _published(ref: str) -> str:
    try:
        return f"{FILES}/{naming.safe(ref)}"
    except BadName:
        raise NotFound from None


def _size(disk: Disk, path: str) -> int:
    try:
        found = disk.fs.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound from None
    if not found.regular:
        raise NotFound
    return found.size


def _load(disk: Disk, path: str) -> bytes:
    reader = _Reader(disk, path, missing_is_empty=False)
    found = bytearray()
    try:
        while block := reader.next(len(found), _READ):
            found += block
    finally:
        reader.close()
    return bytes(found)


def _names(disk: Disk, path: str) -> list[str]:
    try:
        return disk.fs.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sync(disk: Disk, id: UploadId) -> None:
    fs = disk.fs
    names = _names(disk, parts(id))
    for path in (flat(id), *(f"{parts(id)}/{name}" for name in names)):
        try:
            fd = fs.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        try:
            fs.fdatasync(fd)
        finally:
            fs.close(fd)
    for folder in (parts(id), home(id)):
        with suppress(FileNotFoundError):
            if not disk.settle(folder):
                fs.sync_dir(folder)


def _probe(disk: Disk) -> None:
    path = f"{TRASH}/probe.{disk.token()}.tmp"
    fd = disk.fs.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        try:
            disk.write_all(fd, [b"probe"], 0)
            disk.fs.fdatasync(fd)
        finally:
            disk.fs.close(fd)
    finally:
        disk.forget(path)  # another process that starts may have emptied the trash meanwhile


def _prepared(root: Path | str | Fs) -> Fs:
    try:
        fs = root if isinstance(root, Fs) else Fs(root)
        try:
            _prepare(fs)
        except BaseException:
            fs.shut()
            raise
    except OSError as error:
        raise fault(error) from error
    return fs


def _prepare(fs: Fs) -> None:
    root = fs.stat("")
    if root.owner != os.geteuid() or root.mode & 0o022:
        raise StorageFault("the data directory must belong to this user, and nobody else may write to it")
    for name in (UPLOADS, FILES, MANIFESTS, TRASH):
        with suppress(FileExistsError):
            fs.mkdir(name)
        found = fs.stat(name)
        if not found.directory:
            raise StorageFault(f"{name} in the data directory must be a directory")
        if found.device != root.device:
            raise StorageFault("the data directory must lie on one file system")
    fs.sync_dir("")
