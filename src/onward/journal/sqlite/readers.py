"""Connections that only read: one for the event loop, a few for threads."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from onward.errors import StorageFault
from onward.journal.sqlite.faults import fault_of, is_busy
from onward.journal.sqlite.schema import BUSY_SECONDS, open_reader

T = TypeVar("T")

THREADS: Final = 2
"""How many long reads run at a time."""


class Readers:
    """Answers short questions at once, on the caller's thread, and long ones in threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = False
        self._near = open_reader(path, timeout=0)
        self._far: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for _ in range(THREADS):
            self._far.put(open_reader(path, timeout=BUSY_SECONDS))
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="onward-journal-read")

    async def point(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Ask for a handful of rows. Takes microseconds; goes to a thread if the file is busy."""
        self._check_open()
        try:
            return ask(self._near)
        except sqlite3.Error as error:
            if not is_busy(error):
                raise fault_of(error, self._path) from error
        return await self.far(ask)

    async def far(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        """Ask for many rows, in a thread."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._ask, ask)

    def close(self) -> None:
        """Wait for what is being read and let go; blocks until then."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown()
        for _ in range(THREADS):
            self._far.get().close()
        self._near.close()

    def _ask(self, ask: Callable[[sqlite3.Connection], T]) -> T:
        db = self._far.get()
        try:
            return ask(db)
        except sqlite3.Error as error:
            raise fault_of(error, self._path) from error
        finally:
            self._far.put(db)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageFault("The journal is closed")
