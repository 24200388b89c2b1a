"""What every queue of Onward shares: which messages are executed, and what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, Final, Generic, NamedTuple, TypeVar

from taskiq import TaskiqMessage, TaskiqMiddleware, TaskiqResult
from taskiq.abc.broker import AsyncBroker
from taskiq.exceptions import NoResultError

Key = TypeVar("Key", int, str)

MAX_MESSAGE: Final = 64 * 1024
"""Most bytes of a message; Onward's own have about 200."""


class Poison(NamedTuple):
    """A message must not be executed."""

    reason: str


class Admitted(NamedTuple):
    """A message may be executed: its Taskiq id, and what to give to Taskiq."""

    key: str
    data: bytes


def admit(broker: AsyncBroker, data: bytes | None, *, tries: int, max_tries: int) -> Admitted | Poison:
    """Whether a message that came out of a queue for the ``tries``-th time is executed.

    Only tasks registered with this very broker are taken, and labels (which can change
    time-outs and acknowledgement) come from the registered task, never from the message.
    """
    if data is None or len(data) > MAX_MESSAGE:
        return Poison("is no message of ours")
    try:
        message = broker.formatter.loads(data)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises over foreign bytes means the same
        return Poison(f"cannot be decoded ({type(error).__name__})")
    task = broker.local_task_registry.get(message.task_name)
    if task is None:
        return Poison("names no task of ours")
    if tries > max_tries:
        return Poison(f"was tried {tries - 1} times")
    clean = message.model_copy(update={"labels": dict(task.labels), "labels_types": None})
    return Admitted(message.task_id, broker.formatter.dumps(clean).message)


_failure: ContextVar[BaseException | None] = ContextVar("onward_failure", default=None)


class Outcome(TaskiqMiddleware):
    """Remembers, in the context of one execution, that it failed.

    Taskiq acknowledges failed tasks as well; with this a queue can tell the two apart.
    """

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        """Called by Taskiq in the asyncio task that will acknowledge the message."""
        if not isinstance(exception, NoResultError):
            _failure.set(exception)


def failure() -> BaseException | None:
    """What the execution that is being acknowledged failed with, or ``None`` if it succeeded."""
    return _failure.get()


def give_back() -> None:
    """Have the message that is being executed here delivered again at once, as if nobody had tried."""
    _failure.set(asyncio.CancelledError())


def interrupted(error: BaseException) -> bool:
    """True if the execution was called off, so that it says nothing about the message."""
    return isinstance(error, asyncio.CancelledError)


def retry_delay(tries: int, first: float, most: float) -> float:
    """Seconds until a message that failed ``tries`` times is executed again: doubling, up to ``most``."""
    return min(most, first * 2.0 ** min(tries - 1, 30))


def leave_if_cancelled() -> None:
    """Raise ``CancelledError`` if this task was cancelled and something it awaited swallowed that.

    Before Python 3.12 ``asyncio.wait_for``, which vendors use, does so when what it waits for
    ends at the same moment; a loop without end would then never be left.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


class Held(Generic[Key]):
    """The messages that this process executes, by their id in the queue, at most ``limit`` at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: set[Key] = set()
        self._dropped = asyncio.Event()

    def __contains__(self, id: Key) -> bool:
        return id in self._ids

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._ids))

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, id: Key) -> None:
        """A message begins to be executed."""
        self._ids.add(id)

    def drop(self, id: Key) -> None:
        """It was acknowledged or given back. Missing is not an error."""
        self._ids.discard(id)
        self._dropped.set()

    async def room(self) -> None:
        """Return when there is room for one more."""
        await self._until(lambda: len(self._ids) < self._limit)

    async def empty(self, seconds: float) -> None:
        """Return when nothing is held, or after ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(lambda: not self._ids)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._dropped.clear()
            await self._dropped.wait()


class Outage:
    """Says once that the queue cannot be reached, and once that it can be again."""

    def __init__(self, logger: logging.Logger, *, first: float = 0.1, most: float = 5.0) -> None:
        self._logger = logger
        self._first = first
        self._most = most
        self._failures = 0

    def failed(self, error: BaseException) -> float:
        """Note a failure; returns the seconds to wait before the next try."""
        self._failures += 1
        if self._failures == 1:
            self._logger.warning("the queue cannot be used: %s: %s; will keep trying", type(error).__name__, error)
        return retry_delay(self._failures, self._first, self._most)

    def over(self) -> None:
        """Note that the queue answered."""
        if self._failures:
            self._logger.warning("the queue can be used again, after %d failures", self._failures)
        self._failures = 0
