"""The proxy does to connections what it is told, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import pytest

from onward.testing.chaos import ChaosProxy, Fault, Kind, Weather, script, storms

pytestmark = pytest.mark.anyio

PATIENCE: Final = 20.0
"""Seconds after which a test is stuck; nothing is judged by it."""


class Target:
    """A server that keeps what each connection brings and answers ``ok`` when it has had ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.came: list[bytearray] = []
        self.ends: list[asyncio.Future[str]] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Target]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came, end = bytearray(), asyncio.get_running_loop().create_future()
        self.came.append(came)
        self.ends.append(end)
        try:
            while piece := await reader.read(65536):
                came += piece
                if len(came) >= self.size:
                    writer.write(b"ok")
            end.set_result("fin")
        except ConnectionResetError:
            end.set_result("rst")
        except asyncio.CancelledError:
            return
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def proxied(size: int, *weathers: Weather) -> AsyncIterator[tuple[ChaosProxy, Target]]:
    async with (
        asyncio.timeout(PATIENCE),
        Target(size).running() as target,
        ChaosProxy(target.port, script(weathers)).running() as proxy,
    ):
        yield proxy, target


async def send(proxy: ChaosProxy, data: bytes) -> tuple[bytes, str]:
    """What comes back on one connection that sends ``data``, and how it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    answer = b""
    try:
        writer.write(data)
        await writer.drain()
        while piece := await reader.read(65536):
            answer += piece
            if answer == b"ok":
                return answer, "answered"
    except ConnectionError:
        return answer, "rst"
    else:
        return answer, "fin"
    finally:
        writer.close()


DATA: Final = bytes(range(256)) * 4096


async def test_fair_weather_changes_nothing_and_is_counted() -> None:
    async with proxied(len(DATA)) as (proxy, target):
        assert await send(proxy, DATA) == (b"ok", "answered")
        assert await target.ends[0] == "fin"
        assert target.came == [DATA]
        assert (proxy.up, proxy.down, proxy.connections, proxy.faults) == (len(DATA), 2, 1, [])


@pytest.mark.parametrize(("kind", "seen"), [(Kind.CUT, "fin"), (Kind.RESET, "rst")])
async def test_a_cut_and_a_reset_come_after_so_many_bytes(kind: Kind, seen: str) -> None:
    async with proxied(len(DATA), Weather(fault=Fault(kind=kind, after=100_000))) as (proxy, target):
        answer, end = await send(proxy, DATA)
        assert (answer, proxy.up, proxy.faults) == (b"", 100_000, [kind])
        assert end in {"fin", "rst"}
        assert await target.ends[0] == seen
        if kind is Kind.CUT:
            assert target.came == [DATA[:100_000]]
        assert DATA.startswith(bytes(target.came[0]))
        assert await send(proxy, DATA) == (b"ok", "answered"), "only the first connection was to break"


async def test_the_client_sees_a_reset_as_one() -> None:
    async with proxied(10, Weather(fault=Fault(kind=Kind.RESET, after=1, up=False))) as (proxy, _):
        assert (await send(proxy, b"0123456789"))[1] == "rst"


async def test_an_answer_is_lost_though_the_request_was_carried_out() -> None:
    async with proxied(len(DATA), Weather(fault=Fault(kind=Kind.DEAF))) as (proxy, target):
        assert (await send(proxy, DATA))[0] == b""
        assert target.came == [DATA]
        assert (proxy.up, proxy.down, proxy.faults) == (len(DATA), 0, [Kind.DEAF])


async def test_a_hole_forwards_nothing_more_and_closes_nothing() -> None:
    async with proxied(len(DATA), Weather(fault=Fault(kind=Kind.HOLE, after=5000))) as (proxy, target):
        sending = asyncio.ensure_future(send(proxy, DATA))
        while not proxy.faults:  # noqa: ASYNC110  # the proxy keeps a list, nothing to wait on
            await asyncio.sleep(0.01)
        await asyncio.wait([sending], timeout=0.3)
        assert not sending.done()
        assert not target.ends[0].done()
        assert (bytes(target.came[0]), proxy.up) == (DATA[:5000], 5000)
        sending.cancel()


async def test_a_hole_on_the_way_down_keeps_the_answer() -> None:
    async with proxied(5, Weather(fault=Fault(kind=Kind.HOLE, up=False))) as (proxy, _):
        sending = asyncio.ensure_future(send(proxy, b"12345"))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done
        assert proxy.down == 0
        sending.cancel()


async def test_half_a_connection_is_closed_and_the_other_half_lives() -> None:
    async with proxied(1000, Weather(fault=Fault(kind=Kind.HALF, after=1000))) as (proxy, target):
        assert await send(proxy, DATA[:2000]) == (b"ok", "answered")
        assert await target.ends[0] == "fin"
        assert target.came == [DATA[:1000]]


async def test_what_is_slow_takes_its_time() -> None:
    began = asyncio.get_running_loop().time()
    async with proxied(len(DATA), Weather(bandwidth=4 * len(DATA), delay=0.001, jitter=0.001)) as (proxy, target):
        assert await send(proxy, DATA) == (b"ok", "answered")
        assert target.came == [DATA]
    # A lower bound holds on a machine of any speed.
    assert asyncio.get_running_loop().time() - began >= 0.25


async def test_nobody_behind_the_proxy_is_an_end_not_a_wait() -> None:
    async with proxied(1) as (proxy, target):
        proxy.target = 1  # a port that only the system may listen on
        assert (await send(proxy, b"x"))[0] == b""
        assert target.came == []


def test_storms_are_the_same_for_the_same_seed() -> None:
    def weather(seed: int) -> list[Weather]:
        forecast = storms(seed, least=10, most=20, share=0.5)
        return [forecast(number) for number in range(200)]

    assert weather(1) == weather(1) != weather(2)
    faults = [w.fault for w in weather(1) if w.fault is not None]
    assert 50 < len(faults) < 150
    assert {fault.kind for fault in faults} == {Kind.CUT, Kind.RESET}
    assert all(10 <= fault.after <= 20 for fault in faults)
