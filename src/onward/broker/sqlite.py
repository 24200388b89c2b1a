"""A durable queue in one SQLite file, for any number of processes on one host."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from uuid import uuid4

from taskiq import AckableMessage, BrokerMessage
from taskiq.abc.broker import AsyncBroker
from taskiq.serializers import JSONSerializer

from onward.broker.delivery import Admitted, Held, Outage, Outcome, admit, failure, interrupted, retry_delay
from onward.broker.wake import Bell, died, ring

log = logging.getLogger("onward.queue")

T = TypeVar("T")

_KEEP_PARKED: Final = 1000

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    task        TEXT NOT NULL,
    payload     BLOB NOT NULL,
    created_at  REAL NOT NULL,
    run_at      REAL NOT NULL,
    lease_until REAL NOT NULL DEFAULT 0,
    owner       TEXT NOT NULL DEFAULT '',
    tries       INTEGER NOT NULL DEFAULT 0,
    kicks       INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_due ON jobs (run_at, id);
CREATE TABLE IF NOT EXISTS parked (
    id      INTEGER PRIMARY KEY,
    key     TEXT NOT NULL,
    task    TEXT NOT NULL,
    payload BLOB NOT NULL,
    reason  TEXT NOT NULL,
    at      REAL NOT NULL
) STRICT;
"""

# A time further ahead than any lease or back-off means that the clock was set back since.
_ANY: Final = """
SELECT 1 FROM jobs
WHERE (run_at <= :now OR run_at > :far) AND (lease_until <= :now OR lease_until > :far) LIMIT 1
"""
_TAKE: Final = """
UPDATE jobs SET lease_until = :until, owner = :owner, tries = tries + 1
WHERE id = (
    SELECT id FROM jobs
    WHERE (run_at <= :now OR run_at > :far) AND (lease_until <= :now OR lease_until > :far)
    ORDER BY run_at, id LIMIT 1
)
RETURNING id, key, payload, tries, kicks
"""
_EXTEND: Final = """
UPDATE jobs SET lease_until = ? WHERE owner = ? AND id IN (SELECT value FROM json_each(?))
"""
# The first time at once. What workers have died of more than once lets others go before it.
_INHERIT: Final = """
UPDATE jobs SET owner = '', lease_until = 0,
    run_at = CASE WHEN tries > 1 THEN :now + min(:most, :first * (1 << min(tries - 1, 30))) ELSE run_at END
WHERE owner IN (SELECT value FROM json_each(:dead))
"""
_FREE: Final = """
UPDATE jobs SET owner = '', lease_until = 0, tries = tries - 1
WHERE owner = ? AND id NOT IN (SELECT value FROM json_each(?))
"""


class _Job(NamedTuple):
    id: int
    key: str
    payload: bytes
    tries: int
    kicks: int


class _Batch:
    """Messages that are queued in one transaction, and what came of it."""

    def __init__(self) -> None:
        self.messages: list[BrokerMessage] = []
        self.error: Exception | None = None


class SqliteBroker(AsyncBroker):
    """A Taskiq broker that needs no server: every message is delivered until one execution succeeds.

    A message is leased to one worker, which extends the lease while it executes. When a worker
    dies its messages go to another at that one's next look, or after ``lease`` seconds where the
    death left no trace; also when nothing else happens. The Taskiq id is the key: kicked again
    while it waits, a message is still executed once; kicked again while it is executed, once more
    afterwards. A failed execution is repeated after
    ``retry_first`` seconds, doubling up to ``retry_most``; what cannot be decoded or has been
    tried more than ``max_tries`` times is parked. A kick survives a crash of the process, not
    always a power cut.

    ``poll`` is how often an idle worker looks; kicks on this host wake it at once. ``at_once``
    bounds the messages that one broker object executes. ``busy`` bounds the seconds that one
    statement waits for other processes.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        lease: float = 30.0,
        poll: float = 0.5,
        at_once: int = 2,
        max_tries: int = 20,
        retry_first: float = 1.0,
        retry_most: float = 60.0,
        busy: float = 1.0,
        clock: Callable[[], float] = time.time,
        owner: str | None = None,
    ) -> None:
        super().__init__()
        self.serializer = JSONSerializer()
        self.add_middlewares(Outcome())
        self._path = Path(path)
        self._bells = self._path.with_name(self._path.name + "-wake")
        self._lease = lease
        self._poll = poll
        self._max_tries = max_tries
        self._retry = retry_first, retry_most
        self._far = 10 * max(lease, retry_most)
        self._busy = busy
        self._clock = clock
        self._owner = owner or uuid4().hex
        self._held = Held[int](at_once)
        self._outage = Outage(log)
        self._batch = _Batch()
        self._turn = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._beating: asyncio.Task[None] | None = None

    # -- for whoever queues ---------------------------------------------------------------------

    async def kick(self, message: BrokerMessage) -> None:
        """Queue a message, with others that wait. Raises ``sqlite3.Error`` or ``OSError`` if it cannot be kept."""
        batch = self._batch
        batch.messages.append(message)
        async with self._turn:
            if batch is self._batch:
                self._batch = _Batch()
                try:
                    await self._call(self._insert, batch.messages)
                except BaseException as error:
                    batch.error = error if isinstance(error, Exception) else TimeoutError("nobody waited for the queue")
                    raise
        if batch.error is not None:
            raise batch.error

    async def ping(self) -> None:
        """Raises ``sqlite3.Error`` or ``OSError`` if nothing can be queued."""
        await self._call(self._probe)

    async def shutdown(self) -> None:
        """Let go of the file. What is still executed stays leased until its lease runs out."""
        await super().shutdown()
        await self._held.empty(1.0)
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
            self._beating = None
        if self._thread is not None:
            await self._call(self._close)
            self._thread.shutdown(wait=False)
            self._thread = None

    # -- for the worker -------------------------------------------------------------------------

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield messages as they become due. Never raises because of the file: it keeps trying."""
        if self._beating is None:
            self._beating = asyncio.create_task(self._keep_leases())
        bell = Bell(self._bells, self._owner)
        try:
            # Within the `try`: asked to stop while the thread opens it, the bell is closed all the same.
            await self._open(bell)
            bell.attach()
            while True:
                await self._held.room()
                bell.clear()
                job = await self._next()
                if job is None:
                    await bell.wait(self._poll)
                    continue
                message = await self._admitted(job)
                if message is not None:
                    self._held.add(job.id)
                    yield message
        finally:
            bell.detach()
            # Not awaited: it runs behind a take that was cancelled half-way, and frees its job.
            self._submit(bell.close).add_done_callback(_note)
            self._submit(self._free_unheld, tuple(self._held)).add_done_callback(_note)

    async def _open(self, bell: Bell) -> None:
        try:
            await self._call(bell.open)
        except OSError as error:
            log.warning("no wake-ups from other processes, only polling: %s", error)

    async def _next(self) -> _Job | None:
        try:
            job = await self._call(self._take)
        except (sqlite3.Error, OSError) as error:
            await asyncio.sleep(self._outage.failed(error))
            return None
        self._outage.over()
        # Held already: this process was stopped for longer than the lease, and goes on.
        return None if job is None or job.id in self._held else job

    async def _admitted(self, job: _Job) -> AckableMessage | None:
        admitted = admit(self, job.payload, tries=job.tries, max_tries=self._max_tries)
        if isinstance(admitted, Admitted):
            return AckableMessage(data=admitted.data, ack=partial(self._acknowledge, job))
        log.error("message %d parked: it %s: %.100r", job.id, admitted.reason, job.payload)
        try:
            await self._call(self._park, job, admitted.reason)
        except (sqlite3.Error, OSError) as error:
            await asyncio.sleep(self._outage.failed(error))
        return None

    async def _acknowledge(self, job: _Job) -> None:
        try:
            await self._call(self._settle, job, failure())
        except (sqlite3.Error, OSError) as error:
            log.warning("message %d was executed but not settled, it will come again: %s", job.id, error)
        finally:
            self._held.drop(job.id)

    async def _keep_leases(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            held = tuple(self._held)
            if not held:
                continue
            try:
                await self._call(self._extend, held)
            except (sqlite3.Error, OSError) as error:
                self._outage.failed(error)

    # -- in the thread --------------------------------------------------------------------------

    def _submit(self, function: Callable[..., T], *args: object) -> asyncio.Future[T]:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="onward-queue")
        return asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def _call(self, function: Callable[..., T], *args: object) -> T:
        return await self._submit(function, *args)

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Only a file that nobody has open yet may be opened and closed beside SQLite: closing
            # any descriptor of it would drop the locks of every connection of this process.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            db = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None)
            try:
                _into_wal(db, self._busy)
                db.execute("PRAGMA synchronous = NORMAL")
                db.executescript(_SCHEMA)
            except sqlite3.Error:
                db.close()
                raise
            self._connection = db
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _probe(self) -> None:
        db = self._db()
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")

    def _insert(self, messages: Sequence[BrokerMessage]) -> None:
        now, db = self._clock(), self._db()
        rows = [(message.task_id, message.task_name, message.message, now, now) for message in messages]
        with _transaction(db):
            db.executemany(
                "INSERT INTO jobs (key, task, payload, created_at, run_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET kicks = kicks + 1",
                rows,
            )
        self._inherit(ring(self._bells))

    def _take(self) -> _Job | None:
        now = self._clock()
        times = {"now": now, "far": now + self._far}
        db = self._db()
        self._inherit(died(self._bells))
        if db.execute(_ANY, times).fetchone() is None:  # a reader never waits; only a find needs the write lock
            return None
        taken = db.execute(_TAKE, {**times, "until": now + self._lease, "owner": self._owner}).fetchall()
        return _Job(*taken[0]) if taken else None

    def _inherit(self, dead: Sequence[str]) -> None:
        """What these workers were at is due now; their tries count, for the message may be what ended them."""
        if dead:
            first, most = self._retry
            self._db().execute(_INHERIT, {"dead": json.dumps(dead), "now": self._clock(), "first": first, "most": most})

    def _extend(self, ids: tuple[int, ...]) -> None:
        self._db().execute(_EXTEND, (self._clock() + self._lease, self._owner, json.dumps(ids)))

    def _settle(self, job: _Job, error: BaseException | None) -> None:
        db, now = self._db(), self._clock()
        mine = (job.id, self._owner)
        if error is None:
            done = db.execute("DELETE FROM jobs WHERE id = ? AND owner = ? AND kicks = ?", (*mine, job.kicks))
            if done.rowcount:
                return
            run_at, tries = now, 0  # kicked again meanwhile
        elif interrupted(error):
            run_at, tries = now, job.tries - 1
        else:
            run_at, tries = now + retry_delay(job.tries, *self._retry), job.tries
        db.execute(
            "UPDATE jobs SET owner = '', lease_until = 0, run_at = ?, tries = ? WHERE id = ? AND owner = ?",
            (run_at, tries, *mine),
        )
        if run_at <= now:
            ring(self._bells)

    def _park(self, job: _Job, reason: str) -> None:
        db = self._db()
        with _transaction(db):
            db.execute(
                "INSERT OR REPLACE INTO parked SELECT id, key, task, payload, ?, ? FROM jobs WHERE id = ?",
                (reason, self._clock(), job.id),
            )
            db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
            db.execute(
                "DELETE FROM parked WHERE id NOT IN (SELECT id FROM parked ORDER BY id DESC LIMIT ?)", (_KEEP_PARKED,)
            )

    def _free_unheld(self, held: tuple[int, ...]) -> None:
        freed = self._db().execute(_FREE, (self._owner, json.dumps(held)))
        if freed.rowcount:
            ring(self._bells)


def _note(ended: asyncio.Future[None]) -> None:
    if not ended.cancelled() and (error := ended.exception()) is not None:
        log.warning("leaving the queue: %s", error)


def _into_wal(db: sqlite3.Connection, seconds: float) -> None:
    """Switch to WAL, which SQLite refuses without waiting while another process does the same."""
    until = time.monotonic() + seconds
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
