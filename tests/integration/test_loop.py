"""The server's event loop: files take turns, and tasks run between them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE

from onward.config import Settings
from onward.server.limits import ServerConfig
from onward.server.loop import TOGETHER, FewAtATime, make


@contextlib.contextmanager
def pairs(count: int) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    with contextlib.ExitStack() as stack:
        made = [socket.socketpair() for _ in range(count)]
        for one in (end for pair in made for end in pair):
            one.setblocking(False)
            stack.enter_context(one)
        yield made


def test_everybody_has_their_turn() -> None:
    with pairs(10) as made, contextlib.closing(FewAtATime(3)) as selector:
        for number, (mine, other) in enumerate(made):
            selector.register(mine, EVENT_READ, number)
            other.send(b"x")
        for _ in range(3):  # nobody reads, so all are told of again and again
            told = [[key.data for key, events in selector.select(0) if events == EVENT_READ] for _ in range(10)]
            assert all(len(some) == 3 for some in told)
            assert {number for some in told[:4] for number in some} == set(range(10))


def test_what_is_told_is_what_was_asked_for() -> None:
    with pairs(2) as ((first, _), (second, other)), contextlib.closing(FewAtATime(4)) as selector:
        selector.register(first, EVENT_READ | EVENT_WRITE, "first")
        selector.register(second, EVENT_READ, "second")
        other.close()
        found = {key.data: events for key, events in selector.select(1)}
        assert found == {"first": EVENT_WRITE, "second": EVENT_READ}
        selector.modify(first, EVENT_READ, "first")
        selector.unregister(second)
        assert selector.select(0) == []


def test_a_timeout_is_waited_for_and_never_cut_short() -> None:
    with contextlib.closing(FewAtATime()) as selector:
        began = time.monotonic()
        assert selector.select(0.0501) == []
        assert time.monotonic() - began >= 0.0501
        assert selector.select(-1) == []


def test_tasks_run_before_all_files_were_looked_after() -> None:
    """With the standard selector the first task would run when every socket has been read."""
    ran: list[str] = []

    async def go() -> None:
        loop = asyncio.get_running_loop()
        with pairs(3 * TOGETHER) as made:
            woken = asyncio.Event()

            def look(mine: socket.socket) -> None:
                mine.recv(1)
                ran.append("read")
                woken.set()

            for mine, other in made:
                other.send(b"x")
                loop.add_reader(mine, look, mine)
            await woken.wait()
            ran.append("task")
            while ran.count("read") < len(made):  # noqa: ASYNC110  # what is waited for tells nobody
                await asyncio.sleep(0)
            for mine, _ in made:
                loop.remove_reader(mine)

    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(go())
    assert ran.index("task") <= TOGETHER


def test_our_server_runs_on_it() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        """Never asked."""

    factory = ServerConfig(app, Settings()).get_loop_factory()
    assert factory is make
