"""The tables, how they came to be, and how a connection to them is opened."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from onward.errors import StorageFault
from onward.journal.sqlite.faults import is_busy

BUSY_SECONDS: Final = 5.0
"""How long one statement waits for another process."""

OPEN_ATTEMPTS: Final = 6
"""How often opening waits that long, when several processes start on one new file."""

# Names and keys are unique within an owner. NULL differs from NULL in a unique index, so these two
# tables hold ``scope`` instead: see ``scope_of``.
_FIRST: Final = (
    """
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        version INTEGER NOT NULL,
        at REAL NOT NULL,
        event BLOB NOT NULL,
        UNIQUE (id, version)
    )
    """,
    "CREATE INDEX events_of ON events (id, seq)",
    """
    CREATE TABLE uploads (
        id TEXT PRIMARY KEY,
        owner TEXT,
        name TEXT,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        length INTEGER,
        received INTEGER NOT NULL,
        parts INTEGER NOT NULL,
        ref TEXT NOT NULL,
        sources INTEGER NOT NULL,
        created_at REAL NOT NULL,
        active_at REAL NOT NULL,
        version INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX uploads_listed ON uploads (state, created_at, id)",
    "CREATE INDEX uploads_owned ON uploads (owner, state, created_at, id)",
    "CREATE INDEX uploads_due ON uploads (state, active_at, id)",
    "CREATE INDEX uploads_joining ON uploads (state, active_at, id) WHERE sources > 0",
    # For as long as an upload still needs the others that it is made of.
    "CREATE TABLE joins (source TEXT, id TEXT, PRIMARY KEY (source, id)) WITHOUT ROWID",
    "CREATE INDEX joins_of ON joins (id)",
    "CREATE INDEX uploads_published ON uploads (ref) WHERE ref <> ''",
    "CREATE TABLE names (scope TEXT, name TEXT, id TEXT NOT NULL, PRIMARY KEY (scope, name)) WITHOUT ROWID",
    "CREATE INDEX names_of ON names (id)",
    "CREATE TABLE keys (scope TEXT, key TEXT, id TEXT NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID",
    "CREATE INDEX keys_of ON keys (id)",
    # As text: a sum of sizes may be greater than the greatest INTEGER.
    "CREATE TABLE totals (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "INSERT INTO totals VALUES ('promised', '0')",
    """
    CREATE TABLE work (
        id TEXT PRIMARY KEY,
        phase TEXT NOT NULL,
        done INTEGER NOT NULL,
        total INTEGER NOT NULL,
        at REAL NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE cursors (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('checks', 0)",
)

_SECOND: Final = ("ALTER TABLE work ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0",)
# Rows come and go at the end of the table, as events do: cheap, and no hole is left behind for long.
_THIRD: Final = ("CREATE TABLE enclosed (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL)",)

MIGRATIONS: Final = (_FIRST, _SECOND, _THIRD)
"""Statements that lead from each schema version to the next; only ever added to."""


def scope_of(owner: str | None) -> str:
    """An owner as a word that is never NULL and differs for each owner and for nobody."""
    return "" if owner is None else f"={owner}"


def open_writer(path: Path) -> sqlite3.Connection:
    """A connection that writes, on a file that is created (0600) or migrated as needed.

    Raises ``StorageFault`` if a newer version of Onward has migrated the file, and
    ``sqlite3.Error`` if it cannot be opened.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # SQLite gives its two side files the mode of the main one.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, timeout: float) -> sqlite3.Connection:
    """A connection that cannot write and waits ``timeout`` seconds for a file that is busy."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    # The switch to WAL does not wait by itself in every case.
    for attempt in range(OPEN_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            break
        except sqlite3.OperationalError as error:
            if not is_busy(error) or attempt == OPEN_ATTEMPTS - 1:
                raise
            time.sleep(0.05 * (attempt + 1))
    connection.execute("PRAGMA synchronous = FULL")
    _migrate(connection)


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        _bring_up_to_date(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL)")
    rows = connection.execute("SELECT value FROM meta WHERE key = 'schema'").fetchall()
    found = rows[0][0] if rows else 0
    known = len(MIGRATIONS)
    if found > known:
        raise StorageFault(
            f"The journal has schema {found}, written by a newer version of Onward; this one knows {known}",
            found=found,
            known=known,
        )
    for statements in MIGRATIONS[found:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (known,))
