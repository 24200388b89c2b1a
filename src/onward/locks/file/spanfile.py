"""Byte-range locks on one small file per upload: key ``k`` is byte ``k``.

Open-file-description locks belong to an open file, not to a process: two opens exclude each
other even inside one process, closing some other descriptor of the file drops nothing, and the
kernel lets go when the last descriptor is closed, however the process ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from onward.core.types import UploadId, is_id
from onward.errors import NoSpace, ServerFault
from onward.ports import LAST_KEY, Span

_FLOCK: Final = struct.Struct("hhqqi0q")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid."""

_EVERYTHING: Final[Span] = (0, LAST_KEY)
_REOPENINGS: Final = 5


def _set_lock(fd: int, kind: int, span: Span) -> bool:
    """Lock or unlock a range without waiting; false if somebody else has a byte of it."""
    request = _FLOCK.pack(kind, os.SEEK_SET, span[0], span[1] - span[0], 0)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _is_unlocked(fd: int, span: Span) -> bool:
    """True if another open file could lock the range now."""
    request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, span[0], span[1] - span[0], 0)
    return bool(_FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, request))[0] == fcntl.F_UNLCK)


def _fault(error: OSError) -> ServerFault:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace()
    return ServerFault("The lock of this upload cannot be used")


class SpanFiles:
    """The lock files of one directory, each open once in this process while somebody needs it.

    Spans locked through one instance do not exclude each other: whoever uses it must keep them
    apart. Nothing here waits.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._open_files: dict[UploadId, int] = {}

    def lock(self, id: UploadId, span: Span) -> bool:
        """Take a span if no other process has a part of it. Raises ``ServerFault``, ``NoSpace``."""
        path = self._path(id)
        try:
            for _ in range(_REOPENINGS):
                fd = self._open_files.get(id)
                if fd is None:
                    fd = self._open_files[id] = self._open(path)
                if not _set_lock(fd, fcntl.F_WRLCK, span):
                    return False
                if _is_current(fd, path):
                    return True
                # Forgotten by another process between our open and our lock: newcomers open
                # another file under this name, and a lock on the old one keeps nobody out.
                self.let_go(id)
        except OSError as error:
            raise _fault(error) from error
        return False

    def is_free(self, id: UploadId, span: Span) -> bool:
        """True if no other process has a part of the span. Raises ``ServerFault``."""
        fd = self._open_files.get(id)
        try:
            if fd is not None:
                return _is_unlocked(fd, span)
            fd = os.open(self._path(id), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise _fault(error) from error
        try:
            return _is_unlocked(fd, span)
        except OSError as error:
            raise _fault(error) from error
        finally:
            os.close(fd)

    def unlock(self, id: UploadId, span: Span) -> None:
        """Give a span back; the file stays open for the others of this process."""
        fd = self._open_files.get(id)
        if fd is not None:
            _set_lock(fd, fcntl.F_UNLCK, span)

    def let_go(self, id: UploadId) -> None:
        """Close the file of an upload, and with it unlock all its spans that this process has."""
        fd = self._open_files.pop(id, None)
        if fd is not None:
            os.close(fd)

    def forget(self, id: UploadId) -> None:
        """Remove the file unless somebody has a part of it. Raises ``ServerFault``."""
        path = self._path(id)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _fault(error) from error
        try:
            # Unlinked only while all of it is locked: a holder elsewhere never loses its file,
            # and who opened it meanwhile sees on locking it that it is no longer the one.
            if _set_lock(fd, fcntl.F_WRLCK, _EVERYTHING) and _is_current(fd, path):
                os.unlink(path)
        except OSError as error:
            raise _fault(error) from error
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close all files; every span is free then."""
        for upload in list(self._open_files):
            self.let_go(upload)

    def _path(self, id: UploadId) -> str:
        if not is_id(id):
            raise ValueError(f"not an id: {id!r}")
        return f"{self._directory}/{id[:2]}/{id}"

    def _open(self, path: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            make_private(Path(self._directory))
            make_private(Path(path).parent)
            return os.open(path, flags, 0o600)


def _is_current(fd: int, path: str) -> bool:
    """True if the open file is still the one that its name leads to."""
    mine = os.fstat(fd)
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (named.st_dev, named.st_ino)


def make_private(directory: Path) -> None:
    """Make a directory that only this user can enter, unless it is there."""
    with suppress(FileExistsError):
        os.makedirs(directory, 0o700)
