"""What every storage must do with a proven whole; part of ``StorageConformance``."""

from __future__ import annotations

from typing import Final

import pytest

from onward.core.types import Layout
from onward.errors import BadName, NotFound, StorageFault
from onward.ports import Assembly, Blob, OnConflict, Storage
from onward.testing.storage_steps import (
    ID,
    OTHER,
    PART,
    gather,
    make_plan,
    no_progress,
    publish,
    publish_again,
    put_all,
    some_bytes,
    whole,
)

LAYOUTS: Final = pytest.mark.parametrize("layout", list(Layout))


class PublishingConformance:
    """From the proven whole to its final name, and back."""

    pytestmark = pytest.mark.anyio

    @LAYOUTS
    async def test_published_bytes_outlive_the_scratch(self, storage: Storage, layout: Layout) -> None:
        blob = await publish(storage, some_bytes(PART), name="a/b/c.bin", layout=layout)
        assert blob == Blob(ref="a/b/c.bin", size=PART)
        await storage.discard(ID)
        assert await whole(storage, blob) == some_bytes(PART)
        assert await storage.manifest(ID) == b"manifest of " + ID.encode()
        assert [one async for one in storage.scratch()] == []

    @LAYOUTS
    @pytest.mark.parametrize("on_conflict", list(OnConflict))
    async def test_publishing_again_changes_nothing(
        self, storage: Storage, layout: Layout, on_conflict: OnConflict
    ) -> None:
        pieces = [some_bytes(PART, 1), some_bytes(PART, 2)]
        plan = make_plan(layout, pieces)
        await put_all(storage, plan, pieces)
        found: list[Blob] = []
        for _ in range(2):  # as after a crash that lost the event
            async with storage.assembling(ID, plan, no_progress) as assembly:
                assert not assembly.bad
                found += [await self._publish(assembly, on_conflict) for _ in range(2)]
        assert found == [Blob(ref="name.bin", size=2 * PART)] * 4
        assert await whole(storage, found[0]) == b"".join(pieces)
        for ref in ("name (1).bin", "fallback.bin"):
            with pytest.raises(NotFound):
                await storage.stat(ref)

    async def _publish(self, assembly: Assembly, on_conflict: OnConflict) -> Blob:
        return await assembly.publish("name.bin", "fallback.bin", on_conflict, b"{}")

    @pytest.mark.parametrize(
        ("on_conflict", "ref"),
        [
            (OnConflict.REFUSE, f"{OTHER}/name.bin"),
            (OnConflict.RENAME, "name (1).bin"),
            (OnConflict.REPLACE, "name.bin"),
        ],
    )
    async def test_a_taken_name(self, storage: Storage, on_conflict: OnConflict, ref: str) -> None:
        first = await publish(storage, some_bytes(PART, 1))
        second = await publish(storage, some_bytes(PART, 2), id=OTHER, on_conflict=on_conflict)
        assert second.ref == ref
        assert await whole(storage, second) == some_bytes(PART, 2)
        again = await publish_again(storage, some_bytes(PART, 2), OTHER, on_conflict)
        assert again == second
        expected = some_bytes(PART, 2 if on_conflict is OnConflict.REPLACE else 1)
        assert await whole(storage, first) == expected

    @pytest.mark.parametrize("on_conflict", [OnConflict.REFUSE, OnConflict.RENAME])
    async def test_published_again_it_stays_where_it_is(self, storage: Storage, on_conflict: OnConflict) -> None:
        first = await publish(storage, some_bytes(PART, 1))
        second = await publish(storage, some_bytes(PART, 2), id=OTHER, on_conflict=on_conflict)
        await storage.remove(first.ref, ID)
        assert await publish_again(storage, some_bytes(PART, 2), OTHER, on_conflict) == second
        with pytest.raises(NotFound):
            await storage.stat(first.ref)

    @pytest.mark.parametrize("on_conflict", list(OnConflict))
    @pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a")])
    async def test_a_name_that_is_a_directory_elsewhere(
        self, storage: Storage, on_conflict: OnConflict, first: str, second: str
    ) -> None:
        one = await publish(storage, some_bytes(PART, 1), name=first)
        other = await publish(storage, some_bytes(PART, 2), id=OTHER, name=second, on_conflict=on_conflict)
        assert other.ref not in {first, second}
        assert await whole(storage, one) == some_bytes(PART, 1)
        assert await whole(storage, other) == some_bytes(PART, 2)

    @pytest.mark.parametrize("name", ["", "..", "../x", "a/../b", "/x", "a//b", "a/", ".", "a/./b", "a\0b", "\ud800"])
    async def test_a_name_that_leads_elsewhere_is_refused(self, storage: Storage, name: str) -> None:
        for names in ((name, "fine"), ("fine", name)):
            with pytest.raises(BadName):
                await publish(storage, some_bytes(10), name=names[0], fallback=names[1])
        with pytest.raises(NotFound):
            await storage.stat(name)
        with pytest.raises(NotFound):
            await gather(storage.read(name, 0, 1))
        await storage.remove(name, ID)
        with pytest.raises(NotFound):
            await storage.stat("fine")

    async def test_ranges_of_published_bytes(self, storage: Storage) -> None:
        data = some_bytes(2_500_000)
        blob = await publish(storage, data)
        for start, size in [(0, 1), (0, len(data)), (1, 2_000_000), (len(data) - 3, 3), (7, 0)]:
            assert await gather(storage.read(blob.ref, start, size)) == data[start : start + size]
        with pytest.raises(StorageFault):
            await gather(storage.read(blob.ref, len(data) - 3, 4))

    async def test_a_removed_blob_is_gone(self, storage: Storage) -> None:
        blob = await publish(storage, some_bytes(PART), name="a/b")
        await storage.discard(ID)
        kept = await publish(storage, some_bytes(PART, 2), id=OTHER, name="a/c")
        for _ in range(2):
            await storage.remove(blob.ref, ID)
            with pytest.raises(NotFound):
                await storage.stat(blob.ref)
            with pytest.raises(NotFound):
                await storage.manifest(ID)
        assert await whole(storage, kept) == some_bytes(PART, 2)
        with pytest.raises(NotFound):
            await gather(storage.read(blob.ref, 0, 1))

    @LAYOUTS
    @pytest.mark.parametrize("likely", [["a/b.bin"], ["elsewhere", "a/b.bin"], ["elsewhere"], []])
    async def test_a_name_that_nobody_recorded_is_withdrawn(
        self, storage: Storage, layout: Layout, likely: list[str]
    ) -> None:
        kept = await publish(storage, some_bytes(PART, 2), id=OTHER, name="a/b.bin")
        blob = await publish(storage, some_bytes(PART), name="a/b.bin", layout=layout, on_conflict=OnConflict.RENAME)
        assert blob.ref == "a/b (1).bin"
        for _ in range(2):
            await storage.withdraw(ID, likely)
            with pytest.raises(NotFound):
                await storage.stat(blob.ref)
            with pytest.raises(NotFound):
                await storage.manifest(ID)
        assert await whole(storage, kept) == some_bytes(PART, 2)
        assert ID not in [one async for one in storage.scratch()]

    @LAYOUTS
    async def test_what_was_never_published_is_withdrawn_too(self, storage: Storage, layout: Layout) -> None:
        kept = await publish(storage, some_bytes(PART), id=OTHER)
        await put_all(storage, make_plan(layout, [some_bytes(PART, 1)]), [some_bytes(PART, 1)])
        await storage.withdraw(ID, [kept.ref])
        assert ID not in [one async for one in storage.scratch()]
        assert await whole(storage, kept) == some_bytes(PART)
