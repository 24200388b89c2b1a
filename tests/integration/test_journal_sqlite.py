"""What the SQLite journal does beyond the contract: threads, groups of writes, syncs, and its file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from onward.core.types import ClientName, Failed, State
from onward.errors import NoSpace, StorageFault
from onward.journal.sqlite import SqliteJournal, readers, writer
from onward.journal.sqlite.faults import fault_of
from onward.journal.sqlite.schema import MIGRATIONS
from onward.ports import Due
from onward.testing.conformance_journal import begun, stored, upload_id

pytestmark = pytest.mark.anyio

LONG = 20.0
"""Only keeps a failing test from hanging."""

Change = Callable[[sqlite3.Connection], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "onward.db"


@pytest.fixture
def opened(path: Path) -> SqliteJournal:
    return SqliteJournal(path)


@pytest.fixture
async def journal(opened: SqliteJournal) -> AsyncIterator[SqliteJournal]:
    yield opened
    await opened.close()


class Halt:
    """Something to write that keeps the writer thread busy until it is let go."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def __call__(self, db: sqlite3.Connection) -> None:
        self.begun.set()
        assert self.go.wait(60)


def a_fault(code: int) -> Change:
    def fail(db: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("as if from the disk")
        error.sqlite_errorcode = code
        raise error

    return fail


def synchronous(db: sqlite3.Connection) -> int:
    level: int = db.execute("PRAGMA synchronous").fetchall()[0][0]
    return level


async def halted(journal: SqliteJournal) -> tuple[Halt, asyncio.Task[None]]:
    halt = Halt()
    task = asyncio.create_task(journal._writer.write(halt, sync=False))
    await asyncio.to_thread(halt.begun.wait, 60)
    return halt, task


async def test_writes_that_wait_share_a_commit(journal: SqliteJournal) -> None:
    for number in range(40):
        await begun(journal, number)
    halt, first = await halted(journal)
    before = journal.commits
    waiting = [
        asyncio.create_task(journal.append(upload_id(number), [stored(0, 1)], version=1, at=2.0, sync=True))
        for number in range(40)
    ]
    await asyncio.sleep(0)
    halt.go.set()
    await asyncio.gather(first, *waiting)
    assert journal.commits - before == 2


async def test_in_a_group_a_write_that_fails_fails_alone(journal: SqliteJournal) -> None:
    await begun(journal, 1)
    halt, first = await halted(journal)
    waiting = [
        asyncio.create_task(journal.append(upload_id(1), [stored(number, 1)], version=version, at=2.0, sync=False))
        for number, version in enumerate([1, 1, 2, 7, 3])
    ]
    await asyncio.sleep(0)
    halt.go.set()
    await first
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [outcome is None for outcome in outcomes] == [True, False, True, False, True]
    assert [record.event for record in await journal.read(upload_id(1), after=1)] == [
        stored(number, 1) for number in (0, 2, 4)
    ]


async def test_the_loop_thread_never_writes(journal: SqliteJournal) -> None:
    seen: list[tuple[str, int]] = []
    journal._writer._db.set_trace_callback(lambda sql: seen.append((sql, threading.get_ident())))
    await begun(journal, 1)
    await journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True)
    await journal.drop(upload_id(1))
    assert [sql for sql, _ in seen].count("COMMIT") == 3
    assert threading.get_ident() not in {thread for _, thread in seen}


async def test_long_answers_are_not_read_on_the_loop_thread(journal: SqliteJournal) -> None:
    await begun(journal, 1, *(stored(n, 1) for n in range(400)))
    seen: set[int] = set()
    connections = [journal._readers._far.get_nowait() for _ in range(readers.THREADS)]
    for connection in connections:
        connection.set_trace_callback(lambda _: seen.add(threading.get_ident()))
        journal._readers._far.put(connection)
    near: list[str] = []
    journal._readers._near.set_trace_callback(near.append)
    assert len(await journal.read(upload_id(1))) == 401
    await journal.page(owner=None, everyone=True, states=(), after=None, limit=10)
    await journal.due(Due.EXPIRE, before=9.0, limit=10)
    assert len(await journal.feed(after=0, limit=1000)) == 401
    assert seen
    assert threading.get_ident() not in seen
    assert not [sql for sql in near if "uploads" in sql]


@pytest.mark.parametrize("full_sync", [True, False])
async def test_a_commit_is_synced_when_it_must_be(path: Path, full_sync: bool) -> None:
    journal = await asyncio.to_thread(lambda: SqliteJournal(path, full_sync=full_sync))
    durable, quick = (2, 1) if full_sync else (1, 1)
    for sync in (True, False, True):
        assert await journal._writer.write(synchronous, sync=sync) == (durable if sync else quick)
    halt, first = await halted(journal)
    mixed = [asyncio.create_task(journal._writer.write(synchronous, sync=sync)) for sync in (False, True, False)]
    await asyncio.sleep(0)
    halt.go.set()
    await first
    assert await asyncio.gather(*mixed) == [durable] * 3
    await journal.close()


async def test_a_caller_whose_loop_is_gone_does_not_stop_the_thread(journal: SqliteJournal) -> None:
    await begun(journal, 1)
    halt, first = await halted(journal)

    def elsewhere() -> None:
        async def leave() -> None:
            _ = asyncio.create_task(journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True))  # noqa: RUF006 - left behind
            await asyncio.sleep(0)

        asyncio.run(leave())

    await asyncio.to_thread(elsewhere)
    halt.go.set()
    await first
    await journal.append(upload_id(1), [stored(1, 1)], version=2, at=3.0, sync=True)
    assert len(await journal.read(upload_id(1))) == 3


async def test_close_commits_what_was_gathered_and_not_handed_over_yet(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer.Writer, "_hand_over", lambda *_: None)
    journal = await asyncio.to_thread(SqliteJournal, path)
    waiting = asyncio.create_task(begun(journal, 1))
    await asyncio.sleep(0)
    await journal.close()
    assert await asyncio.wait_for(waiting, LONG) == upload_id(1)


async def test_close_commits_what_waits(journal: SqliteJournal, path: Path) -> None:
    await begun(journal, 1)
    halt, first = await halted(journal)
    waiting = asyncio.create_task(journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True))
    closing = asyncio.create_task(journal.close())
    await asyncio.sleep(0)
    halt.go.set()
    await asyncio.gather(first, waiting, closing)
    assert not path.with_name("onward.db-wal").exists()
    again = await asyncio.to_thread(SqliteJournal, path)
    assert len(await again.read(upload_id(1))) == 2
    await again.close()


async def test_a_file_that_others_write_to_is_waited_for(
    journal: SqliteJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun(journal, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True))
    await asyncio.sleep(0)
    assert len(await journal.read(upload_id(1))) == 1, "reading goes on"
    other.execute("ROLLBACK")
    await waiting
    assert len(await journal.read(upload_id(1))) == 2
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(writer, "BUSY_PATIENCE", 0.05)
    with pytest.raises(StorageFault):
        await journal.append(upload_id(1), [stored(1, 1)], version=2, at=2.0, sync=True)
    other.execute("ROLLBACK")
    other.close()
    await journal.append(upload_id(1), [stored(1, 1)], version=2, at=2.0, sync=True)


async def test_a_commit_is_tried_again_while_the_file_is_busy(journal: SqliteJournal, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    attempts: list[str] = []

    def notice(sql: str) -> None:
        if sql == "BEGIN IMMEDIATE":
            attempts.append(sql)
            if len(attempts) == 3:
                other.execute("ROLLBACK")

    journal._writer._db.set_trace_callback(notice)
    await begun(journal, 1)
    assert len(attempts) == 3
    other.close()


@pytest.mark.parametrize("question", ["page", "due"])
async def test_an_upload_that_goes_on_meanwhile_is_met_once(journal: SqliteJournal, path: Path, question: str) -> None:
    for number in range(40):
        await begun(journal, number, Failed(code="overrun"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    asked: list[str] = []

    def notice(sql: str) -> None:
        asked.extend([sql] if sql.startswith("SELECT") else [])
        # Before each query every upload goes over to the other of the two states.
        other.execute("UPDATE uploads SET state = CASE state WHEN 'failed' THEN 'gone' ELSE 'failed' END")

    for _ in range(readers.THREADS):
        connection = journal._readers._far.get_nowait()
        connection.set_trace_callback(notice)
        journal._readers._far.put(connection)
    if question == "page":
        rows, _ = await journal.page(
            owner=None, everyone=True, states=[State.FAILED, State.GONE], after=None, limit=100
        )
        ids = [row.id for row in rows]
    else:
        ids = list(await journal.due(Due.FORGET, before=9.0, limit=100))
    assert len(asked) == 2
    assert sorted(ids) == sorted(upload_id(number) for number in range(40))
    other.close()


async def test_a_busy_file_is_read_in_a_thread(journal: SqliteJournal) -> None:
    here = threading.get_ident()

    def ask(db: sqlite3.Connection) -> str:
        if threading.get_ident() == here:
            a_fault(sqlite3.SQLITE_BUSY)(db)
        return "an answer"

    assert await journal._readers.point(ask) == "an answer"
    with pytest.raises(StorageFault):
        await journal._readers.point(a_fault(sqlite3.SQLITE_CORRUPT))
    with pytest.raises(StorageFault):
        await journal._readers.far(a_fault(sqlite3.SQLITE_IOERR))
    assert await journal._readers.far(ask) == "an answer"


async def test_after_an_io_error_the_log_is_left_behind(journal: SqliteJournal) -> None:
    await begun(journal, 1)
    said: list[str] = []
    journal._writer._db.set_trace_callback(said.append)
    io_error_of_fsync = sqlite3.SQLITE_IOERR | 4 << 8
    with pytest.raises(StorageFault):
        await journal._writer.write(a_fault(io_error_of_fsync), sync=False)
    assert said[-1] == "ROLLBACK"
    said.clear()
    await journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=False)
    assert said.index("PRAGMA wal_checkpoint(TRUNCATE)") < said.index("BEGIN IMMEDIATE")
    said.clear()
    await journal.append(upload_id(1), [stored(1, 1)], version=2, at=2.0, sync=False)
    assert "PRAGMA wal_checkpoint(TRUNCATE)" not in said


async def test_a_group_that_cannot_be_committed_fails_whole(journal: SqliteJournal) -> None:
    await begun(journal, 1)
    halt, first = await halted(journal)
    append = asyncio.create_task(journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True))
    full = asyncio.create_task(journal._writer.write(a_fault(sqlite3.SQLITE_FULL), sync=True))
    await asyncio.sleep(0)
    halt.go.set()
    await first
    for task in (append, full):
        with pytest.raises(NoSpace):
            await task
    assert len(await journal.read(upload_id(1))) == 1
    await journal.append(upload_id(1), [stored(0, 1)], version=1, at=2.0, sync=True)


def test_an_io_error_on_a_full_disk_means_no_space(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = sqlite3.OperationalError()
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR | 19 << 8
    assert type(fault_of(error, Path("/"))) is StorageFault
    assert type(fault_of(error, path)) is StorageFault
    full = os.statvfs_result((4096, 4096, 100, 5, 5, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert type(fault_of(error, path)) is NoSpace


async def test_a_check_writes_each_time(journal: SqliteJournal, path: Path) -> None:
    log = path.with_name("onward.db-wal")
    for _ in range(3):
        before = log.stat().st_size
        await journal.check()
        assert log.stat().st_size > before


async def test_the_log_is_cut_when_it_has_grown(
    journal: SqliteJournal, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "WAL_LIMIT", 10_000)
    log = path.with_name("onward.db-wal")
    await begun(journal, 1)
    while journal.commits % writer.TRIM_EVERY != writer.TRIM_EVERY - 1:
        await journal.check()
    assert log.stat().st_size > 10_000
    await journal.check()
    assert log.stat().st_size == 0
    assert journal._writer._db.execute("PRAGMA busy_timeout").fetchall() == [(0,)]


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        journal = SqliteJournal(path)
    finally:
        os.umask(before)
    asyncio.run(journal.check())
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(["onward.db", "onward.db-wal", "onward.db-shm"], 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    asyncio.run(journal.close())


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    asyncio.run(SqliteJournal(path).close())
    db = sqlite3.connect(path)
    db.execute("UPDATE meta SET value = 99 WHERE key = 'schema'")
    db.commit()
    with pytest.raises(StorageFault, match="newer version") as caught:
        SqliteJournal(path)
    assert caught.value.facts == {"found": 99, "known": len(MIGRATIONS)}
    assert db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall() == [(99,)]
    db.close()


def test_a_file_that_is_something_else_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else " * 1000)
    with pytest.raises(StorageFault) as caught:
        SqliteJournal(path)
    assert "onward.db" not in caught.value.detail


async def test_no_question_walks_over_all_uploads(journal: SqliteJournal, path: Path) -> None:
    await begun(journal, 1, stored(0, 1), owner="a")
    asked: list[str] = []
    connections = [journal._readers._far.get_nowait() for _ in range(readers.THREADS)]
    for connection in (*connections, journal._readers._near):
        connection.set_trace_callback(asked.append)
    for connection in connections:
        journal._readers._far.put(connection)
    for everyone in (True, False):
        _, after = await journal.page(owner="a", everyone=everyone, states=(), after=None, limit=1)
        await journal.page(owner=None, everyone=everyone, states=[State.OPEN], after=after, limit=1)
    for due in Due:
        await journal.due(due, before=5.0, limit=1)
    for one in (None, upload_id(1)):
        await journal.feed(after=0, limit=5, id=one)
    await journal.find(ClientName("a", "name"))
    await journal.find_key(None, "key")
    await journal.read(upload_id(1), after=1)
    await journal.summary(upload_id(1))
    await journal.work(upload_id(1))
    await journal.waiting(upload_id(1), limit=5)
    await journal.promised()
    journal._writer._db.set_trace_callback(asked.append)
    await journal.drop(upload_id(1))
    kinds = ("SELECT", "DELETE", "UPDATE")
    questions = {sql for sql in asked if sql.lstrip().startswith(kinds) and "sqlite_sequence" not in sql}
    assert len(questions) > 20
    db = sqlite3.connect(path)
    for sql in questions:
        plan = [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + sql.replace("(Inf,", "(9e999,"))]
        assert plan
        assert all(step.startswith(("SEARCH", "SCALAR SUBQUERY")) for step in plan), (sql, plan)
        assert ("owner IS" in sql) == ("uploads_owned" in plan[0]), (sql, plan)
    db.close()
