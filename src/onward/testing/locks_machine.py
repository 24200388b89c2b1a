"""Random histories of taking, waiting, leaving and giving up, against a model of one line per upload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import anyio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from onward.core.types import UploadId
from onward.ports import FINISH, WHOLE, Locks, Span

LONG: Final = 30.0

spans = st.one_of(
    st.builds(lambda start, size: (start, start + size), st.integers(0, 12), st.integers(1, 6)),
    st.sampled_from([WHOLE, FINISH]),
)
places = st.integers(0, 2**16)


class _Entry:
    """One claim: what the model knows of it, and the task that makes it for real."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.leave = asyncio.Event()
        self.holds = False
        self.task: asyncio.Task[None] | None = None

    async def run(self, locks: Locks, id: UploadId, *, revoke: bool) -> None:
        async with locks.hold(id, self.span, timeout=LONG, revoke=revoke):
            self.holds = True
            try:
                await self.leave.wait()
            finally:
                self.holds = False


def _overlap(a: Span, b: Span) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])


class LinesOfSpans(RuleBasedStateMachine):
    """The model: a claim holds as soon as no claim before it, holding or waiting, overlaps it."""

    def __init__(self, locks: Locks, id: UploadId) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._locks = locks
        self._id = id
        self._line: list[_Entry] = []

    @rule(span=spans, revoke=st.booleans())
    def come(self, span: Span, *, revoke: bool) -> None:
        """Somebody new wants a span."""
        self._runner.run(self._come(span, revoke=revoke))

    @precondition(lambda self: self._line)
    @rule(place=places)
    def leave(self, place: int) -> None:
        """A holder leaves; who still waits is cancelled."""
        entry = self._line.pop(place % len(self._line))
        self._runner.run(self._end(entry, cancel=not entry.holds))

    @precondition(lambda self: self._line)
    @rule(place=places)
    def cut(self, place: int) -> None:
        """A task is cancelled, whether it holds or waits."""
        self._runner.run(self._end(self._line.pop(place % len(self._line)), cancel=True))

    @rule()
    def forget(self) -> None:
        """Forgetting changes nothing for those who are there."""
        self._runner.run(self._locks.forget(self._id))

    @invariant()
    def those_hold_who_should(self) -> None:
        """Exactly those of the model hold, hence never two that overlap."""
        expected = [self._is_first(index) for index in range(len(self._line))]
        self._runner.run(self._settle(expected))
        assert [entry.holds for entry in self._line] == expected
        held = [entry.span for entry in self._line if entry.holds]
        assert not any(_overlap(a, b) for index, a in enumerate(held) for b in held[index + 1 :])

    def teardown(self) -> None:
        """End all tasks and close the locks."""
        while self._line:
            self._runner.run(self._end(self._line.pop(), cancel=True))
        self._runner.run(self._locks.close())
        self._runner.close()

    def _is_first(self, index: int) -> bool:
        return not any(_overlap(earlier.span, self._line[index].span) for earlier in self._line[:index])

    async def _come(self, span: Span, *, revoke: bool) -> None:
        entry = _Entry(span)
        entry.task = asyncio.create_task(entry.run(self._locks, self._id, revoke=revoke))
        self._line.append(entry)
        await asyncio.sleep(0)

    async def _end(self, entry: _Entry, *, cancel: bool) -> None:
        assert entry.task is not None
        if cancel:
            entry.task.cancel()
        entry.leave.set()
        with suppress(asyncio.CancelledError):
            await entry.task

    async def _settle(self, expected: list[bool]) -> None:
        """Give tasks their turns until they stand as expected, or clearly never will."""
        with anyio.move_on_after(LONG / 3):
            for turn in range(1_000_000):
                if turn > 2 and [entry.holds for entry in self._line] == expected:
                    return
                await asyncio.sleep(0 if turn < 20 else 0.005)


def machine_over(fresh: Callable[[], tuple[Locks, UploadId]]) -> type[LinesOfSpans]:
    """A machine whose every run works on locks and an upload of its own, and closes the locks."""

    class Machine(LinesOfSpans):
        def __init__(self) -> None:
            super().__init__(*fresh())

    return Machine
