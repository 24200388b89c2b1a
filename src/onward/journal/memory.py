"""Journal and catalog in memory: for tests, and for uploads that need not outlive the process."""

from __future__ import annotations

import base64
import binascii
import struct
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b

from onward.core.codec import decode, encode
from onward.core.summary import Summary, advance, begin
from onward.core.types import AnyEvent, ClientName, Created, Record, State, UploadId
from onward.errors import BadField, StorageFault, VersionConflict
from onward.ports import Due, FeedItem, WorkDone

_STATES = {
    Due.FINISH: (State.SEALED,),
    Due.EXPIRE: (State.OPEN,),
    Due.FORGET: (State.FAILED, State.GONE),
    Due.JOIN: (State.OPEN,),
}


class MemoryJournal:
    """Keeps everything in this process and nothing beyond it; ``sync`` has no meaning here.

    Lists are made by looking at every upload: meant for hundreds of them, not for millions.
    """

    def __init__(self) -> None:
        self._closed = False
        self._records: dict[UploadId, list[Record]] = {}
        self._rows: dict[UploadId, Summary] = {}
        self._feed: list[tuple[int, UploadId, Record]] = []
        self._names: dict[ClientName, UploadId] = {}
        self._keys: dict[tuple[str | None, str], UploadId] = {}
        self._sources: dict[UploadId, frozenset[UploadId]] = {}
        """What an upload is made of, as long as it needs that."""
        self._work: dict[UploadId, WorkDone] = {}
        self._enclosed: dict[UploadId, bytes] = {}
        self._cursors: dict[str, int] = {}
        self._seq = 0
        self._promised = 0

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
        self._check_open()
        holder = self._keys.get(key) if key is not None else None
        if holder is None and name is not None:
            holder = self._names.get(name)
            holder = None if holder == replaces else holder
        if holder is not None:
            return holder
        self._add(id, events, 0, at)
        if enclosed:
            self._enclosed[id] = enclosed
        if name is not None:
            self._names[name] = id
        if key is not None:
            self._keys[key] = id
        return id

    async def read(self, id: UploadId, *, after: int = 0) -> Sequence[Record]:
        """See ``Journal.read``."""
        self._check_open()
        return self._records.get(id, [])[after:]

    async def enclosed(self, id: UploadId) -> bytes:
        """See ``Journal.enclosed``."""
        self._check_open()
        return self._enclosed.get(id, b"")

    async def append(self, id: UploadId, events: Sequence[AnyEvent], *, version: int, at: float, sync: bool) -> None:
        """See ``Journal.append``."""
        self._check_open()
        self._add(id, events, version, at)

    async def drop(self, id: UploadId) -> None:
        """See ``Journal.drop``."""
        self._check_open()
        row = self._rows.pop(id, None)
        if row is None:
            return
        self._promised -= row.promised
        del self._records[id]
        self._feed = [entry for entry in self._feed if entry[1] != id]
        self._names = {name: holder for name, holder in self._names.items() if holder != id}
        self._keys = {key: holder for key, holder in self._keys.items() if holder != id}
        self._sources.pop(id, None)
        self._work.pop(id, None)
        self._enclosed.pop(id, None)

    async def check(self) -> None:
        """See ``Journal.check``."""
        self._check_open()

    async def close(self) -> None:
        """Everything is forgotten with the object; calls raise ``StorageFault`` from here on."""
        self._closed = True

    async def find(self, name: ClientName) -> UploadId | None:
        """See ``Catalog.find``."""
        self._check_open()
        return self._names.get(name)

    async def find_key(self, owner: str | None, key: str) -> UploadId | None:
        """See ``Catalog.find_key``."""
        self._check_open()
        return self._keys.get((owner, key))

    async def published_as(self, ref: str) -> Sequence[UploadId]:
        """See ``Catalog.published_as``."""
        self._check_open()
        return [row.id for row in self._rows.values() if row.state is State.DONE and row.ref == ref]

    async def summary(self, id: UploadId) -> Summary | None:
        """See ``Catalog.summary``."""
        self._check_open()
        return self._rows.get(id)

    async def page(
        self, *, owner: str | None, everyone: bool, states: Sequence[State], after: str | None, limit: int
    ) -> tuple[Sequence[Summary], str | None]:
        """See ``Catalog.page``. No ``states`` means all of them."""
        self._check_open()
        start = (float("inf"), "") if after is None else _place_of(after)
        rows = [
            row
            for row in self._rows.values()
            if (everyone or row.owner == owner)
            and (not states or row.state in states)
            and (row.created_at, row.id) < start
        ]
        rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        if len(rows) <= limit:
            return rows, None
        return rows[:limit], _to_text(rows[limit - 1].created_at, rows[limit - 1].id)

    async def due(self, what: Due, *, before: float, limit: int) -> Sequence[UploadId]:
        """See ``Catalog.due``."""
        self._check_open()
        rows = [row for row in self._rows.values() if row.state in _STATES[what] and row.active_at < before]
        if what is Due.JOIN:
            rows = [row for row in rows if row.sources]
        rows.sort(key=lambda row: (row.active_at, row.id))
        return [row.id for row in rows[:limit]]

    async def waiting(self, source: UploadId, *, limit: int) -> Sequence[UploadId]:
        """See ``Catalog.waiting``."""
        self._check_open()
        return sorted(id for id, sources in self._sources.items() if source in sources)[:limit]

    async def feed(self, *, after: int, limit: int, id: UploadId | None = None) -> Sequence[FeedItem]:
        """See ``Catalog.feed``."""
        self._check_open()
        first = bisect_right(self._feed, after, key=lambda entry: entry[0])
        items: list[FeedItem] = []
        for seq, of, record in self._feed[first:]:
            if len(items) >= limit:
                break
            if id is None or of == id:
                items.append(FeedItem(seq=seq, id=of, owner=self._rows[of].owner, record=record))
        return items

    async def last_seq(self) -> int:
        """See ``Catalog.last_seq``."""
        self._check_open()
        return self._seq

    async def promised(self) -> int:
        """See ``Catalog.promised``."""
        self._check_open()
        return self._promised

    async def report(self, id: UploadId, work: WorkDone) -> None:
        """See ``Catalog.report``."""
        self._check_open()
        if id in self._rows:
            self._work[id] = work

    async def work(self, id: UploadId) -> WorkDone | None:
        """See ``Catalog.work``."""
        self._check_open()
        return self._work.get(id)

    async def cursor(self, name: str) -> int:
        """See ``Catalog.cursor``."""
        self._check_open()
        return self._cursors.get(name, 0)

    async def move_cursor(self, name: str, seq: int) -> None:
        """See ``Catalog.move_cursor``."""
        self._check_open()
        self._cursors[name] = seq

    def _add(self, id: UploadId, events: Sequence[AnyEvent], version: int, at: float) -> None:
        before = self._rows.get(id)
        found = before.version if before else 0
        if found != version:
            raise VersionConflict(expected=version, found=found)
        row = before
        # Through the codec, so that what cannot be kept elsewhere is not kept here.
        records = [Record(number, at, decode(encode(event))) for number, event in enumerate(events, version + 1)]
        for record in records:
            row = advance(row, record) if row else begin(record)
        if row is None or not records:
            return
        if row.id != id:
            raise ValueError("the Created event is that of another upload")
        self._rows[id] = row
        if before is None and isinstance(begun := records[0].event, Created) and begun.spec.sources:
            self._sources[id] = frozenset(begun.spec.sources)
        if row.state is not State.SEALED:
            self._enclosed.pop(id, None)
        if row.state not in {State.OPEN, State.SEALED}:
            self._sources.pop(id, None)
        self._records.setdefault(id, []).extend(records)
        self._feed.extend((self._seq + n, id, record) for n, record in enumerate(records, 1))
        self._seq += len(records)
        self._promised += row.promised - (before.promised if before else 0)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageFault("The journal is closed")


def _to_text(created_at: float, id: UploadId) -> str:
    body = struct.pack(">d", created_at) + id.encode()
    return base64.urlsafe_b64encode(blake2b(body, digest_size=6).digest() + body).rstrip(b"=").decode()


def _place_of(text: str) -> tuple[float, str]:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[6:]
        created_at, last = struct.unpack(">d", data[:8])[0], UploadId(data[8:].decode())
    except (ValueError, binascii.Error, struct.error) as error:
        raise BadField(field="after", allowed="the cursor of a page") from error
    if _to_text(created_at, last) != text:
        raise BadField(field="after", allowed="the cursor of a page")
    return created_at, last
