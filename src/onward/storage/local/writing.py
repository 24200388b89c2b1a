"""From a body into a file: gather, then hash and write in one hop to a disk thread."""

from __future__ import annotations

import asyncio
import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, Protocol

import anyio.lowlevel

from onward.core.buffers import lasting
from onward.core.digest import SHA256, Hasher
from onward.core.types import Buffer, UploadId
from onward.errors import AlreadyComplete, ServerFault, StorageFault
from onward.ports import Written
from onward.storage.local.disk import Disk, assembled, flat, home, manifest, parts

GATHER: Final = 256 << 10
"""Bytes worth a hop."""
MOST: Final = 2 << 20
"""Bytes gathered while the disk is busy; then the body has to wait."""
TOGETHER: Final = 16 << 20
"""The same for all bodies together: where many come at a time, each may gather less."""
LONE: Final = 3
"""Lots on threads at a time of a body that is the only one."""
QUIET: Final = 1.0
"""Seconds after which gathered bytes are written even if they are few."""


class Lot:
    """Bytes that one thread hashes and writes, in their turn: after those of the lot before."""

    def __init__(self, before: threading.Lock | None = None) -> None:
        self.blocks: list[Buffer] = []
        self.size = 0
        self.hashed = threading.Lock()
        """Taken until this lot is hashed, whatever comes of it."""
        self.hashed.acquire()
        self._before = before

    def add(self, block: Buffer) -> None:
        """Take one more block: itself if nobody can change it, else a copy, for its owner may use it again."""
        self.blocks.append(block if lasting(block) else bytes(block))
        self.size += len(block)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What runs in it runs after the turn of the lot before, and before that of the next one."""
        if self._before is not None:
            self._before.acquire()
        try:
            yield
        finally:
            self.hashed.release()


class Target(Protocol):
    """The file behind one write. Blocking; lots of it may be taken side by side, in the order of their turns."""

    def take(self, lot: Lot) -> None:
        """Hash and write what comes next."""

    def finish(self, lot: Lot) -> Written:
        """Hash and write the last bytes, make all of them count, and close. No other lot is under way."""

    def abandon(self) -> None:
        """Close without counting. No lot is under way."""


async def pour(disk: Disk, target: Target, body: AsyncIterator[Buffer]) -> Written:
    """Write a body; while lots of it are hashed and written, the next one is gathered.

    No block is held for longer than ``QUIET`` while the body is waited for, so that a client that
    stalls keeps no buffer from others.
    """
    pouring = _Pouring(disk, target)
    disk.bodies += 1
    try:
        async for block in body:
            pouring.add(block)
            del block
            if pouring.full:
                await anyio.lowlevel.checkpoint_if_cancelled()  # waiting for the disk is no place to be cancelled
                await pouring.send()
        return await pouring.finish()
    except BaseException:
        with suppress(ServerFault):  # logged where it was made; the first reason is the one to tell
            await pouring.leave()
        raise
    finally:
        disk.bodies -= 1


class _Pouring:
    """The lots of one body."""

    def __init__(self, disk: Disk, target: Target) -> None:
        self._disk = disk
        self._target = target
        self._lot = Lot()
        self._running: deque[Future[None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._quiet: asyncio.TimerHandle | None = None

    @property
    def full(self) -> bool:
        """True when it is time to send a lot, or to wait until one can be sent."""
        if self._lot.size < GATHER:
            return False
        busy = len(self._running) >= self._side_by_side and not self._running[0].done()
        return not busy or self._lot.size >= min(MOST, TOGETHER // self._disk.bodies)

    @property
    def _side_by_side(self) -> int:
        # Of a lone body one lot is written, one is hashed, and one stands ready for the moment that one is.
        # Several bodies keep the threads busy as it is.
        return LONE if self._disk.bodies == 1 else 1

    def add(self, block: Buffer) -> None:
        if not self._lot.blocks:
            self._quiet = self._loop.call_later(QUIET, self._send_few)
        self._lot.add(block)

    async def send(self) -> None:
        """Have the lot hashed and written; waits if too many are on their way."""
        while self._running and (len(self._running) >= self._side_by_side or self._running[0].done()):
            await self._disk.ended(self._running.popleft())
        self._start()

    async def finish(self) -> Written:
        """Write the rest and make everything count."""
        self._hush()
        while self._running:
            await self._disk.ended(self._running.popleft())
        return await self._disk.run(partial(self._target.finish, self._lot))

    async def leave(self) -> None:
        """Close without counting, once no thread is at it any more."""
        self._hush()
        running = list(self._running)

        def close() -> None:
            wait(running)
            self._target.abandon()

        await self._disk.run(close)

    def _start(self) -> None:
        self._hush()
        lot, self._lot = self._lot, Lot(self._lot.hashed)
        self._running.append(self._disk.start_lot(partial(self._target.take, lot)))

    def _send_few(self) -> None:
        while self._running and self._running[0].done() and self._running[0].exception() is None:
            self._running.popleft()
        if len(self._running) < self._side_by_side:
            self._start()
        else:
            # The disk is slow, or it has failed: that is raised when the next lot is sent.
            self._quiet = self._loop.call_later(QUIET, self._send_few)

    def _hush(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()


class _File(ABC):
    """An open file and the digests of what goes into it."""

    def __init__(self, disk: Disk, id: UploadId, algorithms: Sequence[str], *, durable: bool) -> None:
        self._disk = disk
        self._id = id
        self._durable = durable
        self._hasher = Hasher((SHA256, *algorithms))
        self._fd: int | None = None
        self._broken = False

    @abstractmethod
    def _open(self) -> int:
        """Open what is written to, and say its descriptor."""

    def _put(self, lot: Lot, start: int) -> int:
        """Open on first use, hash when it is this lot's turn, write meanwhile others are hashed. The descriptor."""
        with lot.turn():
            if self._broken:
                raise StorageFault
            self._broken = True
            fd = self._open() if self._fd is None else self._fd
            at = start + self._hasher.size
            for block in lot.blocks:
                self._hasher.update(block)
            self._broken = False
        self._disk.write_all(fd, lot.blocks, at)
        return fd

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

    def take(self, lot: Lot) -> None:
        """Open on first use, hash, write."""
        self._put(lot, self._offset)

    def finish(self, lot: Lot) -> Written:
        """Sync, then make sure that the bytes still lie where a reader will look."""
        fd = self._put(lot, self._offset)
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

    def take(self, lot: Lot) -> None:
        """Open on first use, hash, write."""
        self._put(lot, 0)

    def finish(self, lot: Lot) -> Written:
        """Sync, then put the part in the place of the one that may be there."""
        fd = self._put(lot, 0)
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
