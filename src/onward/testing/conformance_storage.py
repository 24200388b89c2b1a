"""What every storage must do.

Derive a test class and give it a fixture ``storage`` that makes an empty one and closes it::

    class TestMine(StorageConformance):
        @pytest.fixture
        async def storage(self):
            mine = MyStorage()
            yield mine
            await mine.close()
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import anyio
import pytest

from onward.core.buffers import Buffers
from onward.core.digest import SHA256, sha256
from onward.core.types import Buffer, Layout, Phase
from onward.errors import AlreadyComplete, ClientGone, Locked, NotFound, StorageFault
from onward.ports import Blob, OnConflict, Storage
from onward.testing.conformance_joining import JoiningConformance
from onward.testing.conformance_publishing import PublishingConformance
from onward.testing.storage_steps import (
    ID,
    OTHER,
    PART,
    all_back,
    bad_keys,
    cut,
    gather,
    lent,
    make_plan,
    no_progress,
    publish,
    put,
    put_all,
    some_bytes,
    stream,
    whole,
)

LAYOUTS: Final = pytest.mark.parametrize("layout", list(Layout))


def _nobody() -> None:
    """Nobody waits for a buffer."""


class WritingConformance:
    """Scratch bytes."""

    pytestmark = pytest.mark.anyio

    @LAYOUTS
    @pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
    async def test_bytes_come_back_with_their_digests(self, storage: Storage, layout: Layout, size: int) -> None:
        data = some_bytes(size)
        key = 0 if layout is Layout.FLAT else 1
        written = await storage.write(ID, layout, key, stream(data), algorithms=("md5", SHA256), durable=True)
        assert written.size == size
        assert written.digests[SHA256] == sha256(data)
        assert set(written.digests) == {"md5", SHA256}
        assert await gather(storage.peek(ID, layout, key, size + 10)) == data

    async def test_flat_bytes_lie_where_they_belong(self, storage: Storage) -> None:
        first, second = some_bytes(PART, 1), some_bytes(PART, 2)
        await put(storage, Layout.FLAT, PART, second)
        await put(storage, Layout.FLAT, 0, first)
        assert await gather(storage.peek(ID, Layout.FLAT, PART - 5, 10)) == first[-5:] + second[:5]
        assert await gather(storage.peek(ID, Layout.FLAT, 2 * PART, 10)) == b""

    @LAYOUTS
    @pytest.mark.parametrize("gone", [False, True])
    async def test_buffers_are_read_before_and_let_go_of_after(
        self, storage: Storage, layout: Layout, *, gone: bool
    ) -> None:
        """Blocks that last may be kept while they are of use. Then their buffers are there for the next body."""
        data = some_bytes(9_000_001)
        buffers = Buffers(2, _nobody)
        body = lent(data, buffers)

        async def leaving() -> AsyncIterator[Buffer]:
            async for block in body:
                yield block
            raise ClientGone

        if gone:
            with pytest.raises(ClientGone):
                await storage.write(ID, layout, 1, leaving(), algorithms=(), durable=True)
        else:
            written = await storage.write(ID, layout, 1, body, algorithms=(), durable=True)
            assert written.digests[SHA256] == sha256(data)
            assert await gather(storage.peek(ID, layout, 1, len(data))) == data
        await all_back(buffers)

    @LAYOUTS
    async def test_peek_of_nothing_yields_nothing(self, storage: Storage, layout: Layout) -> None:
        assert await gather(storage.peek(ID, layout, 1, 10)) == b""

    @LAYOUTS
    async def test_writers_of_different_keys_run_side_by_side(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(PART, seed) for seed in range(6)]
        plan = make_plan(layout, pieces)
        started = anyio.Event()

        async def slow(data: bytes) -> AsyncIterator[Buffer]:
            yield data[: PART // 2]
            await started.wait()
            yield data[PART // 2 :]

        async def last() -> None:
            await put(storage, layout, plan.copies[-1].key, pieces[-1])
            started.set()

        async with anyio.create_task_group() as tasks:
            for copy, piece in zip(plan.copies[:-1], pieces[:-1], strict=True):
                tasks.start_soon(self._write, storage, layout, copy.key, slow(piece))
            tasks.start_soon(last)
        assert await bad_keys(storage, plan) == []

    async def _write(self, storage: Storage, layout: Layout, key: int, body: AsyncIterator[Buffer]) -> None:
        await storage.write(ID, layout, key, body, algorithms=(), durable=True)

    @LAYOUTS
    async def test_the_last_rewrite_counts(self, storage: Storage, layout: Layout) -> None:
        key = 0 if layout is Layout.FLAT else 1
        await put(storage, layout, key, some_bytes(PART, 1))
        await put(storage, layout, key, some_bytes(PART, 2))
        assert await gather(storage.peek(ID, layout, key, PART)) == some_bytes(PART, 2)

    @LAYOUTS
    async def test_what_the_body_raises_passes_through(self, storage: Storage, layout: Layout) -> None:
        with pytest.raises(ClientGone):
            await storage.write(ID, layout, 1, cut(some_bytes(PART), 100_000), algorithms=(), durable=True)
        await put(storage, layout, 1, some_bytes(PART, 1))
        assert await gather(storage.peek(ID, layout, 1, PART)) == some_bytes(PART, 1)

    @pytest.mark.parametrize("keep", [0, 100_000, 2_000_000])
    async def test_a_part_is_unchanged_by_a_rewrite_that_failed(self, storage: Storage, keep: int) -> None:
        await put(storage, Layout.NUMBERED, 1, some_bytes(PART, 1))
        with pytest.raises(ClientGone):
            await storage.write(
                ID, Layout.NUMBERED, 1, cut(some_bytes(3_000_000, 2), keep), algorithms=(), durable=True
            )
        assert await gather(storage.peek(ID, Layout.NUMBERED, 1, 10 * PART)) == some_bytes(PART, 1)

    @LAYOUTS
    async def test_discarded_bytes_are_gone(self, storage: Storage, layout: Layout) -> None:
        await put(storage, layout, 1, some_bytes(PART))
        await put(storage, layout, 1, some_bytes(PART), id=OTHER)
        assert {one async for one in storage.scratch()} == {ID, OTHER}
        await storage.discard(ID)
        await storage.discard(ID)
        assert {one async for one in storage.scratch()} == {OTHER}
        assert await gather(storage.peek(ID, layout, 1, PART)) == b""
        assert await gather(storage.peek(OTHER, layout, 1, PART)) == some_bytes(PART)

    async def test_it_can_say_that_it_is_well(self, storage: Storage) -> None:
        await storage.check()
        free = await storage.free()
        assert free is None or free > 0


class AssemblyConformance:
    """From scratch bytes to the proven whole."""

    pytestmark = pytest.mark.anyio

    @LAYOUTS
    async def test_all_is_well(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(size, seed) for seed, size in enumerate((PART, 1, 2_500_000, 7))]
        plan = make_plan(layout, pieces, algorithms=(SHA256, "sha-512"))
        await put_all(storage, plan, pieces)
        async with storage.assembling(ID, plan, no_progress) as assembly:
            assert not assembly.bad
            assert assembly.digests[SHA256] == sha256(b"".join(pieces))
            assert "sha-512" in assembly.digests

    @LAYOUTS
    @pytest.mark.parametrize("written", [True, False])
    async def test_a_whole_without_a_byte(self, storage: Storage, layout: Layout, *, written: bool) -> None:
        pieces = [b""] if written else []
        plan = make_plan(layout, pieces)
        await put_all(storage, plan, pieces)
        async with storage.assembling(ID, plan, no_progress) as assembly:
            assert not assembly.bad
            assert assembly.digests[SHA256] == sha256(b"")
            blob = await assembly.publish("empty", "fallback", OnConflict.REFUSE, b"{}")
        assert blob == Blob(ref="empty", size=0)
        assert await whole(storage, blob) == b""

    @LAYOUTS
    async def test_progress_is_told_from_start_to_end(self, storage: Storage, layout: Layout) -> None:
        plan = make_plan(layout, [some_bytes(PART)])
        await put_all(storage, plan, [some_bytes(PART)])
        told: list[tuple[Phase, int, int]] = []

        async def progress(phase: Phase, done: int, total: int) -> None:
            told.append((phase, done, total))

        async with storage.assembling(ID, plan, progress):
            pass
        assert told[-1] == (Phase.VERIFYING, PART, PART)
        assert (Phase.VERIFYING, 0, PART) in told
        assert ((Phase.ASSEMBLING, PART, PART) in told) == (layout is Layout.NUMBERED)

    @LAYOUTS
    async def test_progress_may_stop_the_work(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(PART)]
        plan = make_plan(layout, pieces)
        await put_all(storage, plan, pieces)

        async def progress(_phase: Phase, _done: int, _total: int) -> None:
            raise ClientGone

        with pytest.raises(ClientGone):
            async with storage.assembling(ID, plan, progress):
                pytest.fail("it was not stopped")
        assert await bad_keys(storage, plan) == []
        await put(storage, layout, plan.copies[0].key, pieces[0])

    @LAYOUTS
    async def test_a_missing_part_is_bad(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(PART, seed) for seed in range(3)]
        plan = make_plan(layout, pieces)
        for index in (0, 2):
            await put(storage, layout, plan.copies[index].key, pieces[index])
        assert await bad_keys(storage, plan) == [plan.copies[1].key]

    @LAYOUTS
    async def test_without_any_byte_all_parts_are_bad(self, storage: Storage, layout: Layout) -> None:
        plan = make_plan(layout, [some_bytes(PART, seed) for seed in range(3)])
        assert await bad_keys(storage, plan) == [copy.key for copy in plan.copies]

    @LAYOUTS
    @pytest.mark.parametrize("wrong", [0, 1, 2])
    async def test_a_damaged_part_is_bad_until_it_is_sent_again(
        self, storage: Storage, layout: Layout, wrong: int
    ) -> None:
        pieces = [some_bytes(PART, seed) for seed in range(3)]
        plan = make_plan(layout, pieces)
        await put_all(storage, plan, pieces)
        flipped = bytes([pieces[wrong][0] ^ 1]) + pieces[wrong][1:]
        await put(storage, layout, plan.copies[wrong].key, flipped)
        assert await bad_keys(storage, plan) == [plan.copies[wrong].key]
        await put(storage, layout, plan.copies[wrong].key, pieces[wrong])
        assert await bad_keys(storage, plan) == []

    @LAYOUTS
    async def test_a_short_last_part_is_bad(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(PART, seed) for seed in range(2)]
        plan = make_plan(layout, pieces)
        await put(storage, layout, plan.copies[0].key, pieces[0])
        await put(storage, layout, plan.copies[1].key, pieces[1][:-1])
        assert await bad_keys(storage, plan) == [plan.copies[1].key]

    async def test_bytes_beyond_the_end_are_left_out(self, storage: Storage) -> None:
        plan = make_plan(Layout.FLAT, [some_bytes(PART)])
        await put(storage, Layout.FLAT, 0, some_bytes(PART) + b"more")
        async with storage.assembling(ID, plan, no_progress) as assembly:
            assert not assembly.bad
            blob = await assembly.publish("cut", "fallback", OnConflict.REFUSE, b"{}")
        assert await whole(storage, blob) == some_bytes(PART)

    async def test_enclosed_bytes_are_put_in_their_place_however_often(self, storage: Storage) -> None:
        data = some_bytes(PART)
        plan, refs = make_plan(Layout.FLAT, [data]), set[str]()
        for _ in range(3):  # as where the event of a publish is lost
            async with storage.assembling(ID, plan, no_progress, data) as assembly:
                assert (assembly.bad, assembly.digests[SHA256]) == ([], sha256(data))
                with pytest.raises(Locked):
                    async with storage.assembling(ID, plan, no_progress, data):
                        pass
                refs.add((await assembly.publish("name", f"{ID}/name", OnConflict.REFUSE, b"{}")).ref)
        assert refs == {"name"}
        await storage.discard(ID)
        assert await whole(storage, Blob(ref="name", size=len(data))) == data
        with pytest.raises(AlreadyComplete):
            await put(storage, Layout.FLAT, 0, data)

    async def test_what_lies_where_enclosed_bytes_belong_does_not_count(self, storage: Storage) -> None:
        data = some_bytes(PART)
        await put(storage, Layout.FLAT, 0, some_bytes(2 * PART, 1))
        async with storage.assembling(ID, make_plan(Layout.FLAT, [data]), no_progress, data) as assembly:
            assert not assembly.bad
            blob = await assembly.publish("name", "fallback", OnConflict.REFUSE, b"{}")
        assert await whole(storage, blob) == data

    async def test_enclosed_bytes_are_held_against_their_digest(self, storage: Storage) -> None:
        plan = make_plan(Layout.FLAT, [some_bytes(PART)])
        async with storage.assembling(ID, plan, no_progress, some_bytes(PART, 1)) as assembly:
            assert [copy.key for copy in assembly.bad] == [0]

    @LAYOUTS
    async def test_damaged_bytes_are_not_published(self, storage: Storage, layout: Layout) -> None:
        plan = make_plan(layout, [some_bytes(PART)])
        await put_all(storage, plan, [some_bytes(PART, 1)])
        async with storage.assembling(ID, plan, no_progress) as assembly:
            with pytest.raises(StorageFault):
                await assembly.publish("bad", "fallback", OnConflict.REFUSE, b"{}")
        with pytest.raises(NotFound):
            await storage.stat("bad")

    @LAYOUTS
    async def test_nobody_writes_to_what_is_held(self, storage: Storage, layout: Layout) -> None:
        pieces = [some_bytes(PART)]
        plan = make_plan(layout, pieces)
        await put_all(storage, plan, pieces)
        key = plan.copies[0].key
        async with storage.assembling(ID, plan, no_progress):
            with pytest.raises(AlreadyComplete):
                await put(storage, layout, key, some_bytes(PART, 1))
            await put(storage, layout, key, some_bytes(PART, 1), id=OTHER)
        assert await bad_keys(storage, plan) == []
        await put(storage, layout, key, some_bytes(PART, 1))

    @LAYOUTS
    async def test_nobody_writes_to_what_is_published(self, storage: Storage, layout: Layout) -> None:
        blob = await publish(storage, some_bytes(PART), layout=layout)
        key = 0 if layout is Layout.FLAT else 1
        with pytest.raises(AlreadyComplete):
            await put(storage, layout, key, some_bytes(PART, 1))
        await storage.discard(ID)
        with pytest.raises(AlreadyComplete):
            await put(storage, layout, key, some_bytes(PART, 1))
        assert await whole(storage, blob) == some_bytes(PART)


class StorageConformance(WritingConformance, AssemblyConformance, JoiningConformance, PublishingConformance):
    """All of it."""
