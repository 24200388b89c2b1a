"""A measured figure, its goal, and what several runs of it come to."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

MIB: Final = 1 << 20
GIB: Final = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. ``goal`` is what it should reach: at least, or at most where less is better."""

    measure: str
    value: float
    unit: str
    goal: float | None = None
    more_is_better: bool = False
    bound: float | None = None
    """What it must not fall short of even where the machine is busy."""
    cpu: float | None = None
    """Seconds of processor time that the server used for 1 GiB, or for 1 000 requests."""
    memory: float | None = None
    """The most MiB that the server had resident."""
    note: str = ""
    least: float | None = None
    """The smallest and the greatest of several runs."""
    most: float | None = None
    section: str = ""
    """The goal, or the group of measures, that it belongs to."""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without one."""
        return None if self.goal is None else self._reaches(self.goal)

    @property
    def in_bounds(self) -> bool:
        """Whether the bound holds, if there is one."""
        return self.bound is None or self._reaches(self.bound)

    def _reaches(self, mark: float) -> bool:
        return self.value >= mark if self.more_is_better else self.value <= mark


def medians(runs: Sequence[Iterable[Figure]]) -> list[Figure]:
    """One figure for each measure: the median of its runs, with the smallest and the greatest."""
    found: dict[str, list[Figure]] = {}
    for run in runs:
        for figure in run:
            found.setdefault(figure.measure, []).append(figure)
    merged = []
    for figures in found.values():
        values = [figure.value for figure in figures]
        cpu = [figure.cpu for figure in figures if figure.cpu is not None]
        memory = [figure.memory for figure in figures if figure.memory is not None]
        merged.append(
            replace(
                figures[-1],
                value=statistics.median(values),
                least=min(values),
                most=max(values),
                cpu=statistics.median(cpu) if cpu else None,
                memory=max(memory) if memory else None,
            )
        )
    return merged


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` (0 to 1) of the others do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
