"""Room on the disk: above the floor, and beside what other uploads were promised."""

from __future__ import annotations

import logging
import math

import anyio
import msgspec

from onward.core.admission import admit
from onward.core.types import Limits, Store
from onward.core.upload import Upload
from onward.errors import NoSpace
from onward.ports import Catalog, Due, Storage

log = logging.getLogger("onward.space")

FREE_FOR = 1.0
"""Seconds that a look at the free disk space is good for."""

SAID_FOR = 60.0
"""Seconds after which the log says again that there is no room."""

MOST_WAITING = 1000
"""Sealed uploads that are counted; beyond that there are "so many or more"."""


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How much the server can still take, and how much it has to do. Sizes in bytes."""

    free: int | None
    """What may still be written; null where there is no such number."""
    floor: int
    """What is never given away of it (``min_free``)."""
    promised: int
    """What uploads under way were promised, and may still send."""
    waiting: int
    """Uploads that are all there and wait to be finished, or are being finished; 1000 stands for more, too."""


class Space:
    """Answers whether more bytes fit."""

    def __init__(self, *, storage: Storage, catalog: Catalog, limits: Limits, floor: int) -> None:
        self._storage = storage
        self._catalog = catalog
        self._limits = limits
        self._floor = floor
        self._free: tuple[float, int | None] = (-FREE_FOR, None)
        self._promised = (-FREE_FOR, 0)
        """Each with the time when it was looked at."""
        self._said = -SAID_FOR

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

    async def room(self) -> Room:
        """How things stand on the whole; costs the same however many uploads there are."""
        return Room(
            free=await self._left(),
            floor=self._floor,
            promised=await self._catalog.promised(),
            waiting=len(await self._catalog.due(Due.FINISH, before=math.inf, limit=MOST_WAITING)),
        )

    async def _left(self) -> int | None:
        now = anyio.current_time()
        if now - self._free[0] >= FREE_FOR:
            self._free = (now, await self._storage.free())
        return self._free[1]

    async def need(self, size: int, *, promised: bool = False, few: bool = False) -> None:
        """Raises ``NoSpace`` unless ``size`` bytes fit; ``promised`` ones only need the floor.

        For ``few`` bytes it is enough to know what others were promised up to ``FREE_FOR`` seconds ago.
        """
        free = await self._left()
        if free is None or not size:
            return
        others = 0 if promised else await self._promised_to_others(few=few)
        if free - others - size < self._floor:
            self._say(free, others)
            raise NoSpace("the server has no room for this; what it has is safe, try again later")

    def _say(self, free: int, others: int) -> None:
        now = anyio.current_time()
        if now - self._said >= SAID_FOR:
            self._said = now
            log.warning(
                "no room: uploads get 507; %d MiB are free, %d MiB promised to others, %d MiB (min_free) are kept",
                *(number >> 20 for number in (free, others, self._floor)),
            )

    async def _promised_to_others(self, *, few: bool) -> int:
        now = anyio.current_time()
        if not few or now - self._promised[0] >= FREE_FOR:
            self._promised = (now, await self._catalog.promised())
        return self._promised[1]
