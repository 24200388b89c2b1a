"""A file system in memory that fails, dies and loses power when it is told to.

``SimFs`` takes the place of ``onward.storage.fs.Fs``. What is written is visible at once and
durable only when synced: ``fdatasync`` makes a file's bytes durable, ``sync_dir`` the names in a
directory. ``cut`` is a power cut: of everything not yet durable, any part may be lost.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Final, ParamSpec, TypeVar

from onward.core.types import Buffer
from onward.storage.fs import Fs, Stat

SECTOR: Final = 512
"""Bytes that reach a disk whole or not at all."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Inline(Executor):
    """Does work at once in the calling thread, so that a simulation has one order of events only."""

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Do it now."""
        future: Future[_T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001, it belongs to whoever asks for the result
            future.set_exception(error)
        return future


@dataclass(eq=False)
class _File:
    inode: int
    data: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    """Writes not yet synced; ``(size, b"")`` beyond the end or short of it stands for a truncation."""
    doubtful: list[tuple[int, bytes]] = field(default_factory=list)
    """Writes whose sync failed: the kernel calls them clean, a later sync does not bring them to the disk."""
    links: int = 0


@dataclass(eq=False)
class _Folder:
    inode: int
    names: dict[str, _File | _Folder] = field(default_factory=dict)
    durable: dict[str, _File | _Folder] = field(default_factory=dict)


_Node = _File | _Folder


@dataclass(frozen=True)
class _Change:
    """Names that change together, in one step: both names of a rename, or one name."""

    steps: tuple[tuple[_Folder, str, _Node | None], ...]

    def touches(self, folder: _Folder) -> bool:
        return any(where is folder for where, _, _ in self.steps)

    def make_durable(self) -> None:
        for folder, name, node in self.steps:
            if node is None:
                folder.durable.pop(name, None)
            else:
                folder.durable[name] = node


@dataclass(eq=False)
class _Open:
    node: _Node
    writable: bool
    exclusive: bool | None = None


class SimFs(Fs):
    """Files in memory behind the methods of ``Fs``.

    ``most``: bytes that one call reads or writes at most, for the short reads and writes that a
    real disk may answer with. ``size``: bytes that all files together may have.
    """

    def __init__(self, *, most: int = 1 << 30, size: int = 1 << 40) -> None:
        self._most = most
        self._inodes = count(1)
        self._top = _Folder(next(self._inodes))
        self._changes: list[_Change] = []
        self._fds: dict[int, _Open] = {}
        self._numbers = count(100)
        self._fail: tuple[int, int, bool] | None = None
        self.size = size
        self.operations = 0
        """How many calls there were so far; what ``fail`` counts by."""
        self.trace: list[str] = []
        """The names of those calls."""
        self.before: Callable[[str], None] = _ignore
        """Called with the name of each operation before it is done."""

    # -- faults -----------------------------------------------------------------------------------

    @property
    def open_files(self) -> int:
        """How many descriptors are open."""
        return len(self._fds)

    def fail(self, after: int, code: int, *, forever: bool = False) -> None:
        """Let the operation that comes ``after`` so many others fail with this errno, or all from then on."""
        self._fail = (self.operations + after, code, forever)

    def heal(self) -> None:
        """No more failures."""
        self._fail = None

    def kill(self) -> None:
        """The process dies: open files and locks are gone, everything written is still there."""
        self._fds.clear()
        self.heal()

    def cut(self, random: Random) -> None:
        """The power fails: what was not synced is there, or half there, or not."""
        self.kill()
        for change in self._changes:
            if random.random() < 0.5:
                change.make_durable()
        self._changes.clear()
        files: dict[int, _File] = {}
        self._settle(self._folder(""), files)
        for one in files.values():
            for offset, data in [*one.doubtful, *one.pending]:
                _tear(one.durable, offset, data, random)
            one.data = bytearray(one.durable)
            one.pending, one.doubtful = [], []

    def _settle(self, folder: _Folder, files: dict[int, _File]) -> None:
        folder.names = dict(folder.durable)
        for node in folder.names.values():
            if isinstance(node, _Folder):
                self._settle(node, files)
            else:
                node.links = 1 if node.inode not in files else node.links + 1
                files[node.inode] = node

    def _step(self, name: str) -> None:
        self.before(name)
        number, self.operations = self.operations, self.operations + 1
        self.trace.append(name)
        if self._fail is not None:
            at, code, forever = self._fail
            if number == at or (forever and number > at):
                raise OSError(code, os.strerror(code))

    # -- names ------------------------------------------------------------------------------------

    def _folder(self, path: str) -> _Folder:
        node = self._find(path)
        if not isinstance(node, _Folder):
            raise _error(errno.ENOTDIR)
        return node

    def _find(self, path: str) -> _Node:
        node: _Node = self._top
        for step in path.split("/") if path else []:
            if step in {"", ".", ".."}:
                raise _error(errno.EINVAL)
            if not isinstance(node, _Folder):
                raise _error(errno.ENOTDIR)
            if len(step.encode()) > 255:
                raise _error(errno.ENAMETOOLONG)
            if step not in node.names:
                raise _error(errno.ENOENT)
            node = node.names[step]
        return node

    def _place(self, path: str) -> tuple[_Folder, str, _Node | None]:
        """The folder of a name, the name in it, and what has it."""
        above, _, name = path.rpartition("/")
        folder = self._folder(above)
        try:
            return folder, name, self._find(path)
        except FileNotFoundError:
            return folder, name, None

    def _change(self, *steps: tuple[_Folder, str, _Node | None]) -> None:
        for folder, name, node in steps:
            old = folder.names.pop(name, None)
            if isinstance(old, _File):
                old.links -= 1
            if node is not None:
                folder.names[name] = node
                if isinstance(node, _File):
                    node.links += 1
        self._changes.append(_Change(steps))

    def open(self, path: str, flags: int) -> int:
        self._step("open")
        folder, name, node = self._place(path) if path else (self._folder(""), "", self._folder(""))
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT)
            node = _File(next(self._inodes))
            self._change((folder, name, node))
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise _error(errno.EEXIST)
        writable = bool(flags & (os.O_WRONLY | os.O_RDWR))
        if isinstance(node, _Folder) and writable:
            raise _error(errno.EISDIR)
        if isinstance(node, _File) and flags & os.O_DIRECTORY:
            raise _error(errno.ENOTDIR)
        fd = next(self._numbers)
        self._fds[fd] = _Open(node, writable)
        return fd

    def close(self, fd: int) -> None:
        self._opened(fd)
        del self._fds[fd]
        self._step("close")  # a close that fails has closed all the same

    def stat(self, path: str) -> Stat:
        self._step("stat")
        return _stat(self._find(path))

    def fstat(self, fd: int) -> Stat:
        self._step("fstat")
        return _stat(self._opened(fd).node)

    def link(self, source: str, target: str) -> None:
        self._step("link")
        _, _, node = self._place(source)
        folder, name, taken = self._place(target)
        if node is None:
            raise _error(errno.ENOENT)
        if taken is not None:
            raise _error(errno.EEXIST)
        self._change((folder, name, node))

    def rename(self, source: str, target: str) -> None:
        self._step("rename")
        old_folder, old_name, node = self._place(source)
        folder, name, taken = self._place(target)
        if node is None:
            raise _error(errno.ENOENT)
        if node is taken:
            return
        if isinstance(taken, _Folder):
            raise _error(errno.EISDIR)
        self._change((old_folder, old_name, None), (folder, name, node))

    def unlink(self, path: str) -> None:
        self._step("unlink")
        folder, name, node = self._place(path)
        if node is None or isinstance(node, _Folder):
            raise _error(errno.ENOENT if node is None else errno.EISDIR)
        self._change((folder, name, None))

    def mkdir(self, path: str) -> None:
        self._step("mkdir")
        folder, name, taken = self._place(path)
        if taken is not None:
            raise _error(errno.EEXIST)
        self._change((folder, name, _Folder(next(self._inodes))))

    def rmdir(self, path: str) -> None:
        self._step("rmdir")
        if self._folder(path).names:
            raise _error(errno.ENOTEMPTY)
        folder, name, _ = self._place(path)
        self._change((folder, name, None))

    def listdir(self, path: str) -> list[str]:
        self._step("listdir")
        return list(self._folder(path).names)

    def sync_dir(self, path: str) -> None:
        self._step("sync_dir")
        folder = self._folder(path)
        for change in self._changes:
            if change.touches(folder):
                change.make_durable()
        self._changes = [change for change in self._changes if not change.touches(folder)]

    # -- bytes ------------------------------------------------------------------------------------

    def _opened(self, fd: int) -> _Open:
        if fd not in self._fds:
            raise _error(errno.EBADF)
        return self._fds[fd]

    def _file(self, fd: int, *, write: bool = False) -> _File:
        opened = self._opened(fd)
        if not isinstance(opened.node, _File) or (write and not opened.writable):
            raise _error(errno.EBADF)
        return opened.node

    def pwritev(self, fd: int, blocks: Sequence[Buffer], offset: int) -> int:
        self._step("pwritev")
        file = self._file(fd, write=True)
        data = b"".join(blocks)[: self._most]
        room = self.free() - max(0, offset - len(file.data))
        fits = max(0, len(file.data) - offset) + max(0, room)
        if data and fits <= 0:
            raise _error(errno.ENOSPC)
        data = data[:fits]
        if data:
            _apply(file.data, offset, data)
            file.pending.append((offset, data))
        return len(data)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self._step("pread")
        return bytes(self._file(fd).data[offset : offset + min(size, self._most)])

    def pread_into(self, fd: int, block: memoryview, offset: int) -> int:
        self._step("pread")
        found = self._file(fd).data[offset : offset + min(len(block), self._most)]
        block[: len(found)] = found
        return len(found)

    def copy_file_range(self, source: int, target: int, size: int, source_at: int, target_at: int) -> int:
        self._step("copy_file_range")
        data = bytes(self._file(source).data[source_at : source_at + min(size, self._most)])
        return self.pwritev(target, [data], target_at)

    def truncate(self, fd: int, size: int) -> None:
        self._step("truncate")
        file = self._file(fd, write=True)
        _apply(file.data, size, b"")
        file.pending.append((size, b""))

    def fdatasync(self, fd: int) -> None:
        file = self._file(fd)
        try:
            self._step("fdatasync")
        except OSError:
            file.doubtful += file.pending
            file.pending = []
            raise
        for offset, data in file.pending:
            _apply(file.durable, offset, data)
        file.pending = []

    def lock(self, fd: int, *, exclusive: bool) -> bool:
        self._step("lock")
        mine = self._opened(fd)
        others = [one for one in self._fds.values() if one.node is mine.node and one is not mine]
        if any(one.exclusive or (exclusive and one.exclusive is not None) for one in others):
            return False
        mine.exclusive = exclusive
        return True

    def free(self) -> int:
        files: dict[int, int] = {}
        folders = [self._folder("")]
        while folders:
            for node in folders.pop().names.values():
                if isinstance(node, _Folder):
                    folders.append(node)
                else:
                    files[node.inode] = len(node.data)
        return self.size - sum(files.values())

    def shut(self) -> None:
        """There is nothing to let go of."""


def _ignore(_name: str) -> None:
    """Nobody watches."""


def _error(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def _stat(node: _Node) -> Stat:
    folder = isinstance(node, _Folder)
    return Stat(
        inode=node.inode,
        device=1,
        size=len(node.data) if isinstance(node, _File) else 0,
        links=node.links if isinstance(node, _File) else 1,
        directory=folder,
        regular=not folder,
        owner=os.geteuid(),
        mode=0o700 if folder else 0o600,
    )


def _apply(data: bytearray, offset: int, piece: bytes) -> None:
    """Write, or with no bytes to write make ``data`` exactly ``offset`` long."""
    if not piece:
        del data[offset:]
    data += bytes(max(0, offset - len(data)))
    data[offset : offset + len(piece)] = piece


def _tear(data: bytearray, offset: int, piece: bytes, random: Random) -> None:
    """One unsynced write meets a power cut: all of it, nothing, or some of its sectors."""
    fate = random.randrange(3)
    if fate == 0:
        return
    if fate == 1 or not piece:
        _apply(data, offset, piece)
        return
    at = offset
    while at < offset + len(piece):
        end = min(offset + len(piece), (at // SECTOR + 1) * SECTOR)
        if random.random() < 0.5:
            _apply(data, at, piece[at - offset : end - offset])
        at = end
