"""The journals do what every journal must, and the same as each other."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from onward.core.types import (
    AnyEvent,
    ClientName,
    Damaged,
    Declaration,
    Declared,
    Failed,
    Phase,
    Published,
    Removed,
    Sealed,
    State,
)
from onward.errors import VersionConflict
from onward.journal.memory import MemoryJournal
from onward.journal.sqlite import SqliteJournal
from onward.ports import Due, WorkDone
from onward.testing.conformance_catalog import UNKNOWN, CatalogConformance
from onward.testing.conformance_journal import SHA, JournalConformance, Kept, created, stored, upload_id


@pytest.fixture
def sqlite_journal(tmp_path: Path) -> SqliteJournal:
    return SqliteJournal(tmp_path / "onward.db")


class TestSqlite(JournalConformance, CatalogConformance):
    @pytest.fixture
    async def journal(self, sqlite_journal: SqliteJournal) -> AsyncIterator[SqliteJournal]:
        yield sqlite_journal
        await sqlite_journal.close()


class TestMemory(JournalConformance, CatalogConformance):
    @pytest.fixture
    async def journal(self) -> AsyncIterator[MemoryJournal]:
        memory = MemoryJournal()
        yield memory
        await memory.close()


UPLOADS = st.integers(0, 4).map(upload_id)
OWNERS = st.sampled_from([None, "", "a"])
TIMES = st.integers(0, 6).map(float)
STATES = st.lists(st.sampled_from(State), max_size=3)
EVENTS = st.lists(
    st.one_of(
        st.builds(stored, st.integers(0, 9), st.integers(0, 9)),
        st.sampled_from(
            [
                Declared(declared=Declaration(length=20)),
                Sealed(length=20, parts=1),
                Damaged(keys=(0,), size=3),
                Published(ref="r", size=20, digest=SHA),
                Failed(code="overrun"),
                Removed(reason="expired"),
                UNKNOWN,
            ]
        ),
    ),
    max_size=3,
)


class Agreement(RuleBasedStateMachine):
    """Whatever is asked of both journals, both say the same."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.both: tuple[Kept, Kept] = (SqliteJournal(Path(self.directory.name) / "onward.db"), MemoryJournal())
        self.runner = asyncio.Runner()

    def teardown(self) -> None:
        for journal in self.both:
            self.runner.run(journal.close())
        self.runner.close()
        self.directory.cleanup()

    def agree(self, *calls: Coroutine[Any, Any, object]) -> Any:
        answers: list[object] = []
        for call in calls:
            try:
                answers.append(self.runner.run(call))
            except (VersionConflict, TypeError) as error:
                answers.append((type(error), getattr(error, "facts", None)))
        assert answers[0] == answers[1]
        return answers[0]

    @rule(
        one=UPLOADS,
        owner=OWNERS,
        name=st.sampled_from([None, "m", "n"]),
        key=st.sampled_from([None, "k"]),
        replaces=st.none() | UPLOADS,
        at=TIMES,
        more=EVENTS,
        sources=st.lists(UPLOADS, max_size=3),
    )
    def create(
        self, *, one: Any, owner: Any, name: Any, key: Any, replaces: Any, at: float, more: Any, sources: Any
    ) -> None:
        self.agree(
            *(
                journal.create(
                    one,
                    [created(one, length=9, owner=owner, name=name, sources=sources), *more],
                    at=at,
                    name=None if name is None else ClientName(owner, name),
                    replaces=replaces,
                    key=None if key is None else (owner, key),
                    sync=False,
                )
                for journal in self.both
            )
        )

    @rule(one=UPLOADS, events=EVENTS, at=TIMES, off=st.sampled_from([0, 0, 0, 1, -1]))
    def append(self, one: Any, events: Sequence[AnyEvent], at: float, off: int) -> None:
        version = len(self.runner.run(self.both[1].read(one))) + off
        self.agree(*(journal.append(one, events, version=version, at=at, sync=False) for journal in self.both))

    @rule(one=UPLOADS)
    def drop(self, one: Any) -> None:
        self.agree(*(journal.drop(one) for journal in self.both))

    @rule(one=UPLOADS, done=st.integers(0, 3))
    def report(self, one: Any, done: int) -> None:
        work = WorkDone(phase=Phase.VERIFYING, done=done, total=3, at=1.0)
        self.agree(*(journal.report(one, work) for journal in self.both))
        self.agree(*(journal.work(one) for journal in self.both))

    @rule(owner=OWNERS, everyone=st.booleans(), states=STATES, size=st.integers(1, 3))
    def page(self, *, owner: Any, everyone: bool, states: list[State], size: int) -> None:
        afters: list[str | None] = [None, None]
        while True:
            pages = [
                self.runner.run(journal.page(owner=owner, everyone=everyone, states=states, after=after, limit=size))
                for journal, after in zip(self.both, afters, strict=True)
            ]
            assert list(pages[0][0]) == list(pages[1][0])
            afters = [end for _, end in pages]
            assert (afters[0] is None) == (afters[1] is None)
            if afters[0] is None:
                return

    @rule(due=st.sampled_from(Due), before=TIMES, limit=st.integers(1, 5))
    def due(self, due: Due, before: float, limit: int) -> None:
        self.agree(*(journal.due(due, before=before, limit=limit) for journal in self.both))

    @rule(after=st.integers(0, 30), limit=st.integers(1, 5), one=st.none() | UPLOADS)
    def feed(self, after: int, limit: int, one: Any) -> None:
        self.agree(*(journal.feed(after=after, limit=limit, id=one) for journal in self.both))

    @invariant()
    def nothing_differs(self) -> None:
        self.agree(*(journal.promised() for journal in self.both))
        self.agree(*(journal.last_seq() for journal in self.both))
        self.agree(*(journal.feed(after=0, limit=1000) for journal in self.both))
        for owner in (None, "", "a"):
            self.agree(*(journal.find_key(owner, "k") for journal in self.both))
            for name in ("m", "n"):
                self.agree(*(journal.find(ClientName(owner, name)) for journal in self.both))
        for number in range(5):
            self.agree(*(journal.waiting(upload_id(number), limit=3) for journal in self.both))
            self.agree(*(journal.summary(upload_id(number)) for journal in self.both))
            self.agree(*(journal.read(upload_id(number)) for journal in self.both))


def test_both_journals_agree() -> None:
    few = settings(max_examples=max(15, settings().max_examples // 8), stateful_step_count=20)
    run_state_machine_as_test(Agreement, settings=few)
