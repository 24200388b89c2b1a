"""Locks that lock nothing: shows that correctness does not hang on the lock port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from onward.core.types import UploadId
from onward.ports import Lease, Span


class Unasked:
    """A lease that nobody ever asks back."""

    def __init__(self) -> None:
        self._revoked = anyio.Event()

    @property
    def revoked(self) -> anyio.Event:
        """Never set."""
        return self._revoked


class NoLocks:
    """Give an engine this in place of its locks: every race that locks avoid must then be lost safely."""

    @asynccontextmanager
    async def hold(self, id: UploadId, span: Span, *, timeout: float, revoke: bool = False) -> AsyncIterator[Lease]:
        """Let everybody in, at once."""
        yield Unasked()

    def is_free(self, id: UploadId, span: Span) -> bool:
        """Nobody is ever in the way."""
        return True

    async def forget(self, id: UploadId) -> None:
        """Nothing was kept."""

    async def close(self) -> None:
        """Nothing was taken."""
