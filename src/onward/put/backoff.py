"""When to try again, and how long to wait: pure, with clock and randomness given."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

import msgspec


class Verdict(StrEnum):
    """What an answer means for the request."""

    TAKEN = "taken"
    AGAIN = "again"
    LATER = "later"
    """Try again, but what is in the way does not go away in seconds."""
    FINAL = "final"


_AGAIN: Final = frozenset({408, 423, 425, 429, 460})
_AGAIN_CODES: Final = frozenset({"writers-busy", "locked", "body-incomplete", "digest-mismatch"})
"""Refusals of other statuses that the next try can overcome: others are at work, or bytes were hurt on the way."""


def judge(status: int, code: str) -> Verdict:
    """What an answer of this status and problem code means."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status == 507:
        return Verdict.LATER
    if status >= 500 or status in _AGAIN or code in _AGAIN_CODES:
        return Verdict.AGAIN
    return Verdict.FINAL


def retry_after(field: str, now: float) -> float | None:
    """Seconds that a ``Retry-After`` asks for, be it seconds or a date; ``None`` if it says nothing readable.

    ``now`` is in seconds since the epoch.
    """
    field = field.strip()
    if field.isascii() and field.isdigit():
        return float(field[:9])
    try:
        return max(0.0, parsedate_to_datetime(field).timestamp() - now)
    except ValueError:
        return None


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential back-off with full jitter, in seconds: any wait from zero to the ceiling is as likely as another."""

    first: float = 0.5
    most: float = 20.0
    first_later: float = 4.0
    most_later: float = 60.0

    def ceiling(self, tries: int, *, later: bool = False) -> float:
        """The longest wait after ``tries`` tries, the first of them counted as 1."""
        first, most = (self.first_later, self.most_later) if later else (self.first, self.most)
        return min(most, first * 2.0 ** min(tries - 1, 30))

    def wait(self, tries: int, draw: Callable[[], float], *, later: bool = False, asked: float | None = None) -> float:
        """How long to wait. ``draw`` gives a number from 0 to 1; ``asked`` is what the server asks for at least."""
        if asked is None:
            return draw() * self.ceiling(tries, later=later)
        return asked + draw() * min(self.first, asked)  # those told the same moment do not all come at it


class Patience:
    """How long nothing may go forward before it is given up."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since = clock()

    def renew(self) -> None:
        """Something went forward."""
        self._since = self._clock()

    def left(self, began: float) -> float:
        """Seconds left to something that began at ``began``; progress made since then counts for it."""
        return self.seconds - (self._clock() - max(began, self._since))
