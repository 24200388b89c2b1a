"""One request and its response, as the app gets to see them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from uvicorn._types import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    Scope,
)
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from onward.errors import Draining, OnwardError, ServerFault
from onward.server.inflow import Inflow
from onward.server.problem import problem

logger = logging.getLogger("onward.server")

INFORMATIONAL: Final = "http.response.informational"
VIEWS: Final = "onward.views"
CUT: Final = "onward.cut"
PHRASES: Final = {103: b"Early Hints", 104: b"Upload Resumption Supported"}


SHORT: Final = 64 << 10
"""Bytes of a body that are worth a copy to save a packet."""


class _Joining:
    """In the place of a transport: the head of a response goes out with the first bytes of its body, in one packet."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """The head first, which is kept; then the body."""
        if self._head is None:
            self._head = data
        elif len(data) > SHORT:
            self._transport.write(self._head)
            self._transport.write(data)
        else:
            self._transport.write(self._head + data)

    def close(self) -> None:
        """No body comes: the app has failed."""
        self._transport.close()


class Exchange:
    """Stands between uvicorn and the app for one request; is itself the ASGI app that uvicorn runs.

    It promises the app every byte that came before the peer left, and the peer an answer: when
    the app fails, and with ``Connection: close`` when the app answers before the body is in.
    """

    def __init__(
        self,
        app: ASGI3Application,
        cycle: RequestResponseCycle,
        draining: asyncio.Event | None,
        divert: Callable[[], Inflow | None],
    ) -> None:
        """``divert`` has the body come in buffers from now on, if it may."""
        self.cycle = cycle
        self.closes = False
        """Whether the connection ends with this response."""
        self._app = app
        self._transport = cycle.transport
        self._draining = draining
        self._divert = divert
        self._inflow: Inflow | None = None
        self._body_ended = False

    @property
    def running(self) -> bool:
        """Whether the response is still to come or under way."""
        return not self.cycle.response_complete and not self.cycle.disconnected

    @property
    def _asked(self) -> tuple[str, str]:
        return self.cycle.scope["method"], self.cycle.scope["path"]

    def close_when_done(self) -> None:
        """End the connection with this response, and say so in its headers if there is still time."""
        self.closes = True
        if not self.cycle.response_started:
            self.cycle.keep_alive = False

    def abandon(self) -> None:
        """Let the app know, once it has read what came, that nothing more will."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()
        if self._inflow is not None:
            self._inflow.end()

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http":
            # For an app that makes faults on purpose: the connection ends as if a cable were pulled.
            scope.setdefault("extensions", {})[CUT] = self.cycle.transport.abort  # type: ignore[assignment]  # a function
        if scope["type"] == "http" and scope["http_version"] != "1.0":
            # Not in ASGI: an app that knows the word may send interim responses by it.
            scope.setdefault("extensions", {})[INFORMATIONAL] = self.inform  # type: ignore[assignment]  # ours is a function
        if scope["type"] == "http":
            scope.setdefault("extensions", {})[VIEWS] = self.with_views  # type: ignore[assignment]  # ours is a function
        try:
            await self._app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            if self._draining is None or not self._draining.is_set():
                raise
            # The server has waited as long as it may; the task ends here, so nobody waits for the cancellation.
            logger.warning("%s %r was cut: the server stops", *self._asked)
            await self._fail(Draining("The server stops; send the rest again in a moment.", retry_after=1))
        except Exception:
            logger.exception("%s %r failed", *self._asked)
            await self._fail(ServerFault())
        else:
            if self.running and not self.cycle.response_started:
                logger.error("%s %r got no answer from the app", *self._asked)
                await self._fail(ServerFault())
        finally:
            if self._inflow is not None:
                self._inflow.drop()

    def with_views(self, receive: ASGIReceiveCallable) -> ASGIReceiveCallable:
        """The extension ``onward.views``: a ``receive`` that saves copies.

        Its messages are the same, but ``body`` may be a view of a buffer that is used again as soon
        as nobody holds a view of it. Whatever else stands in for our own ``receive`` is left to see
        every byte: then it is given back as it is.
        """
        return self.receive_view if receive == self.receive else receive

    async def receive_view(self) -> ASGIReceiveEvent:
        """See ``with_views``."""
        if self._inflow is None:
            self._inflow = self._divert()
        if self._inflow is None or self._inflow.over:
            return await self.receive()
        return await self._next_view(self._inflow)

    async def _next_view(self, inflow: Inflow) -> ASGIReceiveEvent:
        message = await inflow.receive()
        if message["type"] == "http.request" and not message["more_body"]:
            self._body_ended = True
        return message

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body; ``http.disconnect`` only after the last byte that arrived."""
        if self._inflow is not None and not self._inflow.over:
            message = await self._next_view(self._inflow)
            if message["type"] == "http.request":
                message["body"] = bytes(message["body"])
            return message
        message = await self.cycle.receive()
        if message["type"] == "http.disconnect" and not self.cycle.response_complete and not self._body_ended:
            rest, self.cycle.body = bytes(self.cycle.body), bytearray()
            if rest or not self.cycle.more_body:
                message = {"type": "http.request", "body": rest, "more_body": self.cycle.more_body}
        if message["type"] == "http.request" and not message["more_body"]:
            self._body_ended = True
        return message

    async def inform(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send an interim response (1xx); nothing happens once the response has started or the peer has left."""
        if self.cycle.response_started or self.cycle.disconnected or not 102 <= status < 200:
            return
        lines = [b"HTTP/1.1 %d %s" % (status, PHRASES.get(status, b""))]
        lines += [b"%s: %s" % header for header in headers]
        self.cycle.transport.write(b"\r\n".join(lines) + b"\r\n\r\n")

    async def send(self, message: ASGISendEvent) -> None:
        """Pass a piece of the response on; closing is left to the connection, which may have to linger."""
        cycle = self.cycle
        if message["type"] != "http.response.start" or cycle.response_started:
            try:
                await cycle.send(message)
            finally:
                cycle.transport = self._transport
            return
        if cycle.more_body:
            cycle.keep_alive = False
        if cycle.scope["method"] != "HEAD" and any(name == b"content-length" for name, _ in message["headers"]):
            cycle.transport = _Joining(self._transport)  # type: ignore[assignment]  # all that a cycle asks of one
        await cycle.send(message)
        self.closes = self.closes or not cycle.keep_alive
        cycle.keep_alive = True

    async def _fail(self, error: OnwardError) -> None:
        if self.cycle.response_started or self.cycle.flow.write_paused:
            self.cycle.transport.close()
            return
        status, headers, body = problem(error)
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body, "more_body": False})
