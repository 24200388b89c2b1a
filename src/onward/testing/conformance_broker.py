"""What every queue must do that Onward's worker listens to: subclass ``BrokerConformance`` in a test module.

Run as a program, this module is a worker that begins messages and never ends one, to be killed.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import pickle
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, NamedTuple

import anyio
import pytest
from taskiq.abc.broker import AsyncBroker
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver

TASK: Final = "conformance.work"

LONG: Final = 30.0
"""Seconds that nothing here takes; only so that a failure is not a hang."""

IDLE: Final = 1.5
"""Seconds after which a dead worker's message goes to another, in the brokers under test."""

RETRY_FIRST: Final = 0.2
"""Seconds before the first repetition, in the brokers under test."""

MAX_TRIES: Final = 3
"""Executions before a message is parked, in the brokers under test."""

Execute = Callable[[str], Awaitable[None]]


class Recipe(NamedTuple):
    """How any process makes a broker on the queue under test."""

    factory: str
    """``package.module:Class``"""
    options: Mapping[str, Any]

    def build(self) -> AsyncBroker:
        """A broker of its own."""
        module, _, name = self.factory.partition(":")
        made = getattr(importlib.import_module(module), name)(**self.options)
        assert isinstance(made, AsyncBroker)
        return made


class Queue(ABC):
    """The queue under test, looked at from outside. Made with ``IDLE``, ``RETRY_FIRST``, ``MAX_TRIES``."""

    recipe: Recipe

    @abstractmethod
    async def waiting(self) -> int:
        """Messages that are not acknowledged yet, also those being executed."""

    @abstractmethod
    async def parked(self) -> int:
        """Messages put aside."""

    @abstractmethod
    async def plant(self, data: bytes) -> None:
        """Put a message there without the broker."""

    @abstractmethod
    def away(self) -> AbstractAsyncContextManager[None]:
        """Nobody can queue anything in this block."""


class Log:
    """What was executed, in order of begin; waits for it."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.times: list[float] = []

    def note(self, name: str) -> None:
        """An execution begins."""
        self.begun.append(name)
        self.times.append(time.monotonic())

    async def execute(self, name: str) -> None:
        """Only note it."""
        self.note(name)

    async def until(self, *names: str) -> None:
        """Wait until each name was begun at least as often as it is given."""
        await until(lambda: Counter(names) <= Counter(self.begun), f"{names}, only {self.begun} were executed")


async def until(reached: Callable[[], bool] | Callable[[], Awaitable[bool]], what: str = "it") -> None:
    """Wait until something holds; fails after ``LONG`` seconds."""
    with anyio.move_on_after(LONG):
        while True:
            found = reached()
            if found if isinstance(found, bool) else await found:
                return
            await anyio.sleep(0.02)
    pytest.fail(f"waited {LONG:g} s for {what}")


def with_task(broker: AsyncBroker, execute: Execute) -> AsyncBroker:
    """Register what is executed for each message."""

    async def work(name: str) -> None:
        await execute(name)

    broker.register_task(work, task_name=TASK)
    return broker


async def kick(broker: AsyncBroker, name: str) -> None:
    """Queue a message whose Taskiq id is its argument, as Onward does."""
    kicker: AsyncKicker[Any, Any] = AsyncKicker(TASK, broker, {})
    await kicker.with_task_id(name).kiq(name)


@asynccontextmanager
async def listening(broker: AsyncBroker, execute: Execute, *, at_once: int = 4) -> AsyncIterator[AsyncBroker]:
    """A worker in this process, for the length of the block."""
    finish = asyncio.Event()
    with_task(broker, execute)
    broker.is_worker_process = True
    receiver = Receiver(broker, max_async_tasks=at_once)
    async with anyio.create_task_group() as group:
        group.start_soon(receiver.listen, finish)
        try:
            yield broker
        finally:
            with anyio.CancelScope(shield=True):
                finish.set()
                await broker.shutdown()


@asynccontextmanager
async def calling(broker: AsyncBroker) -> AsyncIterator[AsyncBroker]:
    """A process that queues, for the length of the block."""
    await broker.startup()
    try:
        yield broker
    finally:
        await broker.shutdown()


@asynccontextmanager
async def doomed(recipe: Recipe) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """A worker process that never ends an execution; killed with SIGKILL when the block ends.

    Yields a function that waits until it has begun so many.
    """
    order = json.dumps([recipe.factory, dict(recipe.options)])
    async with await anyio.open_process([sys.executable, "-m", __name__, order], stderr=None) as process:
        assert process.stdout is not None
        output = process.stdout
        begun = 0

        async def has_begun(count: int) -> None:
            nonlocal begun
            with anyio.fail_after(LONG):
                while begun < count:
                    begun += (await output.receive()).count(b"\n")

        try:
            yield has_begun
        finally:
            process.kill()


class BrokerConformance:
    """Subclass it and give it a fixture ``queue``."""

    @pytest.fixture
    @abstractmethod
    def queue(self) -> Queue:
        """An empty queue."""
        raise NotImplementedError

    async def _emptied(self, queue: Queue) -> None:
        async def empty() -> bool:
            return await queue.waiting() == 0

        await until(empty, "an empty queue")

    async def test_a_message_is_executed_once_and_leaves_nothing(self, queue: Queue) -> None:
        log = Log()
        names = [f"m{number}" for number in range(20)]
        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), log.execute):
            for name in names:
                await kick(caller, name)
            await log.until(*names)
            await self._emptied(queue)
        assert Counter(log.begun) == Counter(names)
        assert await queue.parked() == 0

    async def test_kicked_before_any_worker_ever_listened(self, queue: Queue) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as caller:
            await kick(caller, "early")
        async with listening(queue.recipe.build(), log.execute):
            await log.until("early")

    async def test_kicked_again_while_it_waits_is_executed_once(self, queue: Queue) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as one, calling(queue.recipe.build()) as two:
            for caller in (one, two, one):
                await kick(caller, "same")
            assert await queue.waiting() == 1
            async with listening(queue.recipe.build(), log.execute):
                await self._emptied(queue)
                await kick(one, "last")
                await log.until("last")
        assert log.begun == ["same", "last"]

    async def test_kicked_again_while_it_is_executed_is_executed_again(self, queue: Queue) -> None:
        log, go_on = Log(), anyio.Event()

        async def execute(name: str) -> None:
            log.note(name)
            await go_on.wait()

        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), execute):
            await kick(caller, "same")
            await log.until("same")
            await kick(caller, "same")
            go_on.set()
            await log.until("same", "same")
            await self._emptied(queue)
        assert log.begun == ["same", "same"]

    async def test_a_killed_workers_messages_go_to_another_on_an_idle_queue(self, queue: Queue) -> None:
        log = Log()
        async with calling(queue.recipe.build()) as caller:
            async with doomed(queue.recipe) as has_begun:
                await kick(caller, "one")
                await kick(caller, "two")
                await has_begun(2)
            async with listening(queue.recipe.build(), log.execute):
                await log.until("one", "two")
                await self._emptied(queue)
        assert Counter(log.begun) == Counter(["one", "two"])

    async def test_what_takes_longer_than_the_idle_time_is_executed_once(self, queue: Queue) -> None:
        log, ended = Log(), anyio.Event()

        async def execute(name: str) -> None:
            log.note(name)
            await anyio.sleep(2.5 * IDLE)
            ended.set()

        async with (
            calling(queue.recipe.build()) as caller,
            listening(queue.recipe.build(), execute),
            listening(queue.recipe.build(), execute),
        ):
            await kick(caller, "slow")
            await log.until("slow")
            with anyio.fail_after(LONG):
                await ended.wait()
            await self._emptied(queue)
        assert log.begun == ["slow"]

    async def test_a_failure_is_repeated_later_each_time(self, queue: Queue) -> None:
        log = Log()

        async def execute(name: str) -> None:
            log.note(name)
            if len(log.begun) < MAX_TRIES:
                raise OSError("no luck")

        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), execute):
            await kick(caller, "hard")
            await log.until(*["hard"] * MAX_TRIES)
            await self._emptied(queue)
        assert await queue.parked() == 0
        first, second, third = log.times
        assert second - first >= 0.9 * RETRY_FIRST, "repeated without a pause"
        assert third - second >= 1.8 * RETRY_FIRST, "the pause did not grow"

    async def test_what_always_fails_is_parked(self, queue: Queue) -> None:
        log = Log()

        async def execute(name: str) -> None:
            log.note(name)
            raise OSError("no luck")

        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), execute):
            await kick(caller, "hopeless")
            await self._emptied(queue)
        assert log.begun == ["hopeless"] * MAX_TRIES
        assert await queue.parked() == 1

    async def test_what_is_called_off_goes_to_the_next_at_once(self, queue: Queue) -> None:
        log = Log()

        async def execute(name: str) -> None:
            log.note(name)
            if len(log.begun) <= MAX_TRIES:
                raise asyncio.CancelledError

        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), execute):
            await kick(caller, "postponed")
            await self._emptied(queue)
        assert log.begun == ["postponed"] * (MAX_TRIES + 1), "being called off is not a failure"
        assert await queue.parked() == 0

    async def test_foreign_messages_are_parked_and_never_executed(
        self, queue: Queue, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = Log()
        foreign = [
            b"\xff\x00 no message",
            b"[" * 60_000,
            b"{}",
            _message() + b" " * 100_000,
            pickle.dumps(_Trap()),
            _message(task_name="os:system"),
        ]
        async with calling(queue.recipe.build()) as caller:
            for data in foreign:
                await queue.plant(data)
            await kick(caller, "ours")
            async with listening(queue.recipe.build(), log.execute):
                await log.until("ours")
                await self._emptied(queue)
        assert log.begun == ["ours"]
        assert await queue.parked() == len(foreign)
        assert "TRAPPED" not in capsys.readouterr().out

    async def test_labels_of_a_message_are_not_obeyed(self, queue: Queue) -> None:
        log = Log()
        await queue.plant(_message(labels={"ack_type": "nonsense", "timeout": "never"}))
        async with listening(queue.recipe.build(), log.execute):
            await log.until("planted")
            await self._emptied(queue)

    async def test_a_worker_outlives_the_queue_being_away_and_kicking_then_raises(self, queue: Queue) -> None:
        log, go_on = Log(), anyio.Event()

        async def execute(name: str) -> None:
            log.note(name)
            if name == "through":
                await go_on.wait()
                log.note("ended")

        async with calling(queue.recipe.build()) as caller, listening(queue.recipe.build(), execute):
            await kick(caller, "through")
            await log.until("through")
            async with queue.away():
                with anyio.fail_after(LONG), pytest.raises(Exception, match="Cannot send task"):
                    await kick(caller, "lost")
                go_on.set()
                await log.until("ended")
            await kick(caller, "after")
            await log.until("after")

    async def test_no_more_than_its_share_is_taken(self, queue: Queue) -> None:
        log, others, go_on = Log(), Log(), anyio.Event()

        async def execute(name: str) -> None:
            log.note(name)
            await go_on.wait()

        options = {**queue.recipe.options, "at_once": 1}
        modest = queue.recipe._replace(options=options).build()
        async with calling(queue.recipe.build()) as caller, listening(modest, execute):
            await kick(caller, "mine")
            await log.until("mine")
            await kick(caller, "theirs")
            async with listening(queue.recipe.build(), others.execute):
                await others.until("theirs")
            go_on.set()
            await self._emptied(queue)
        assert log.begun == ["mine"]


class _Trap:
    """Unpickled, it shows."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return print, ("TRAPPED",)


def _message(*, task_name: str = TASK, labels: Mapping[str, str] | None = None) -> bytes:
    content = {"task_id": "planted", "task_name": task_name, "labels": labels or {}, "args": ["planted"], "kwargs": {}}
    return json.dumps(content).encode()


async def _never_end(order: str) -> None:
    factory, options = json.loads(order)

    async def execute(name: str) -> None:
        sys.stdout.write(name + "\n")
        sys.stdout.flush()
        await anyio.sleep_forever()

    async with listening(Recipe(factory, options).build(), execute):
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(_never_end, sys.argv[1])
