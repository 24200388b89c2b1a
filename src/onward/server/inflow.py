"""One body on its way from the socket into buffers, past the parser."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onward.core.buffers import SIZE, SPARE, Buffers
from onward.core.types import Buffer

WORTH: Final = 64 << 10
"""Bytes still to come from which on it is worth the trouble."""
AHEAD: Final = 4 * SIZE
"""The most that is read ahead of one app; less where many bodies come at a time."""


class Reading:
    """What all bodies of a process share: the buffers, and how far each may be read ahead of its app."""

    def __init__(self, most: int) -> None:
        """``most``: buffers there are."""
        self.buffers = Buffers(most)
        self.bodies = 0
        """Bodies that are being read."""

    @property
    def ahead(self) -> int:
        """Bytes that may wait for one app before reading pauses: half the buffers are for what apps have taken."""
        return max(SPARE, min(AHEAD, self.buffers.most * SIZE // 2 // max(1, self.bodies)))


class Inflow(asyncio.BufferedProtocol):
    """Stands in for a connection from some byte of a body to the last one, and reads no byte beyond.

    ``whole`` is called when the last byte has come. What has nothing to do with reading is passed
    on to the connection.
    """

    def __init__(
        self, connection: HttpToolsProtocol, reading: Reading, left: int, first: bytes, whole: Callable[[], None]
    ) -> None:
        """``left``: bytes still to come. ``first``: those before them that the app has not seen yet."""
        self._connection = connection
        self._flow: FlowControl = connection.flow
        self._reading = reading
        self._left = left
        self._whole = whole
        self._pieces: deque[Buffer] = deque([first] if first else [])
        self._waiting = len(first)
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        reading.bodies += 1

    @property
    def over(self) -> bool:
        """True when the app has received all that there will ever be."""
        return self._ended and not self._pieces

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece, as a message; it may be a view of a buffer. ``http.disconnect`` when no more will come."""
        while not self._pieces:
            if self._ended:
                return {"type": "http.disconnect"}
            self._flow.resume_reading()
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = self._pieces.popleft()
        self._waiting -= len(piece)
        if not self._ended and self._waiting < self._reading.ahead:
            self._flow.resume_reading()
        more = bool(self._left or self._pieces)
        return {"type": "http.request", "body": piece, "more_body": more}  # type: ignore[typeddict-item]  # a view

    def end(self) -> None:
        """Nothing more will come; what came can still be received."""
        if not self._ended:
            self._ended = True
            self._reading.bodies -= 1
        self._wake()

    def drop(self) -> None:
        """Nothing more will be received."""
        self.end()
        self._pieces.clear()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # What the transport tells

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._reading.buffers.room()[: self._left]

    def buffer_updated(self, nbytes: int) -> None:
        self._pieces.append(self._reading.buffers.keep(nbytes))
        self._waiting += nbytes
        self._left -= nbytes
        if not self._left:
            self.end()
            self._whole()
            return
        if self._waiting >= self._reading.ahead:
            self._flow.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
