"""A small file that comes whole with its creation: one write, one entry in the journal."""

from __future__ import annotations

from typing import Final

from onward.core.types import Append, Completes, Create, Created, First, Record, Spec, Store
from onward.core.upload import Upload
from onward.engine.intake import Body
from onward.engine.ledger import Ledger
from onward.engine.rules import Rules
from onward.engine.store import Storing
from onward.errors import ServerFault, VersionConflict
from onward.ports import Storage

SMALL: Final = 64 << 10
"""Bytes up to which an upload is not worth an entry of its own before its bytes have come."""


def whole(spec: Spec, cmd: Create) -> First | None:
    """The bytes of an upload that nobody could ask for before they have come.

    It has no name and no key to be asked by, all of its bytes come now, and they are few.
    """
    first = cmd.first
    alone = spec.name is None and cmd.idempotency_key is None and not spec.sources and not spec.partial
    if first is None or first.size is None or not alone or cmd.policy.completes is not Completes.WHEN_FULL:
        return None
    return first if 0 < first.size <= SMALL and first.size == spec.declared.length else None


class Outright:
    """Takes such uploads for the engine."""

    def __init__(self, *, storage: Storage, storing: Storing, ledger: Ledger, rules: Rules) -> None:
        self._storage = storage
        self._storing = storing
        self._ledger = ledger
        self._durable = rules.durable_parts or rules.durable_seal

    async def take(self, begun: Created, first: First, body: Body, at: float) -> Upload:
        """The sealed upload. Raises as ``Storing.store``; then there is no such upload and no byte of it."""
        upload = Upload(begun.id)
        upload.apply(Record(1, at, begun))
        store = Store(target=begun.id, at=Append(0), size=first.size, digests=first.digests, ends=first.ends)
        try:
            events = await self._storing.take_new(upload, store, body, durable=self._durable)
        except BaseException:
            await self._storage.discard(begun.id)
            raise
        try:
            # Bytes that it fails to record may have been recorded: the sweep frees them if not.
            await self._ledger.begin(upload, [begun, *events], at, sync=self._durable)
        except VersionConflict:
            raise ServerFault("these bytes were taken for what a crash had left; send them again") from None
        return upload
