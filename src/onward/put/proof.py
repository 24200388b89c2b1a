"""The end of an upload: waiting until the server has read every byte back, and comparing what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from onward.put.answers import Standing
from onward.put.asking import Asker
from onward.put.backoff import Backoff
from onward.put.faults import NotTaken, OutOfPatience
from onward.put.progress import Track

WORKED_ON: Final = frozenset({"assembling", "verifying"})
"""States of an upload that is complete and not yet proven."""

POLL: Final = Backoff(first=0.1, most=2.0)


async def verified(look: Callable[[], Awaitable[Standing]], asker: Asker, track: Track) -> Standing:
    """The standing once the worker is through with the upload. Raises ``OutOfPatience`` if it gets nowhere."""
    track.verified = (0, track.size)
    seen: object = None
    polls, began = 0, asker.clock()
    while True:
        standing = await look()
        if standing.state not in WORKED_ON:
            return standing
        if standing.progress is not None:
            track.verified = (standing.progress.done, standing.progress.total)
        if standing.progress != seen:
            seen, began = standing.progress, asker.clock()
        if asker.patience.left(began) <= 0:
            raise OutOfPatience(
                "every byte is stored, but the server does not get on with verifying; "
                "run the same command later to learn the result",
                code="gave-up",
            )
        polls += 1
        await asyncio.sleep(POLL.ceiling(polls) * (0.5 + asker.draw() / 2))


def content_of(standing: Standing, size: int, sha256: bytes, *, other: str) -> str:
    """Where the published file is. Raises ``NotTaken``, with ``other`` for the reason, if it is not this one."""
    result = standing.result
    if result is None or result.size != size or result.sha256 != sha256.hex():
        raise NotTaken(other, code="different-file")
    return result.content


def over(standing: Standing) -> NotTaken:
    """Why an upload will not become a file."""
    failure = standing.failure
    if failure is not None:
        ended = "failed" if standing.state == "failed" else f"is {standing.state}"
        return NotTaken(f"the upload {ended}: {failure.detail}", code=failure.code)
    return NotTaken(f"the upload is {standing.state}", code=standing.state)
