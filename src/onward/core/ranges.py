"""Sets of byte ranges."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import pairwise


class ByteRanges:
    """A set of whole numbers, kept as sorted half-open ranges that neither touch nor overlap.

    Adding costs O(log n) plus a short list move; all queries are O(log n) but for iteration.
    """

    __slots__ = ("_ends", "_starts", "_total")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._total = 0
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Put ``start <= n < end`` into the set. An empty range changes nothing."""
        if start >= end:
            return
        left = bisect_left(self._ends, start)
        right = bisect_right(self._starts, end)
        if left < right:
            start = min(start, self._starts[left])
            end = max(end, self._ends[right - 1])
            for i in range(left, right):
                self._total -= self._ends[i] - self._starts[i]
        self._starts[left:right] = [start]
        self._ends[left:right] = [end]
        self._total += end - start

    def remove(self, start: int, end: int) -> None:
        """Take ``start <= n < end`` out of the set."""
        if start >= end:
            return
        left = bisect_right(self._ends, start)
        right = bisect_left(self._starts, end)
        if left >= right:
            return
        kept: list[tuple[int, int]] = []
        if self._starts[left] < start:
            kept.append((self._starts[left], start))
        if self._ends[right - 1] > end:
            kept.append((end, self._ends[right - 1]))
        for i in range(left, right):
            self._total -= self._ends[i] - self._starts[i]
        self._starts[left:right] = [s for s, _ in kept]
        self._ends[left:right] = [e for _, e in kept]
        self._total += sum(e - s for s, e in kept)

    def prefix(self, origin: int = 0) -> int:
        """The end of the unbroken range that begins at ``origin``; ``origin`` if it is missing."""
        i = bisect_right(self._starts, origin) - 1
        if i >= 0 and self._ends[i] > origin:
            return self._ends[i]
        return origin

    def holes(self, origin: int, end: int) -> Iterator[tuple[int, int]]:
        """What lacks of ``origin <= n < end``, as half-open ranges in order."""
        at = origin
        for i in range(bisect_right(self._ends, origin), len(self._starts)):
            if self._starts[i] >= end:
                break
            if self._starts[i] > at:
                yield at, self._starts[i]
            at = max(at, self._ends[i])
        if at < end:
            yield at, end

    def overlaps(self, start: int, end: int) -> bool:
        """True if any of ``start <= n < end`` is in the set."""
        i = bisect_right(self._ends, start)
        return start < end and i < len(self._starts) and self._starts[i] < end

    def filled(self, start: int, end: int, cells: int) -> list[tuple[int, int]]:
        """Of each of ``cells`` nearly equal parts of ``start <= n < end``: numbers in the set, and numbers in all."""
        edges = [start + (end - start) * cell // cells for cell in range(cells + 1)]
        found = [0] * cells
        cell = 0
        for i in range(bisect_right(self._ends, start), len(self._starts)):
            while cell < cells and edges[cell + 1] <= self._starts[i]:
                cell += 1
            for at in range(cell, cells):
                if edges[at] >= self._ends[i]:
                    break
                found[at] += min(self._ends[i], edges[at + 1]) - max(self._starts[i], edges[at])
        return [(here, b - a) for here, (a, b) in zip(found, pairwise(edges), strict=True)]

    @property
    def total(self) -> int:
        """How many numbers are in the set."""
        return self._total

    @property
    def end(self) -> int:
        """One beyond the greatest number; 0 if the set is empty."""
        return self._ends[-1] if self._ends else 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def __len__(self) -> int:
        """How many separate ranges there are."""
        return len(self._starts)

    def __repr__(self) -> str:
        return f"ByteRanges({list(self)!r})"
