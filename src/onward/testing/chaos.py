"""A TCP proxy that does what networks do: cut, reset, stall, slow down, lose an answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from enum import StrEnum
from typing import Any, Final

import msgspec

PIECE: Final = 64 * 1024
"""Most bytes forwarded at a time."""

HELD: Final = 128 * 1024
"""Bytes that a connection holds on their way up, about."""


class Kind(StrEnum):
    """What befalls a connection once its bytes have come so far."""

    CUT = "cut"
    """Both sides are closed in order (FIN), wherever they are."""
    RESET = "reset"
    """Both sides are reset (RST); what was under way is lost."""
    HOLE = "hole"
    """Nothing is forwarded any more in either direction, and nothing is closed."""
    HALF = "half"
    """The direction is closed towards its receiver; the other goes on."""
    DEAF = "deaf"
    """From now on every byte up is forwarded, and none comes down: the request is carried out, its answer lost.

    When the server has answered, both sides are closed.
    """


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One misfortune of one connection: ``kind`` after ``after`` bytes ``up`` (from the client) or down."""

    kind: Kind
    after: int = 0
    up: bool = True


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection goes through. Without words: everything is forwarded at once."""

    fault: Fault | None = None
    delay: float = 0.0
    """Seconds that each piece waits before it goes on."""
    jitter: float = 0.0
    """Up to so many seconds more, drawn for each piece."""
    bandwidth: float | None = None
    """Bytes per second in each direction."""


FAIR: Final = Weather()

Forecast = Callable[[int], Weather]
"""The weather of the connection with this number, from 0."""


def script(weathers: Iterable[Weather], then: Weather = FAIR) -> Forecast:
    """Each connection in turn gets one of ``weathers``, all later ones get ``then``."""
    listed = list(weathers)
    return lambda number: listed[number] if number < len(listed) else then


def storms(
    seed: int, *, kinds: Iterable[Kind] = (Kind.CUT, Kind.RESET), least: int, most: int, share: float = 1.0
) -> Forecast:
    """Random faults, the same for the same seed.

    A ``share`` of the connections meets one of ``kinds`` after ``least`` to ``most`` bytes up.
    """
    chosen = list(kinds)

    def forecast(number: int) -> Weather:
        draw = random.Random(f"{seed} {number}")
        if draw.random() >= share:
            return FAIR
        return Weather(fault=Fault(kind=draw.choice(chosen), after=draw.randint(least, most)))

    return forecast


class ChaosProxy:
    """Listens on a free loopback port and forwards to ``port`` there, in any weather.

    ``forecast`` may be set anew at any time; it counts for connections that come later.
    """

    def __init__(self, port: int, forecast: Forecast | None = None, *, seed: int = 0) -> None:
        self.target = port
        self.forecast = forecast or script([])
        self.port = 0
        self.connections = 0
        """Connections so far."""
        self.up = 0
        """Bytes forwarded from clients to the target."""
        self.down = 0
        self.faults: list[Kind] = []
        """What has happened, in order."""
        self._draw = random.Random(seed)
        self._links: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ChaosProxy]:
        """Forward until the block ends; every connection is closed then."""
        listener = socket.socket()
        # Little is held between the two sides, so that a slow connection is felt by who sends.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, HELD)
        listener.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(self._accept, sock=listener, limit=PIECE)
        self.port = listener.getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for link in list(self._links):
                link.cancel()
            await asyncio.gather(*self._links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        weather = self.forecast(self.connections)
        self.connections += 1
        try:
            try:
                far = await asyncio.open_connection("127.0.0.1", self.target)
            except OSError:
                _abort(writer)  # nobody is there: the client is refused as well as a proxy can
                return
            await _Link(self, weather, (reader, writer), far).run()
        except asyncio.CancelledError:
            # The end of the proxy; asyncio's stream server would report the cancelled handler as a fault.
            return
        finally:
            self._links.discard(task)
            writer.close()

    def pause(self, weather: Weather, size: int) -> float:
        """How long a piece of ``size`` bytes takes in this weather."""
        slow = size / weather.bandwidth if weather.bandwidth else 0.0
        return weather.delay + self._draw.random() * weather.jitter + slow


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Link:
    """One connection of a client and the one to the target that belongs to it."""

    def __init__(self, proxy: ChaosProxy, weather: Weather, near: Side, far: Side) -> None:
        self._proxy = proxy
        self._weather = weather
        self._near = near
        self._far = far
        self._deaf = False
        self._hole = False
        self._struck = asyncio.Event()

    async def run(self) -> None:
        """Forward both ways until both are over or a fault ends them."""
        both = asyncio.gather(self._forward(up=True), self._forward(up=False))
        struck = asyncio.ensure_future(self._struck.wait())
        either: list[asyncio.Future[Any]] = [both, struck]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if both.done():
                both.result()
        finally:
            struck.cancel()
            both.cancel()
            try:
                await asyncio.gather(both, return_exceptions=True)
            finally:  # also when the proxy ends while its links are ending
                for _, writer in (self._near, self._far):
                    with contextlib.suppress(OSError):
                        writer.write_eof()
                    writer.close()

    async def _forward(self, *, up: bool) -> None:
        reader, writer = (self._near[0], self._far[1]) if up else (self._far[0], self._near[1])
        try:
            await self._forward_pieces(reader, writer, up=up)
            writer.write_eof()
        except OSError:
            self._struck.set()  # one side is gone: so is the link

    async def _forward_pieces(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        weather, passed = self._weather, 0
        fault = weather.fault if weather.fault is not None and weather.fault.up == up else None
        while True:
            if fault is not None and passed == fault.after:
                await self._strike(fault.kind, writer)
                fault = None
            piece = await reader.read(PIECE if fault is None else min(PIECE, fault.after - passed))
            if not up and self._deaf:
                self._struck.set()  # the answer has come, and nobody hears it
                return
            if not piece:
                return
            if pause := self._proxy.pause(weather, len(piece)):
                await asyncio.sleep(pause)
            if self._hole:
                await _for_ever()
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
            self._count(len(piece), up=up)

    def _count(self, size: int, *, up: bool) -> None:
        if up:
            self._proxy.up += size
        else:
            self._proxy.down += size

    async def _strike(self, kind: Kind, writer: asyncio.StreamWriter) -> None:
        """Let the fault happen; returns if bytes of this direction still pass."""
        self._proxy.faults.append(kind)
        match kind:
            case Kind.DEAF:
                self._deaf = True
                return
            case Kind.HALF:
                writer.write_eof()
            case Kind.HOLE:
                self._hole = True
            case Kind.RESET:
                _abort(self._near[1])
                _abort(self._far[1])
                self._struck.set()
            case Kind.CUT:
                self._struck.set()
        await _for_ever()


async def _for_ever() -> None:
    """Until the link or the proxy ends."""
    await asyncio.Event().wait()


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
