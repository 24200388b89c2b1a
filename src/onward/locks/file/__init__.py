"""Locks among all processes of one host that share a directory."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from onward.core.types import UploadId
from onward.errors import Draining
from onward.locks.file.bell import Bell
from onward.locks.file.spanfile import SpanFiles
from onward.locks.registry import RETRY_AFTER, Claim, Registry, locked
from onward.ports import Lease, Span

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.05
_RING_EVERY: Final = 0.2


class FileLocks:
    """For several processes on one host, with a local ``directory`` they share.

    It may be made anywhere; it belongs to the event loop of its first ``hold``, which also
    makes the directory and begins to listen for other processes. It does not survive a fork.
    Within a process waiters are served in order; among processes, who comes at the right
    moment. A process that is stopped keeps what it holds, one that died holds nothing.
    """

    def __init__(self, directory: Path, *, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._registry = Registry()
        self._files = SpanFiles(directory)
        self._bell = Bell(directory / "run", self._registry.revoke, random_bytes)

    @property
    def busy(self) -> int:
        """Uploads that somebody in this process holds or waits for."""
        return len(self._registry)

    @asynccontextmanager
    async def hold(self, id: UploadId, span: Span, *, timeout: float, revoke: bool = False) -> AsyncIterator[Lease]:
        """See ``onward.ports.Locks``.

        Raises ``Draining`` once closed, ``ServerFault`` if the lock file cannot be used,
        ``ValueError`` for an empty span or an id that is none.
        """
        claim = self._registry.join(id, span, revoke=revoke)
        try:
            self._bell.listen()
            await self._take(id, claim, timeout)
            yield claim
        finally:
            if claim.taken:
                self._files.unlock(id, span)
            self._registry.leave(id, claim)
            if id not in self._registry:
                self._files.let_go(id)

    def is_free(self, id: UploadId, span: Span) -> bool:
        """See ``onward.ports.Locks``. Raises ``ServerFault`` if the lock file cannot be used."""
        return self._registry.is_free(id, span) and self._files.is_free(id, span)

    async def forget(self, id: UploadId) -> None:
        """Remove the upload's lock file, unless somebody here or in another process uses it."""
        self._files.forget(id)

    async def close(self) -> None:
        """Give up every span at once: holders are asked to leave, waiters get ``Draining``."""
        self._registry.close()
        self._files.close()
        self._bell.close()

    async def _take(self, id: UploadId, claim: Claim, timeout: float) -> None:
        deadline = anyio.current_time() + timeout
        next_ring = anyio.current_time() if claim.revoke else math.inf
        pause = _FIRST_PAUSE
        while not (claim.held and self._files.lock(id, claim.span)):
            now = anyio.current_time()
            if now >= next_ring:
                self._bell.ring(id, claim.span)
                next_ring = now + _RING_EVERY
            if now >= deadline:
                raise locked()
            if claim.held:
                await anyio.sleep(min(pause, deadline - now))
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                await self._registry.wait(claim, min(deadline, next_ring) - now)
            if self._registry.closed:
                raise Draining(retry_after=RETRY_AFTER)
        claim.taken = True
