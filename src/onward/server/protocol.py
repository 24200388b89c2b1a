"""One HTTP/1.1 connection: uvicorn's httptools protocol with limits, deadlines and a gentle end.

Beside what ASGI says, a request's ``scope["extensions"]`` holds ``"onward.drain"``: an event with
``is_set()`` and ``await wait()`` that is set when the server begins to stop. A handler that is
still reading a body then saves what came and answers 503. Where ``"onward.views"`` is offered, it
saves copies of long bodies: see ``Exchange.with_views``.
"""

from __future__ import annotations

import asyncio
from asyncio.events import TimerHandle
from functools import partial
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from onward.errors import ClientFault, HeadersTooLarge, OnwardError, Stalled
from onward.server.exchange import Exchange
from onward.server.inflow import WORTH, Inflow, Reading
from onward.server.limits import ConnectionLimits
from onward.server.problem import raw_response

DRAIN_EXTENSION = "onward.drain"


class Connection(HttpToolsProtocol):
    """Reads requests for the app; refuses by itself what must not reach it.

    The head of a request is limited in bytes, fields and time, its framing must have one meaning,
    trailers are dropped, and a body that follows an ``Upgrade`` nobody asked for is read as a body.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits: ConnectionLimits = getattr(config, "limits", ConnectionLimits())
        self._draining: asyncio.Event | None = getattr(config, "draining", None)
        self._reading: Reading | None = getattr(config, "reading", None)
        self._exchange: Exchange | None = None
        self._inflow: Inflow | None = None
        """Reads the rest of a body in our place."""
        self._body_left = 0
        """Bytes of a body with a length that are still to come."""
        self._in_head = True
        self._raw = 0
        """Bytes fed to the parser since it last gave something to the app."""
        self._head_size = 0
        """Bytes of the head that the parser has told of; exact where several requests share one read."""
        self._framing = b""
        """The field that frames a body which the parser takes for another protocol."""
        self._rebuilding = False
        self._deaf = False
        """Whether what still comes is dropped unread."""
        self._refusal: OnwardError | None = None
        """An answer that waits for the response before it."""
        self._lingering = False
        self._dropped = 0
        self._head_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self._unset_keepalive_if_required()
        self.pipeline.clear()
        if self._exchange is not None and self._exchange.running:
            # uvicorn tells only the newest request of the connection, which need not be the running one.
            self._exchange.abandon()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self._exchange is not None and self._exchange.running:
            self._exchange.close_when_done()
        elif not self._lingering:
            self.transport.close()

    # Bytes in

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._deaf:
            self._drop(len(data))
            return
        rest: bytes | memoryview = data
        while rest and not self._deaf:
            size = self._most_to_feed(len(rest))
            if size < len(rest):
                rest = memoryview(rest)
            self._feed(rest[:size])
            rest = rest[size:]
        self._expect_rest_of_head()

    def _most_to_feed(self, size: int) -> int:
        # Inside a head one byte more than allowed is enough to know; the parser keeps what it is given.
        return min(size, self._limits.max_header + 1 - self._raw) if self._in_head else size

    def _feed(self, piece: bytes | memoryview) -> None:
        self._raw += len(piece)
        while piece:
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as stop:
                piece = piece[stop.args[0] :]
                if self._framing:
                    self._rebuild_parser()
            except httptools.HttpParserError as error:
                self._refuse(_fault(error))
                return
            else:
                break
        if self._raw <= self._limits.max_header:
            return
        if self._in_head:
            self._refuse(self._too_large(self._limits.max_header, "bytes"))
        else:
            self._refuse(ClientFault("The trailers or chunk extensions of the body are too long."))

    def _rebuild_parser(self) -> None:
        # The parser leaves HTTP after a head with `Upgrade`. RFC 9110 7.8 lets a server ignore that
        # field; the body must then be read as one, or its bytes would pass for the next request.
        self._rebuilding = True
        self._begin_parsing()
        self.parser.feed_data(b"PUT / HTTP/1.1\r\n" + self._framing + b"\r\n\r\n")
        self._rebuilding = False
        self._framing = b""

    def _begin_parsing(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    # A body past the parser

    def _divert(self, cycle: RequestResponseCycle) -> Inflow | None:
        """Have the rest of this request's body come in buffers, if it is long and its length is known."""
        if self._reading is None or cycle is not self.cycle or self._body_left < WORTH or not self._hears(cycle):
            return None
        if cycle.waiting_for_100_continue:
            cycle.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        first, cycle.body = bytes(cycle.body), bytearray()
        self._inflow = Inflow(self, self._reading, self._body_left, first, self._body_is_whole)
        self.transport.set_protocol(self._inflow)
        return self._inflow

    def _hears(self, cycle: RequestResponseCycle) -> bool:
        return not (self._deaf or cycle.disconnected or cycle.response_complete or self.transport.is_closing())

    def _body_is_whole(self) -> None:
        self._take_back()
        self._begin_parsing()  # the old one still waits for the bytes that went past it
        self.cycle.more_body = False
        self._in_head = True
        self._raw = self._head_size = 0

    def _take_back(self) -> None:
        """Read what comes from here on by ourselves."""
        inflow, self._inflow = self._inflow, None
        if inflow is not None:
            inflow.end()
            self.transport.set_protocol(self)

    # What the parser tells

    def on_message_begin(self) -> None:
        if self._rebuilding:
            return
        super().on_message_begin()
        self._head_size = 1
        if self._draining is not None:
            self.scope["extensions"] = {DRAIN_EXTENSION: self._draining}  # type: ignore[dict-item]  # not plain data

    def on_url(self, url: bytes) -> None:
        if not self._rebuilding:
            self._count(len(url))
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            # A trailer; or the head that frames a body anew. The app has its headers already.
            return
        self._count(len(name) + len(value) + 4)
        if len(self.headers) >= self._limits.max_fields:
            raise self._too_large(self._limits.max_fields, "fields")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._rebuilding:
            return
        framing = _framing(self.headers, self.parser.get_http_version())
        self._framing = framing if self.parser.should_upgrade() else b""
        name, _, length = framing.partition(b": ")
        self._body_left = int(length) if name == b"content-length" else 0
        super().on_headers_complete()
        self._in_head = False
        self._raw = 0
        self._stop_head_timer()

    def on_body(self, body: bytes) -> None:
        self._raw = 0
        self._body_left -= len(body)
        if not self.cycle.body:
            # Added to an empty bytearray every piece would be copied; empty bytes let it through as it is.
            self.cycle.body = b""  # type: ignore[assignment]  # uvicorn only adds to it and takes its bytes
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._framing:
            return
        super().on_message_complete()
        self._in_head = True
        self._raw = self._head_size = 0

    # Requests and responses

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._exchange = Exchange(app, cycle, self._draining, partial(self._divert, cycle))
        super()._start_asgi_task(cycle, self._exchange)

    def on_response_complete(self) -> None:
        self._take_back()
        exchange = self._exchange
        if exchange is not None and exchange.closes:
            self.server_state.total_requests += 1
            self.pipeline.clear()
            if exchange.cycle.more_body:
                self._linger()
            else:
                self.transport.close()
            return
        super().on_response_complete()
        if self._exchange is not exchange:
            return
        if self._refusal is not None:
            self._answer(self._refusal)
        elif self._head_timer is not None:
            self._unset_keepalive_if_required()

    def _refuse(self, error: OnwardError) -> None:
        """Read no further, and tell the client why as soon as it is its turn."""
        self._deaf = True
        self._stop_head_timer()
        exchange = self._exchange
        if exchange is None or not exchange.running:
            self._answer(error)
        elif exchange.cycle.more_body:
            started = exchange.cycle.response_started
            exchange.abandon()
            if started:
                self.transport.close()
            else:
                self._answer(error)
        else:
            self._refusal = error
            if self.pipeline and self.pipeline[0][0].more_body:
                self.pipeline.popleft()

    def _answer(self, error: OnwardError) -> None:
        self.transport.write(raw_response(error, self.server_state.default_headers))
        self._linger()

    # The gentle end

    def _linger(self) -> None:
        """Say that nothing more will come, then read on for a moment.

        Closing with bytes unread makes the kernel reset the connection, and a reset can destroy
        the answer before the client has read it.
        """
        self._unset_keepalive_if_required()
        if self.transport.is_closing():
            return
        self._deaf = self._lingering = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self._linger_timer = self.loop.call_later(self._limits.linger_seconds, self.transport.close)

    def _drop(self, size: int) -> None:
        self._dropped += size
        if self._dropped > self._limits.linger_bytes:
            self.flow.pause_reading()

    # The head's limits

    def _expect_rest_of_head(self) -> None:
        """Only a head that did not come in one piece needs a deadline."""
        begun = self._in_head and bool(self._raw or self._head_size)
        if begun and not self._deaf and self._head_timer is None:
            self._start_head_timer()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.header_timeout, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._exchange is not None and self._exchange.running:
            # Reading may be paused for the sake of that request, so this head could not come.
            self._start_head_timer()
        elif self._raw or self._head_size:
            seconds = self._limits.header_timeout
            self._refuse(Stalled(f"The headers of the request did not come within {seconds:g} seconds."))
        else:
            # Nothing was asked, so nothing is answered: browsers open connections ahead of need.
            self.transport.close()

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.max_header:
            raise self._too_large(self._limits.max_header, "bytes")

    def _too_large(self, limit: int, unit: str) -> HeadersTooLarge:
        return HeadersTooLarge(f"The request line and headers take more than {limit} {unit}.", limit=limit)


def _fault(error: httptools.HttpParserError) -> OnwardError:
    """What to tell the client: our own refusal if a callback raised one, else the parser's reason."""
    if isinstance(error.__context__, OnwardError):
        return error.__context__
    return ClientFault(f"This is not a valid HTTP/1.1 request: {error}.")


def _framing(headers: list[tuple[bytes, bytes]], version: str) -> bytes:
    """The one field that says how long the body is, or nothing.

    The parser itself refuses a length given twice, or beside ``Transfer-Encoding``. What it lets
    pass and an intermediary may read differently is refused here (RFC 9112 6.1).
    """
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings:
        if version == "1.0" or b",".join(codings).strip().lower() != b"chunked":
            raise ClientFault("A body may be sent with Transfer-Encoding: chunked, and no other coding.")
        return b"transfer-encoding: chunked"
    if sum(name == b"host" for name, _ in headers) > 1:
        raise ClientFault("The request names more than one Host.")
    for name, value in headers:
        if name == b"content-length" and value.strip(b"0 \t"):
            return b"content-length: " + value
    return b""
