"""Room on the disk: above the floor, and beside what other uploads were promised."""

from __future__ import annotations

import anyio

from onward.core.admission import admit
from onward.core.types import Limits, Store
from onward.core.upload import Upload
from onward.errors import NoSpace
from onward.ports import Catalog, Storage

FREE_FOR = 1.0
"""Seconds that a look at the free disk space is good for."""


class Space:
    """Answers whether more bytes fit."""

    def __init__(self, *, storage: Storage, catalog: Catalog, limits: Limits, floor: int) -> None:
        self._storage = storage
        self._catalog = catalog
        self._limits = limits
        self._floor = floor
        self._looked = -FREE_FOR
        self._free: int | None = None
        self._promised = 0

    async def need_for(self, upload: Upload, cmd: Store) -> None:
        """Raises ``NoSpace`` unless a body, or the length that it declares, fits."""
        length = cmd.declared.length
        if upload.length is None and length is not None:
            admit(upload, cmd, self._limits)  # a length that contradicts is no question of space
            await self.need(length - upload.received_bytes)
        elif cmd.size:
            await self.need(cmd.size, promised=upload.length is not None)

    async def check(self) -> None:
        """Raises ``NoSpace`` if not one byte of a new upload fits."""
        try:
            await self.need(1)
        except NoSpace:
            floor = self._floor >> 20
            raise NoSpace(
                f"no new upload has room: {floor} MiB (min_free) are kept free beside what others were promised"
            ) from None

    async def need(self, size: int, *, promised: bool = False, few: bool = False) -> None:
        """Raises ``NoSpace`` unless ``size`` bytes fit; ``promised`` ones only need the floor.

        For ``few`` bytes it is enough to know what others were promised up to ``FREE_FOR`` seconds ago.
        """
        now = anyio.current_time()
        looks = now - self._looked >= FREE_FOR
        if looks:
            self._looked, self._free = now, await self._storage.free()
        free = self._free
        if free is None or not size:
            return
        if looks or not few:
            self._promised = await self._catalog.promised()
        others = 0 if promised else self._promised
        if free - others - size < self._floor:
            raise NoSpace("the server has no room for this; what it has is safe, try again later")
