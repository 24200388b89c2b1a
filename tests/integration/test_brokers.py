"""Both queues through the suite for queues, and what only one of them has to bear."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from taskiq.exceptions import SendTaskError

from onward.broker.redis import DurableStreamBroker, exposed
from onward.broker.sqlite import SqliteBroker
from onward.broker.wake import Bell
from onward.testing import conformance_broker
from onward.testing.conformance_broker import (
    IDLE,
    LONG,
    MAX_TRIES,
    RETRY_FIRST,
    BrokerConformance,
    Log,
    Queue,
    Recipe,
    calling,
    kick,
    listening,
    until,
    with_task,
)
from tests.integration.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.anyio

SHORT: dict[str, Any] = {"max_tries": MAX_TRIES, "retry_first": RETRY_FIRST, "at_once": 4}


# -- in a file ------------------------------------------------------------------------------------


class SqliteQueue(Queue):
    def __init__(self, path: Path) -> None:
        self._path = path
        options = {"path": str(path), "lease": IDLE, "poll": 0.1, "busy": 0.3, **SHORT}
        self.recipe = Recipe("onward.broker.sqlite:SqliteBroker", options)

    async def waiting(self) -> int:
        return await anyio.to_thread.run_sync(self._count, "SELECT count(*) FROM jobs")

    async def parked(self) -> int:
        return await anyio.to_thread.run_sync(self._count, "SELECT count(*) FROM parked")

    async def plant(self, data: bytes) -> None:
        async with calling(self.recipe.build()) as broker:
            await broker.ping()  # type: ignore[attr-defined]  # it makes the file
        await anyio.to_thread.run_sync(self._plant, data)

    def away(self) -> AbstractAsyncContextManager[None]:
        return self._locked()

    def _count(self, query: str) -> int:
        with closing(sqlite3.connect(self._path)) as db:
            return int(db.execute(query).fetchone()[0])

    def _plant(self, data: bytes) -> None:
        with closing(sqlite3.connect(self._path)) as db, db:
            db.execute(
                "INSERT INTO jobs (key, task, payload, created_at, run_at) VALUES (hex(randomblob(8)), '', ?, 0, 0)",
                (data,),
            )

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        await anyio.to_thread.run_sync(db.execute, "BEGIN EXCLUSIVE")
        yield
        await anyio.to_thread.run_sync(db.close)


class TestSqlite(BrokerConformance):
    @pytest.fixture
    def queue(self, tmp_path: Path) -> Queue:
        return SqliteQueue(tmp_path / "broker.db")


async def test_a_kick_in_another_process_wakes_an_idle_worker_however_deep_the_directory(tmp_path: Path) -> None:
    path = tmp_path / ("deep" * 40) / "broker.db"
    log = Log()
    async with listening(SqliteBroker(path, poll=3600), log.execute):
        await until(anyio.Path(path.parent / "broker.db-wake").is_dir, "a listening worker")
        program = (
            "import asyncio, sys; from onward.broker.sqlite import SqliteBroker;"
            "from onward.testing.conformance_broker import kick;"
            "asyncio.run(kick(SqliteBroker(sys.argv[1]), 'woken'))"
        )
        for _ in range(3):  # the first may come before the worker listens, and is then found without a wake-up
            await anyio.run_process([sys.executable, "-c", program, str(path)])
        await log.until("woken")


async def test_bells_of_dead_workers_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    bells = path.with_name("broker.db-wake")
    async with calling(SqliteBroker(path)) as caller:
        async with conformance_broker.doomed(Recipe("onward.broker.sqlite:SqliteBroker", {"path": str(path)})) as begun:
            await kick(caller, "one")
            await begun(1)
            assert len(list(bells.iterdir())) == 1
        await kick(caller, "two")
        assert list(bells.iterdir()) == []


async def test_several_processes_queue_at_once(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    program = (
        "import asyncio, sys; from onward.broker.sqlite import SqliteBroker;"
        "from onward.testing.conformance_broker import kick\n"
        "async def main():\n"
        "  b = SqliteBroker(sys.argv[1], busy=20)\n"
        "  for n in range(50): await kick(b, f'{sys.argv[2]}-{n}')\n"
        "asyncio.run(main())"
    )
    log = Log()
    async with anyio.create_task_group() as group:
        for name in ("a", "b"):
            group.start_soon(anyio.run_process, [sys.executable, "-c", program, str(path), name])
    async with listening(SqliteBroker(path), log.execute), listening(SqliteBroker(path), log.execute):
        await log.until(*[f"{name}-{n}" for name in ("a", "b") for n in range(50)])
    assert len(log.begun) == 100


async def test_kicks_at_the_same_time_are_kept_together(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "queue.db")
    broker = queue.recipe.build()
    batches: list[int] = []
    insert = broker._insert  # type: ignore[attr-defined]  # seen from inside

    def counted(messages: list[Any]) -> None:
        batches.append(len(messages))
        insert(messages)

    broker._insert = counted  # type: ignore[attr-defined]  # as above
    async with calling(broker), anyio.create_task_group() as group:
        for number in range(40):
            group.start_soon(kick, broker, f"{number}")
    assert (sum(batches), await queue.waiting()) == (40, 40)
    assert len(batches) < 10


async def test_kicks_that_wait_together_hear_of_the_same_failure(tmp_path: Path) -> None:
    queue = SqliteQueue(tmp_path / "queue.db")
    failed: list[str] = []

    async def attempt(name: str) -> None:
        try:
            await kick(broker, name)
        except SendTaskError:
            failed.append(name)

    broker = queue.recipe.build()
    async with calling(broker):
        await kick(broker, "first")
        async with queue.away(), anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(attempt, f"{number}")
        assert len(failed) == 4
        await kick(broker, "last")
    assert await queue.waiting() == 2


async def test_a_worker_outlives_a_file_that_cannot_be_written_when_work_is_due(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    queue = SqliteQueue(tmp_path / "broker.db")
    log = Log()
    async with calling(queue.recipe.build()) as caller, AsyncExitStack() as stack:
        await kick(caller, "due")
        async with queue.away():
            await stack.enter_async_context(listening(queue.recipe.build(), log.execute))
            await until(lambda: "the queue cannot be used" in caplog.text)
            assert log.begun == []
        await log.until("due")


async def test_a_clock_that_was_set_back_hides_no_message(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    log = Log()
    async with calling(SqliteBroker(path, clock=lambda: 2e9)) as caller:
        await kick(caller, "from the future")
    async with listening(SqliteBroker(path, clock=lambda: 1e9), log.execute):
        await log.until("from the future")


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "broker.db"
    async with calling(SqliteBroker(path)) as caller:
        await kick(caller, "one")
        for file, mode in ((path, 0o600), (path.with_name("broker.db-wal"), 0o600), (path.parent, 0o700)):
            assert stat.S_IMODE(file.stat().st_mode) == mode, file


async def test_stopping_frees_what_was_taken_and_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    one = with_task(SqliteBroker(path, lease=3600), Log().execute)
    other = with_task(SqliteBroker(path, lease=3600), Log().execute)
    async with calling(one), calling(other):
        await kick(one, "taken")
        await one._call(one._take)  # type: ignore[attr-defined]  # a take whose asker was cancelled meanwhile
        asking = anyio.CancelScope()
        async with aclosing(one.listen()) as waiting, anyio.create_task_group() as group:
            group.start_soon(_ask, waiting, asking)
            await until(anyio.Path(path.parent / "broker.db-wake").is_dir)
            asking.cancel()
        async with aclosing(other.listen()) as taken:
            with anyio.fail_after(LONG):
                message = await anext(taken)
    assert b"taken" in message.data  # type: ignore[union-attr]  # ours is acknowledged, Taskiq allows bare bytes


async def test_a_stop_while_the_bell_is_opened_leaves_none_behind(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    broker = SqliteBroker(path, lease=3600)
    with_task(broker, Log().execute)
    wake = tmp_path / "broker.db-wake"
    opening, go_on = threading.Event(), threading.Event()

    def held_open(bell: Bell) -> None:
        opening.set()
        assert go_on.wait(LONG)
        original(bell)

    original = Bell.open
    async with calling(broker):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Bell, "open", held_open)
            asking = anyio.CancelScope()
            async with aclosing(broker.listen()) as waiting, anyio.create_task_group() as group:
                group.start_soon(_ask, waiting, asking)
                await until(opening.is_set)
                asking.cancel()
                go_on.set()
        await broker.ping()  # behind whatever the stop left to do
        assert list(wake.iterdir()) == []


async def _ask(messages: Any, scope: anyio.CancelScope) -> None:
    with scope:
        await anext(messages)


# -- in Redis -------------------------------------------------------------------------------------


class RedisQueue(Queue):
    def __init__(self, server: RedisServer) -> None:
        self._server = server
        options = {"url": server.url, "idle": IDLE, "block": 0.2, **SHORT}
        self.recipe = Recipe("onward.broker.redis:DurableStreamBroker", options)

    async def waiting(self) -> int:
        return await self._number("XLEN", "onward:jobs")

    async def parked(self) -> int:
        return await self._number("XLEN", "onward:jobs:parked")

    async def plant(self, data: bytes) -> None:
        await anyio.to_thread.run_sync(self._server.command, "XADD", "onward:jobs", "*", "data", data)

    def away(self) -> AbstractAsyncContextManager[None]:
        return self._killed()

    async def _number(self, *words: str) -> int:
        reply = await anyio.to_thread.run_sync(self._server.command, *words)
        return int(reply.removeprefix(b":"))

    @asynccontextmanager
    async def _killed(self) -> AsyncIterator[None]:
        self._server.kill()
        yield
        await anyio.to_thread.run_sync(self._server.start)


@pytest.fixture(scope="module")
def running_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(running_server: RedisServer) -> RedisServer:
    running_server.flush()
    return running_server


@pytest.mark.redis
class TestRedis(BrokerConformance):
    @pytest.fixture
    def queue(self, server: RedisServer) -> Queue:
        return RedisQueue(server)

    @pytest.mark.parametrize(
        ("trouble", "cure"),
        [
            ([("FLUSHALL",)], []),
            ([("DEL", "onward:jobs")], []),
            ([("XGROUP", "DESTROY", "onward:jobs", "onward")], []),
            ([("CLIENT", "PAUSE", "1500", "ALL")], []),
            ([("CLIENT", "KILL", "TYPE", "normal")], []),
            ([("DEL", "onward:jobs"), ("SET", "onward:jobs", "a string")], [("DEL", "onward:jobs")]),
            ([("SET", "onward:jobs:known", "a string")], []),
            ([("HSET", "onward:jobs:known", "after", "no entry id")], []),
            ([("SET", "onward:jobs:parked", "a string"), ("XADD", "onward:jobs", "*", "some", "thing")], []),
        ],
        ids=lambda commands: " ".join(commands[0][:2]) if commands else "-",
    )
    async def test_a_listening_worker_outlives(
        self, server: RedisServer, queue: Queue, trouble: list[tuple[str, ...]], cure: list[tuple[str, ...]]
    ) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), log.execute):
            await kick(caller, "before")
            await log.until("before")
            for command in trouble:
                await anyio.to_thread.run_sync(server.command, *command)
            await anyio.sleep(0.3)  # time to run into it
            for command in cure:
                await anyio.to_thread.run_sync(server.command, *command)
            await until(lambda: _kicked(caller, "after"), "a queue that takes messages again")
            await log.until("after")
            await self._emptied(queue)

    async def test_an_entry_that_is_no_message_is_parked(self, server: RedisServer, queue: Queue) -> None:
        log = Log()
        await anyio.to_thread.run_sync(server.command, "XADD", "onward:jobs", "*", "file", "/etc/passwd")
        async with listening(queue.recipe.build(), log.execute):
            await self._emptied(queue)
        assert log.begun == []
        assert await queue.parked() == 1

    async def test_listening_ends_when_it_is_cancelled_at_the_moment_that_redis_answers(
        self, server: RedisServer
    ) -> None:
        broker = DurableStreamBroker(server.url, block=0.02)
        async with calling(with_task(broker, Log().execute)):
            for steps in range(30):
                asking = asyncio.ensure_future(anext(broker.listen()))
                await asyncio.sleep(0.01)
                time.sleep(0.05)  # noqa: ASYNC251 - the answer lies in the socket when the loop goes on
                for _ in range(steps):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking], timeout=LONG)
                assert asking.cancelled(), f"cancelled {steps} steps after the answer, it goes on"

    async def test_leaving_leaves_no_consumer_behind(self, server: RedisServer, queue: Queue) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), log.execute):
            await kick(caller, "one")
            await log.until("one")
            await self._emptied(queue)
        reply = await anyio.to_thread.run_sync(server.command, "XINFO", "CONSUMERS", "onward:jobs", "onward")
        assert reply == b"*0\r\n"

    async def test_an_outage_is_said_once(
        self, server: RedisServer, queue: Queue, caplog: pytest.LogCaptureFixture
    ) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), log.execute):
            await kick(caller, "before")
            await log.until("before")
            async with queue.away():
                await anyio.sleep(1.0)
            await kick(caller, "after")
            await log.until("after")
        said = [record.getMessage() for record in caplog.records if record.name == "onward.queue"]
        assert [text.split(":")[0] for text in said if "can be used" in text or "cannot be" in text] == [
            "the queue cannot be used",
            next(text for text in said if "again" in text),
        ]


async def _kicked(caller: Any, name: str) -> bool:
    try:
        await kick(caller, name)
    except SendTaskError:
        return False
    return True


@pytest.mark.parametrize(
    ("url", "answer"),
    [
        ("redis://localhost:6379/0", False),
        ("redis://127.0.0.1", False),
        ("redis://[::1]:6379", False),
        ("unix:///run/redis.sock", False),
        ("rediss://cache.example", False),
        ("redis://:secret@cache.example/1", False),
        ("redis://user:secret@10.0.0.7", False),
        ("redis://cache.example?password=secret", False),
        ("redis://cache.example", True),
        ("redis://user@cache.example", True),
        ("redis://10.0.0.7:6379/0", True),
        ("redis://0.0.0.0", True),
    ],
)
def test_which_addresses_are_exposed(url: str, *, answer: bool) -> None:
    assert exposed(url) is answer


def test_a_broker_for_redis_is_made_without_reaching_it() -> None:
    assert DurableStreamBroker("redis://192.0.2.1:1").queue_name == "onward:jobs"
