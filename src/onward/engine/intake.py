"""A request's body on its way to the storage: bounded, interruptible, cut into runs."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Final, Protocol

import anyio

from onward.core.digest import Hasher
from onward.core.types import Buffer
from onward.errors import OnwardError, Revoked, Stalled

LAST_LOOKS: Final = 2
"""Looks after a stop: for the bytes that lie ready, and whether they are the last. A fast sender gets no third."""
LAST_BYTES: Final = 16 << 20
"""The most that one look brings; no server has so much ready."""


class Body(Protocol):
    """The bytes of one request, pulled one piece at a time."""

    async def next(self) -> Buffer | None:
        """The next bytes, or ``None`` when the body has ended by itself and is whole.

        Raises ``ClientGone`` when the connection ends before the body does, and a
        ``ClientFault`` for a body that is not what it claims to be.
        """


class Intake:
    """Reads a body for one writer.

    Waiting for bytes ends with ``Stalled`` after ``idle`` seconds of silence, however many waits
    these are (what is done meanwhile with earlier bytes is not counted), and at once when
    ``stop`` is called: what lies ready then is still handed out, and nothing is waited for. Bytes
    that were read and not used are handed out again first.
    """

    __slots__ = (
        "_body",
        "_ended",
        "_idle",
        "_left",
        "_looks",
        "_ready",
        "_scope",
        "_silent",
        "_stopped",
        "fault",
        "taken",
        "tap",
    )

    def __init__(self, body: Body, *, idle: float, tap: Hasher | None = None) -> None:
        self._body = body
        self._idle = idle
        self._left: memoryview | None = None
        self._ready: deque[memoryview] = deque()
        """What the last look brought."""
        self._ended = False
        self._silent = 0.0
        """Seconds waited in vain since the last byte."""
        self._stopped: OnwardError | None = None
        self._looks = LAST_LOOKS
        self._scope: anyio.CancelScope | None = None
        self.fault: OnwardError | None = None
        """Why a kept run ended early."""
        self.tap = tap
        """Hashes every byte handed out, for a digest over more than one run."""
        self.taken = 0
        """Bytes handed out."""

    def stop(self, reason: OnwardError) -> None:
        """Whoever waits for bytes of this body gets ``reason`` raised, at once."""
        if self._stopped is None:
            self._stopped = reason
            if self._scope is not None:
                self._scope.cancel()

    async def stop_when(self, revoked: anyio.Event) -> None:
        """Stop when a newcomer asks for what this writer holds."""
        await revoked.wait()
        self.stop(Revoked())

    @property
    def ended(self) -> bool:
        """True when the body was read to its end."""
        return self._ended and self._left is None and not self._ready

    async def at_end(self) -> bool:
        """True if no byte is left; waits for the next piece to know."""
        if self._left is None and not self.ended:
            self._left = await self._pull(None)
        return self.ended

    async def run(self, most: int) -> AsyncIterator[Buffer]:
        """Yield up to ``most`` bytes. Whatever interrupts is raised: the run counts for nothing."""
        while most > 0:
            piece = await self._piece(most, None)
            if piece is None:
                return
            most -= len(piece)
            yield piece
            del piece  # its memory is somebody else's as soon as whoever took it is done, not when more comes

    async def whole(self, most: int) -> bytes:
        """The first ``most`` bytes of a body that nothing was read of yet. Whatever interrupts is raised.

        For few bytes: they are held until all of them are there.
        """
        pieces: list[memoryview] = []
        with anyio.CancelScope(deadline=anyio.current_time() + self._idle) as scope:
            self._scope = scope
            if self._stopped is not None:
                scope.cancel()  # ends the first wait, and there is none for what lies ready
            try:
                while self.taken < most and (piece := await self._next()) is not None:
                    pieces.append(piece[: most - self.taken])
                    self._left = piece[most - self.taken :] or None
                    self.taken += len(pieces[-1])
                    scope.deadline = anyio.current_time() + self._idle
                if self._left is None and not self._ended:
                    self._left = await self._next()
            finally:
                self._scope = None
        if scope.cancelled_caught:
            raise self._stopped or self._stalled()
        return b"".join(pieces)

    async def segment(self, most: int, *, age: float, silence: float) -> AsyncIterator[Buffer]:
        """Yield up to ``most`` bytes, for a run that is kept however it ends.

        Ends early after ``age`` seconds, after ``silence`` seconds without a byte, or when it
        is interrupted: the reason is then in ``fault``, to be raised when the run is recorded.
        """
        began: float | None = None
        while most > 0:
            patience = None if began is None else silence
            try:
                piece = await self._piece(most, patience)
            except _Silence:
                return
            except OnwardError as error:
                self.fault = error
                return
            if piece is None:
                return
            most -= len(piece)
            yield piece
            del piece  # as above
            now = anyio.current_time()
            began = now if began is None else began
            if now - began >= age:
                return

    async def _piece(self, most: int, patience: float | None) -> memoryview | None:
        if self._left is None:
            if self.ended:
                return None
            self._left = await self._pull(patience)
            if self._left is None:
                return None
        piece = self._left
        if len(piece) > most:
            self._left = piece[most:]
            piece = piece[:most]
        else:
            self._left = None
        self.taken += len(piece)
        if self.tap is not None:
            self.tap.update(piece)
        return piece

    async def _pull(self, patience: float | None) -> memoryview | None:
        if self._ready:
            return self._ready.popleft()
        left = self._idle - self._silent
        wait = left if patience is None else min(patience, left)
        if self._stopped is None:
            with anyio.CancelScope(deadline=anyio.current_time() + wait) as scope:
                self._scope = scope
                try:
                    piece = await self._next()
                finally:
                    self._scope = None
                self._silent = 0.0
                return piece
        if self._stopped is not None:
            return await self._look(self._stopped)
        if wait < left:
            self._silent += wait
            raise _Silence
        raise self._stalled()

    def _stalled(self) -> Stalled:
        return Stalled(f"no byte came for {self._idle:g} seconds", seconds=round(self._idle))

    async def _next(self) -> memoryview | None:
        while True:
            piece = await self._body.next()
            if piece is None:
                self._ended = True
                return None
            if len(piece):
                return memoryview(piece)

    async def _look(self, reason: OnwardError) -> memoryview | None:
        """What the server has already. Raises ``reason`` if that is nothing, or was looked at often enough."""
        if self._looks:
            self._looks -= 1
            await self._gather_ready()
            if self._ready:
                return self._ready.popleft()
            if self._ended:
                return None
        raise reason

    async def _gather_ready(self) -> None:
        size = 0
        with anyio.CancelScope() as scope:
            scope.cancel()  # ends the first wait, and there is none for what lies ready
            while size < LAST_BYTES:
                try:
                    piece = await self._next()
                except OnwardError:
                    if not self._ready:
                        raise
                    self._looks = 0  # what came before it counts, and the stop is reason enough
                    return
                if piece is None:
                    return
                self._ready.append(piece)
                size += len(piece)


class _Silence(Exception):
    """The line is quiet; time to record what is there."""


class NoBody:
    """The body of a request that has none."""

    async def next(self) -> Buffer | None:
        """Always the end."""
        return None


class Bytes:
    """A body that lies in memory."""

    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data or None

    async def next(self) -> Buffer | None:
        """All of it, once."""
        data, self._data = self._data, None
        return data
