"""Work that may end the whole process is done while nothing else is under way in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Floor:
    """Where work is done: many side by side, or one alone. Who wants to be alone waits for those that are at it."""

    def __init__(self) -> None:
        self._door = anyio.Lock()
        self._inside = 0
        self._left = anyio.Event()

    @asynccontextmanager
    async def among_others(self) -> AsyncIterator[None]:
        """Be at it; not beside one that is alone."""
        async with self._door:
            self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._left.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Be at it with nobody else; others that come wait."""
        async with self._door:
            while self._inside:
                self._left = anyio.Event()
                await self._left.wait()
            yield
