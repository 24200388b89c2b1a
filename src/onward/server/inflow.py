"""One body on its way from the socket into buffers, past the parser."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onward.core.buffers import SIZE, Buffers
from onward.core.types import Buffer
from onward.server.heap import give_back

WORTH: Final = 64 << 10
"""Bytes still to come from which on it is worth the trouble."""
AHEAD: Final = 2 * SIZE
"""The most that waits for one app before reading pauses."""
SHARE: Final = SIZE // 2
"""The same where many bodies come at a time."""
REST: Final = 30.0
"""Seconds without a byte until memory is given back. To have it anew costs the next bodies a third of their rate."""
PATIENCE: Final = 0.1
"""Seconds that an app waits for a free buffer; then its bytes are copied."""


class Reading:
    """What all bodies of a process share: the buffers, and whose turn it is when there are not enough."""

    def __init__(self, most: int) -> None:
        """``most``: buffers there are."""
        self.buffers = Buffers(most, self._freed)
        self.bodies = 0
        """Bodies that are being read."""
        self.busy = False
        """Whether a body or bytes of one came lately."""
        self._queue: deque[Inflow] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._rested = False
        """Whether memory was given back since bytes came."""

    @property
    def ahead(self) -> int:
        """Bytes that may wait for one app before reading pauses; also the most that one read brings."""
        return max(SHARE, min(AHEAD, self.buffers.most * SIZE // 4 // max(1, self.bodies)))

    def begin(self) -> None:
        """A body comes."""
        self.bodies += 1
        self.busy = True
        if self._resting is None:
            self._resting = asyncio.get_running_loop().call_later(REST, self._rest)

    def end(self, inflow: Inflow) -> None:
        """Nothing more of a body will be read."""
        self.bodies -= 1
        with suppress(ValueError):
            self._queue.remove(inflow)

    def has_room(self, inflow: Inflow) -> bool:
        """True if there is a buffer to read into; else the body is told when it is its turn."""
        if not self.buffers.exhausted:
            return True
        if inflow not in self._queue:
            self._loop = asyncio.get_running_loop()
            self._queue.append(inflow)
        return not self.buffers.exhausted  # one may have come back meanwhile, and nobody was told

    def pass_on(self) -> None:
        """If there is a buffer for somebody who waits for one, it is their turn."""
        while self._queue and not self.buffers.exhausted:
            if self._queue.popleft().go_on():
                return

    def _rest(self) -> None:
        self._resting = None
        if self.busy:
            self._rested = False
        elif not self._rested:
            self._rested = True
            self.buffers.trim()
            threading.Thread(target=give_back, daemon=True).start()
        if self.busy or self.bodies:
            self._resting = asyncio.get_running_loop().call_later(REST, self._rest)
        self.busy = False

    def _freed(self) -> None:
        if self._queue and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.pass_on)


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
        reading.begin()

    @property
    def over(self) -> bool:
        """True when the app has received all that there will ever be."""
        return self._ended and not self._pieces

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece, as a message; it may be a view of a buffer. ``http.disconnect`` when no more will come."""
        while not self._pieces:
            if self._ended:
                return {"type": "http.disconnect"}
            await self._more()
        piece = self._pieces.popleft()
        self._waiting -= len(piece)
        self.go_on()
        more = bool(self._left or self._pieces)
        return {"type": "http.request", "body": piece, "more_body": more}  # type: ignore[typeddict-item]  # a view

    async def _more(self) -> None:
        self.go_on()
        loop = self._connection.loop
        starving = loop.call_later(PATIENCE, self._flow.resume_reading) if self._flow.read_paused else None
        self._waiter = loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if starving is not None:
                starving.cancel()

    def go_on(self) -> bool:
        """Read on, unless enough waits for the app or there is no room; whether it does."""
        if self._ended:
            return False
        if self._waiting < self._reading.ahead and self._reading.has_room(self):
            self._flow.resume_reading()
            return True
        self._flow.pause_reading()
        return False

    def end(self) -> None:
        """Nothing more will come; what came can still be received."""
        if not self._ended:
            self._ended = True
            self._reading.end(self)
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
        return self._reading.buffers.room()[: min(self._left, self._reading.ahead)]

    def buffer_updated(self, nbytes: int) -> None:
        self._reading.busy = True
        self._pieces.append(self._reading.buffers.keep(nbytes))
        self._waiting += nbytes
        self._left -= nbytes
        if not self._left:
            self.end()
            self._whole()
            return
        self.go_on()
        self._reading.pass_on()
        self._wake()

    def eof_received(self) -> None:
        self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()
