"""Uploads that are made of others: accepted at once, sealed when the last of these has its last byte.

Nothing here is remembered between calls. What an upload waits for is in the catalog, so whoever
stores that last byte, in whichever process, finds who waits for it; the sweeper finds what a crash left.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from onward.core.joining import check_source, check_sum, is_whole, joined
from onward.core.types import Event, Failed, Limits, Sealed, Spec, State, UploadId
from onward.core.upload import Upload
from onward.engine.ledger import Ledger
from onward.engine.rules import Rules
from onward.errors import NotFound, ServerFault
from onward.ports import Catalog, Storage

log = logging.getLogger("onward.joining")

AT_ONCE = 100
"""Uploads waiting for one that are seen to when it is whole; the sweeper sees to the rest."""


class Joining:
    """Sees to concatenations for the engine."""

    def __init__(
        self,
        *,
        storage: Storage,
        ledger: Ledger,
        catalog: Catalog,
        limits: Limits,
        rules: Rules,
        queue: Callable[[UploadId], Awaitable[None]],
    ) -> None:
        self._storage = storage
        self._ledger = ledger
        self._catalog = catalog
        self._limits = limits
        self._rules = rules
        self._queue = queue

    async def check(self, spec: Spec, find: Callable[[UploadId], Awaitable[Upload]]) -> int:
        """Bytes that the sources of a new upload are known to have together.

        ``find`` gives an upload that the caller may use, and raises ``NotFound`` for any other.
        Raises ``BadField``, ``UploadTooLarge`` or ``TooManyChunks`` too, for what cannot be joined.
        """
        found = {id: await find(id) for id in dict.fromkeys(spec.sources)}
        for source in found.values():
            check_source(source)
        return check_sum([found[id] for id in spec.sources], self._limits)

    async def advance(self, upload: Upload) -> bool:
        """Note what has become of the sources; true if that seals the upload, which is then queued."""
        if upload.state is not State.OPEN or not upload.spec.sources:
            return False
        sources = await self._ledger.load_all(upload.spec.sources)
        events = joined(upload, sources, self._limits)
        if not events:
            return False
        if _seals(events) and self._rules.durable_seal and not self._rules.durable_parts:
            for id in sources:
                await self._storage.sync(id)
        events = list(await self._ledger.record(upload, lambda newest: joined(newest, sources, self._limits)))
        for event in events:
            if isinstance(event, Failed):
                log.warning("upload %s failed: %s", upload.id, event.code)
        sealed = _seals(events)
        if sealed:
            await self._queue(upload.id)
        return sealed

    async def changed(self, source: Upload) -> None:
        """An upload has got bytes or is over: see to those that wait for its end. Never raises ``ServerFault``."""
        if not source.spec.partial or (source.state is State.OPEN and not is_whole(source)):
            return
        try:
            for id in await self._catalog.waiting(source.id, limit=AT_ONCE):
                await self.advance(await self._ledger.load(id))
        except (ServerFault, NotFound):
            log.warning("what is made of upload %s is left to the sweeper", source.id, exc_info=True)

    async def keeps(self, id: UploadId, before: float) -> bool:
        """True if an upload that rests since ``before`` must not expire yet.

        A source stays while an upload needs it; that one stays while any source still gets bytes.
        """
        if await self._catalog.waiting(id, limit=1):
            return True
        row = await self._catalog.summary(id)
        if row is None or not row.sources:
            return False
        for upload in (await self._ledger.load_all([id])).values():
            sources = await self._ledger.load_all(upload.spec.sources)
            return any(source.active_at >= before for source in sources.values())
        return False


def _seals(events: list[Event]) -> bool:
    return any(isinstance(event, Sealed) for event in events)
