"""Bodies that come in buffers: a real socket, our connection class, and an app that the test plays itself."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import pytest
from uvicorn.server import ServerState

from onward.config import Settings
from onward.core.buffers import SIZE
from onward.core.types import Layout
from onward.engine.intake import Intake
from onward.errors import ClientGone, OnwardError
from onward.server import inflow
from onward.server.exchange import VIEWS
from onward.server.inflow import AHEAD, Reading
from onward.server.limits import ServerConfig
from onward.server.protocol import Connection
from onward.storage.local import LocalStorage
from onward.testing.storage_steps import ID, still_lent
from onward.web.body import RawBody, receive_of
from onward.web.forms import FormData

pytestmark = pytest.mark.anyio

LONG: Final = 30.0
GET: Final = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
OK: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

App = Callable[[Any, Any, Any], Awaitable[None]]


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    """What is not let go of by itself is not let go of."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Play:
    """A listening server, the app behind it, and what can be known of its connections."""

    def __init__(self, config: ServerConfig, state: ServerState, port: int) -> None:
        self.config = config
        self.state = state
        self.port = port

    @property
    def lent(self) -> int:
        return still_lent(self.config.reading.buffers)

    @property
    def connection(self) -> Any:
        (only,) = self.state.connections
        return only

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


@contextlib.asynccontextmanager
async def playing(app: App, most: int = 8) -> AsyncIterator[Play]:
    config, state = ServerConfig(app, Settings()), ServerState()
    config.reading = Reading(most)
    config.load()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}), "127.0.0.1", 0)
    try:
        with anyio.fail_after(LONG):
            yield Play(config, state, server.sockets[0].getsockname()[1])
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()
            await asyncio.gather(*state.tasks)
            await until(lambda: config.reading.bodies == 0)
    finally:
        server.close()


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
        await asyncio.sleep(0.005)


def put(size: int, *fields: str) -> bytes:
    lines = ["PUT / HTTP/1.1", "Host: test", f"Content-Length: {size}", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def answer(send: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


class Taker:
    """An app that takes bodies in views and answers when they are whole."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.views = 0
        self.ends: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        receive = scope["extensions"][VIEWS](receive)
        body = bytearray()
        while True:
            await self.go.wait()
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            self.views += isinstance(message["body"], memoryview)
            body += message.pop("body")  # and hold no view of it while more is waited for
            if not message["more_body"]:
                break
        self.got.append(bytes(body))
        self.ends.append(message["type"])
        await answer(send)


async def test_a_long_body_comes_in_views_and_the_buffers_come_back() -> None:
    data = Random(1).randbytes(9_000_001)
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        for _ in range(2):  # the connection is as good as before
            writer.write(put(len(data)) + data)
            assert await reader.readexactly(len(OK)) == OK
        assert app.got == [data, data]
        assert app.views >= 4
        assert play.lent == 0
        writer.close()


async def test_a_short_body_and_a_chunked_one_go_through_the_parser() -> None:
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        chunk = b"x" * 1_000_000
        writer.write(b"PUT / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(chunk), chunk) + put(5) + b"hello")
        assert await reader.readexactly(2 * len(OK)) == 2 * OK
        assert app.got == [chunk, b"hello"]
        assert app.views == 0
        writer.close()


async def test_what_follows_a_body_is_the_next_request() -> None:
    data = Random(2).randbytes(3_000_000)
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(len(data)) + data + put(len(data)) + data + GET + put(3) + b"end")
        assert await reader.readexactly(4 * len(OK)) == 4 * OK
        assert app.got == [data, data, b"", b"end"]
        writer.close()


async def test_what_follows_a_body_and_is_no_request_is_refused() -> None:
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(2_000_000) + bytes(2_000_001) + b"nonsense\r\n\r\n")
        assert await reader.readexactly(len(OK)) == OK
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        assert app.got == [bytes(2_000_000)]
        writer.close()


async def test_the_tail_is_kept_when_the_client_leaves() -> None:
    data = Random(3).randbytes(3_333_333)
    app = Taker()
    async with playing(app) as play:
        _, writer = await play.client()
        writer.write(put(len(data) + 1) + data)
        await writer.drain()
        writer.close()
        await until(lambda: app.got)
        assert app.got == [data]
        assert app.ends == ["http.disconnect"]
        await until(lambda: play.lent == 0)


async def test_the_tail_is_kept_for_an_app_that_reads_late() -> None:
    data = Random(4).randbytes(AHEAD // 2)
    app = Taker()
    async with playing(app) as play:
        _, writer = await play.client()
        writer.write(put(len(data) + 9) + data[:1000])
        await until(lambda: play.config.reading.bodies)
        app.go.clear()
        writer.write(data[1000:])
        await writer.drain()
        writer.close()
        await until(lambda: not play.state.connections)
        app.go.set()
        await until(lambda: app.got)
        assert app.got == [data]


async def test_reading_pauses_when_enough_waits_for_the_app() -> None:
    size = 20 * AHEAD
    app = Taker()
    async with playing(app, most=64) as play:
        reader, writer = await play.client()
        writer.write(put(size) + bytes(100))
        await until(lambda: play.config.reading.bodies)
        app.go.clear()
        sending = asyncio.ensure_future(send_in_turns(writer, size - 100))
        await until(lambda: play.connection.flow.read_paused)
        assert play.lent <= AHEAD // SIZE + 2
        assert not sending.done()
        app.go.set()
        await sending
        assert await reader.readexactly(len(OK)) == OK
        assert app.got == [bytes(size)]
        writer.close()


async def send_in_turns(writer: asyncio.StreamWriter, size: int) -> None:
    for _ in range(0, size, 1 << 20):
        writer.write(bytes(min(1 << 20, size)))
        size -= min(1 << 20, size)
        await writer.drain()


async def test_many_bodies_share_few_buffers() -> None:
    data = [Random(seed).randbytes(5_000_000) for seed in range(8)]
    app = Taker()
    most = 0

    async def send(play: Play, body: bytes) -> None:
        reader, writer = await play.client()
        writer.write(put(len(body)) + body)
        assert await reader.readexactly(len(OK)) == OK
        writer.close()

    async with playing(app, most=2) as play:
        async with anyio.create_task_group() as clients:
            for body in data:
                clients.start_soon(send, play, body)
            while len(app.got) < len(data):
                most = max(most, play.lent)
                await asyncio.sleep(0)
        assert sorted(app.got) == sorted(data)
        assert 0 < most <= 2
        assert play.lent == 0


async def test_who_holds_all_buffers_does_not_keep_others_from_their_bytes() -> None:
    over = asyncio.Event()
    took = asyncio.Event()
    bodies: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        receive = scope["extensions"][VIEWS](receive)
        held = []
        while True:
            message = await receive()
            held.append(message["body"])
            if scope["path"] == "/" and not message.get("more_body"):
                break
            if scope["path"] == "/hold" and sum(map(len, held)) >= SIZE:
                took.set()
                await over.wait()
                break
        bodies.append(b"".join(held))
        await answer(send)

    async with playing(app, most=1) as play:
        _, holder = await play.client()
        holder.write(put(10 * SIZE).replace(b"PUT /", b"PUT /hold") + bytes(3 * SIZE))
        await until(lambda: play.lent == 1)
        await took.wait()
        reader, writer = await play.client()
        data = Random(5).randbytes(1_000_000)
        writer.write(put(len(data)) + data)
        assert await reader.readexactly(len(OK)) == OK
        assert bodies == [data]
        over.set()
        writer.close()
        holder.close()


async def test_an_early_answer_ends_the_connection_in_order() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await scope["extensions"][VIEWS](receive)()
        await answer(send, 413)

    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(100 * SIZE) + bytes(SIZE))
        said = await reader.read()
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close\r\n" in said
        assert play.lent == 0
        await until(lambda: not play.state.connections)
        writer.close()


async def test_an_answer_before_the_app_has_read_all_of_a_whole_body_keeps_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        receive = scope["extensions"][VIEWS](receive)
        await receive()
        await until(lambda: play.connection._inflow is None)  # the last byte has come
        await answer(send)

    async with playing(app) as play:
        reader, writer = await play.client()
        for _ in range(2):
            writer.write(put(AHEAD // 2) + bytes(AHEAD // 2))
            assert await reader.readexactly(len(OK)) == OK
            await until(lambda: play.lent == 0)
        writer.close()


@pytest.mark.parametrize("cut", ["run", "segment"])
@pytest.mark.parametrize("kind", ["raw", "form", "form that counts"])
async def test_a_silent_client_holds_no_buffer(tmp_path: Path, kind: str, cut: str) -> None:
    """What came is written, and nobody on the way to the disk still looks at it while more is waited for."""
    stopped: list[OnwardError] = []
    storage = await anyio.to_thread.run_sync(LocalStorage, tmp_path)
    intakes: list[Intake] = []
    edge = "edge"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        raw = RawBody(receive_of(scope, receive), headers)
        intake = Intake(raw if kind == "raw" else FormData(raw, edge), idle=LONG)
        intakes.append(intake)
        blocks = intake.run(1 << 30) if cut == "run" else intake.segment(1 << 30, age=LONG, silence=LONG)
        try:
            await storage.write(ID, Layout.FLAT, 0, blocks, algorithms=(), durable=False)
        except OnwardError as error:
            stopped.append(error)
        else:
            assert intake.fault is not None
            stopped.append(intake.fault)

    async with playing(app) as play:
        _, writer = await play.client()
        form = f'--{edge}\r\nContent-Disposition: form-data; name="data"\r\n'.encode()
        heads = {"form": form + b"\r\n", "form that counts": form + b"Content-Length: %d\r\n\r\n" % (1 << 27)}
        writer.write(put(1 << 28) + heads.get(kind, b"") + bytes(5 * SIZE))
        await writer.drain()
        await until(lambda: intakes and intakes[0].taken == 5 * SIZE)
        await until(lambda: play.lent == 0)
        writer.close()
        await until(lambda: stopped)
    assert isinstance(stopped[0], ClientGone)
    await storage.close()


async def test_memory_goes_back_though_bodies_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflow, "REST", 0.05)
    given: list[str] = []
    monkeypatch.setattr(inflow, "give_back", lambda: given.append(threading.current_thread().name))
    app = Taker()
    async with playing(app) as play:
        _, writer = await play.client()
        writer.write(put(20 * SIZE) + bytes(10 * SIZE))
        buffers = play.config.reading.buffers
        await until(lambda: buffers.made)
        await until(lambda: not buffers.made)
        await until(lambda: given)
        assert given[0] != threading.current_thread().name
        writer.close()


async def test_the_client_is_asked_to_continue() -> None:
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(200_000, "Expect: 100-continue"))
        assert await reader.readexactly(25) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(bytes(200_000))
        assert await reader.readexactly(len(OK)) == OK
        writer.close()


async def test_plain_messages_go_on_where_views_left_off() -> None:
    data = Random(6).randbytes(6_000_000)
    got = bytearray()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend((await scope["extensions"][VIEWS](receive)())["body"])
        while True:
            message = await receive()
            assert isinstance(message["body"], bytes)
            got.extend(message["body"])
            if not message["more_body"]:
                break
        await answer(send)
        assert (await receive())["type"] == "http.disconnect"

    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(len(data)) + data)
        assert await reader.readexactly(len(OK)) == OK
        assert got == data
        writer.close()


async def test_who_wraps_receive_sees_every_byte() -> None:
    """A middleware that counts or limits what comes in is not passed by."""
    seen = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def counting() -> Any:
            nonlocal seen
            message = await receive()
            seen += len(message["body"])
            return message

        inner = scope["extensions"][VIEWS](counting)
        assert inner is counting
        while (await inner())["more_body"]:
            continue
        await answer(send)

    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(1_000_000) + bytes(1_000_000))
        assert await reader.readexactly(len(OK)) == OK
        assert seen == 1_000_000
        writer.close()


async def test_a_body_behind_an_upgrade_comes_in_views_too() -> None:
    data = Random(7).randbytes(3_000_000)
    app = Taker()
    async with playing(app) as play:
        reader, writer = await play.client()
        writer.write(put(len(data), "Connection: Upgrade", "Upgrade: h2c") + data + GET)
        assert await reader.readexactly(2 * len(OK)) == 2 * OK
        assert app.got == [data, b""]
        assert app.views
        writer.close()
