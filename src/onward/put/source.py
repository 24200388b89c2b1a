"""The file that is sent: read in order, hashed in the same pass, watched for change."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import Final, Self

import msgspec

from onward.put.faults import NotTaken

EDGE: Final = 64 * 1024
"""Bytes at the beginning and at the end that a file is told from others by."""


class Chunk(msgspec.Struct, frozen=True):
    """The bytes of one chunk and their SHA-256."""

    number: int
    data: bytes
    sha256: bytes


class Stamp(msgspec.Struct, frozen=True):
    """By what a file is known to be the same and unchanged."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, found: os.stat_result) -> Self:
        """The stamp of a file at this moment."""
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Source:
    """One open file. Its methods block; call them in a thread, one at a time."""

    def __init__(self, path: str) -> None:
        """Raises ``NotTaken`` if it cannot be read or is no regular file."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise NotTaken(f"the file cannot be read: {error.strerror}", code="unreadable") from None
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.close()
            raise NotTaken("this is not a regular file", code="unreadable")
        self._stamp = Stamp.of(found)
        self._whole = hashlib.sha256()
        self._read = 0

    @property
    def size(self) -> int:
        """Bytes, as they were when the file was opened."""
        return self._stamp.size

    @property
    def read(self) -> int:
        """Bytes that were read in order from the beginning."""
        return self._read

    def next(self, number: int, size: int) -> Chunk:
        """The next ``size`` bytes in order as chunk ``number``. Raises ``NotTaken`` if the file has changed."""
        return self.at(number, self._read, size)

    def at(self, number: int, start: int, size: int) -> Chunk:
        """The ``size`` bytes at ``start`` as chunk ``number``; what follows on the bytes read so far counts as read.

        Raises ``NotTaken`` if the file has changed.
        """
        data = self._bytes(start, size)
        if start <= self._read < start + size:
            self._whole.update(memoryview(data)[self._read - start :])
            self._read = start + size
        return Chunk(number, data, hashlib.sha256(data).digest())

    def identity(self) -> bytes:
        """By what this very file is found again: its size, its time, and a digest of its beginning and its end.

        Raises ``NotTaken`` if the file has changed.
        """
        edges = self._bytes(0, min(EDGE, self.size)) + self._bytes(max(0, self.size - EDGE), min(EDGE, self.size))
        return b"%d %d " % (self.size, self._stamp.modified) + hashlib.sha256(edges).digest()

    def _bytes(self, start: int, size: int) -> bytes:
        pieces: list[bytes] = []
        while size:
            try:
                piece = os.pread(self._fd, size, start)
            except OSError as error:
                raise NotTaken(f"the file cannot be read: {error.strerror}", code="unreadable") from None
            if not piece:
                raise _changed()
            pieces.append(piece)
            start += len(piece)
            size -= len(piece)
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if Stamp.of(os.fstat(self._fd)) != self._stamp:
            raise _changed()
        return data

    def sha256(self) -> bytes:
        """The SHA-256 of the whole, once all was read; and the path still leads to this file.

        Raises ``NotTaken`` if it does not.
        """
        try:
            found = os.stat(self.path)
        except OSError:
            raise _changed() from None
        if self._read != self.size or Stamp.of(found) != self._stamp:
            raise _changed()
        return self._whole.digest()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)


def _changed() -> NotTaken:
    return NotTaken(
        "the file changed while it was sent; what is stored belongs to the old one, nothing was completed",
        code="file-changed",
    )
