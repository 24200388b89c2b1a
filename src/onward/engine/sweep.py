"""What happens without a request: expiry, orphans, lost jobs, and telling the hooks."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import msgspec

from onward.core.completion import remove
from onward.core.types import Event, State, UploadId
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.engine.finish import free
from onward.errors import Locked, NotFound
from onward.ports import FINISH, WHOLE, Due

log = logging.getLogger("onward.sweep")

BATCH = 500
"""Uploads that one pass looks at for each question."""

ALL = 1_000_000
"""Uploads that the pass after a start looks at where any of them may have been forgotten in a crash."""

HOUSEKEEPER = UploadId("0" * 32)
"""Whose FINISH lock the one process holds that sweeps."""

TELLER = UploadId("0" * 31 + "1")
"""Whose FINISH lock whoever tells the hooks holds: two at once would tell twice."""

TELL_EVERY = 1.0
"""Seconds until the hooks hear of what has happened, at most, where somebody tells them all the time."""

TELL_AGAIN = 60.0
"""Most seconds until hooks that failed are told again."""

HOOKS_CURSOR = "hooks"


class Swept(msgspec.Struct, kw_only=True):
    """What one sweep did."""

    expired: int = 0
    forgotten: int = 0
    orphans: int = 0
    queued: int = 0
    joined: int = 0
    told: int = 0


async def sweep(engine: Engine, *, started: bool = False) -> Swept | None:
    """Do all that is due, once. ``None`` if another process is at it.

    ``started`` also queues uploads that were sealed a moment ago and looks for scratch bytes of
    uploads that no journal knows: what a crash may have left.
    """
    try:
        async with engine.locks.hold(HOUSEKEEPER, FINISH, timeout=0):
            now = engine.clock()
            swept = Swept()
            swept.queued = await requeue(engine, before=now if started else now - engine.rules.requeue_after)
            swept.joined = await join(engine, limit=ALL if started else BATCH)
            swept.expired = await expire(engine, before=now - engine.rules.expire_after)
            swept.forgotten = await forget(engine, before=now - engine.rules.forget_after)
            if started:
                swept.orphans = await orphans(engine)
            swept.told = await tell(engine)
            return swept
    except Locked:
        return None


class Sweeper:
    """Sweeps each time it is called, the first time as after a crash. Several processes may have one each."""

    def __init__(self) -> None:
        self._started = True

    async def __call__(self, engine: Engine) -> None:
        """Do all that is due, unless another process is at it."""
        if await sweep(engine, started=self._started) is not None:
            self._started = False


class Teller:
    """Tells the hooks, for as long as it is not cancelled, soon after something has happened."""

    def __init__(self, every: float = TELL_EVERY) -> None:
        self._every = every

    async def __call__(self, engine: Engine) -> None:
        """Never returns; hooks that fail are told again less and less often. Several processes may have one each."""
        pause = self._every
        while True:
            heard = await _tell(engine)
            pause = self._every if heard.all else min(2 * pause, TELL_AGAIN)
            await anyio.sleep(pause)


async def requeue(engine: Engine, *, before: float) -> int:
    """Queue again what is sealed and not published since ``before``."""
    ids = await engine.catalog.due(Due.FINISH, before=before, limit=BATCH)
    for due in ids:
        await engine.queue(due)
    return len(ids)


async def join(engine: Engine, *, limit: int) -> int:
    """Seal what is made of other uploads that were all whole when nobody noticed."""
    count = 0
    for due in await engine.catalog.due(Due.JOIN, before=math.inf, limit=limit):
        for upload in (await engine.ledger.load_all([due])).values():
            count += await engine.joining.advance(upload)
        await anyio.lowlevel.checkpoint()
    return count


async def expire(engine: Engine, *, before: float) -> int:
    """Remove unfinished uploads that got no byte since ``before``. A running write keeps its upload alive."""
    count = 0
    for due in await _stale(engine, before):
        try:
            async with engine.locks.hold(due, WHOLE, timeout=0):
                upload = await engine.ledger.load(due)
                events = await engine.ledger.record(upload, lambda newest: _expired(newest, before))
        except (Locked, NotFound):
            continue
        if events:
            count += 1
            log.info("upload %s has expired", due)
            await engine.storage.discard(due)
            await engine.locks.forget(due)
    return count


async def _stale(engine: Engine, before: float) -> list[UploadId]:
    """A batch of uploads that may expire. Those that are kept for others do not stand in the way of the rest."""
    kept = 0
    while True:
        ids = await engine.catalog.due(Due.EXPIRE, before=before, limit=BATCH + kept)
        found = [id for id in ids[kept:] if not await engine.joining.keeps(id, before)]
        if found or len(ids) < BATCH + kept:
            return found
        kept = len(ids)


def _expired(upload: Upload, before: float) -> Sequence[Event]:
    if upload.read_only or upload.state is not State.OPEN or upload.active_at >= before:
        return []
    return remove(upload, "expired")


async def forget(engine: Engine, *, before: float) -> int:
    """Drop the records of uploads that failed, were cancelled or expired before ``before``."""
    ids = await engine.catalog.due(Due.FORGET, before=before, limit=BATCH)
    for due in ids:
        await engine.storage.discard(due)
        await engine.journal.drop(due)
        await engine.locks.forget(due)
        engine.ledger.forget(due)
    return len(ids)


async def orphans(engine: Engine) -> int:
    """Free scratch bytes that nothing will ever ask for."""
    count = 0
    async for found in engine.storage.scratch():
        row = await engine.catalog.summary(found)
        if row is None:
            await engine.storage.discard(found)
            count += 1
        elif row.state in {State.DONE, State.FAILED, State.GONE}:
            await free(engine.storage, await engine.ledger.load(found), engine.rules)
            count += 1
    return count


class _Heard(msgspec.Struct):
    count: int = 0
    all: bool = True


async def tell(engine: Engine) -> int:
    """Give the hooks every event they were not told of, in order, at least once; how many these were.

    Does nothing while somebody else is at it.
    """
    return (await _tell(engine)).count


async def _tell(engine: Engine) -> _Heard:
    heard = _Heard()
    try:
        async with engine.locks.hold(TELLER, FINISH, timeout=0):
            cursor = await engine.catalog.cursor(HOOKS_CURSOR)
            while heard.all and (items := await engine.catalog.feed(after=cursor, limit=BATCH)):
                for item in items:
                    try:
                        await engine.hooks.after(item)
                    except Exception:
                        log.exception("a hook failed on event %d; it is told again", item.seq)
                        heard.all = False
                        break
                    cursor = item.seq
                    heard.count += 1
                await engine.catalog.move_cursor(HOOKS_CURSOR, cursor)
    except Locked:
        log.debug("somebody else tells the hooks")
    return heard
