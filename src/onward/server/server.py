"""uvicorn's server with an end that saves what running requests have brought."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
from collections.abc import Callable
from types import FrameType
from typing import Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from onward.server.limits import ServerConfig
from onward.server.selftest import trial

logger = logging.getLogger("onward.server")

CANCEL_GRACE: Final = 1.0
"""Seconds that a cancelled request gets to clean up."""
TICK: Final = 0.05
COLLECT: Final = (20_000, 20, 50)
"""New objects between two looks for cycles, and looks between those at older objects."""


class Server(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, then drains: the listener closes and idle connections end at once.

    Requests see ``onward.drain`` and end themselves. What runs when ``settings.drain`` seconds are
    over is cancelled and cut. A second signal ends the process on the spot if ``hasty``; else it is
    ignored, for a parent that forwards signals decides how long its children may take.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        hasty: bool = True,
        on_started: Callable[[], None] | None = None,
        on_stop: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(config)
        self._own = config
        self._hasty = hasty
        self._on_started = on_started
        self._on_stop = on_stop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if (reason := await trial()) is not None:
            logger.error(
                "the installed uvicorn works differently inside (%s); serving with its own protocol: "
                "no limits on headers, and requests are cut when the server stops",
                reason,
            )
            self.config.http_protocol_class = HttpToolsProtocol
        await super().startup(sockets)
        _leave_alone_what_stays()
        if self._on_started is not None:
            self._on_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would remember the signal and raise it again at the end: a drained server leaves with 0.
        if self.should_exit:
            if self._hasty:
                os._exit(128 + sig)
            return
        self.should_exit = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_drain)

    def _begin_drain(self) -> None:
        if self._own.draining.is_set():
            return
        self._own.draining.set()
        if self._on_stop is not None:
            self._on_stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._begin_drain()
        for server in self.servers:
            server.close()
        for sock in sockets or []:
            sock.close()
        if not await self._quiet_within(self._own.drain_seconds):
            logger.warning("cutting %d requests that did not end in time", len(self.server_state.tasks))
            for task in list(self.server_state.tasks):
                task.cancel()
            await self._quiet_within(CANCEL_GRACE)
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        # An app that hangs in its own clean-up must not keep the process: nothing durable depends on it.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.lifespan.shutdown(), self._own.drain_seconds)

    async def _quiet_within(self, seconds: float) -> bool:
        clock = asyncio.get_running_loop().time
        deadline = clock() + seconds
        while self.server_state.connections or self.server_state.tasks:
            for connection in list(self.server_state.connections):
                connection.shutdown()
            if clock() >= deadline:
                return False
            await asyncio.sleep(TICK)
        return True


def _leave_alone_what_stays() -> None:
    """Spare the collector what lives as long as the process, and most of the looks at what soon dies by itself."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT)
