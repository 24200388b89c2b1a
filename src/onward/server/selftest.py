"""A trial of the connection class before it meets a client: it leans on parts of uvicorn that are not public."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGIReceiveEvent, ASGISendCallable, Scope
from uvicorn.server import ServerState

from onward.config import Settings
from onward.server.limits import ServerConfig
from onward.server.protocol import DRAIN_EXTENSION, Connection

_HEAD = b"POST /trial HTTP/1.1\r\nhost: trial\r\ncontent-length: 8\r\n\r\n"


class _Wire(asyncio.Transport):
    """A transport without a socket that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return False

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """There is nothing to pause: the trial hands the bytes in itself."""

    def resume_reading(self) -> None:
        """See ``pause_reading``."""


class _Reader:
    """An app that keeps every message it receives and never answers."""

    def __init__(self) -> None:
        self.seen: list[ASGIReceiveEvent] = []

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        while not self.seen or self.seen[-1]["type"] != "http.disconnect":
            self.seen.append(await receive())


class _Hasty:
    """An app that answers at once, if it is told of drain."""

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        extensions = scope.get("extensions")
        status = 200 if isinstance(extensions, dict) and DRAIN_EXTENSION in extensions else 500
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def trial() -> str | None:
    """Run requests through the connection class: ``None`` if it does its work, else what went wrong."""
    try:
        return await asyncio.wait_for(_run(), 5)
    except Exception as error:  # noqa: BLE001  # whatever it is, the stock protocol must take over
        return repr(error)


async def _run() -> str | None:
    reader = _Reader()
    wire, connection, tasks = _connect(reader)
    connection.data_received(_HEAD + b"abcd")
    connection.connection_lost(None)
    await asyncio.gather(*tasks)
    if [message.get("body") for message in reader.seen] != [b"abcd", None]:
        return "bytes are lost when the peer closes"
    wire, connection, tasks = _connect(_Hasty())
    connection.data_received(_HEAD)
    await asyncio.gather(*tasks)
    connection.connection_lost(None)
    if not wire.written.startswith(b"HTTP/1.1 200 ") or b"connection: close\r\n" not in wire.written:
        return "an early answer does not close the connection"
    wire, connection, tasks = _connect(_Hasty())
    connection.data_received(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 202)
    connection.connection_lost(None)
    if not wire.written.startswith(b"HTTP/1.1 431 "):
        return "headers are not limited"
    return None


def _connect(app: ASGI3Application) -> tuple[_Wire, Connection, set[asyncio.Task[None]]]:
    config = ServerConfig(app, Settings())
    config.load()
    state = ServerState()
    connection = Connection(config, state, {})
    wire = _Wire()
    connection.connection_made(wire)
    return wire, connection, state.tasks
