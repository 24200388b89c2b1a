from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Final

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.types import Layout, Plan, UploadId
from onward.errors import NoSpace, NotFound, ServerFault, StorageFault
from onward.ports import Blob, OnConflict
from onward.storage.local import LocalStorage
from onward.storage.local.disk import assembled, flat
from onward.testing.crash import Inline, SimFs
from onward.testing.storage_steps import (
    ID,
    OTHER,
    bad_keys,
    gather,
    make_plan,
    no_progress,
    publish,
    put,
    some_bytes,
    whole,
)

LAYOUTS = pytest.mark.parametrize("layout", list(Layout))
SIZE: Final = 5_000
PIECES: Final = [some_bytes(SIZE, seed) for seed in range(3)]


def simulated(fs: SimFs) -> LocalStorage:
    return LocalStorage(fs, threads=Inline(), patience=0.0)


async def finish(
    storage: LocalStorage, plan: Plan, id: UploadId = ID, on_conflict: OnConflict = OnConflict.RENAME
) -> Blob:
    async with storage.assembling(id, plan, no_progress) as assembly:
        if assembly.bad:
            raise AssertionError(assembly.bad)
        return await assembly.publish("a/b/name", f"{id}/name", on_conflict, b"manifest")


# -- the n-th operation fails ---------------------------------------------------------------------

Work = Callable[[LocalStorage, Plan], Awaitable[object]]


async def do_write(storage: LocalStorage, plan: Plan) -> object:
    return await put(storage, plan.layout, plan.copies[2].key, PIECES[2])


async def do_rewrite(storage: LocalStorage, plan: Plan) -> object:
    return await put(storage, plan.layout, plan.copies[1].key, PIECES[1])


async def do_begin(storage: LocalStorage, plan: Plan) -> object:
    return await put(storage, plan.layout, plan.copies[0].key, PIECES[0], id=OTHER)


async def do_sync(storage: LocalStorage, plan: Plan) -> None:
    await storage.sync(ID)


async def do_finish(storage: LocalStorage, plan: Plan) -> object:
    await put(storage, plan.layout, plan.copies[2].key, PIECES[2])
    blob = await finish(storage, plan)
    assert blob == Blob(ref="a/b/name", size=plan.size)
    assert await storage.manifest(ID) == b"manifest"
    return blob


async def do_read(storage: LocalStorage, plan: Plan) -> None:
    assert await gather(storage.peek(ID, plan.layout, plan.copies[1].key, SIZE)) == PIECES[1]
    assert {one async for one in storage.scratch()} >= {ID}
    await storage.check()


async def do_discard(storage: LocalStorage, plan: Plan) -> None:
    await put(storage, plan.layout, plan.copies[0].key, PIECES[0], id=OTHER)
    await storage.discard(OTHER)


@pytest.mark.anyio
@LAYOUTS
@pytest.mark.parametrize("forever", [False, True])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("work", [do_write, do_rewrite, do_begin, do_sync, do_finish, do_read, do_discard])
async def test_whichever_operation_fails_nothing_is_lost(
    layout: Layout, work: Work, code: int, *, forever: bool
) -> None:
    plan = make_plan(layout, PIECES)
    for after in range(1_000):
        fs = SimFs()
        storage = simulated(fs)
        for copy, piece in zip(plan.copies[:2], PIECES, strict=False):
            await put(storage, layout, copy.key, piece)
        fs.fail(after, code, forever=forever)
        last = fs.operations + after
        fault = await outcome(work(storage, plan))
        if fault is not None:
            assert type(fault) is (NoSpace if code == errno.ENOSPC else StorageFault)
            assert str(fault) == fault.title
        reached = fs.operations > last
        fs.heal()
        assert fs.open_files == 0
        for copy, piece in zip(plan.copies[:2], PIECES, strict=False):
            assert await gather(storage.peek(ID, layout, copy.key, SIZE)) == piece
        await work(storage, plan) if work is not do_finish else await retry_finish(storage, plan)
        await storage.close()
        if not reached:
            return
    pytest.fail("it never came through")


@pytest.mark.anyio
@LAYOUTS
async def test_what_was_removed_does_not_come_back_with_the_power(layout: Layout) -> None:
    for seed in range(10):
        fs = SimFs()
        storage = simulated(fs)
        plan = make_plan(layout, PIECES)
        for copy, piece in zip(plan.copies, PIECES, strict=True):
            await put(storage, layout, copy.key, piece)
        blob = await finish(storage, plan)
        await storage.remove(blob.ref, ID)
        fs.cut(Random(seed))
        again = simulated(fs)
        for gone in (again.stat(blob.ref), again.manifest(ID)):
            with pytest.raises(NotFound):
                await gone


@pytest.mark.anyio
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_a_fault_while_a_writer_is_left_behind_is_told_and_is_no_damage(code: int) -> None:
    plan = make_plan(Layout.FLAT, PIECES)
    for after in range(1_000):
        fs = SimFs()
        storage = simulated(fs)
        for copy, piece in zip(plan.copies, PIECES, strict=True):
            await put(storage, Layout.FLAT, copy.key, piece)
        writer = fs.open(flat(ID), os.O_RDWR)
        assert fs.lock(writer, exclusive=False)  # and never lets go
        fs.fail(after, code, forever=False)
        last = fs.operations + after
        fault = await outcome(finish(storage, plan))
        assert fault is None or type(fault) is (NoSpace if code == errno.ENOSPC else StorageFault)
        reached = fs.operations > last
        fs.heal()
        blob = await finish(storage, plan)
        fs.pwritev(writer, [b"late"], 0)
        assert await whole(storage, blob) == b"".join(PIECES)
        fs.close(writer)
        assert fs.open_files == 0
        await storage.close()
        if not reached:
            return
    pytest.fail("it never came through")


async def outcome(work: Awaitable[object]) -> ServerFault | None:
    try:
        await work
    except ServerFault as fault:
        return fault
    return None


async def retry_finish(storage: LocalStorage, plan: Plan) -> None:
    """As the worker does: never write again what may be published."""
    if await bad_keys(storage, plan):
        await do_write(storage, plan)
    blob = await finish(storage, plan)
    assert blob == Blob(ref="a/b/name", size=plan.size)
    assert await whole(storage, blob) == b"".join(PIECES)
    with pytest.raises(NotFound):
        await storage.stat("a/b/name (1)")


@pytest.mark.anyio
@LAYOUTS
async def test_bytes_whose_sync_failed_count_only_when_written_anew(layout: Layout) -> None:
    for seed in range(20):
        fs = SimFs()
        storage = simulated(fs)
        await put(storage, layout, 1, b"")
        fs.before = _fail_next(fs, "fdatasync")
        with pytest.raises(StorageFault):
            await put(storage, layout, 1, PIECES[0])
        await put(storage, layout, 1, PIECES[0])
        fs.cut(Random(seed))
        assert await gather(simulated(fs).peek(ID, layout, 1, SIZE)) == PIECES[0]


def _fail_next(fs: SimFs, name: str) -> Callable[[str], None]:
    def before(operation: str) -> None:
        if operation == name:
            fs.before = lambda _: None
            fs.fail(0, errno.EIO)

    return before


# -- the power fails ------------------------------------------------------------------------------


class PowerCut(BaseException):
    """Nothing that comes after it is done."""


def cut_after(fs: SimFs, steps: int) -> None:
    last = fs.operations + steps

    def before(_name: str) -> None:
        if fs.operations >= last:
            raise PowerCut

    fs.before = before


def restart(fs: SimFs, random: Random, *, kill_only: bool) -> LocalStorage:
    fs.before = lambda _: None
    if kill_only:
        fs.kill()
    else:
        fs.cut(random)
    return simulated(fs)


async def published(storage: LocalStorage) -> list[bytes]:
    """What may be seen under a final name, whichever of them."""
    found = []
    for ref in ("a/b/name", "a/b/name (1)", f"{ID}/name"):
        try:
            size = await storage.stat(ref)
        except NotFound:
            continue
        found.append(await gather(storage.read(ref, 0, size)))
    return found


async def live_through(
    layout: Layout, cuts: list[int], random: Random, on_conflict: OnConflict, *, kill_only: bool, synced_late: bool
) -> None:
    fs = SimFs(most=2_000)
    storage = simulated(fs)
    plan = make_plan(layout, PIECES)
    acknowledged: set[int] = set()
    blob: Blob | None = None
    for steps in [*cuts, 1 << 30]:
        cut_after(fs, steps)
        try:
            written = []
            for copy, piece in zip(plan.copies, PIECES, strict=True):
                if copy.key not in acknowledged:
                    await put(storage, layout, copy.key, piece, durable=not synced_late)
                    written.append(copy.key)
                    if not synced_late:
                        acknowledged.add(copy.key)
            await storage.sync(ID)
            acknowledged |= set(written)
            blob = await finish(storage, plan, on_conflict=on_conflict)
            assert await storage.manifest(ID) == b"manifest"
        except PowerCut:
            storage = restart(fs, random, kill_only=kill_only)
        fs.before = lambda _: None
        for copy, piece in zip(plan.copies, PIECES, strict=True):
            if copy.key in acknowledged:
                assert await gather(storage.peek(ID, layout, copy.key, SIZE)) == piece
        visible = await published(storage)
        assert visible in ([], [b"".join(PIECES)])
        if visible:
            assert await storage.manifest(ID) == b"manifest"
        assert blob is None or len(visible) == 1
    assert blob is not None
    await discard_for_good(fs, storage, random)
    assert fs.open_files == 0


async def discard_for_good(fs: SimFs, storage: LocalStorage, random: Random) -> None:
    cut_after(fs, random.randrange(12))
    try:
        await storage.discard(ID)
    except PowerCut:
        storage = restart(fs, random, kill_only=False)
        await storage.discard(ID)
    fs.before = lambda _: None
    assert [one async for one in storage.scratch()] == []
    assert fs.listdir("trash") == []
    assert await published(storage) == [b"".join(PIECES)]


@given(
    layout=st.sampled_from(list(Layout)),
    cuts=st.lists(st.integers(0, 250), max_size=4),
    seed=st.integers(0, 2**32),
    on_conflict=st.sampled_from(list(OnConflict)),
    kill_only=st.booleans(),
    synced_late=st.booleans(),
)
def test_what_was_durable_survives_and_what_is_published_is_whole(
    layout: Layout, cuts: list[int], seed: int, on_conflict: OnConflict, *, kill_only: bool, synced_late: bool
) -> None:
    async def live() -> None:
        await live_through(layout, cuts, Random(seed), on_conflict, kill_only=kill_only, synced_late=synced_late)

    anyio.run(live)


@pytest.mark.anyio
@LAYOUTS
async def test_what_a_dead_publish_left_does_not_count_as_published(layout: Layout) -> None:
    fs = SimFs()
    storage = simulated(fs)
    plan = make_plan(layout, PIECES)
    for copy, piece in zip(plan.copies, PIECES, strict=True):
        await put(storage, layout, copy.key, piece)
    assert await bad_keys(storage, plan) == []
    scratch = f"uploads/{ID[:2]}/{ID}"
    fs.link(f"{scratch}/{'data' if layout is Layout.FLAT else 'out'}", f"{scratch}/swap.1.tmp")
    assert await bad_keys(storage, plan) == []
    assert "swap.1.tmp" not in fs.listdir(scratch)
    await put(storage, layout, plan.copies[0].key, PIECES[0])


# -- a real disk is full --------------------------------------------------------------------------


@pytest.fixture
async def small_disk(tmp_path: Path) -> AsyncIterator[Path]:
    mounted = await anyio.run_process(
        ["mount", "-t", "tmpfs", "-o", "size=5m,mode=0700", "tmpfs", str(tmp_path)],
        check=False,
        stderr=subprocess.STDOUT,
    )
    if mounted.returncode:
        reason = f"a tmpfs cannot be mounted here: {mounted.stdout.decode().strip()}"
        print(reason)
        pytest.skip(reason)
    yield tmp_path
    await anyio.run_process(["umount", str(tmp_path)])


@pytest.mark.anyio
@LAYOUTS
async def test_a_full_disk_that_is_freed_again(small_disk: Path, layout: Layout) -> None:
    storage = await anyio.to_thread.run_sync(LocalStorage, small_disk)
    try:
        pieces = [some_bytes(1 << 20, seed) for seed in range(2)]
        plan = make_plan(layout, pieces)
        await put(storage, layout, plan.copies[0].key, pieces[0])
        filler = small_disk / "filler"
        await anyio.Path(filler).write_bytes(bytes(7 << 19))
        with pytest.raises(NoSpace):
            await put(storage, layout, plan.copies[1].key, pieces[1])
        assert await gather(storage.peek(ID, layout, plan.copies[0].key, 1 << 20)) == pieces[0]
        await anyio.Path(filler).unlink()
        free = await storage.free()
        assert free is not None
        assert 0 < free < 5 << 20
        await put(storage, layout, plan.copies[1].key, pieces[1])
        if layout is Layout.NUMBERED:
            await anyio.Path(filler).write_bytes(bytes(5 << 19))
            with pytest.raises(NoSpace):
                await bad_keys(storage, plan)
            await anyio.Path(filler).unlink()
        assert await bad_keys(storage, plan) == []
        blob = await finish(storage, plan)
        assert await whole(storage, blob) == b"".join(pieces)
    finally:
        await storage.close()


@pytest.mark.anyio
async def test_a_probe_tells_of_a_full_disk() -> None:
    fs = SimFs(size=1_000)
    storage = simulated(fs)
    await storage.check()
    await publish(storage, bytes(800), name="x")
    with pytest.raises(NoSpace):
        await publish(storage, bytes(200), id=OTHER, name="y")
    assert os.path.basename(fs.listdir("files")[0]) == "x"
    await put(storage, Layout.FLAT, 0, bytes(1), id=OTHER)
    fs.size = 800
    with pytest.raises(NoSpace):
        await storage.check()
    assert fs.listdir("trash") == []
    assert fs.open_files == 0


class Tidied(SimFs):
    """Another process starts, and empties the trash, whenever this one syncs a file."""

    def fdatasync(self, fd: int) -> None:
        super().fdatasync(fd)
        for name in self.listdir("trash"):
            self.unlink(f"trash/{name}")


@pytest.mark.anyio
async def test_a_probe_that_another_process_tidies_away_is_no_fault() -> None:
    storage = LocalStorage(Tidied(), threads=Inline())
    await storage.check()
    await storage.close()


@pytest.mark.anyio
@LAYOUTS
@pytest.mark.parametrize("operation", ["stat", "rename"])
async def test_a_name_given_at_the_moment_of_the_withdrawal_does_not_stay(layout: Layout, operation: str) -> None:
    """A worker is just about to publish what is cancelled."""
    fs = SimFs()
    storage = simulated(fs)
    plan = make_plan(layout, PIECES)
    for copy, piece in zip(plan.copies, PIECES, strict=True):
        await put(storage, layout, copy.key, piece)
    async with storage.assembling(ID, plan, no_progress) as assembly:
        assert not assembly.bad
    whole_of = flat(ID) if layout is Layout.FLAT else assembled(ID)

    def give(name: str) -> None:
        if name == operation:
            fs.before = lambda _: None
            fs.link(whole_of, "files/late")

    fs.before = give
    await storage.withdraw(ID, [])
    assert fs.listdir("files") == []
    await storage.close()
