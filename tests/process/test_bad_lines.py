"""Slow, cut, reset and silent lines between a client and a real server: files arrive, the server has no fault."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import threading
import time
from collections.abc import Iterator

import pytest

from onward.testing.chaos import ChaosProxy, Fault, Kind, Weather, script, storms
from tests.integration.real_server import RealServer, real_server
from tests.process.client import Client, Half, History, Source, check, check_file
from tests.process.processes import until

CHUNK = 256 << 10


@contextlib.contextmanager
def _proxy(server: RealServer) -> Iterator[ChaosProxy]:
    """A chaos proxy before the server, on an event loop in a thread of its own."""
    proxy = ChaosProxy(server.port)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    over = asyncio.Event()

    async def run() -> None:
        async with proxy.running():
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(30)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    # A body may rest longer than these tests last: a line that hangs is ended by what comes next, or never.
    data = tmp_path_factory.mktemp("lines") / "data"
    with real_server(data, sweep_every=1, body_idle=600, lock_wait=60) as running:
        yield running
        assert running.stop() == 0


def _has_no_fault(server: RealServer, history: History) -> None:
    """No client was told of a fault of the server, and it wrote of none."""
    assert [told for told in history.refused if told[0] >= 500] == []
    assert not re.search(r"Traceback|ERROR|CRITICAL", server.said()), server.said()


@pytest.mark.parametrize("kinds", [(Kind.CUT,), (Kind.RESET,), (Kind.HALF,), (Kind.DEAF,)], ids=lambda k: k[0].value)
def test_lines_that_end_anywhere(server: RealServer, kinds: tuple[Kind, ...]) -> None:
    history = History()
    with _proxy(server) as proxy:
        proxy.forecast = storms(5, kinds=kinds, least=0, most=CHUNK + 400, share=0.6)
        client = Client(proxy.port, history, timeout=10)
        sources = [Source(f"{kinds[0]}-{flat}.bin", 6 * CHUNK - 9, chunk=CHUNK, flat=flat) for flat in (True, False)]
        for source in sources:
            client.deliver(source)
            check_file(server, source)
        check(server, history)
        assert set(proxy.faults) == set(kinds)
        _has_no_fault(server, history)


def test_a_line_that_trickles(server: RealServer) -> None:
    history = History()
    with _proxy(server) as proxy:
        proxy.forecast = script([], then=Weather(bandwidth=100_000, delay=0.01, jitter=0.02))
        source = Source("slow.bin", 2 * CHUNK, chunk=CHUNK, flat=True)
        client = Client(proxy.port, history)
        client.deliver(source)
        assert history.refused == []
        assert history.unknown == 0
        check_file(server, source)
        _has_no_fault(server, history)


@pytest.mark.parametrize("flat", [True, False])
def test_a_chunk_sent_again_takes_over_from_a_line_that_hangs(server: RealServer, flat: bool) -> None:
    history = History()
    with _proxy(server) as proxy:
        proxy.forecast = script([Weather(fault=Fault(kind=Kind.HOLE, after=CHUNK // 2))])
        source = Source(f"silent-{flat}.bin", 3 * CHUNK, chunk=CHUNK, flat=flat)
        hanging = Half(proxy.port, "POST", f"/upload/{source.name}-1", CHUNK, source.headers)
        hanging.send(source.chunks[0])
        until(lambda: proxy.faults == [Kind.HOLE], "the line does not hang")
        client = Client(proxy.port, history)
        began = time.monotonic()
        # Which of the two got to the place last is the server's to see; who is asked to leave comes again.
        until(lambda: client.chunk(source, 1).status == 201, "the place is never free")
        assert {code for _, code in history.refused} <= {"locked"}
        history.refused.clear()
        print(f"taken over after {time.monotonic() - began:.2f} s")
        client.deliver(source)
        hanging.close()
        check(server, history)
        check_file(server, source)
        assert history.refused == []
        _has_no_fault(server, history)


def test_a_body_that_ends_early_is_no_chunk(server: RealServer) -> None:
    history = History()
    draw = random.Random(3)
    with _proxy(server) as proxy:
        client = Client(server.port, history)
        source = Source("short.bin", 4 * CHUNK, chunk=CHUNK, flat=False)
        for number, cut in enumerate([0, 1, CHUNK - 1, draw.randrange(CHUNK)], 1):
            path = f"/upload/{source.name}-{number}"
            half = Half(proxy.port, "POST", path, CHUNK, source.headers)
            half.send(source.chunks[number - 1][:cut])
            half.shut()
            assert half.answer().status not in {200, 201}
            half.close()
        shown = client.manifest(source)
        assert shown.status == 404 or shown.body["chunks"] == []
        client.deliver(source)
        check_file(server, source)
        _has_no_fault(server, history)
