"""The only door to the disk: every local file operation goes through ``Fs``.

Blocking; belongs in a disk thread. ``onward.testing.crash.SimFs`` stands in for it where a test
wants to fail or to lose power at a chosen moment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from onward.core.types import Buffer

_WALK: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK keeps a planted FIFO from holding a thread; it means nothing to regular files.
_FILE: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class Stat(NamedTuple):
    """What a name or an open file refers to. Links are not followed."""

    inode: int
    device: int
    size: int
    links: int
    directory: bool
    regular: bool
    owner: int
    mode: int


class Fs:
    """Files below one root directory, named by relative paths with ``/`` between the parts.

    No symbolic link below the root is ever followed, in any part of a path. ``""`` names the
    root itself. All methods raise ``OSError`` and nothing else.
    """

    def __init__(self, root: Path | str) -> None:
        path = Path(root)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *walk, name = path.split("/")
        if any(step in ("", ".", "..") for step in (*walk, name)):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        here = self._root
        try:
            for step in walk:
                there = os.open(step, _WALK, dir_fd=here)
                if here != self._root:
                    os.close(here)
                here = there
            yield here, name
        finally:
            if here != self._root:
                os.close(here)

    def open(self, path: str, flags: int) -> int:
        """Open a regular file, or with ``O_DIRECTORY`` a directory; what it creates is 0600."""
        if path == "":
            return os.open(".", flags | os.O_CLOEXEC, dir_fd=self._root)
        with self._parent(path) as (parent, name):
            fd = os.open(name, flags | _FILE, 0o600, dir_fd=parent)
        kind = os.fstat(fd).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            os.close(fd)
            raise OSError(errno.ELOOP, "not a regular file")
        return fd

    def close(self, fd: int) -> None:
        """Close; raises if the kernel reports a late write error. The descriptor is gone either way."""
        os.close(fd)

    def fstat(self, fd: int) -> Stat:
        """What an open file is."""
        return _stat(os.fstat(fd))

    def stat(self, path: str) -> Stat:
        """What a name refers to."""
        if path == "":
            return _stat(os.fstat(self._root))
        with self._parent(path) as (parent, name):
            return _stat(os.stat(name, dir_fd=parent, follow_symlinks=False))

    def pwritev(self, fd: int, blocks: Sequence[Buffer], offset: int) -> int:
        """Write some of the bytes, and say how many. At most 1024 blocks."""
        return os.pwritev(fd, blocks, offset)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes; empty at the end of the file."""
        return os.pread(fd, size, offset)

    def pread_into(self, fd: int, block: memoryview, offset: int) -> int:
        """Read into a writable block, and say how much; 0 at the end of the file."""
        return os.preadv(fd, [block], offset)

    def copy_file_range(self, source: int, target: int, size: int, source_at: int, target_at: int) -> int:
        """Copy inside the kernel, and say how much; 0 at the end of the source."""
        return os.copy_file_range(source, target, size, source_at, target_at)

    def truncate(self, fd: int, size: int) -> None:
        """Make a file exactly this long."""
        os.ftruncate(fd, size)

    def fdatasync(self, fd: int) -> None:
        """Make a file's bytes and its length survive a power cut."""
        os.fdatasync(fd)

    def sync_dir(self, path: str) -> None:
        """Make the names in a directory survive a power cut."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def lock(self, fd: int, *, exclusive: bool) -> bool:
        """Take the file's lock until it is closed, without waiting. False if somebody else has it."""
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def link(self, source: str, target: str) -> None:
        """Give a file a second name. Never replaces: raises ``FileExistsError``."""
        with self._parent(source) as (here, old), self._parent(target) as (there, new):
            os.link(old, new, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)

    def rename(self, source: str, target: str) -> None:
        """Move a name, atomically in the place of whatever file had it."""
        with self._parent(source) as (here, old), self._parent(target) as (there, new):
            os.replace(old, new, src_dir_fd=here, dst_dir_fd=there)

    def unlink(self, path: str) -> None:
        """Take a file's name away."""
        with self._parent(path) as (parent, name):
            os.unlink(name, dir_fd=parent)

    def mkdir(self, path: str) -> None:
        """Make a directory, 0700."""
        with self._parent(path) as (parent, name):
            os.mkdir(name, 0o700, dir_fd=parent)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        with self._parent(path) as (parent, name):
            os.rmdir(name, dir_fd=parent)

    def listdir(self, path: str) -> list[str]:
        """The names in a directory."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def free(self) -> int:
        """Bytes that this user may still write."""
        found = os.fstatvfs(self._root)
        return found.f_bavail * found.f_frsize

    def shut(self) -> None:
        """Let go of the root."""
        os.close(self._root)


def _stat(found: os.stat_result) -> Stat:
    return Stat(
        inode=found.st_ino,
        device=found.st_dev,
        size=found.st_size,
        links=found.st_nlink,
        directory=stat.S_ISDIR(found.st_mode),
        regular=stat.S_ISREG(found.st_mode),
        owner=found.st_uid,
        mode=stat.S_IMODE(found.st_mode),
    )
