"""What every ``Locks`` must do, as tests: subclass ``LocksConformance`` in a test module."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from onward.core.types import UploadId
from onward.errors import Locked
from onward.ports import FINISH, LAST_KEY, WHOLE, Locks, Span
from onward.testing.locks_machine import machine_over

LONG: Final = 30.0
"""Seconds that nothing here takes; only so that a failure is not a hang."""

ID: Final = UploadId("0123456789abcdefghijklmnopqrstuv")
OTHER: Final = UploadId("vutsrqponmlkjihgfedcba9876543210")
FIRST: Final[Span] = (0, 100)
SECOND: Final[Span] = (100, 200)
ACROSS: Final[Span] = (50, 150)


class Holder:
    """A task that takes a span, says so, and keeps it until told to leave."""

    def __init__(self, locks: Locks, id: UploadId, span: Span, *, revoke: bool = False) -> None:
        self._locks = locks
        self._id = id
        self._span = span
        self._revoke = revoke
        self.held = anyio.Event()
        self.revoked = False
        self.leave = anyio.Event()
        self.left = anyio.Event()

    async def run(self) -> None:
        """Hold until told to leave."""
        async with self._locks.hold(self._id, self._span, timeout=LONG, revoke=self._revoke):
            self.held.set()
            await self.leave.wait()
        self.left.set()

    async def run_until_revoked(self) -> None:
        """Hold until asked back."""
        async with self._locks.hold(self._id, self._span, timeout=LONG, revoke=self._revoke) as lease:
            self.held.set()
            await lease.revoked.wait()
            self.revoked = True
        self.left.set()

    async def has_left(self) -> None:
        """Tell it to leave and see it gone."""
        self.leave.set()
        await self.left.wait()


async def is_free(locks: Locks, id: UploadId, span: Span) -> bool:
    """True if the span can be had this moment, which must be what the locks say of it."""
    said = locks.is_free(id, span)
    try:
        async with locks.hold(id, span, timeout=0):
            found = True
    except Locked:
        found = False
    assert said is found
    return found


async def waiting(group: anyio.abc.TaskGroup, holder: Holder) -> Holder:
    """Start a holder and let it get as far as its place in the line."""
    group.start_soon(holder.run)
    await anyio.wait_all_tasks_blocked()
    return holder


class LocksConformance:
    """The contract of ``onward.ports.Locks``, seen from one process.

    A subclass says how its locks are made. Needs anyio's pytest plugin and the
    ``anyio_backend`` it asks for.
    """

    pytestmark = pytest.mark.anyio

    @abstractmethod
    def make(self, directory: Path) -> Locks:
        """New locks; those of the same directory exclude each other if the backend spans processes."""

    @pytest.fixture
    async def locks(self, tmp_path: Path) -> AsyncIterator[Locks]:
        """The locks under test, closed afterwards."""
        made = self.make(tmp_path)
        yield made
        await made.close()

    async def test_spans_that_do_not_overlap_are_held_side_by_side(self, locks: Locks) -> None:
        async with AsyncExitStack() as held:
            for start in range(0, 1000, 100):
                await held.enter_async_context(locks.hold(ID, (start, start + 100), timeout=0))
            await held.enter_async_context(locks.hold(ID, FINISH, timeout=0))

    @pytest.mark.parametrize(("taken", "wanted"), [(FIRST, FIRST), (FIRST, ACROSS), (ACROSS, SECOND), (WHOLE, FIRST)])
    async def test_overlapping_spans_exclude_each_other(self, locks: Locks, taken: Span, wanted: Span) -> None:
        for held, refused in [(taken, wanted), (wanted, taken)]:
            async with locks.hold(ID, held, timeout=0):
                assert not await is_free(locks, ID, refused)
            assert await is_free(locks, ID, refused)

    async def test_uploads_do_not_disturb_each_other(self, locks: Locks) -> None:
        async with locks.hold(ID, WHOLE, timeout=0):
            assert await is_free(locks, OTHER, WHOLE)

    async def test_the_finisher_and_writers_do_not_disturb_each_other(self, locks: Locks) -> None:
        async with locks.hold(ID, FINISH, timeout=0):
            assert await is_free(locks, ID, WHOLE)
            assert not await is_free(locks, ID, FINISH)
        async with locks.hold(ID, WHOLE, timeout=0):
            assert await is_free(locks, ID, FINISH)

    async def test_waiters_are_served_in_order(self, locks: Locks) -> None:
        served: list[int] = []

        async def wait_for_it(number: int) -> None:
            async with locks.hold(ID, ACROSS, timeout=LONG):
                served.append(number)
                await anyio.lowlevel.checkpoint()

        async with anyio.create_task_group() as group, locks.hold(ID, ACROSS, timeout=0):
            for number in range(10):
                group.start_soon(wait_for_it, number)
                await anyio.wait_all_tasks_blocked()
            assert served == []
        assert served == list(range(10))

    async def test_who_waits_for_all_is_not_overtaken(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group:
            first = await waiting(group, Holder(locks, ID, FIRST))
            second = await waiting(group, Holder(locks, ID, SECOND))
            whole = await waiting(group, Holder(locks, ID, WHOLE))
            newcomer = await waiting(group, Holder(locks, ID, (300, 400)))
            assert (first.held.is_set(), second.held.is_set()) == (True, True)
            assert (whole.held.is_set(), newcomer.held.is_set()) == (False, False)
            await first.has_left()
            await anyio.wait_all_tasks_blocked()
            assert (whole.held.is_set(), newcomer.held.is_set()) == (False, False)
            await second.has_left()
            await whole.held.wait()
            await anyio.wait_all_tasks_blocked()
            assert not newcomer.held.is_set()
            await whole.has_left()
            await newcomer.held.wait()
            await newcomer.has_left()

    async def test_who_waits_in_vain_is_told_to_come_again(self, locks: Locks) -> None:
        async with locks.hold(ID, FIRST, timeout=0):
            for timeout in (0, 0.05):
                with pytest.raises(Locked) as refused:
                    async with locks.hold(ID, FIRST, timeout=timeout):
                        pytest.fail("held twice")
                assert refused.value.facts["retry_after"] == 1
        assert await is_free(locks, ID, WHOLE)

    async def test_who_gives_up_waiting_stands_in_nobodys_way(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group, locks.hold(ID, FIRST, timeout=0):
            with pytest.raises(Locked):
                async with locks.hold(ID, WHOLE, timeout=0.05):
                    pytest.fail("held twice")
            with anyio.move_on_after(0.05) as cut:
                async with locks.hold(ID, WHOLE, timeout=LONG):
                    pytest.fail("held twice")
            assert cut.cancelled_caught
            behind = Holder(locks, ID, SECOND)
            group.start_soon(behind.run)
            await behind.held.wait()
            await behind.has_left()

    async def test_a_waiter_that_is_cancelled_lets_those_behind_it_pass(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group, locks.hold(ID, FIRST, timeout=0):
            async with anyio.create_task_group() as doomed:
                await waiting(doomed, Holder(locks, ID, WHOLE))
                behind = await waiting(group, Holder(locks, ID, SECOND))
                assert not behind.held.is_set()
                doomed.cancel_scope.cancel()
            await behind.held.wait()
            await behind.has_left()

    async def test_an_exception_gives_the_span_back(self, locks: Locks) -> None:
        with pytest.raises(ZeroDivisionError):
            async with locks.hold(ID, FIRST, timeout=0):
                raise ZeroDivisionError
        assert await is_free(locks, ID, WHOLE)

    async def test_cancelling_gives_the_span_back(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group:
            holder = await waiting(group, Holder(locks, ID, FIRST))
            await holder.held.wait()
            group.cancel_scope.cancel()
        assert await is_free(locks, ID, WHOLE)

    async def test_a_newcomer_can_ask_overlapping_holders_to_leave(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group:
            asked, spared = Holder(locks, ID, FIRST), Holder(locks, ID, SECOND)
            group.start_soon(asked.run_until_revoked)
            group.start_soon(spared.run_until_revoked)
            await asked.held.wait()
            await spared.held.wait()
            async with locks.hold(ID, (0, 1), timeout=LONG, revoke=True) as lease:
                assert not lease.revoked.is_set()
                assert (asked.revoked, spared.revoked) == (True, False)
            group.cancel_scope.cancel()

    async def test_nobody_is_asked_to_leave_unless_the_newcomer_says_so(self, locks: Locks) -> None:
        async with locks.hold(ID, FIRST, timeout=0) as lease:
            assert not await is_free(locks, ID, FIRST)
            assert not lease.revoked.is_set()

    async def test_asking_back_does_not_need_waiting(self, locks: Locks) -> None:
        async with locks.hold(ID, FIRST, timeout=0) as lease:
            with pytest.raises(Locked):
                async with locks.hold(ID, WHOLE, timeout=0, revoke=True):
                    pytest.fail("held twice")
            assert lease.revoked.is_set()

    async def test_who_was_waiting_before_a_newcomer_is_asked_to_leave_too(self, locks: Locks) -> None:
        async with anyio.create_task_group() as group:
            before = Holder(locks, ID, FIRST)
            async with locks.hold(ID, FIRST, timeout=0):
                group.start_soon(before.run_until_revoked)
                await anyio.wait_all_tasks_blocked()
                newcomer = await waiting(group, Holder(locks, ID, FIRST, revoke=True))
            await newcomer.held.wait()
            assert before.revoked
            await newcomer.has_left()

    async def test_forgetting_does_nothing_to_a_holder(self, locks: Locks) -> None:
        async with locks.hold(ID, FIRST, timeout=0) as lease:
            await locks.forget(ID)
            assert not await is_free(locks, ID, FIRST)
            assert await is_free(locks, ID, SECOND)
            assert not lease.revoked.is_set()

    async def test_what_was_forgotten_can_be_held_again(self, locks: Locks) -> None:
        for _ in range(3):
            async with locks.hold(ID, WHOLE, timeout=0):
                assert not await is_free(locks, ID, FIRST)
            await locks.forget(ID)
        await locks.forget(OTHER)

    async def test_an_empty_span_is_refused(self, locks: Locks) -> None:
        for span in [(5, 5), (6, 5), (-1, 5), (0, LAST_KEY + 1)]:
            with pytest.raises(ValueError, match="span"):
                async with locks.hold(ID, span, timeout=0):
                    pytest.fail("held nothing")

    async def test_nothing_leaks(self, locks: Locks) -> None:
        async with locks.hold(OTHER, FIRST, timeout=0):
            before = await anyio.to_thread.run_sync(open_files)
            for number in range(1000):
                upload = UploadId(f"{number:032d}")
                async with locks.hold(upload, FIRST, timeout=0):
                    assert not await is_free(locks, upload, WHOLE)
                await locks.forget(upload)
            assert await anyio.to_thread.run_sync(open_files) == before

    def test_holders_never_overlap_whatever_happens(self, tmp_path: Path) -> None:
        numbers = count()

        def fresh() -> tuple[Locks, UploadId]:
            return self.make(tmp_path), UploadId(f"{next(numbers):032d}")

        run_state_machine_as_test(
            machine_over(fresh), settings=settings(deadline=None, max_examples=50, stateful_step_count=30)
        )


def open_files() -> Counter[str]:
    """What this process has open, by kind or path."""
    found: Counter[str] = Counter()
    with os.scandir("/proc/self/fd") as entries:
        for entry in entries:
            try:
                found[os.readlink(entry.path)] += 1
            except FileNotFoundError:  # the descriptor of this very listing
                continue
    return found
