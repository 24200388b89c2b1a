"""The worker: assembles, verifies and publishes what is sealed, as a Taskiq task.

``onward worker`` runs ``main``; ``taskiq worker onward.worker:broker`` does the same under
Taskiq's own supervision; ``register`` puts the task on a broker of yours.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar, runtime_checkable

import anyio
from taskiq import TaskiqEvents, TaskiqState
from taskiq.abc.broker import AsyncBroker
from taskiq.acks import AcknowledgeType
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver

from onward import config
from onward.broker.delivery import give_back
from onward.broker.sqlite import SqliteBroker
from onward.config import Settings, SettingsError
from onward.core.types import UploadId, is_id
from onward.engine.sweep import Sweeper, Teller

log = logging.getLogger("onward.worker")

FINISH: Final = "onward.finish"
"""Name of the task; its only argument is the id of an upload, or a list of ids of small ones."""

TOGETHER: Final = 64
"""Small uploads that one message names at most."""

GATHER: Final = 0.05
"""Seconds between two such messages of one process."""

SIDE_BY_SIDE: Final = 8
"""Uploads of one message that are seen to at a time."""

NICENESS: Final = 5
"""The least that a worker process is put behind others."""

_LEAVE_WITHIN: Final = 5.0
"""Seconds that interrupted work gets to leave what it is at."""


class Finisher(Protocol):
    """What the task needs of an engine."""

    async def finish(self, id: UploadId) -> None:
        """Assemble, verify and publish a sealed upload; at once done if that is nobody's or another's work."""


@runtime_checkable
class _Answers(Protocol):
    async def ping(self) -> None:
        """Raises if the queue cannot be reached."""


E = TypeVar("E", bound=Finisher)

OpenEngine = Callable[[], AbstractAsyncContextManager[E]]
"""Opens the engine that a worker process works with, and closes it."""

Background = Callable[[E], Awaitable[None]]
"""What a worker process does from time to time besides its queue, such as a sweep."""


class QueueJobs:
    """Hands sealed uploads to the worker through a broker; never waits longer than ``timeout`` seconds."""

    def __init__(self, broker: AsyncBroker, *, timeout: float = 2.0) -> None:
        self._broker = broker
        self._timeout = timeout
        self._soon: list[UploadId] = []
        self._sending: asyncio.Task[None] | None = None

    async def finish_later(self, id: UploadId) -> None:
        """Queue the upload, once as long as it waits. Raises ``SendTaskError`` or ``TimeoutError``."""
        task: AsyncKicker[Any, Any] = AsyncKicker(FINISH, self._broker, {})
        with anyio.fail_after(self._timeout):
            await task.with_task_id(id).kiq(id)

    def finish_soon(self, id: UploadId) -> None:
        """Queue the upload at once, or with others that come within ``GATHER`` seconds. What fails is logged."""
        self._soon.append(id)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_gathered())

    async def flush(self) -> None:
        """Return when whatever was gathered is queued, or has failed to be."""
        if self._sending is not None:
            await self._sending

    async def _send_gathered(self) -> None:
        try:
            while self._soon:
                some, self._soon = self._soon[:TOGETHER], self._soon[TOGETHER:]
                await self._send(some)
                if len(self._soon) < TOGETHER:
                    await asyncio.sleep(GATHER)
        except Exception as error:
            why = error.__cause__ or error
            log.warning("the queue cannot be reached (%r); small uploads are queued again by the sweeper", why)
            log.debug("why the queue cannot be reached", exc_info=True)
            self._soon.clear()
        finally:
            self._sending = None

    async def _send(self, ids: list[UploadId]) -> None:
        if len(ids) == 1:
            await self.finish_later(ids[0])
            return
        task: AsyncKicker[Any, Any] = AsyncKicker(FINISH, self._broker, {})
        with anyio.fail_after(self._timeout):
            await task.kiq(ids)

    async def check(self) -> None:
        """Raises if the queue does not answer in time. A broker that cannot be asked counts as reachable."""
        if isinstance(self._broker, _Answers):
            with anyio.fail_after(self._timeout):
                await self._broker.ping()


class Work(Generic[E]):
    """The work of one worker process: an open engine, executions that can be called off, background work."""

    def __init__(self, open_engine: OpenEngine[E], background: Sequence[Background[E]], every: float) -> None:
        self._open_engine = open_engine
        self._background = background
        self._every = every
        self._engine: E | None = None
        self._running: set[anyio.CancelScope] = set()
        self._called_off = False
        self._idle = asyncio.Event()
        self._close = asyncio.Event()
        self._host: asyncio.Task[None] | None = None

    async def start(self, _: TaskiqState) -> None:
        """Open the engine and begin the background work. Raises what opening raises."""
        self._called_off = False
        self._close.clear()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._host = asyncio.create_task(self._hold_open(opened))
        await asyncio.wait([self._host, opened], return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            failed, self._host = self._host, None
            await failed

    async def stop(self, _: TaskiqState) -> None:
        """Call off what runs, end the background work, close the engine."""
        self.call_off()
        with anyio.move_on_after(_LEAVE_WITHIN):
            while self._running:
                self._idle.clear()
                await self._idle.wait()
        self._close.set()
        if self._host is not None:
            await self._host
            self._host = None

    def call_off(self) -> None:
        """Cancel running executions and refuse further ones; their messages go to another worker."""
        self._called_off = True
        for scope in tuple(self._running):
            scope.cancel()

    async def finish(self, ids: object) -> None:
        """Execute one message. Whatever is raised has it delivered again later; called off, it is at once."""
        named = [UploadId(id) for id in (ids if isinstance(ids, list) else [ids]) if isinstance(id, str) and is_id(id)]
        if not named:
            log.error("a message that names no upload is dropped: %.80r", ids)
            return
        if self._engine is None:
            raise RuntimeError("the worker has no open engine")
        if self._called_off:
            give_back()
            return
        with anyio.CancelScope() as scope:
            self._running.add(scope)
            try:
                await self._finish_each(self._engine, named)
            finally:
                self._running.discard(scope)
                self._idle.set()
        if scope.cancelled_caught:
            log.info("upload %s is left to another worker", ", ".join(named))
            give_back()

    async def _finish_each(self, engine: E, ids: Sequence[UploadId]) -> None:
        """See to each of them, whatever becomes of the others; then raise what the first failure was."""
        left, failed = iter(ids), list[Exception]()

        async def go_on() -> None:
            for id in left:
                try:
                    await engine.finish(id)
                except Exception as error:  # noqa: BLE001, raised below
                    failed.append(error)

        if len(ids) == 1:
            await engine.finish(ids[0])
            return
        async with anyio.create_task_group() as group:
            for _ in range(SIDE_BY_SIDE):
                group.start_soon(go_on)
        if failed:
            raise failed[0]

    async def _hold_open(self, opened: asyncio.Future[None]) -> None:
        # One task enters and leaves the engine's contexts; Taskiq starts and stops in different ones.
        try:
            async with self._open_engine() as engine, anyio.create_task_group() as group:
                self._engine = engine
                for job in self._background:
                    group.start_soon(self._repeat, job, engine)
                opened.set_result(None)
                await self._close.wait()
                group.cancel_scope.cancel()
        finally:
            self._engine = None

    async def _repeat(self, job: Background[E], engine: E) -> None:
        while True:
            try:
                await job(engine)
            except Exception:
                log.exception("background work failed; it is tried again in %g s", self._every)
            await anyio.sleep(self._every)


def register(
    broker: AsyncBroker,
    open_engine: OpenEngine[E],
    *,
    background: Sequence[Background[E]] = (),
    every: float = 30.0,
) -> Work[E]:
    """Put the task on a broker, whose worker processes then open an engine and close it.

    Each of ``background`` is called with the engine, and again ``every`` seconds after it
    returned or raised.
    """
    work = Work(open_engine, background, every)

    async def finish(ids: str | list[str]) -> None:
        await work.finish(ids)

    broker.register_task(finish, task_name=FINISH)
    broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, work.start)
    broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, work.stop)
    return work


def make_broker(settings: Settings) -> AsyncBroker:
    """The queue that settings choose. Raises ``SettingsError`` for a Redis that anybody could write to."""
    if not settings.queue_url:
        return SqliteBroker(settings.data / "broker.db", at_once=settings.merges)
    # Imported here, so that who needs no Redis does not pay for its client: a quarter of a second, 20 MiB.
    from onward.broker.redis import DurableStreamBroker, exposed  # noqa: PLC0415, as said

    try:
        open_to_all = exposed(settings.queue_url)
    except ValueError:
        raise SettingsError("ONWARD_QUEUE_URL is not the address of a Redis", field="queue_url") from None
    if open_to_all and not settings.queue_insecure:
        raise SettingsError(
            "ONWARD_QUEUE_URL names a Redis on another host without a password; set one, or ONWARD_QUEUE_INSECURE=true",
            field="queue_url",
        )
    return DurableStreamBroker(settings.queue_url, at_once=settings.merges)


def queue_of(settings: Settings) -> str:
    """Where the queue is, for a person: without a password that its address may have."""
    if not settings.queue_url:
        return str(settings.data.resolve() / "broker.db")
    # The address was understood before this; whatever stands before the last @ is who, not where.
    scheme, _, rest = settings.queue_url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


@asynccontextmanager
async def open_jobs(settings: Settings) -> AsyncIterator[QueueJobs]:
    """The queue as a server uses it: to hand work over, not to execute it."""
    broker = make_broker(settings)
    await broker.startup()
    jobs = QueueJobs(broker)
    try:
        yield jobs
    finally:
        await jobs.flush()
        await broker.shutdown()


def equip(
    settings: Settings,
    *,
    open_engine: OpenEngine[Any] | None = None,
    background: Sequence[Background[Any]] | None = None,
) -> tuple[AsyncBroker, Work[Any]]:
    """The queue that settings choose, ready for a worker process: by default with their engine, swept."""
    broker = make_broker(settings)
    if open_engine is None:
        open_engine = partial(config.open_engine, settings, jobs=QueueJobs(broker))
    if background is None:
        background = (Sweeper(), Teller())
    return broker, register(broker, open_engine, background=background, every=settings.sweep_every)


async def receive(broker: AsyncBroker, work: Work[Any], stop: anyio.Event, *, at_once: int) -> None:
    """Execute messages until ``stop`` is set; running executions are then called off and go to another worker."""
    finish = asyncio.Event()

    async def watch() -> None:
        await stop.wait()
        work.call_off()
        finish.set()

    broker.is_worker_process = True
    receiver = Receiver(
        broker,
        max_async_tasks=at_once,
        ack_type=AcknowledgeType.WHEN_EXECUTED,
        wait_tasks_timeout=_LEAVE_WITHIN,
    )
    watching = asyncio.create_task(watch())
    try:
        await receiver.listen(finish)
    finally:
        watching.cancel()
        with anyio.CancelScope(shield=True):
            await broker.shutdown()


async def work(
    settings: Settings,
    stop: anyio.Event,
    *,
    open_engine: OpenEngine[Any] | None = None,
    background: Sequence[Background[Any]] | None = None,
    started: Callable[[], None] | None = None,
) -> None:
    """Be a worker process until ``stop`` is set; gone a few seconds later, whatever is being executed.

    ``open_engine`` and ``background`` stand in for the engine that settings choose and its sweeps.
    ``started`` is called once the engine is open and work can come.
    """
    # Behind servers of the same host; whoever started this process may have put it further behind.
    os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    broker, running = equip(settings, open_engine=open_engine, background=background)
    if started is not None:
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, lambda _: started())
    await receive(broker, running, stop, at_once=settings.merges)


async def main(
    settings: Settings,
    *,
    open_engine: OpenEngine[Any] | None = None,
    background: Sequence[Background[Any]] | None = None,
    started: Callable[[], None] | None = None,
) -> None:
    """Be a worker process, as ``work``, until SIGTERM or SIGINT."""
    stop = anyio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(settings, stop, open_engine=open_engine, background=background, started=started)


def __getattr__(name: str) -> AsyncBroker:
    if name != "broker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    built, _ = equip(config.load())
    globals()["broker"] = built  # one broker, however often it is asked for
    return built
