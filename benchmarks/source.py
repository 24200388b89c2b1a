"""The file that is uploaded, and the digests that every copy of it is held against."""

from __future__ import annotations

import base64
import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import MIB


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of random bytes, cut into chunks."""

    path: Path
    size: int
    chunk_size: int
    sha256: str
    chunk_digests: tuple[str, ...]
    """``Content-Digest`` of each chunk in order."""

    @property
    def chunks(self) -> int:
        """How many chunks it has."""
        return len(self.chunk_digests)


def make(path: Path, size: int, chunk_size: int) -> Source:
    """Write the file; synced, so that its own writing back disturbs nothing later."""
    whole, digests = hashlib.sha256(), []
    with path.open("wb") as file:
        for start in range(0, size, chunk_size):
            chunk = os.urandom(min(chunk_size, size - start))
            file.write(chunk)
            whole.update(chunk)
            digests.append(f"sha-256=:{base64.b64encode(hashlib.sha256(chunk).digest()).decode()}:")
        file.flush()
        os.fsync(file.fileno())
    return Source(path=path, size=size, chunk_size=chunk_size, sha256=whole.hexdigest(), chunk_digests=tuple(digests))


def check(path: Path, source: Source, start: int = 0, size: int | None = None) -> None:
    """Raises ``ValueError`` unless the file at ``path`` is the source, or that run of it, by its SHA-256."""
    size = source.size if size is None else size
    wanted = source.sha256 if size == source.size else _digest_of_run(source.path, start, size)
    if path.stat().st_size != size or _digest(path, 0, size) != wanted:
        raise ValueError(f"{path} is not what was uploaded")


def check_run(path: Path, start: int, source: Source) -> None:
    """Raises ``ValueError`` unless the file at ``path`` holds the whole source from ``start`` on."""
    if _digest(path, start, source.size) != source.sha256:
        raise ValueError(f"{path} is not what was uploaded")


@functools.cache
def _digest_of_run(path: Path, start: int, size: int) -> str:
    return _digest(path, start, size)


def _digest(path: Path, start: int, size: int) -> str:
    whole = hashlib.sha256()
    block = memoryview(bytearray(2 * MIB))
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while size and (got := file.readinto(block[: min(size, len(block))])):
            whole.update(block[:got])
            size -= got
    return whole.hexdigest()
