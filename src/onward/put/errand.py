"""One file to bring to a server, whichever protocol it goes by."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import msgspec

from onward.put.asking import Asker
from onward.put.progress import Track

ROUNDS: Final = 5
"""How often the server may take back what it had said, such as which bytes it has."""


class Lanes:
    """What all files of one run share: how many requests at once, and how many chunks in memory."""

    def __init__(self, parallel: int) -> None:
        self.requests = asyncio.Semaphore(parallel)
        self.chunks = asyncio.Semaphore(parallel + 2)
        self.reading = asyncio.Lock()
        """One file is read at a time, so that files are finished one after the other."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What is brought where, and by which means."""

    path: str
    name: str
    """What the file is called on the server."""
    base: str
    """Where the API is, without a slash at the end."""
    chunk_size: int
    wait: bool = True
    """Whether to stay until the server has verified the file."""
    asker: Asker
    lanes: Lanes
    track: Track


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file that the server has in full."""

    id: str
    size: int
    sha256: str
    chunk_size: int
    content: str | None
    """Where it is; ``None`` if its verification was not waited for."""


class Way(Protocol):
    """An upload by one protocol. Safe to begin again at any point, by this process or by another."""

    async def run(self) -> Sent:
        """Send the file. Raises ``Ended``."""
