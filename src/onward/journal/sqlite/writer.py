"""The one thread of this process that writes, and the commits it groups."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from onward.errors import StorageFault
from onward.journal.sqlite.faults import code_of, fault_of, is_busy
from onward.journal.sqlite.schema import BUSY_SECONDS

T = TypeVar("T")

Change = Callable[[sqlite3.Connection], T]
"""Something to be written; it runs in the writer thread, inside a transaction."""

GROUP: Final = 512
"""Changes that are enough for one commit."""

BUSY_PATIENCE: Final = 6 * BUSY_SECONDS
"""How long other processes may keep the file to themselves."""

BUSY_PAUSES: Final = (0.0002, 0.002)
"""Seconds between two tries to write, the first and the longest. SQLite itself would soon sleep for 0.1."""

WAL_LIMIT: Final = 64 << 20
"""Size in bytes beyond which the write-ahead log is cut."""

TRIM_EVERY: Final = 64
"""Commits between two looks at the size of the write-ahead log."""

TRIM_MILLISECONDS: Final = 100
"""How long cutting the log may wait for readers."""


class _Job(Generic[T]):
    """A change, and the caller who waits for it."""

    __slots__ = ("change", "error", "future", "loop", "result", "sync")

    def __init__(self, change: Change[T], *, sync: bool) -> None:
        self.change = change
        self.sync = sync
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.result: T | None = None
        self.error: BaseException | None = None


class Writer:
    """Takes changes from any event loop and commits those that wait together.

    Each change is all or nothing by itself. A change whose caller was cancelled may still be
    committed. ``commits`` counts transactions.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, *, full_sync: bool) -> None:
        self.commits = 0
        self._db = connection
        self._db.execute("PRAGMA busy_timeout = 0").fetchall()  # `_begin` waits by itself
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._full_sync = full_sync
        self._is_full: bool | None = None
        self._suspect = False
        self._closed = False
        self._gate = threading.Lock()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Job[Any]]] = {}
        """What each event loop hands over before it waits again: a thread that is woken for each costs more."""
        self._jobs: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="onward-journal", daemon=True)
        self._thread.start()

    async def write(self, change: Change[T], *, sync: bool) -> T:
        """Have a change committed; with ``sync``, durable on return. Raises what the change raises."""
        job = _Job(change, sync=sync)
        # A job behind the end mark would wait for ever.
        with self._gate:
            if self._closed:
                raise StorageFault("The journal is closed")
            gathered = self._gathered.setdefault(job.loop, [])
            gathered.append(job)
        if len(gathered) == 1:
            job.loop.call_soon(self._hand_over, job.loop)
        return await job.future

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._gate:
            if gathered := self._gathered.pop(loop, None):
                self._jobs.put(gathered)

    def close(self) -> None:
        """Commit what waits, fold the write-ahead log into the file and end; blocks until then."""
        with self._gate:
            if not self._closed:
                self._closed = True
                for gathered in self._gathered.values():
                    self._jobs.put(gathered)
                self._gathered.clear()
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            group: list[_Job[Any]] = []
            with suppress(queue.Empty):
                some = self._jobs.get()
                while some is not None and len(group := group + some) < GROUP:
                    some = self._jobs.get_nowait()
                ended = some is None
            if group:
                self._commit(group)
                _deliver(group)
        # Another process may still read; then whoever is last does this, or the next to open.
        with suppress(sqlite3.Error):
            self._checkpoint()
        self._db.close()

    def _commit(self, group: list[_Job[Any]]) -> None:
        """Carry out a group; afterwards each job holds its result or its error."""
        try:
            self._make_sound()
            self._set_synchronous(full=self._full_sync and any(job.sync for job in group))
            if not self._together(group):
                self._begin()
                for job in group:
                    self._attempt(job)
                self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, the callers are told and the thread lives on
            self._fail(group, error)
            return
        self.commits += 1
        # The commit stands whatever comes of this.
        with suppress(OSError, sqlite3.Error):
            self._trim()

    def _fail(self, group: list[_Job[Any]], error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and code_of(error) == sqlite3.SQLITE_IOERR:
            self._suspect = True
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error:
                self._suspect = True
        for job in group:
            job.error = self._told(error)

    def _together(self, group: list[_Job[Any]]) -> bool:
        """Carry out a group of which nothing goes wrong; false with nothing changed if something did."""
        self._begin()
        try:
            for job in group:
                job.result = job.change(self._db)
        except sqlite3.OperationalError:
            raise
        except Exception:  # noqa: BLE001 - it is one caller's alone, who is told when each is tried by itself
            self._db.execute("ROLLBACK")
            return False
        self._db.execute("COMMIT")
        return True

    def _attempt(self, job: _Job[Any]) -> None:
        self._db.execute("SAVEPOINT job")
        try:
            job.result = job.change(self._db)
        except sqlite3.OperationalError:
            # A full or broken disk: SQLite may have rolled back all of the transaction.
            raise
        except Exception as error:  # noqa: BLE001 - it is this caller's alone, the others go on
            self._db.execute("ROLLBACK TO job")
            job.error = self._told(error)
        self._db.execute("RELEASE job")

    def _told(self, error: Exception) -> Exception:
        if not isinstance(error, sqlite3.Error):
            return error
        fault = fault_of(error, self._path)
        fault.__cause__ = error
        return fault

    def _begin(self) -> None:
        until = time.monotonic() + BUSY_PATIENCE
        pause, longest = BUSY_PAUSES
        while True:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > until:
                    raise
            else:
                return
            time.sleep(pause)
            pause = min(longest, 1.5 * pause)

    def _set_synchronous(self, *, full: bool) -> None:
        # Inside a transaction this pragma does nothing.
        if full is not self._is_full:
            self._db.execute("PRAGMA synchronous = FULL" if full else "PRAGMA synchronous = NORMAL")
            self._is_full = full

    def _make_sound(self) -> None:
        """After an I/O error, leave the write-ahead log behind before anything is added to it.

        A sync that failed may have lost frames that were written before and that a later sync
        would not write again; what is committed after them could not be recovered.
        """
        if not self._suspect:
            return
        self._set_synchronous(full=True)
        if not self._checkpoint():
            raise sqlite3.OperationalError("a reader keeps the write-ahead log in use")
        self._suspect = False

    def _checkpoint(self, patience: int = int(BUSY_SECONDS * 1000)) -> bool:
        """Move the whole write-ahead log into the file and cut it; False if a reader is in the way for so long.

        ``patience`` is in milliseconds.
        """
        self._db.execute(f"PRAGMA busy_timeout = {patience}").fetchall()
        try:
            rows = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._db.execute("PRAGMA busy_timeout = 0").fetchall()
        return bool(rows) and rows[0][0] == 0

    def _trim(self) -> None:
        """Cut the log if readers that overlap each other have kept it from starting anew."""
        if self.commits % TRIM_EVERY == 0 and self._wal.exists() and os.stat(self._wal).st_size > WAL_LIMIT:
            # Whoever reads right now is not worth much waiting: there will be another time.
            self._checkpoint(TRIM_MILLISECONDS)


def _deliver(group: list[_Job[Any]]) -> None:
    """Wake the callers, once for each event loop."""
    for loop in {job.loop for job in group}:
        jobs = [job for job in group if job.loop is loop]
        # A closed loop has no caller that could be told.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        if job.future.done():  # cancelled
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
