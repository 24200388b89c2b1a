"""Locks of a single process: nothing on disk, gone with the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from onward.core.types import UploadId
from onward.locks.registry import Registry, locked
from onward.ports import Lease, Span


class MemoryLocks:
    """For one process with one event loop, and for tests; several processes need ``FileLocks``."""

    def __init__(self) -> None:
        self._registry = Registry()

    @property
    def busy(self) -> int:
        """Uploads that somebody holds or waits for."""
        return len(self._registry)

    @asynccontextmanager
    async def hold(self, id: UploadId, span: Span, *, timeout: float, revoke: bool = False) -> AsyncIterator[Lease]:
        """See ``onward.ports.Locks``. Raises ``Draining`` once closed, ``ValueError`` for an empty span."""
        claim = self._registry.join(id, span, revoke=revoke)
        try:
            if not claim.held and timeout > 0:
                await self._registry.wait(claim, timeout)
            if not claim.held:
                raise locked()
            yield claim
        finally:
            self._registry.leave(id, claim)

    def is_free(self, id: UploadId, span: Span) -> bool:
        """See ``onward.ports.Locks``."""
        return self._registry.is_free(id, span)

    async def forget(self, id: UploadId) -> None:
        """Nothing is kept for an upload that nobody holds, so there is nothing to drop."""

    async def close(self) -> None:
        """Ask holders to leave and send waiters away with ``Draining``."""
        self._registry.close()
