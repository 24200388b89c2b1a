"""Take an upload's bytes so that no writer can touch them any more."""

from __future__ import annotations

import os
from functools import partial
from typing import Final

import anyio
import anyio.lowlevel

from onward.core.types import Layout, Plan, UploadId
from onward.errors import Locked, StorageFault
from onward.storage.local.disk import Disk, assembled, flat, home, parts

_BLOCK: Final = 16 << 20


class Held:
    """The file of the whole, with the lock that keeps writers out. Close it to let go."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._guard: int | None = None
        self.path = path
        self.fd: int | None = None
        """The open file, or ``None``: there is not a byte."""
        self.inode = 0
        self.published = False
        """It has a final name already: an earlier publish whose event was lost."""

    def adopt(self, fd: int) -> None:
        """Keep this open file as the whole; from here on it is closed with the rest."""
        self.fd = fd
        found = self._disk.fs.fstat(fd)
        self.inode, self.published = found.inode, found.links > 1

    def guard(self, fd: int) -> None:
        """Keep this lock as long as the file."""
        self._guard = fd

    def close(self) -> None:
        """Let go of the file and the lock."""
        fd, self.fd, guard, self._guard = self.fd, None, self._guard, None
        try:
            if fd is not None:
                self._disk.fs.close(fd)
        finally:
            if guard is not None:
                self._disk.fs.close(guard)


async def hold(disk: Disk, id: UploadId, plan: Plan, patience: float) -> Held:
    """The bytes of an upload, locked; a flat file that a stale writer keeps open is copied away from it.

    Raises ``Locked`` if another assembly has it.
    """
    held = Held(disk, flat(id) if plan.layout is Layout.FLAT else assembled(id))
    take = partial(_take_flat if plan.layout is Layout.FLAT else _take_numbered, disk, id, plan, held)
    waited, pause = 0.0, 0.02
    try:
        while not await disk.run(take):
            if waited >= patience:
                await _part_from_writer(disk, id, plan, held)
                break
            await anyio.sleep(pause)
            waited, pause = waited + pause, min(0.25, pause * 2)
        await disk.run(partial(disk.settle, home(id)) if held.fd is not None else _nothing)
    except BaseException:
        await disk.run(held.close)
        raise
    return held


def _nothing() -> bool:
    return False


def _take_flat(disk: Disk, id: UploadId, plan: Plan, held: Held) -> bool:
    fs = disk.fs
    try:
        fd = fs.open(held.path, os.O_RDWR)
    except FileNotFoundError:
        if plan.size:
            return True
        disk.make(home(id))
        fd = fs.open(held.path, os.O_RDWR | os.O_CREAT)
        disk.unsettle(home(id))
    held.adopt(fd)
    if fs.lock(fd, exclusive=True) and held.inode == fs.stat(held.path).inode:
        clear_drafts(disk, id)
        held.adopt(fd)
        return True
    held.close()
    return False


def _take_numbered(disk: Disk, id: UploadId, plan: Plan, held: Held) -> bool:
    fs = disk.fs
    own = all(copy.source == id for copy in plan.copies)
    if own and not disk.exists(home(id)) and plan.size:
        return True
    disk.make(parts(id))
    guard = fs.open(parts(id), os.O_RDONLY | os.O_DIRECTORY)
    held.guard(guard)
    if not fs.lock(guard, exclusive=True):
        held.close()
        return False
    clear_drafts(disk, id)
    held.adopt(fs.open(held.path, os.O_RDWR | os.O_CREAT))
    disk.unsettle(home(id))
    return True


def clear_drafts(disk: Disk, id: UploadId) -> None:
    """Remove what a publish that died has left; one of these is a second name of the whole."""
    for name in disk.fs.listdir(home(id)):
        if name.endswith(".tmp"):
            disk.forget(f"{home(id)}/{name}")


async def _part_from_writer(disk: Disk, id: UploadId, plan: Plan, held: Held) -> None:
    """Give the upload a fresh inode; whoever still has the old one open writes into nowhere."""
    if plan.layout is Layout.NUMBERED:  # writers hold that lock for a moment only: this is an assembly
        raise Locked(retry_after=1)
    fs = disk.fs
    old = await disk.run(partial(disk.open_shared, held.path))
    fresh_path = f"{home(id)}/data.{disk.token()}.tmp"
    try:
        await disk.run(partial(_open_fresh, disk, held, fresh_path))
        at = 0
        while moved := await disk.run(partial(_move, disk, old, held, at)):
            at += moved
            await anyio.lowlevel.checkpoint_if_cancelled()
        await disk.run(partial(_swap, disk, id, held, fresh_path))
    except BaseException:
        await disk.run(partial(disk.forget, fresh_path))
        raise
    finally:
        await disk.run(partial(fs.close, old))


def _open_fresh(disk: Disk, held: Held, path: str) -> None:
    held.adopt(disk.fs.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))


def _move(disk: Disk, old: int, held: Held, at: int) -> int:
    return copy_some(disk, (old, at), (_file(held), at), _BLOCK)


def _swap(disk: Disk, id: UploadId, held: Held, fresh_path: str) -> None:
    fs = disk.fs
    fs.fdatasync(_file(held))
    if not fs.lock(_file(held), exclusive=True):
        raise StorageFault
    fs.rename(fresh_path, held.path)
    # Before the final name is durable, this one has to be: both must be the same inode after a cut.
    fs.sync_dir(home(id))


def _file(held: Held) -> int:
    if held.fd is None:
        raise StorageFault
    return held.fd


def copy_some(disk: Disk, source: tuple[int, int], target: tuple[int, int], size: int) -> int:
    """Copy up to ``size`` bytes, inside the kernel where it can; 0 at the end of the source.

    Source and target are each an open file and an offset.
    """
    (source_fd, source_at), (target_fd, target_at) = source, target
    if disk.kernel_copies:
        try:
            return disk.fs.copy_file_range(source_fd, target_fd, size, source_at, target_at)
        except OSError as error:
            if not disk.cannot_copy(error):
                raise
    block = disk.fs.pread(source_fd, min(size, 1 << 20), source_at)
    if block:
        disk.write_all(target_fd, [block], target_at)
    return len(block)
