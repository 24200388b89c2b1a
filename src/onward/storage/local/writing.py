"""From a body into a file: gather, then hash and write in one hop to a disk thread."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import anyio.lowlevel

from onward.core.digest import SHA256, Hasher
from onward.core.types import Buffer, UploadId
from onward.errors import AlreadyComplete, ServerFault
from onward.ports import Written
from onward.storage.local.disk import Disk, assembled, flat, home, manifest, parts

GATHER: Final = 256 << 10
"""Bytes worth a hop."""
MOST: Final = 1 << 20
"""Bytes gathered while the disk is busy; then the body has to wait."""


class Target(Protocol):
    """The file behind one write. Blocking; used by one thread at a time."""

    def take(self, blocks: list[Buffer]) -> None:
        """Hash and write what comes next."""

    def finish(self, blocks: list[Buffer]) -> Written:
        """Hash and write the last blocks, make them count, and close."""

    def abandon(self) -> None:
        """Close without counting."""


async def pour(disk: Disk, target: Target, body: AsyncIterator[Buffer]) -> Written:
    """Write a body; while one lot is hashed and written, the next one is gathered."""
    writing: Future[None] | None = None
    blocks: list[Buffer] = []
    size = 0
    try:
        async for block in body:
            kept = _keep(block)
            blocks.append(kept)
            size += len(kept)
            if size < GATHER or (size < MOST and writing is not None and not writing.done()):
                continue
            await anyio.lowlevel.checkpoint_if_cancelled()  # waiting for the disk is no place to be cancelled
            if writing is not None:
                await disk.ended(writing)
            writing = disk.start(partial(target.take, blocks))
            blocks, size = [], 0
        if writing is not None:
            await disk.ended(writing)
        return await disk.run(partial(target.finish, blocks))
    except BaseException:
        with suppress(ServerFault):  # logged where it was made; the first reason is the one to tell
            await disk.run(partial(_leave, target, writing))
        raise


def _leave(target: Target, writing: Future[None] | None) -> None:
    if writing is not None:
        wait([writing])
    target.abandon()


def _keep(block: Buffer) -> Buffer:
    """The block itself if nobody can change it, else a copy: the caller may use its buffer again."""
    owner = block.obj if isinstance(block, memoryview) else block
    return block if isinstance(owner, bytes) else bytes(block)


class _File:
    """An open file and the digests of what goes into it."""

    def __init__(self, disk: Disk, id: UploadId, algorithms: Sequence[str], *, durable: bool) -> None:
        self._disk = disk
        self._id = id
        self._durable = durable
        self._hasher = Hasher((SHA256, *algorithms))
        self._fd: int | None = None

    def _put(self, fd: int, blocks: list[Buffer], offset: int) -> None:
        at = offset + self._hasher.size
        for block in blocks:
            self._hasher.update(block)
        self._disk.write_all(fd, blocks, at)

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._disk.fs.close(fd)

    def _written(self) -> Written:
        return Written(size=self._hasher.size, digests=self._hasher.digests())

    def _begin(self, directory: str) -> None:
        """Make room for an upload's first bytes. What was published and discarded stays gone."""
        if self._disk.exists(manifest(self._id)) and not self._disk.exists(home(self._id)):
            raise AlreadyComplete
        self._disk.make(directory)


class FlatWrite(_File):
    """Bytes at their final offset in ``data``, under its shared lock for as long as it is open."""

    def __init__(self, disk: Disk, id: UploadId, offset: int, algorithms: Sequence[str], *, durable: bool) -> None:
        super().__init__(disk, id, algorithms, durable=durable)
        self._offset = offset
        self._path = flat(id)
        self._inode = 0

    def take(self, blocks: list[Buffer]) -> None:
        """Open on first use, hash, write."""
        self._put(self._open() if self._fd is None else self._fd, blocks, self._offset)

    def finish(self, blocks: list[Buffer]) -> Written:
        """Sync, then make sure that the bytes still lie where a reader will look."""
        fd = self._open() if self._fd is None else self._fd
        self._put(fd, blocks, self._offset)
        if self._durable:
            self._disk.fs.fdatasync(fd)
            self._disk.settle(home(self._id))
        self._check_place()
        self._close()
        return self._written()

    def abandon(self) -> None:
        """Close; bytes that nobody recorded count for nothing."""
        self._close()

    def _open(self) -> int:
        fs = self._disk.fs
        try:
            fd = self._fd = fs.open(self._path, os.O_WRONLY)
        except FileNotFoundError:
            self._begin(home(self._id))
            fd = self._fd = fs.open(self._path, os.O_WRONLY | os.O_CREAT)
            self._disk.unsettle(home(self._id))
        if not fs.lock(fd, exclusive=False):
            raise AlreadyComplete
        found = fs.fstat(fd)
        if found.links != 1:
            raise AlreadyComplete
        self._inode = found.inode
        self._check_place()
        return fd

    def _check_place(self) -> None:
        """Between open and lock the file may have been published and discarded, or copied away."""
        try:
            here = self._disk.fs.stat(self._path).inode
        except FileNotFoundError:
            raise AlreadyComplete from None
        if here != self._inode:
            raise AlreadyComplete


class PartWrite(_File):
    """A part of its own, invisible until it is whole."""

    def __init__(self, disk: Disk, id: UploadId, number: int, algorithms: Sequence[str], *, durable: bool) -> None:
        super().__init__(disk, id, algorithms, durable=durable)
        self._folder = parts(id)
        self._path = f"{self._folder}/{number}"
        self._draft = f"{self._path}.{disk.token()}.tmp"
        self._made = False

    def take(self, blocks: list[Buffer]) -> None:
        """Open on first use, hash, write."""
        self._put(self._open() if self._fd is None else self._fd, blocks, 0)

    def finish(self, blocks: list[Buffer]) -> Written:
        """Sync, then put the part in the place of the one that may be there."""
        fd = self._open() if self._fd is None else self._fd
        self._put(fd, blocks, 0)
        fs = self._disk.fs
        if self._durable:
            fs.fdatasync(fd)
        self._close()
        folder = self._share()
        try:
            fs.rename(self._draft, self._path)
        finally:
            fs.close(folder)
        self._made = False
        if self._durable and not self._disk.settle(self._folder):
            fs.sync_dir(self._folder)
        return self._written()

    def abandon(self) -> None:
        """Close and remove; the part that was there is untouched."""
        try:
            self._close()
        finally:
            if self._made:
                self._made = False
                self._disk.forget(self._draft)

    def _open(self) -> int:
        fs = self._disk.fs
        if not self._disk.exists(self._folder):
            self._begin(self._folder)
        fs.close(self._share())
        fd = self._fd = fs.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._made = True
        return fd

    def _share(self) -> int:
        """The folder, open and locked against an assembly. Raises if one holds it or has published."""
        fs = self._disk.fs
        try:
            folder = fs.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            raise AlreadyComplete from None
        try:
            if fs.lock(folder, exclusive=False) and not self._is_published():
                return folder
        except BaseException:
            fs.close(folder)
            raise
        fs.close(folder)
        raise AlreadyComplete

    def _is_published(self) -> bool:
        try:
            return self._disk.fs.stat(assembled(self._id)).links > 1
        except FileNotFoundError:
            return False
