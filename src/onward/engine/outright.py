"""A small file that comes whole with its creation: one entry in the journal, its bytes enclosed."""

from __future__ import annotations

from typing import Final

from onward.core.types import Append, Completes, Create, Created, First, Record, Spec, Store
from onward.core.upload import Upload
from onward.engine.intake import Body
from onward.engine.ledger import Ledger
from onward.engine.rules import Rules
from onward.engine.store import Storing
from onward.ports import Storage

SMALL: Final = 64 << 10
"""Bytes up to which an upload is not worth a file of its own before the worker makes it one."""


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
            events, data = await self._storing.take_new(upload, store, body)
        except BaseException:
            await self._storage.discard(begun.id)
            raise
        await self._ledger.begin(upload, [begun, *events], at, sync=self._durable, enclosed=data)
        return upload
