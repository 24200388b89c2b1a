"""The two ports over one file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from onward.core.summary import Summary
from onward.core.types import AnyEvent, ClientName, Record, State, UploadId
from onward.journal.sqlite import changes, queries
from onward.journal.sqlite.faults import fault_of
from onward.journal.sqlite.places import Place, place_of, to_text
from onward.journal.sqlite.readers import Readers
from onward.journal.sqlite.schema import open_writer
from onward.journal.sqlite.writer import Writer
from onward.ports import Due, FeedItem, WorkDone

NEAR: Final = 256
"""The most rows that are fetched and decoded on the event loop."""


class SqliteJournal:
    """Keeps every upload's events, and the catalog of them, in one SQLite file in WAL mode.

    Several processes of one host may use one file. All writes of a process go through one
    thread that commits what waits together; answers to short questions come from a read-only
    connection without leaving the event loop. The file and its directory are created, 0600 and
    0700. It must lie on a local file system.

    Without ``full_sync`` nothing is ever synced by a commit: an upload may lose its newest
    events in a power cut, never its older ones, and the file stays sound.

    Raises ``StorageFault`` if the file cannot be opened or is of a newer version.
    """

    def __init__(self, path: str | os.PathLike[str], *, full_sync: bool = True) -> None:
        self._path = Path(path).absolute()
        try:
            connection = open_writer(self._path)
            try:
                self._readers = Readers(self._path)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise fault_of(error, self._path) from error
        self._writer = Writer(connection, self._path, full_sync=full_sync)

    @property
    def commits(self) -> int:
        """Transactions that this process has committed; fewer than writes when those come together."""
        return self._writer.commits

    async def create(
        self,
        id: UploadId,
        events: Sequence[AnyEvent],
        *,
        at: float,
        name: ClientName | None,
        replaces: UploadId | None,
        key: tuple[str | None, str] | None,
        sync: bool,
        enclosed: bytes = b"",
    ) -> UploadId:
        """See ``Journal.create``. Raises ``VersionConflict`` if ``id`` exists and holds neither name nor key."""
        change = partial(
            changes.create, id=id, events=events, at=at, name=name, replaces=replaces, key=key, enclosed=enclosed
        )
        return await self._writer.write(change, sync=sync)

    async def read(self, id: UploadId, *, after: int = 0) -> Sequence[Record]:
        """See ``Journal.read``."""
        rows = await self._readers.point(partial(queries.event_rows, id=id, after=after, limit=NEAR + 1))
        if len(rows) <= NEAR:
            return queries.records_of(rows)
        # From the start, in one snapshot: the upload may be dropped between two reads.
        return await self._readers.far(partial(queries.records, id=id, after=after))

    async def enclosed(self, id: UploadId) -> bytes:
        """See ``Journal.enclosed``."""
        return await self._readers.point(partial(queries.enclosed, id=id))

    async def append(self, id: UploadId, events: Sequence[AnyEvent], *, version: int, at: float, sync: bool) -> None:
        """See ``Journal.append``."""
        await self._writer.write(partial(changes.append, id=id, events=events, version=version, at=at), sync=sync)

    async def drop(self, id: UploadId) -> None:
        """See ``Journal.drop``."""
        await self._writer.write(partial(changes.drop, id=id), sync=False)

    async def check(self) -> None:
        """See ``Journal.check``."""
        await self._writer.write(changes.touch, sync=True)

    async def close(self) -> None:
        """Commit what waits, fold the write-ahead log into the file, and let go. May be called again."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._writer.close)
        await loop.run_in_executor(None, self._readers.close)

    async def find(self, name: ClientName) -> UploadId | None:
        """See ``Catalog.find``."""
        return await self._readers.point(partial(queries.name_holder, name=name))

    async def find_key(self, owner: str | None, key: str) -> UploadId | None:
        """See ``Catalog.find_key``."""
        return await self._readers.point(partial(queries.key_holder, owner=owner, key=key))

    async def published_as(self, ref: str) -> Sequence[UploadId]:
        """See ``Catalog.published_as``."""
        return await self._readers.far(partial(queries.published_as, ref=ref))

    async def summary(self, id: UploadId) -> Summary | None:
        """See ``Catalog.summary``."""
        return await self._readers.point(partial(queries.summary, id=id))

    async def page(
        self, *, owner: str | None, everyone: bool, states: Sequence[State], after: str | None, limit: int
    ) -> tuple[Sequence[Summary], str | None]:
        """See ``Catalog.page``. No ``states`` means all of them."""
        start = None if after is None else place_of(after)
        ask = partial(queries.page, owner=owner, everyone=everyone, states=states, start=start, limit=limit + 1)
        rows = await self._readers.far(ask)
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], to_text(Place(last.created_at, last.id))

    async def due(self, what: Due, *, before: float, limit: int) -> Sequence[UploadId]:
        """See ``Catalog.due``."""
        return await self._readers.far(partial(queries.due, what=what, before=before, limit=limit))

    async def waiting(self, source: UploadId, *, limit: int) -> Sequence[UploadId]:
        """See ``Catalog.waiting``."""
        ask = partial(queries.waiting, source=source, limit=limit)
        return await (self._readers.point(ask) if limit <= NEAR else self._readers.far(ask))

    async def feed(self, *, after: int, limit: int, id: UploadId | None = None) -> Sequence[FeedItem]:
        """See ``Catalog.feed``."""
        # Listeners ask several times a second, mostly for nothing: that is found out without a thread.
        if await self.last_seq() <= after:
            return []
        return await self._readers.far(partial(queries.feed, after=after, limit=limit, id=id))

    async def last_seq(self) -> int:
        """See ``Catalog.last_seq``."""
        return await self._readers.point(queries.last_seq)

    async def promised(self) -> int:
        """See ``Catalog.promised``."""
        return await self._readers.point(queries.promised)

    async def report(self, id: UploadId, work: WorkDone) -> None:
        """See ``Catalog.report``."""
        await self._writer.write(partial(changes.report, id=id, work=work), sync=False)

    async def work(self, id: UploadId) -> WorkDone | None:
        """See ``Catalog.work``."""
        return await self._readers.point(partial(queries.work, id=id))

    async def cursor(self, name: str) -> int:
        """See ``Catalog.cursor``."""
        return await self._readers.point(partial(queries.cursor, name=name))

    async def move_cursor(self, name: str, seq: int) -> None:
        """See ``Catalog.move_cursor``."""
        await self._writer.write(partial(changes.move_cursor, name=name, seq=seq), sync=False)
