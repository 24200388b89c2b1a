"""Which bytes are which chunk, and which of them lack: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from onward.core.declaration import parts_of

MIB: Final = 1 << 20
_UNITS: Final = {"": 1, "b": 1, "k": 1 << 10, "m": MIB, "g": 1 << 30}


class Cut(msgspec.Struct, frozen=True):
    """A file of ``size`` bytes in chunks of ``chunk_size``, numbered from 1."""

    size: int
    chunk_size: int

    @property
    def count(self) -> int:
        """How many chunks; an empty file has one, without a byte."""
        return parts_of(self.size, self.chunk_size)

    def span(self, number: int) -> tuple[int, int]:
        """Where chunk ``number`` begins and how many bytes it has."""
        start = (number - 1) * self.chunk_size
        return start, min(self.chunk_size, self.size - start)

    def numbers(self, runs: Iterable[tuple[int, int]]) -> Iterator[int]:
        """The chunk numbers in ``runs``, whose ends are both included; those beyond the file are left out."""
        for first, last in runs:
            yield from range(max(1, first), min(last, self.count) + 1)

    def known(self, parts: Iterable[tuple[int | None, int, str]]) -> dict[int, str]:
        """The SHA-256 of those chunks that the server holds in one piece, from its parts: offset, size, digest.

        Parts are told apart by where they lie: their numbers may be those of another cut.
        """
        found: dict[int, str] = {}
        for offset, size, digest in parts:
            if offset is None or offset % self.chunk_size or not 0 <= offset <= self.size:
                continue
            number = offset // self.chunk_size + 1
            if number <= self.count and size == self.span(number)[1]:
                found[number] = digest
        return found


def other_chunk_size(cut: Cut, code: str, facts: Mapping[str, object]) -> int | None:
    """The chunk size to try after a server refused ``cut`` with ``code``; ``None`` if no other can help."""
    fact = facts.get("expected" if code == "layout-conflict" else "limit")
    if not isinstance(fact, int) or fact < 1:
        return None
    match code:
        case "layout-conflict":  # the upload was begun with another one
            return fact
        case "chunk-too-large":
            return fact if fact < cut.chunk_size else None
        case "too-many-chunks":
            least = -(-cut.size // fact)
            return -(-least // MIB) * MIB if least > cut.chunk_size else None
    return None


def parse_size(text: str) -> int:
    """The bytes that ``8MiB``, ``8m`` or ``8388608`` stand for. Raises ``ValueError``."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = text[len(digits) :].strip().lower().removesuffix("ib")
    if not (digits.isascii() and digits.isdigit()) or unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size")
    return int(digits) * _UNITS[unit]
