"""The file that is uploaded, and the digests that every copy of it is held against."""

from __future__ import annotations

import base64
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


def check(path: Path, source: Source) -> None:
    """Raises ``ValueError`` unless the file at ``path`` is the source, byte for byte by its SHA-256."""
    whole = hashlib.sha256()
    block = bytearray(2 * MIB)
    with path.open("rb") as file:
        while got := file.readinto(block):
            whole.update(memoryview(block)[:got])
    if whole.hexdigest() != source.sha256:
        raise ValueError(f"{path} is not what was uploaded")
