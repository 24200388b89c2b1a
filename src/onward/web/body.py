"""The bytes of a request as the server hands them over: never gathered, never spooled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar, cast

import anyio
from litestar.types import Receive

from onward.core.types import Buffer
from onward.engine.intake import Body
from onward.errors import (
    AppendTooSmall,
    BadBody,
    BodyIncomplete,
    BodyTooLarge,
    ChunkTooLarge,
    ClientGone,
    Stalled,
)

T = TypeVar("T")

VIEWS: Final = "onward.views"
"""An extension of our own server: takes the ``receive`` of a request and gives one that saves copies."""

SMALL: Final = 2 << 20
"""Most bytes of a body that is read into memory."""


class RawBody:
    """One request's body, pulled piece by piece. Nothing is received before ``next`` is called."""

    __slots__ = ("_ended", "_length", "_receive", "_taken")

    def __init__(self, receive: Receive, headers: Mapping[str, str], http_version: str = "1.1") -> None:
        self._receive = receive
        length = headers.get("content-length", "")
        self._length = int(length) if length.isascii() and length.isdigit() and len(length) < 20 else None
        # In HTTP/1 a body announces itself; in HTTP/2 only its end does.
        silent = self._length is None and "transfer-encoding" not in headers and http_version.startswith("1")
        self._ended = self._length == 0 or silent
        self._taken = 0

    @property
    def length(self) -> int | None:
        """What ``Content-Length`` claims."""
        return self._length

    @property
    def unread(self) -> bool:
        """True while bytes may still be on their way that nobody asked for."""
        return not self._ended

    async def next(self) -> Buffer | None:
        """The next bytes, or ``None`` at the end.

        Raises ``ClientGone`` when the connection ends before, ``BodyIncomplete`` when the body
        ends before the length it claimed, ``BadBody`` when it goes on beyond it.
        """
        while not self._ended:
            message = await self._receive()
            if message["type"] != "http.request":
                raise ClientGone
            piece = message.get("body", b"")
            self._taken += len(piece)
            self._ended = not message.get("more_body", False)
            if self._length is not None:
                self._check(self._length)
            if piece:
                return piece
        return None

    def _check(self, length: int) -> None:
        if self._taken > length:
            raise BadBody("the body is longer than its Content-Length")
        if self._ended and self._taken < length:
            raise BodyIncomplete(
                f"{self._taken} of {length} bytes came; nothing of this body was kept",
                expected=length,
                provided=self._taken,
            )


def receive_of(scope: Mapping[str, Any], receive: Receive) -> Receive:
    """The quickest way to the bytes that the server has; ``receive`` itself is right for every server."""
    offered = cast("Callable[[Receive], Receive] | None", (scope.get("extensions") or {}).get(VIEWS))
    return receive if offered is None else offered(receive)


class BoundedBody:
    """A body whose length nobody has said, held to what one request may bring while it comes."""

    def __init__(self, body: Body, *, least: int, most: int) -> None:
        self._body = body
        self._least = least
        self._most = most
        self._taken = 0

    async def next(self) -> Buffer | None:
        """As that of the body. Raises ``ChunkTooLarge`` and, at the end, ``AppendTooSmall``; no byte at all is fine."""
        piece = await self._body.next()
        self._taken += 0 if piece is None else len(piece)
        if self._taken > self._most:
            raise ChunkTooLarge(f"one request may bring {self._most} bytes", limit=self._most)
        if piece is None and 0 < self._taken < self._least:
            raise AppendTooSmall(
                f"a request that is not the last must bring {self._least} bytes",
                limit=self._least,
                provided=self._taken,
            )
        return piece


async def gather(body: RawBody, *, idle: float, most: int = SMALL) -> bytes:
    """The whole body in memory. Raises ``BodyTooLarge`` before reading on, ``Stalled`` after ``idle`` seconds."""
    if body.length is not None and body.length > most:
        raise BodyTooLarge(f"the body may have {most} bytes", limit=most, provided=body.length)
    pieces: list[bytes] = []
    size = 0
    while (piece := await soon(body.next, idle)) is not None:
        size += len(piece)
        if size > most:
            raise BodyTooLarge(f"the body may have {most} bytes", limit=most)
        pieces.append(bytes(piece))
    return b"".join(pieces)


async def soon(ask: Callable[[], Awaitable[T]], idle: float) -> T:
    """What ``ask`` returns. Raises ``Stalled`` if that takes longer than ``idle`` seconds."""
    with anyio.move_on_after(idle):
        return await ask()
    raise Stalled(f"no byte came for {idle:g} seconds", seconds=round(idle))
