"""What one connection may take, and the uvicorn configuration that carries it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import uvicorn
from uvicorn._types import ASGIApplication

from onward.config import Settings
from onward.server.inflow import Reading

KEEP_ALIVE: Final = 15
"""Seconds that a connection between two requests stays open."""

BUFFERS: Final = 24
"""Buffers that bodies are read into, of 2 MiB each; beyond them bytes are copied."""

PROTOCOL: Final = "onward.server.protocol:Connection"


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """The most that a client gets before its request reaches the app, and after it was answered early."""

    max_header: int = 64 * 1024
    """Bytes of request line and headers; also of trailers and chunk extensions without a byte of body."""
    max_fields: int = 200
    """Header fields of one request."""
    header_timeout: float = 30.0
    """Seconds from the first byte of a request to the end of its headers."""
    linger_bytes: int = 256 * 1024
    """Bytes of an unwanted body that are read and dropped, so that the client gets to see the answer."""
    linger_seconds: float = 1.0
    """Seconds that an answered connection stays open for the same reason."""


class ServerConfig(uvicorn.Config):
    """uvicorn's configuration with our protocol, our limits and the event that says "the server is stopping".

    ``app`` is an ASGI app or its import string. Forwarded headers are left to the app.
    """

    def __init__(self, app: ASGIApplication | str, settings: Settings) -> None:
        self.limits = ConnectionLimits(max_header=settings.max_header, header_timeout=settings.header_timeout)
        self.drain_seconds = settings.drain
        self.draining = asyncio.Event()
        self.reading = Reading(BUFFERS)
        super().__init__(
            app,
            http=PROTOCOL,
            loop="onward.server.loop:make",
            ws="none",
            lifespan="on",
            workers=1,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
