"""What is asked, as functions on a connection.

Every query walks an index from where its answer begins and reads no more rows than it returns.
Results are fetched whole: a statement left half read would keep the write-ahead log from being cut.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from onward.core.codec import decode
from onward.core.summary import Summary
from onward.core.types import ClientName, Phase, Record, State, UploadId
from onward.journal.sqlite.places import Place
from onward.journal.sqlite.schema import scope_of
from onward.ports import Due, FeedItem, WorkDone

_ROW = "id, owner, name, state, reason, length, received, parts, ref, sources, created_at, active_at, version"

_ONE = f"SELECT {_ROW} FROM uploads WHERE id = ?"  # noqa: S608 - constants only
_OLDER = "(created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?"
_PAGE_ALL = f"SELECT {_ROW} FROM uploads WHERE state = ? AND {_OLDER}"  # noqa: S608 - constants only
_PAGE_OWNED = f"SELECT {_ROW} FROM uploads WHERE owner IS ? AND state = ? AND {_OLDER}"  # noqa: S608 - constants only
_DUE = "SELECT active_at, id FROM uploads WHERE state = ? AND active_at < ? ORDER BY active_at, id LIMIT ?"
_DUE_JOIN = (
    "SELECT active_at, id FROM uploads INDEXED BY uploads_joining "
    "WHERE sources > 0 AND state = ? AND active_at < ? ORDER BY active_at, id LIMIT ?"
)
_FEED = """
    SELECT e.seq, e.id, u.owner, e.version, e.at, e.event FROM events AS e CROSS JOIN uploads AS u ON u.id = e.id
    WHERE e.seq > ? ORDER BY e.seq LIMIT ?
"""
_FEED_ONE = """
    SELECT e.seq, e.id, u.owner, e.version, e.at, e.event
    FROM events AS e INDEXED BY events_of CROSS JOIN uploads AS u ON u.id = e.id
    WHERE e.id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?
"""

_STATES = {
    Due.FINISH: (State.SEALED,),
    Due.EXPIRE: (State.OPEN,),
    Due.FORGET: (State.FAILED, State.GONE),
    Due.JOIN: (State.OPEN,),
}

Row = tuple[Any, ...]


def _first(db: sqlite3.Connection, sql: str, parameters: Sequence[object] = ()) -> Row | None:
    rows = db.execute(sql, parameters).fetchall()
    return rows[0] if rows else None


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """Several queries see one state of things: an upload that goes on meanwhile is met once."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("COMMIT")


def key_holder(db: sqlite3.Connection, owner: str | None, key: str) -> UploadId | None:
    """The upload that was created with an idempotency key."""
    row = _first(db, "SELECT id FROM keys WHERE scope = ? AND key = ?", (scope_of(owner), key))
    return UploadId(row[0]) if row else None


def name_holder(db: sqlite3.Connection, name: ClientName) -> UploadId | None:
    """The upload that holds a name."""
    row = _first(db, "SELECT id FROM names WHERE scope = ? AND name = ?", (scope_of(name.owner), name.name))
    return UploadId(row[0]) if row else None


def published_as(db: sqlite3.Connection, ref: str) -> list[UploadId]:
    """Finished uploads under one final name."""
    sql = "SELECT id FROM uploads WHERE ref = ? AND ref <> '' AND state = ?"
    return [UploadId(row[0]) for row in db.execute(sql, (ref, State.DONE.value)).fetchall()]


def event_rows(db: sqlite3.Connection, *, id: UploadId, after: int, limit: int) -> list[Row]:
    """Undecoded events beyond a version; all of them if ``limit`` is -1."""
    sql = "SELECT version, at, event FROM events WHERE id = ? AND version > ? ORDER BY version LIMIT ?"
    return db.execute(sql, (id, after, limit)).fetchall()


def records(db: sqlite3.Connection, id: UploadId, after: int) -> list[Record]:
    """All events beyond a version."""
    return records_of(event_rows(db, id=id, after=after, limit=-1))


def records_of(rows: Sequence[Row]) -> list[Record]:
    """What ``event_rows`` found, decoded."""
    return [Record(version, at, decode(event)) for version, at, event in rows]


def enclosed(db: sqlite3.Connection, *, id: UploadId) -> bytes:
    """The bytes that an upload began with."""
    sql = "SELECT bytes FROM enclosed WHERE seq = (SELECT seq FROM events WHERE id = ? AND version = 1)"
    row = _first(db, sql, (id,))
    return bytes(row[0]) if row else b""


def summary(db: sqlite3.Connection, id: UploadId) -> Summary | None:
    """The row of one upload."""
    row = _first(db, _ONE, (id,))
    return _summary_of(row) if row else None


def page(
    db: sqlite3.Connection,
    *,
    owner: str | None,
    everyone: bool,
    states: Sequence[State],
    start: Place | None,
    limit: int,
) -> list[Summary]:
    """At most ``limit`` rows older than ``start``, newest first."""
    older = start or Place(float("inf"), "")
    with _snapshot(db):
        if everyone:
            each = [db.execute(_PAGE_ALL, (state.value, *older, limit)).fetchall() for state in set(states or State)]
        else:
            each = [
                db.execute(_PAGE_OWNED, (owner, state.value, *older, limit)).fetchall()
                for state in set(states or State)
            ]
    merged = heapq.merge(*each, key=lambda row: (row[10], row[0]), reverse=True)
    return [_summary_of(row) for row in islice(merged, limit)]


def due(db: sqlite3.Connection, *, what: Due, before: float, limit: int) -> list[UploadId]:
    """Ids in the states that ``what`` stands for, idle since before a time."""
    sql = _DUE_JOIN if what is Due.JOIN else _DUE
    with _snapshot(db):
        each = [db.execute(sql, (state.value, before, limit)).fetchall() for state in _STATES[what]]
    return [UploadId(found) for _, found in islice(heapq.merge(*each), limit)]


def waiting(db: sqlite3.Connection, *, source: UploadId, limit: int) -> list[UploadId]:
    """Ids of uploads that still need another one."""
    rows = db.execute("SELECT id FROM joins WHERE source = ? ORDER BY id LIMIT ?", (source, limit)).fetchall()
    return [UploadId(row[0]) for row in rows]


def feed(db: sqlite3.Connection, *, after: int, limit: int, id: UploadId | None) -> list[FeedItem]:
    """Events beyond a place in the global order."""
    rows = db.execute(_FEED, (after, limit)) if id is None else db.execute(_FEED_ONE, (id, after, limit))
    return [
        FeedItem(seq=seq, id=UploadId(of), owner=owner, record=Record(version, at, decode(event)))
        for seq, of, owner, version, at, event in rows.fetchall()
    ]


def last_seq(db: sqlite3.Connection) -> int:
    """The greatest sequence number ever given, also if its event has been dropped."""
    row = _first(db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'")
    return int(row[0]) if row else 0


def promised(db: sqlite3.Connection) -> int:
    """The sum that every change keeps up to date."""
    row = _first(db, "SELECT value FROM totals WHERE name = 'promised'")
    return int(row[0]) if row else 0


def work(db: sqlite3.Connection, id: UploadId) -> WorkDone | None:
    """The last reported progress."""
    row = _first(db, "SELECT phase, done, total, at, deaths FROM work WHERE id = ?", (id,))
    if row is None:
        return None
    phase, done, total, at, deaths = row
    return WorkDone(phase=Phase(phase), done=done, total=total, at=at, deaths=deaths)


def cursor(db: sqlite3.Connection, name: str) -> int:
    """A named position; 0 if it was never set."""
    row = _first(db, "SELECT seq FROM cursors WHERE name = ?", (name,))
    return int(row[0]) if row else 0


def _summary_of(row: Row) -> Summary:
    return Summary(
        id=UploadId(row[0]),
        owner=row[1],
        name=row[2],
        state=State(row[3]),
        reason=row[4],
        length=row[5],
        received=row[6],
        parts=row[7],
        ref=row[8],
        sources=row[9],
        created_at=row[10],
        active_at=row[11],
        version=row[12],
    )
