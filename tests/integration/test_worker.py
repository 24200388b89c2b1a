"""The worker process: its task, its engine, how it ends, and how work is handed to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.to_thread
import pytest
from taskiq.abc.broker import AsyncBroker
from taskiq.exceptions import SendTaskError
from taskiq.kicker import AsyncKicker

from onward import worker
from onward.broker.redis import DurableStreamBroker
from onward.broker.sqlite import SqliteBroker
from onward.config import Settings, SettingsError
from onward.core.types import UploadId
from onward.errors import StorageFault
from onward.testing.conformance_broker import LONG, calling, until
from onward.worker import FINISH, QueueJobs, make_broker, receive, register

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
ONE = UploadId("1" * 32)
TWO = UploadId("2" * 32)


class Engine:
    """Notes what it is asked to finish; does ``what`` then."""

    def __init__(self, what: Callable[[UploadId], Awaitable[None]] | None = None) -> None:
        self.asked: list[UploadId] = []
        self.is_open = False
        self._what = what

    async def finish(self, id: UploadId) -> None:
        self.asked.append(id)
        if self._what is not None:
            await self._what(id)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Engine]:
        self.is_open = True
        try:
            async with anyio.create_task_group():  # must be left by the task that entered it
                yield self
        finally:
            self.is_open = False


def jobs_in(path: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT key, owner, lease_until, tries FROM jobs").fetchall()


@asynccontextmanager
async def receiving(broker: AsyncBroker, engine: Engine, **options: Any) -> AsyncIterator[None]:
    """A worker in this process, for the length of the block."""
    work, stop = register(broker, engine.opened, **options), anyio.Event()

    async def run() -> None:
        await receive(broker, work, stop, at_once=2)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        try:
            yield
        finally:
            stop.set()


# -- one process ----------------------------------------------------------------------------------


async def test_an_upload_is_finished_by_an_engine_that_is_open_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "broker.db"
    open_then: list[bool] = []

    async def note(_: UploadId) -> None:
        open_then.append(engine.is_open)

    engine = Engine(note)
    async with calling(SqliteBroker(path)) as caller, receiving(SqliteBroker(path), engine):
        await QueueJobs(caller).finish_later(ONE)
        await until(lambda: engine.asked == [ONE])
    assert open_then == [True]
    assert [engine.is_open] == [False]
    assert jobs_in(path) == []


async def test_an_upload_is_queued_once_as_long_as_it_waits(tmp_path: Path) -> None:
    async with calling(SqliteBroker(tmp_path / "broker.db")) as caller:
        for id in (ONE, TWO, ONE, ONE):
            await QueueJobs(caller).finish_later(id)
        assert [row[0] for row in await anyio.to_thread.run_sync(jobs_in, tmp_path / "broker.db")] == [ONE, TWO]


@pytest.mark.parametrize("argument", ["../../etc/passwd", "", "A" * 32, "1" * 20, "1" * 50, 17, None, ["A" * 32]])
async def test_what_names_no_upload_is_dropped(
    tmp_path: Path, argument: object, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine()
    path = tmp_path / "broker.db"
    async with calling(SqliteBroker(path)) as caller, receiving(SqliteBroker(path), engine):
        foreign: AsyncKicker[Any, Any] = AsyncKicker(FINISH, caller, {})
        await foreign.kiq(argument)
        await QueueJobs(caller).finish_later(ONE)
        await until(lambda: engine.asked == [ONE])
    assert "names no upload" in caplog.text
    assert jobs_in(path) == []


async def test_small_uploads_go_together_and_each_is_finished_once(tmp_path: Path) -> None:
    engine, path = Engine(), tmp_path / "broker.db"
    ids = [UploadId(f"{n:032x}") for n in range(100)]
    async with calling(SqliteBroker(path)) as caller:
        jobs = QueueJobs(caller)
        for id in ids:
            jobs.finish_soon(id)
        await jobs.flush()
        assert len(await anyio.to_thread.run_sync(jobs_in, path)) == 2
        async with receiving(SqliteBroker(path), engine):
            await until(lambda: len(engine.asked) == len(ids))
    assert sorted(engine.asked) == ids
    assert jobs_in(path) == []


async def test_one_that_fails_holds_up_none_that_it_came_with(tmp_path: Path) -> None:
    async def fail_once(id: UploadId) -> None:
        if id == ONE and engine.asked.count(ONE) == 1:
            raise StorageFault

    engine, path = Engine(fail_once), tmp_path / "broker.db"
    async with (
        calling(SqliteBroker(path)) as caller,
        receiving(SqliteBroker(path, retry_first=0.1), engine),
    ):
        kicker: AsyncKicker[Any, Any] = AsyncKicker(FINISH, caller, {})
        await kicker.kiq([ONE, TWO])
        await until(lambda: engine.asked.count(ONE) == 2)
    assert engine.asked[:2] == [ONE, TWO]
    assert jobs_in(path) == []


async def test_a_queue_that_is_down_costs_small_uploads_nothing_but_a_hint(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with calling(SqliteBroker(tmp_path / "file" / "broker.db")) as broker:
        jobs = QueueJobs(broker)
        jobs.finish_soon(ONE)
        await jobs.flush()
        assert "queued again by the sweeper" in caplog.text
        (tmp_path / "file").unlink()
        jobs.finish_soon(TWO)
        await jobs.flush()
    rows = await anyio.to_thread.run_sync(jobs_in, tmp_path / "file" / "broker.db")
    assert [row[0] for row in rows] == [TWO]


async def test_what_fails_is_finished_later(tmp_path: Path) -> None:
    async def fail_once(id: UploadId) -> None:
        if len(engine.asked) == 1:
            raise StorageFault

    engine = Engine(fail_once)
    path = tmp_path / "broker.db"
    async with calling(SqliteBroker(path)) as caller, receiving(SqliteBroker(path, retry_first=0.1), engine):
        await QueueJobs(caller).finish_later(ONE)
        await until(lambda: engine.asked == [ONE, ONE])
    assert jobs_in(path) == []


async def test_background_work_goes_on_after_a_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[bool] = []

    async def sweep(given: Engine) -> None:
        seen.append(given is engine and given.is_open)
        if len(seen) == 1:
            raise StorageFault

    engine = Engine()
    async with receiving(SqliteBroker(tmp_path / "broker.db"), engine, background=[sweep], every=0.05):
        await until(lambda: len(seen) >= 3)
    assert all(seen)
    assert caplog.text.count("background work failed") == 1


async def test_an_engine_that_cannot_be_opened_ends_the_worker(tmp_path: Path) -> None:
    class Broken(Engine):
        async def __aenter__(self) -> Engine:
            raise StorageFault("no such disk")

        async def __aexit__(self, *_: object) -> None:
            """Never reached."""

    broker = SqliteBroker(tmp_path / "broker.db")
    work = register(broker, Broken)
    with anyio.fail_after(LONG), pytest.raises(StorageFault, match="no such disk"):
        await receive(broker, work, anyio.Event(), at_once=1)


# -- processes ------------------------------------------------------------------------------------


class Seat:
    """A worker process and what it says."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.process = process
        self.said = ""

    async def until_says(self, words: str) -> None:
        assert self.process.stdout is not None
        with anyio.fail_after(LONG):
            while words not in self.said:
                self.said += (await self.process.stdout.receive()).decode()

    async def end(self) -> int:
        assert self.process.stdout is not None
        self.process.send_signal(signal.SIGTERM)
        with anyio.fail_after(LONG):
            async for piece in self.process.stdout:
                self.said += piece.decode()
            return await self.process.wait()


@asynccontextmanager
async def seat(settings: Settings, *command: str, stuck: bool = False) -> AsyncIterator[Seat]:
    environ = os.environ | {"ONWARD_DATA": str(settings.data), "SEAT_STUCK": "yes" if stuck else ""}
    async with await anyio.open_process([sys.executable, *command], cwd=ROOT, env=environ, stderr=None) as process:
        try:
            yield Seat(process)
        finally:
            if process.returncode is None:
                process.kill()


async def test_sigterm_ends_a_worker_at_once_and_leaves_its_upload_to_another(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    async with (
        worker.open_jobs(settings) as jobs,
        seat(settings, "-m", "tests.integration.worker_seat", stuck=True) as it,
    ):
        await jobs.finish_later(ONE)
        await it.until_says(f"begun {ONE}")
        assert os.getpriority(os.PRIO_PROCESS, it.process.pid) >= worker.NICENESS
        assert await it.end() == 0
    assert it.said.splitlines()[-2:] == [f"left {ONE}", "closed"], "it was cut off"
    assert jobs_in(tmp_path / "broker.db") == [(ONE, "", 0.0, 0)], "others would have to wait"


async def test_taskiqs_own_command_opens_sweeps_finishes_and_closes(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    command = ("-m", "taskiq", "worker", "--workers", "1", "tests.integration.worker_seat:broker")
    async with worker.open_jobs(settings) as jobs, seat(settings, *command) as it:
        await jobs.finish_later(ONE)
        await it.until_says(f"left {ONE}")
        await it.until_says("swept")
        await until(lambda: _nothing_in(tmp_path / "broker.db"))
        await it.end()
    assert "opened" in it.said
    assert "closed" in it.said


async def _nothing_in(path: Path) -> bool:
    return await anyio.to_thread.run_sync(jobs_in, path) == []


# -- choosing the queue, and handing over ---------------------------------------------------------


def test_the_queue_that_settings_choose(tmp_path: Path) -> None:
    assert isinstance(make_broker(Settings(data=tmp_path)), SqliteBroker)
    assert isinstance(make_broker(Settings(queue_url="redis://:secret@queue.example")), DurableStreamBroker)
    with pytest.raises(SettingsError, match="without a password"):
        make_broker(Settings(queue_url="redis://queue.example"))
    assert isinstance(
        make_broker(Settings(queue_url="redis://queue.example", queue_insecure=True)), DurableStreamBroker
    )
    with pytest.raises(SettingsError, match="not the address"):
        make_broker(Settings(queue_url="redis://queue.example:port"))


def test_the_modules_broker_is_made_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONWARD_DATA", str(tmp_path))
    assert "broker" not in vars(worker)
    try:
        assert worker.broker is worker.broker
        assert FINISH in worker.broker.local_task_registry
    finally:
        vars(worker).pop("broker", None)
    with pytest.raises(AttributeError, match="no attribute 'brokr'"):
        _ = worker.brokr


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Accepts connections and never says a word."""
    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        yield f"redis://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"


async def test_a_silent_redis_holds_nobody_up() -> None:
    async with silent_server() as url, calling(DurableStreamBroker(url, timeout=0.2)) as broker:
        with pytest.raises(TimeoutError):
            await broker.ping()  # type: ignore[attr-defined]  # not every Taskiq broker can be asked
        with pytest.raises(SendTaskError) as caught:
            await QueueJobs(broker).finish_later(ONE)
        assert isinstance(caught.value.__cause__, TimeoutError)
    async with silent_server() as url, calling(DurableStreamBroker(url, timeout=60.0)) as broker:
        with pytest.raises(TimeoutError):
            await QueueJobs(broker, timeout=0.2).check()
        with pytest.raises(TimeoutError):
            await QueueJobs(broker, timeout=0.2).finish_later(ONE)


async def test_a_queue_on_a_broken_disk_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with calling(SqliteBroker(tmp_path / "file" / "broker.db")) as broker:
        with pytest.raises(OSError, match="file"):
            await QueueJobs(broker).check()
