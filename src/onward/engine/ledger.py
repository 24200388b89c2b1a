"""Uploads folded from the journal, kept warm, and the one way to add to it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
import anyio.lowlevel

from onward.core.types import Event, Record, Sealed, UploadId
from onward.core.upload import Upload
from onward.errors import NotFound, OnwardError, VersionConflict
from onward.ports import Journal

KEPT = 2048
"""Folded uploads that are kept warm."""

SLICE = 250
"""Events that are folded without a pause: less than a millisecond."""

ATTEMPTS = 20
"""Appends that may meet another process's before the upload counts as busy."""


class Ledger:
    """The journal as the engine sees it: uploads in, events out.

    An upload is folded once and then only brought up to date, with one point read.
    """

    def __init__(self, journal: Journal, *, clock: Callable[[], float], sync_parts: bool, sync_seal: bool) -> None:
        self._journal = journal
        self._clock = clock
        self._sync_parts = sync_parts
        self._sync_seal = sync_seal
        self._warm: OrderedDict[UploadId, Upload] = OrderedDict()
        self._sections: dict[UploadId, tuple[anyio.Lock, int]] = {}

    async def load(self, id: UploadId) -> Upload:
        """The upload as of this moment. Raises ``NotFound``."""
        upload = self._warm.get(id)
        if upload is None:
            upload = Upload(id)
        await self.refresh(upload)
        if upload.version == 0:
            raise NotFound
        self._keep(upload)
        return upload

    async def begin(
        self, upload: Upload, events: Sequence[Event], at: float, *, sync: bool, enclosed: bytes = b""
    ) -> None:
        """Record an upload that nobody can know of yet, with its bytes, and fold what ``upload`` lacks of it."""
        await self._journal.create(
            upload.id, events, at=at, name=None, replaces=None, key=None, sync=sync, enclosed=enclosed
        )
        for number, event in enumerate(events, 1):
            if number > upload.version:
                upload.apply(Record(number, at, event))
        self._keep(upload)

    async def enclosed(self, id: UploadId) -> bytes:
        """The bytes of a small upload that lie in the journal; empty if they do not."""
        return await self._journal.enclosed(id)

    async def load_all(self, ids: Iterable[UploadId]) -> dict[UploadId, Upload]:
        """Those of these uploads that are known, each as of this moment."""
        found: dict[UploadId, Upload] = {}
        for id in dict.fromkeys(ids):
            with suppress(NotFound):
                found[id] = await self.load(id)
        return found

    async def refresh(self, upload: Upload) -> None:
        """Fold what has been appended since."""
        for number, record in enumerate(await self._journal.read(upload.id, after=upload.version), 1):
            if record.version == upload.version + 1:
                upload.apply(record)
            if number % SLICE == 0:  # others get their turn; what is folded so far is a state that was
                await anyio.lowlevel.checkpoint()

    def _keep(self, upload: Upload) -> None:
        self._warm[upload.id] = upload
        self._warm.move_to_end(upload.id)
        while len(self._warm) > KEPT:
            self._warm.popitem(last=False)

    def forget(self, id: UploadId) -> None:
        """Drop the folded upload."""
        self._warm.pop(id, None)

    async def record(self, upload: Upload, decide: Callable[[Upload], Sequence[Event]]) -> Sequence[Event]:
        """Append what ``decide`` returns for the newest state, and fold it in.

        ``decide`` is asked again when another process was quicker. What it raises passes through.
        Durable on return as the rules of durability say; the upload shows the events only then.
        """
        async with self._section(upload.id):
            for attempt in range(ATTEMPTS):
                await self.refresh(upload)
                events = decide(upload)
                if not events:
                    return events
                version, at = upload.version, self._clock()
                try:
                    await self._journal.append(upload.id, events, version=version, at=at, sync=self._must_sync(events))
                except VersionConflict:
                    await anyio.sleep(0.001 * attempt)
                    continue
                for number, event in enumerate(events, version + 1):
                    # A refresh in another task may have read these back already.
                    if number == upload.version + 1:
                        upload.apply(Record(number, at, event))
                return events
            raise OnwardError("the journal of this upload is never at rest")

    def _must_sync(self, events: Sequence[Event]) -> bool:
        if self._sync_parts:
            return True
        return self._sync_seal and any(isinstance(event, Sealed) for event in events)

    @asynccontextmanager
    async def _section(self, id: UploadId) -> AsyncIterator[None]:
        lock, users = self._sections.get(id, (None, 0))
        if lock is None:
            lock = anyio.Lock()
        self._sections[id] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._sections[id]
            if users == 1:
                del self._sections[id]
            else:
                self._sections[id] = (lock, users - 1)
