"""What happens to uploads, polled once for all who listen in this process."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import anyio

from onward.core.types import (
    Created,
    Damaged,
    Declared,
    Failed,
    Published,
    Removed,
    Sealed,
    State,
    Stored,
    Unknown,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.engine.space import Room
from onward.errors import NotFound
from onward.ports import FeedItem, WorkDone
from onward.wire.views import map_of

log = logging.getLogger("onward.web")

BATCH: Final = 500
MOST_SEALED: Final = 64
"""Sealed uploads whose worker is followed at a time."""
ROOM_EVERY: Final = 2.0
"""Seconds between two looks at the disk and the queue while an operator listens."""


class Progress(NamedTuple):
    """An upload has grown."""

    id: UploadId
    received: int
    length: int | None
    offset: int
    map: str
    """Where the bytes are; see ``map_of``."""


class Verifying(NamedTuple):
    """The worker has come further with a sealed upload."""

    id: UploadId
    work: WorkDone


class Listener:
    """One stream's mailbox: of one upload, of one owner's, or of all.

    At most ``most_news`` events wait in it, and the progress of ``most_progress`` uploads.
    """

    __slots__ = (
        *("_id", "_most_news", "_most_progress", "_owner", "_wake"),
        *("ended", "everyone", "news", "progress", "room", "seen"),
    )

    def __init__(
        self,
        *,
        id: UploadId | None = None,
        owner: str | None = None,
        everyone: bool = False,
        most_news: int = 1000,
        most_progress: int = 256,
    ) -> None:
        self._id = id
        self._owner = owner
        self._most_news = most_news
        self._most_progress = most_progress
        self.everyone = everyone
        self.news: deque[FeedItem] = deque()
        self.progress: dict[UploadId, Progress | Verifying] = {}
        self.room: Room | None = None
        """How the server stands as a whole, if that has changed; told to operators alone."""
        self.seen = 0
        """Until it ends, all that concerns this listener up to this ``seq`` is in the mailbox or was taken out."""
        self.ended = False
        self._wake = anyio.Event()

    @property
    def id(self) -> UploadId | None:
        """The one upload that concerns it, if it is one."""
        return self._id

    @property
    def owner(self) -> str | None:
        """Whose uploads concern it, unless all do."""
        return self._owner

    def wants(self, id: UploadId, owner: str | None) -> bool:
        """True if this upload concerns the listener."""
        if self._id is not None:
            return id == self._id
        return self.everyone or owner == self._owner

    def tell(self, item: FeedItem) -> None:
        """Put an event in; a mailbox that is full ends, for the client to come back to where it was."""
        if len(self.news) >= self._most_news:
            self.end()
            return
        self.news.append(item)
        self.progress.pop(item.id, None)
        self._wake.set()

    def tell_progress(self, progress: Progress | Verifying) -> None:
        """Note how far an upload is; only the last word is kept."""
        self.progress.pop(progress.id, None)
        self.progress[progress.id] = progress
        if len(self.progress) > self._most_progress:
            del self.progress[next(iter(self.progress))]
        self._wake.set()

    def tell_room(self, room: Room) -> None:
        """Note how the server stands; only the last word is kept."""
        self.room = room
        self._wake.set()

    def reached(self, seq: int) -> None:
        """Everything up to ``seq`` has been told."""
        self.seen = seq

    def end(self) -> None:
        """No more will come."""
        self.ended = True
        self._wake.set()

    async def wait(self, seconds: float) -> bool:
        """True when there is something to take, or the end; false after ``seconds`` without either."""
        with anyio.move_on_after(seconds):
            await self._wake.wait()
        if not self._wake.is_set():
            return False
        self._wake = anyio.Event()
        return True


class Feed:
    """Polls the catalog every ``every`` seconds while somebody listens, and never otherwise.

    How far an upload is, is told at most every ``pace`` seconds. A stream that has had nothing
    to say for ``heartbeat`` seconds says that it lives. For a slow listener ``most_news`` events
    wait before its stream is ended, and the progress of ``most_progress`` uploads, the oldest of
    which is dropped first.
    """

    def __init__(
        self,
        *,
        every: float = 0.25,
        pace: float = 0.5,
        heartbeat: float = 15.0,
        most_news: int = 1000,
        most_progress: int = 256,
        clock: Callable[[], float] = anyio.current_time,
    ) -> None:
        self.heartbeat = heartbeat
        self._most_news = most_news
        self._most_progress = most_progress
        self._every = every
        self._pace = pace
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._wanted = anyio.Event()
        self._turn = anyio.Lock()
        self._ended = False
        self._clear(0)

    def _clear(self, seq: int) -> None:
        self._seq = seq
        self._grown: dict[UploadId, str | None] = {}
        self._told: dict[UploadId, float] = {}
        self._sealed: dict[UploadId, tuple[str | None, WorkDone | None]] = {}
        self._room: tuple[float, Room | None] = (-ROOM_EVERY, None)

    async def run(self, engine: Engine) -> None:
        """Poll until cancelled. One bad poll does not end it: the next goes on from the same place."""
        self._ended = False
        while True:
            await self._wanted.wait()
            while self._listeners:
                try:
                    await self.poll(engine)
                except Exception:
                    log.warning("the events could not be read; they are read again", exc_info=True)
                await anyio.sleep(self._every)
            self._wanted = anyio.Event()

    def end(self) -> None:
        """End all streams, now and from now on."""
        self._ended = True
        for listener in self._listeners:
            listener.end()

    def listener(self, *, id: UploadId | None = None, owner: str | None = None, everyone: bool = False) -> Listener:
        """A mailbox with the limits of this feed; nothing comes into it before ``join``."""
        return Listener(
            id=id, owner=owner, everyone=everyone, most_news=self._most_news, most_progress=self._most_progress
        )

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Whoever called ``join`` inside is told until the exit."""
        try:
            yield
        finally:
            self._listeners.discard(listener)

    async def join(self, engine: Engine, listener: Listener) -> int:
        """From now on ``listener`` is told; returns the ``seq`` up to which it must look for itself."""
        async with self._turn:
            if not self._listeners:
                self._clear(await engine.catalog.last_seq())
                await self._look_for_sealed(engine)
            else:
                await self._catch_up(engine)  # or what the listener is about to see would be told as new
            if listener.id is not None:
                await self._look_at(engine, listener.id)
            listener.reached(self._seq)
            self._listeners.add(listener)
            self._wanted.set()
            if listener.everyone and self._room[1] is not None:
                listener.tell_room(self._room[1])
            if self._ended:
                listener.end()
            return self._seq

    async def _look_for_sealed(self, engine: Engine) -> None:
        rows, _ = await engine.catalog.page(
            owner=None, everyone=True, states=[State.SEALED], after=None, limit=MOST_SEALED
        )
        self._sealed = {row.id: (row.owner, None) for row in rows}

    async def _look_at(self, engine: Engine, id: UploadId) -> None:
        row = await engine.catalog.summary(id)
        if row is not None and row.state is State.SEALED:
            self._sealed.setdefault(id, (row.owner, None))

    async def poll(self, engine: Engine) -> None:
        """Look once, and tell everybody."""
        async with self._turn:
            await self._catch_up(engine)
            now = self._clock()
            await self._tell_progress(engine, now)
            await self._tell_work(engine, now)
            await self._tell_room(engine, now)

    async def _catch_up(self, engine: Engine) -> None:
        while True:
            items = await engine.catalog.feed(after=self._seq, limit=BATCH)
            for item in items:
                self._take(item)
                self._seq = item.seq
            for listener in self._listeners:
                listener.reached(self._seq)
            if len(items) < BATCH:
                return

    def _take(self, item: FeedItem) -> None:
        match item.record.event:
            case Stored() | Declared():
                self._grown[item.id] = item.owner
                return
            case Sealed():
                self._sealed[item.id] = (item.owner, None)
            case Unknown():
                return
            case Created():
                pass
            case Published() | Failed() | Removed() | Damaged():
                self._sealed.pop(item.id, None)
        self._grown.pop(item.id, None)
        for listener in self._listeners:
            if listener.wants(item.id, item.owner):
                listener.tell(item)

    async def _tell_progress(self, engine: Engine, now: float) -> None:
        for id, owner in list(self._grown.items()):
            listeners = [listener for listener in self._listeners if listener.wants(id, owner)]
            if listeners and not self._is_due(id, now):
                continue
            del self._grown[id]
            if not listeners:
                continue
            progress = await progress_of(engine, id)
            if progress is not None:
                for listener in listeners:
                    listener.tell_progress(progress)

    async def _tell_work(self, engine: Engine, now: float) -> None:
        followed = 0
        for id, (owner, last) in list(self._sealed.items()):
            listeners = [listener for listener in self._listeners if listener.wants(id, owner)]
            if not listeners:
                continue
            if followed >= MOST_SEALED:
                return  # the rest have their turn when these are not due
            if not self._is_due(id, now):
                continue
            followed += 1
            work = await engine.catalog.work(id)
            if work is None or (last and (work.phase, work.done) == (last.phase, last.done)):
                continue
            self._sealed[id] = (owner, work)
            for listener in listeners:
                listener.tell_progress(Verifying(id, work))

    async def _tell_room(self, engine: Engine, now: float) -> None:
        listeners = [listener for listener in self._listeners if listener.everyone]
        if not listeners or now - self._room[0] < ROOM_EVERY:
            return
        room = await engine.room()
        if room != self._room[1]:
            for listener in listeners:
                listener.tell_room(room)
        self._room = (now, room)

    def _is_due(self, id: UploadId, now: float) -> bool:
        if now - self._told.get(id, -self._pace) < self._pace:
            return False
        if len(self._told) > BATCH:
            self._told = {one: at for one, at in self._told.items() if now - at < self._pace}
        self._told[id] = now
        return True


async def progress_of(engine: Engine, id: UploadId) -> Progress | None:
    """How far an upload that is being received is; ``None`` for any other."""
    try:
        upload = await engine.ledger.load(id)
    except NotFound:
        return None
    return grown(upload)


def grown(upload: Upload) -> Progress | None:
    """How far an upload that is being received is; ``None`` for any other."""
    if upload.state is not State.OPEN:
        return None
    return Progress(upload.id, upload.received_bytes, upload.length, upload.offset, map_of(upload))
