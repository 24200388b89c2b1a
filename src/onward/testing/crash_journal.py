"""A journal in memory that loses, in a power cut, what was not yet synced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from onward.core.types import AnyEvent, ClientName, UploadId
from onward.journal.memory import MemoryJournal


class CrashJournal(MemoryJournal):
    """Like a database with a write-ahead log: a power cut leaves a beginning of what was written.

    Everything up to the last synced change is in it; of the changes after that, any number.
    ``before`` is called with the name of each step and may raise, so that a power cut can fall
    between a change and its sync.
    """

    def __init__(self, before: Callable[[str], None]) -> None:
        super().__init__()
        self._before = before
        self._log: list[Callable[[MemoryJournal], object]] = []
        self._durable = 0

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
        """See ``Journal.create``."""

        async def change(journal: MemoryJournal) -> UploadId:
            return await MemoryJournal.create(
                journal, id, events, at=at, name=name, replaces=replaces, key=key, sync=sync, enclosed=enclosed
            )

        self._before("journal create")
        got = await change(self)
        self._written(change, sync=sync)
        return got

    async def append(self, id: UploadId, events: Sequence[AnyEvent], *, version: int, at: float, sync: bool) -> None:
        """See ``Journal.append``."""

        async def change(journal: MemoryJournal) -> None:
            await MemoryJournal.append(journal, id, events, version=version, at=at, sync=sync)

        self._before("journal append")
        await change(self)
        self._written(change, sync=sync)

    def _written(self, change: Callable[[MemoryJournal], object], *, sync: bool) -> None:
        self._log.append(change)
        if sync:
            self._before("journal sync")
            self._durable = len(self._log)

    async def after_power_cut(self, random: Random) -> CrashJournal:
        """The journal that is found when the power is back."""
        found = CrashJournal(self._before)
        found._log = self._log[: random.randint(self._durable, len(self._log))]
        found._durable = len(found._log)
        for change in found._log:
            await change(found)  # type: ignore[misc]  # each is a coroutine function over a journal
        return found
