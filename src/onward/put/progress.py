"""How far everything is, for a person: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import msgspec

from onward.put.asking import Watch
from onward.put.plan import MIB

SMOOTH: Final = 15.0
"""Seconds over which the speed is smoothed."""
BAR: Final = 24


class Speed:
    """Bytes per second, smoothed: what is older than ``SMOOTH`` seconds fades. Pure; times are given in seconds."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._at = now
        self._bytes = 0.0

    def add(self, now: float, size: int) -> None:
        """So many bytes were acknowledged."""
        self._bytes = self._bytes * math.exp((self._at - now) / SMOOTH) + size
        self._at = now

    def rate(self, now: float) -> float:
        """Bytes per second; 0 before anything was acknowledged."""
        # What a steady stream of one byte per second would have left by now: short runs are not underrated.
        steady = SMOOTH * (1 - math.exp((self._began - now) / SMOOTH))
        return self._bytes * math.exp((self._at - now) / SMOOTH) / steady if steady > 0 else 0.0


class Track(Watch):
    """How far one file is."""

    def __init__(self, name: str, size: int, board: Board) -> None:
        self.name = name
        self.size = size
        self.acknowledged = 0
        self.resumed = 0
        """Bytes of ``acknowledged`` that were there before we came."""
        self.outgoing = 0
        """Bytes that went out, those sent more than once counted each time."""
        self.retries = 0
        self.verified: tuple[int, int] | None = None
        """Once all bytes are there: how many of how many the server has read back."""
        self.over = False
        self._board = board

    def sent(self, size: int) -> None:
        self.outgoing += size

    def trouble(self, reason: str, wait: float) -> None:
        self.retries += 1
        self._board.last_trouble = reason

    def found(self, size: int) -> None:
        """That many bytes were stored before."""
        self.acknowledged += size
        self.resumed += size

    def stored(self, size: int) -> None:
        """The server acknowledged that many bytes of ours."""
        self.acknowledged += size
        self._board.stored(size)

    def lost(self, size: int) -> None:
        """The server found that many stored bytes damaged; they are sent again."""
        self.acknowledged -= size
        self.verified = None


class Board:
    """All files of one run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.tracks: list[Track] = []
        self.last_trouble = ""
        self._clock = clock
        self._speed = Speed(clock())

    def add(self, name: str, size: int) -> Track:
        """One more file."""
        track = Track(name, size, self)
        self.tracks.append(track)
        return track

    def stored(self, size: int) -> None:
        """Bytes of any file were acknowledged."""
        self.last_trouble = ""
        self._speed.add(self._clock(), size)

    def view(self) -> View | None:
        """What is to be shown now; ``None`` when nothing goes on."""
        going = [track for track in self.tracks if not track.over]
        if not going:
            return None
        sending = [track for track in going if track.verified is None]
        shown = (sending or going)[0]
        checked = None
        if not sending:
            done, total = (sum(track.verified[i] for track in going if track.verified) for i in (0, 1))
            checked = done / total if total else 0.0
        return View(
            name=shown.name,
            others=len(going) - 1,
            done=sum(track.acknowledged for track in self.tracks),
            total=sum(track.size for track in self.tracks),
            rate=self._speed.rate(self._clock()),
            retries=sum(track.retries for track in self.tracks),
            verified=checked,
            trouble=self.last_trouble,
        )


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a line of progress tells."""

    name: str
    others: int
    done: int
    total: int
    rate: float
    retries: int
    verified: float | None
    trouble: str

    def line(self, *, bar: bool) -> str:
        """The line, with a bar or without."""
        who = self.name if not self.others else f"{self.name} and {self.others} more"
        if self.verified is not None:
            return f"{who}  verifying {self.verified:4.0%}"
        share = self.done / self.total if self.total else 1.0
        full = int(share * BAR)
        words = [who]
        if bar:
            words.append("[" + "#" * full + "-" * (BAR - full) + "]")
        words += [
            f"{share:4.0%}",
            f"{self.done / MIB:.1f} of {self.total / MIB:.1f} MiB",
            f"{self.rate / MIB:.1f} MiB/s",
        ]
        if self.rate >= 1 and self.done < self.total:
            words.append(f"{clock_time((self.total - self.done) / self.rate)} left")
        if self.retries:
            words.append("1 retry" if self.retries == 1 else f"{self.retries} retries")
        if self.trouble:
            words.append(f"({self.trouble})")
        return "  ".join(words)


def clock_time(seconds: float) -> str:
    """Seconds as ``m:ss`` or ``h:mm:ss``; ``days`` where nobody would count hours."""
    whole = math.ceil(seconds)
    if whole >= 100 * 3600:
        return f"{whole // 86400} days"
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
