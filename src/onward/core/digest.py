"""Digests over bytes. Knows algorithms, no header syntax."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from onward.core.types import Buffer, Digest


class _Hash(Protocol):
    def update(self, data: Buffer, /) -> None: ...
    def digest(self) -> bytes: ...


_MAKERS: Final[dict[str, tuple[Callable[[], _Hash], int]]] = {
    "sha-256": (lambda: hashlib.sha256(usedforsecurity=True), 32),
    "sha-512": (lambda: hashlib.sha512(usedforsecurity=True), 64),
    "sha": (lambda: hashlib.sha1(usedforsecurity=False), 20),
    "md5": (lambda: hashlib.md5(usedforsecurity=False), 16),
}

SHA256: Final = "sha-256"
ALGORITHMS: Final = tuple(_MAKERS)
"""Names as RFC 9530 registers them, strongest first but for sha-256, which is always computed."""


def digest_size(algorithm: str) -> int:
    """Bytes in a digest of this algorithm. Raises ``KeyError`` for one that is not computed."""
    return _MAKERS[algorithm][1]


class Hasher:
    """Computes several digests over the same bytes in one pass."""

    __slots__ = ("_hashes", "size")

    def __init__(self, algorithms: Iterable[str] = (SHA256,)) -> None:
        self._hashes = {name: _MAKERS[name][0]() for name in dict.fromkeys(algorithms)}
        self.size = 0

    def update(self, data: Buffer) -> None:
        """Take the next bytes. Releases the GIL for large ones."""
        view = memoryview(data)
        self.size += view.nbytes
        for one in self._hashes.values():
            one.update(view)

    def digests(self) -> dict[str, Digest]:
        """The digests of all bytes so far, by algorithm."""
        return {name: Digest(name, one.digest()) for name, one in self._hashes.items()}

    def digest(self, algorithm: str = SHA256) -> Digest:
        """The digest of all bytes so far."""
        return Digest(algorithm, self._hashes[algorithm].digest())


def sha256(data: bytes) -> Digest:
    """The SHA-256 of some bytes in memory."""
    return Digest(SHA256, hashlib.sha256(data).digest())
