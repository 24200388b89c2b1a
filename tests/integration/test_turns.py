"""Processes that share a listening socket: who takes the next connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from onward.server.turns import GIVE_WAY, Counts, SharedListener

pytestmark = pytest.mark.anyio


class Process:
    """What is one process's own: its view of the numbers, its listener, its connections."""

    def __init__(self, number: int, counts: int, listener: socket.socket) -> None:
        self.now = 0.0
        self.taken: list[socket.socket] = []
        self.listener = SharedListener(
            os.dup(listener.fileno()), Counts(counts, number), lambda: len(self.taken), clock=lambda: self.now
        )
        self.listener.setblocking(False)

    def look(self) -> bool:
        """One turn of its event loop: whether it took a connection; it may take no second one."""
        try:
            self.taken.append(self.listener.accept()[0])
        except BlockingIOError:
            return False
        with pytest.raises(BlockingIOError):
            self.listener.accept()
        return True


@contextlib.contextmanager
def family(*, callers: int) -> Iterator[tuple[Process, Process]]:
    """Two processes, and so many who want to be connected."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        file = stack.enter_context(Counts.shared_by(2))
        both = Process(0, file.fileno(), listener), Process(1, file.fileno(), listener)
        for _ in range(callers):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        yield both
        for process in both:
            process.listener.close()
            for taken in process.taken:
                taken.close()


def test_who_has_more_leaves_the_next_one_to_the_other() -> None:
    with family(callers=6) as (quick, slow):
        assert quick.look()
        assert not quick.look()
        assert slow.look()
        assert quick.look()
        assert [quick.look() for _ in range(5)] == [False] * 5
        assert slow.look()
        assert len(quick.taken) == len(slow.taken) == 2


def test_nobody_waits_for_a_process_that_does_not_come() -> None:
    with family(callers=3) as (alone, _):
        assert alone.look()
        assert not alone.look()
        alone.now += GIVE_WAY / 2
        assert not alone.look()
        alone.now += GIVE_WAY / 2
        assert alone.look()
        assert not alone.look(), "its patience begins anew with each connection"


def test_connections_that_have_ended_do_not_count() -> None:
    with family(callers=6) as (first, second):
        assert [first.look(), second.look(), first.look()] == [True] * 3
        while first.taken:
            first.taken.pop().close()
        assert first.look()
        assert second.look()
        assert not second.look()
        assert first.look()


def test_nobody_there_is_said_as_the_standard_socket_says_it() -> None:
    with family(callers=0) as (one, _), pytest.raises(BlockingIOError):
        one.listener.accept()


async def test_an_event_loop_takes_all_that_come() -> None:
    """One after the other is not so slow that anybody is left out."""
    met = 0
    done = asyncio.Event()

    class Counting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal met
            met += 1
            if met == 40:
                done.set()
            transport.close()

    with socket.create_server(("127.0.0.1", 0)) as listener, Counts.shared_by(2) as file:
        shared = SharedListener(os.dup(listener.fileno()), Counts(file.fileno(), 0), lambda: met)
        async with await asyncio.get_running_loop().create_server(Counting, sock=shared):
            with contextlib.ExitStack() as stack:
                for _ in range(40):
                    stack.enter_context(socket.create_connection(listener.getsockname()))
                await asyncio.wait_for(done.wait(), 60)
    assert met == 40
