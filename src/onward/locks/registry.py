"""Who holds and who waits for which span, within one process and one event loop."""

from __future__ import annotations

from typing import Final

import anyio

from onward.core.types import UploadId
from onward.errors import Draining, Locked
from onward.ports import LAST_KEY, Span

RETRY_AFTER: Final = 1
"""Seconds after which a refused caller may try again."""


def overlap(a: Span, b: Span) -> bool:
    """True if some key lies in both spans."""
    return a[0] < b[1] and b[0] < a[1]


def locked() -> Locked:
    """What a caller gets whose time is over."""
    return Locked(retry_after=RETRY_AFTER)


class Claim:
    """A place in the line for one span; a lease from the moment it is held."""

    __slots__ = ("ahead", "revoke", "revoked", "settled", "span", "taken")

    def __init__(self, span: Span, *, ahead: int, revoke: bool) -> None:
        self.span = span
        self.ahead = ahead
        """Overlapping claims that came earlier and are still there."""
        self.revoke = revoke
        self.settled = anyio.Event()
        """Set when the claim is held, or never will be because the registry was closed."""
        self.revoked = anyio.Event()
        self.taken = False
        """Set by a caller that has the span among all processes, not just in this one."""

    @property
    def held(self) -> bool:
        """True if nobody in this process stands before this claim."""
        return self.ahead == 0


class Registry:
    """One line of claims per upload, kept only while somebody holds or waits.

    A claim is held as soon as no earlier one overlaps it. So waiters are served in order, and a
    newcomer that overlaps a waiter queues behind it: a steady stream of small spans cannot
    starve somebody who waits for all of them.
    """

    def __init__(self) -> None:
        self._lines: dict[UploadId, list[Claim]] = {}
        self.closed = False

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, id: UploadId) -> bool:
        return id in self._lines

    def is_free(self, id: UploadId, span: Span) -> bool:
        """True if nobody holds or waits for a part of the span."""
        return not any(overlap(claim.span, span) for claim in self._lines.get(id, ()))

    def join(self, id: UploadId, span: Span, *, revoke: bool) -> Claim:
        """Get in line; each ``join`` needs its ``leave``.

        With ``revoke``, overlapping holders are asked to leave now, and those that become
        holders before this claim are asked when they do.
        """
        if self.closed:
            raise Draining(retry_after=RETRY_AFTER)
        if not 0 <= span[0] < span[1] <= LAST_KEY:
            raise ValueError(f"not a span of keys: {span}")
        line = self._lines.setdefault(id, [])
        rivals = [other for other in line if overlap(other.span, span)]
        claim = Claim(span, ahead=len(rivals), revoke=revoke)
        line.append(claim)
        if claim.held:
            claim.settled.set()
        if revoke:
            for other in rivals:
                if other.held:
                    other.revoked.set()
        return claim

    def leave(self, id: UploadId, claim: Claim) -> None:
        """Give the span back, or stop waiting for it; never fails."""
        line = self._lines.get(id, [])
        if claim not in line:  # closed in between
            return
        place = line.index(claim)
        del line[place]
        if not line:
            del self._lines[id]
        for index in range(place, len(line)):
            other = line[index]
            if overlap(other.span, claim.span):
                other.ahead -= 1
                if other.held:
                    other.settled.set()
                    if any(later.revoke and overlap(later.span, other.span) for later in line[index + 1 :]):
                        other.revoked.set()

    async def wait(self, claim: Claim, seconds: float) -> None:
        """Return when the claim is held, or after some seconds, whichever is first. Raises ``Draining``."""
        with anyio.move_on_after(seconds):
            await claim.settled.wait()
        if self.closed:
            raise Draining(retry_after=RETRY_AFTER)

    def revoke(self, id: UploadId, span: Span) -> None:
        """Ask those that have taken an overlapping span to leave."""
        for claim in self._lines.get(id, []):
            if claim.taken and overlap(claim.span, span):
                claim.revoked.set()

    def close(self) -> None:
        """Send everybody away: holders are asked to leave, waiters get ``Draining``."""
        self.closed = True
        for line in self._lines.values():
            for claim in line:
                claim.revoked.set()
                claim.settled.set()
        self._lines.clear()
