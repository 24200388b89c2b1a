"""Faults on request: a server for shows and tests lets the page make uploads fail, to see that they carry on."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Annotated, Any, Final, cast

import anyio
import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, Receive, Scope, Send
from msgspec import Meta

from onward.errors import OnwardError

CUT: Final = "onward.cut"
"""The server's extension that ends the connection on the spot; without it a cut becomes a 503."""


class FaultOnPurpose(OnwardError):
    """The server was asked to fail, and does; only one that was started with ``--demo`` ever is."""

    code = "fault-on-purpose"
    status_hint = 503
    title = "A fault made on purpose"


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What befalls upload requests."""

    fail: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """Share that is answered 503."""
    delay_ms: Annotated[float, Meta(ge=0, le=2000)] = 0.0
    """Milliseconds that each one waits before anything is done."""
    drop: Annotated[float, Meta(ge=0, le=0.5)] = 0.0
    """Share whose connection is cut somewhere in the body."""
    cut_seconds: Annotated[float, Meta(ge=0, le=30)] = 0.0
    """Seconds from now in which every connection is cut."""


class BenchView(msgspec.Struct, frozen=True, kw_only=True):
    """The faults in force, and what they have done so far."""

    fail: float
    delay_ms: float
    drop: float
    cut_seconds: float
    """What is left of them."""
    failed: int
    dropped: int
    refused: int
    """Requests cut because everything was."""


class Bench:
    """Holds the faults in force and brings them about, in one process.

    ``paths`` are the prefixes of the routes that they apply to. Reading a published file and
    asking beforehand (OPTIONS) go on as ever, but while everything is cut.
    """

    def __init__(
        self,
        paths: tuple[str, ...],
        *,
        random: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._paths = paths
        self._random = random or Random().random  # noqa: S311 - bad luck, not a secret
        self._clock = clock
        self._sleep = sleep
        self._faults = Faults()
        self._cut_until = clock()
        self._failed = self._dropped = self._refused = 0

    def set(self, faults: Faults) -> None:
        """From now on these, instead of those before."""
        self._faults = faults
        self._cut_until = self._clock() + faults.cut_seconds

    def view(self) -> BenchView:
        """For the page."""
        return BenchView(
            fail=self._faults.fail,
            delay_ms=self._faults.delay_ms,
            drop=self._faults.drop,
            cut_seconds=round(max(0.0, self._cut_until - self._clock()), 3),
            failed=self._failed,
            dropped=self._dropped,
            refused=self._refused,
        )

    def middleware(self) -> Callable[[ASGIApp], ASGIApp]:
        """Brings the faults about. What it raises is turned into an answer by whoever turns all errors into answers."""

        # A function, as Litestar copies what it is given, and a bound method's bench with it.
        def around(app: ASGIApp) -> ASGIApp:
            async def run(scope: Scope, receive: Receive, send: Send) -> None:
                if scope["type"] == ScopeType.HTTP and self._is_upload(scope["path"]):
                    receive = await self._befall(cast("dict[str, Any]", scope), receive)
                await app(scope, receive, send)

            return run

        return around

    def _is_upload(self, path: str) -> bool:
        return any(path == prefix or path.startswith(f"{prefix}/") for prefix in self._paths)

    async def _befall(self, scope: dict[str, Any], receive: Receive) -> Receive:
        cut: Callable[[], None] | None = (scope.get("extensions") or {}).get(CUT)
        if self._clock() < self._cut_until:
            self._refused += 1
            _end(cut)
        if scope["method"] == "OPTIONS" or (scope["method"] == "GET" and scope["path"].endswith("/content")):
            return receive
        await self._sleep(self._faults.delay_ms / 1000)
        if self._random() < self._faults.fail:
            self._failed += 1
            raise FaultOnPurpose("this request was made to fail; send it again")
        if self._random() < self._faults.drop:
            self._dropped += 1
            length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
            if cut is None or not length.isdigit() or int(length) == 0:
                _end(cut)
            else:
                return _cutting(receive, cut, self._random() * int(length))
        return receive


def _end(cut: Callable[[], None] | None) -> None:
    if cut is not None:
        cut()
    raise FaultOnPurpose("the connection was made to end here; send this again")


def _cutting(receive: Receive, cut: Callable[[], None], after: float) -> Receive:
    """``receive`` that ends the connection once ``after`` bytes of the body have come."""
    seen = 0

    async def receive_some() -> HTTPReceiveMessage:
        nonlocal seen
        message = cast("HTTPReceiveMessage", await receive())
        if message["type"] == "http.request":
            seen += len(message["body"])
            if seen >= after:
                cut()
        return message

    return cast("Receive", receive_some)
