"""What is written, as functions on a connection that is inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from onward.core.codec import encode
from onward.core.summary import Summary, advance, begin
from onward.core.types import AnyEvent, ClientName, Created, Record, State, UploadId
from onward.errors import VersionConflict
from onward.journal.sqlite import queries
from onward.journal.sqlite.schema import scope_of
from onward.ports import WorkDone

_PUT_ROW = """
    INSERT INTO uploads (
        id, owner, name, state, reason, length, received, parts, ref, sources, created_at, active_at, version
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        state = excluded.state, reason = excluded.reason, length = excluded.length, received = excluded.received,
        parts = excluded.parts, ref = excluded.ref, active_at = excluded.active_at, version = excluded.version,
        name = excluded.name
"""

_DISCLOSE = "DELETE FROM enclosed WHERE seq = (SELECT seq FROM events WHERE id = ? AND version = 1)"


def create(
    db: sqlite3.Connection,
    *,
    id: UploadId,
    events: Sequence[AnyEvent],
    at: float,
    name: ClientName | None,
    replaces: UploadId | None,
    key: tuple[str | None, str] | None,
    enclosed: bytes = b"",
) -> UploadId:
    """Begin an upload, or find the one that holds its key or name."""
    if key is not None:
        holder = queries.key_holder(db, *key)
        if holder is not None:
            return holder
    if name is not None:
        holder = queries.name_holder(db, name)
        if holder is not None and holder != replaces:
            return holder
        db.execute("INSERT OR REPLACE INTO names VALUES (?, ?, ?)", (scope_of(name.owner), name.name, id))
    if key is not None:
        db.execute("INSERT INTO keys VALUES (?, ?, ?)", (scope_of(key[0]), key[1], id))
    try:
        _add(db, id, None, events, at)
    except sqlite3.IntegrityError:
        # That there is no such upload yet is not asked first: it is as good as certain.
        if (found := queries.summary(db, id)) is None:
            raise
        raise VersionConflict(expected=0, found=found.version) from None
    if enclosed:
        db.execute("INSERT INTO enclosed SELECT seq, ? FROM events WHERE id = ? AND version = 1", (enclosed, id))
    return id


def append(db: sqlite3.Connection, *, id: UploadId, events: Sequence[AnyEvent], version: int, at: float) -> None:
    """Add events and fold them into the row and the totals."""
    before = queries.summary(db, id)
    found = before.version if before else 0
    if found != version:
        raise VersionConflict(expected=version, found=found)
    _add(db, id, before, events, at)


def _add(db: sqlite3.Connection, id: UploadId, before: Summary | None, events: Sequence[AnyEvent], at: float) -> None:
    row = before
    lines = []
    for number, event in enumerate(events, before.version + 1 if before else 1):
        record = Record(number, at, event)
        row = advance(row, record) if row else begin(record)
        lines.append((id, number, at, encode(event)))
    if row is None or not lines:
        return
    if row.id != id:
        raise ValueError("the Created event is that of another upload")
    db.executemany("INSERT INTO events (id, version, at, event) VALUES (?, ?, ?, ?)", lines)
    db.execute(_PUT_ROW, _columns(row))
    if before is not None and before.state is State.SEALED and row.state is not State.SEALED:
        db.execute(_DISCLOSE, (id,))
    if row.sources:
        _join(db, row, events[0] if before is None else None)
    _promise(db, row.promised - (before.promised if before else 0))


def drop(db: sqlite3.Connection, id: UploadId) -> None:
    """Forget all that is known of an upload."""
    row = queries.summary(db, id)
    if row is None:
        return
    _promise(db, -row.promised)
    db.execute(_DISCLOSE, (id,))
    db.execute("DELETE FROM events WHERE id = ?", (id,))
    db.execute("DELETE FROM uploads WHERE id = ?", (id,))
    db.execute("DELETE FROM names WHERE id = ?", (id,))
    db.execute("DELETE FROM keys WHERE id = ?", (id,))
    db.execute("DELETE FROM work WHERE id = ?", (id,))
    db.execute("DELETE FROM joins WHERE id = ?", (id,))


def report(db: sqlite3.Connection, id: UploadId, work: WorkDone) -> None:
    """Note progress, unless the upload has been dropped meanwhile."""
    db.execute(
        "INSERT OR REPLACE INTO work (id, phase, done, total, at, deaths) SELECT ?, ?, ?, ?, ?, ?"
        " WHERE EXISTS (SELECT 1 FROM uploads WHERE id = ?)",
        (id, work.phase.value, work.done, work.total, work.at, work.deaths, id),
    )


def move_cursor(db: sqlite3.Connection, name: str, seq: int) -> None:
    """Set a named position, forwards or backwards."""
    db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (name, seq))


def touch(db: sqlite3.Connection) -> None:
    """Write something that differs each time: a row written with its old content would cost nothing."""
    db.execute("UPDATE meta SET value = (value + 1) % 1000000 WHERE key = 'checks'")


def _join(db: sqlite3.Connection, row: Summary, begun: AnyEvent | None) -> None:
    """Keep what an upload is made of at hand until it is published or will never be."""
    if isinstance(begun, Created):
        db.executemany("INSERT INTO joins VALUES (?, ?)", [(source, row.id) for source in set(begun.spec.sources)])
    if row.state not in {State.OPEN, State.SEALED}:
        db.execute("DELETE FROM joins WHERE id = ?", (row.id,))


def _promise(db: sqlite3.Connection, more: int) -> None:
    if more:
        total = queries.promised(db) + more
        db.execute("UPDATE totals SET value = ? WHERE name = 'promised'", (str(total),))


def _columns(row: Summary) -> tuple[object, ...]:
    return (
        row.id,
        row.owner,
        row.name,
        row.state.value,
        row.reason,
        row.length,
        row.received,
        row.parts,
        row.ref,
        row.sources,
        row.created_at,
        row.active_at,
        row.version,
    )
