"""What every storage must do with a whole that is made of other uploads; see ``conformance_storage``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Final

import pytest

from onward.core.digest import SHA256, sha256
from onward.core.types import Copy, Layout, Phase, Plan, UploadId, make_id
from onward.errors import ClientGone
from onward.ports import Blob, OnConflict, Storage
from onward.testing.storage_steps import (
    ID,
    OTHER,
    PART,
    gather,
    make_joint,
    make_plan,
    no_progress,
    put,
    put_all,
    some_bytes,
    whole,
)

ONE: Final = make_id(bytes(range(50, 66)))
TWO: Final = make_id(bytes(range(70, 86)))
FIRST: Final = [some_bytes(size, seed) for seed, size in enumerate((PART, 1, 70_001), 10)]
SECOND: Final = [some_bytes(size, seed) for seed, size in enumerate((7, 2_500_003), 20)]
BOTH: Final = b"".join([*FIRST, *SECOND])
PAIRS: Final = pytest.mark.parametrize(("first", "second"), list(product(Layout, Layout)))


async def have(storage: Storage, id: UploadId, layout: Layout, pieces: Sequence[bytes]) -> None:
    """Store another upload, in the order in which nobody needs it."""
    await put_all(storage, make_plan(layout, pieces, id), pieces, id)


async def have_both(storage: Storage, first: Layout, second: Layout) -> Plan:
    """Store two uploads; how they form one."""
    await have(storage, ONE, first, FIRST)
    await have(storage, TWO, second, SECOND)
    return make_joint([(ONE, first, FIRST), (TWO, second, SECOND)])


async def join(storage: Storage, plan: Plan, id: UploadId = ID, name: str = "joined") -> Blob:
    """Assemble and publish."""
    async with storage.assembling(id, plan, no_progress) as assembly:
        assert not assembly.bad
        return await assembly.publish(name, f"{id}/{name}", OnConflict.REFUSE, b"{}")


async def bad_copies(storage: Storage, plan: Plan) -> Sequence[Copy]:
    """What reading back finds damaged."""
    async with storage.assembling(ID, plan, no_progress) as assembly:
        return assembly.bad


class JoiningConformance:
    """A whole whose bytes lie with other uploads."""

    pytestmark = pytest.mark.anyio

    @PAIRS
    async def test_others_are_joined_in_order(self, storage: Storage, first: Layout, second: Layout) -> None:
        plan = await have_both(storage, first, second)
        async with storage.assembling(ID, plan, no_progress) as assembly:
            assert not assembly.bad
            assert assembly.digests[SHA256] == sha256(BOTH)
            blob = await assembly.publish("joined", "fallback", OnConflict.REFUSE, b"{}")
        assert blob == Blob(ref="joined", size=len(BOTH))
        await storage.discard(ID)
        assert await whole(storage, blob) == BOTH

    @PAIRS
    async def test_what_was_joined_is_still_there_and_serves_again(
        self, storage: Storage, first: Layout, second: Layout
    ) -> None:
        plan = await have_both(storage, first, second)
        blob = await join(storage, plan)
        await storage.discard(ID)
        again = make_joint([(TWO, second, SECOND), (ONE, first, FIRST), (TWO, second, SECOND)])
        other = await join(storage, again, OTHER, "again")
        assert await whole(storage, other) == b"".join([*SECOND, *FIRST, *SECOND])
        await storage.discard(ONE)
        await storage.discard(TWO)
        assert await whole(storage, blob) == BOTH

    async def test_a_source_is_written_to_as_before(self, storage: Storage) -> None:
        plan = await have_both(storage, Layout.FLAT, Layout.NUMBERED)
        async with storage.assembling(ID, plan, no_progress) as assembly:
            await put(storage, Layout.FLAT, 0, some_bytes(PART, 1), id=ONE)
            await put(storage, Layout.NUMBERED, 1, some_bytes(7, 1), id=TWO)
            blob = await assembly.publish("joined", "fallback", OnConflict.REFUSE, b"{}")
        await put(storage, Layout.FLAT, 0, some_bytes(PART, 2), id=ONE)
        assert await whole(storage, blob) == BOTH
        assert await gather(storage.peek(ONE, Layout.FLAT, 0, PART)) == some_bytes(PART, 2)

    @PAIRS
    async def test_the_damaged_copy_is_named(self, storage: Storage, first: Layout, second: Layout) -> None:
        plan = await have_both(storage, first, second)
        key = plan.copies[3].key  # the first part of the second source: its key may be one of the first's, too
        await put(storage, second, key, some_bytes(7, 99), id=TWO)
        assert list(await bad_copies(storage, plan)) == [plan.copies[3]]
        await put(storage, second, key, SECOND[0], id=TWO)
        assert list(await bad_copies(storage, plan)) == []

    @pytest.mark.parametrize("layout", list(Layout))
    async def test_a_source_that_is_gone_is_bad_wherever_it_is_named(self, storage: Storage, layout: Layout) -> None:
        await have(storage, ONE, layout, FIRST)
        plan = make_joint([(TWO, layout, SECOND), (ONE, layout, FIRST), (TWO, layout, SECOND)])
        bad = [copy for copy in plan.copies if copy.source == TWO]
        assert list(await bad_copies(storage, plan)) == bad
        await have(storage, TWO, layout, SECOND)
        await storage.discard(ONE)
        await storage.discard(ID)
        found = await bad_copies(storage, plan)
        assert list(found) == [copy for copy in plan.copies if copy.source == ONE]

    @pytest.mark.parametrize("phase", list(Phase))
    async def test_it_goes_on_after_an_end_in_the_middle(self, storage: Storage, phase: Phase) -> None:
        plan = await have_both(storage, Layout.FLAT, Layout.NUMBERED)

        async def progress(now: Phase, _done: int, _total: int) -> None:
            if now is phase:
                raise ClientGone

        with pytest.raises(ClientGone):
            async with storage.assembling(ID, plan, progress):
                pytest.fail("it was not stopped")
        blob = await join(storage, plan)
        assert await join(storage, plan) == blob
        assert await whole(storage, blob) == BOTH

    async def test_once_published_the_sources_are_not_needed(self, storage: Storage) -> None:
        plan = await have_both(storage, Layout.FLAT, Layout.NUMBERED)
        blob = await join(storage, plan)
        await storage.discard(ONE)
        await storage.discard(TWO)
        assert await join(storage, plan) == blob  # as after a crash that lost the event
        assert await whole(storage, blob) == BOTH
