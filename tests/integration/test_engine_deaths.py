"""A file that ends the worker which reads it: counted, read alone from then on, given up in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest

from onward.core.types import ClientName, Failed, Phase, State, UploadId
from onward.core.upload import Upload
from onward.engine.alone import Floor
from onward.errors import StorageFault
from onward.hooks.none import NoHooks
from onward.ports import WorkDone
from tests.integration.engine_room import LONG, NAME, Room

pytestmark = pytest.mark.anyio


def doing(what: Callable[[], Awaitable[None]], when: Phase) -> Callable[[Phase], Awaitable[None]]:
    async def on_report(phase: Phase) -> None:
        if phase is when:
            await what()

    return on_report


async def sealed(room: Room, name: ClientName = NAME, *, deaths: int = 0) -> UploadId:
    """An upload whose workers have died so often."""
    await room.chunk(1, b"aaaa", target=name)
    id = (await room.seal(name)).upload.id
    if deaths:
        await room.journal.report(id, WorkDone(phase=Phase.VERIFYING, done=0, total=4, at=0.0, deaths=deaths))
    return id


async def deaths(room: Room, id: UploadId) -> int:
    work = await room.journal.work(id)
    assert work is not None
    return work.deaths


async def test_a_worker_at_the_bytes_is_noted_as_if_it_were_to_die() -> None:
    room = Room()
    id = await sealed(room, deaths=1)
    noted: list[int] = []

    async def note() -> None:
        noted.append(await deaths(room, id))

    room.journal.on_report = doing(note, Phase.ASSEMBLING)
    await room.work()
    assert noted == [2, 2]
    assert await deaths(room, id) == 1  # read back: what comes now is no fault of the bytes
    assert (await room.status()).state is State.DONE


async def test_too_many_deaths_end_the_upload() -> None:
    room = Room(verify_deaths=3)
    id = await sealed(room, deaths=3)
    await room.work()
    upload = await room.status()
    assert upload.failure == Failed(code="worker-died", detail="3 workers died while they read the file back")
    assert room.journal.reported == [(Phase.VERIFYING, 0, 4)]  # it was not begun again
    assert room.storage.kept == []
    assert id not in room.queue.waiting


async def test_fewer_do_not() -> None:
    room = Room(verify_deaths=3)
    await sealed(room, deaths=2)
    await room.work()
    assert (await room.status()).state is State.DONE


@pytest.mark.parametrize("when", [*Phase])
async def test_a_worker_that_leaves_has_not_died(when: Phase) -> None:
    room = Room()
    id = await sealed(room)

    async def fail() -> None:
        room.journal.on_report = None
        raise StorageFault

    room.journal.on_report = doing(fail, when)
    with pytest.raises(StorageFault):
        await room.work()
    assert await deaths(room, id) == 0


async def test_a_worker_that_is_called_off_has_not_died() -> None:
    room = Room()
    id = await sealed(room)
    with anyio.CancelScope() as scope:

        async def leave() -> None:
            room.journal.on_report = None
            scope.cancel()
            await anyio.lowlevel.checkpoint()

        room.journal.on_report = doing(leave, Phase.VERIFYING)
        await room.work()
    assert scope.cancelled_caught
    assert await deaths(room, id) == 0


async def test_each_further_reading_is_noted_however_soon_it_follows() -> None:
    """Where the whole is not what was declared, all is read again to find out which part is bad."""
    room = Room()
    id = await sealed(room)
    noted: list[int] = []

    async def note(_: Phase) -> None:
        noted.append(await deaths(room, id))

    room.journal.on_report = note
    room.storage.readings = 2
    await room.work()
    assert noted == [1, 1, 1, 0, 1, 0]


async def test_after_a_death_it_is_read_while_nothing_else_is() -> None:
    room = Room()
    names = [ClientName(None, f"{number}.bin") for number in range(4)]
    ids = [await sealed(room, name, deaths=number % 2) for number, name in enumerate(names)]
    suspects = {id for number, id in enumerate(ids) if number % 2}
    at_it: set[UploadId] = set()
    together: list[set[UploadId]] = []

    class Watched(NoHooks):
        async def before_publish(self, upload: Upload, name: str) -> str:
            at_it.add(upload.id)
            together.append(set(at_it))
            await anyio.sleep(0.01)
            at_it.discard(upload.id)
            return name

    room.hooks = Watched()
    engine = room.another()
    async with anyio.create_task_group() as group:
        for id in ids:
            group.start_soon(engine.finish, id)
    assert len(together) == 4
    assert all(len(some) == 1 for some in together if some & suspects)
    assert [(await room.status(name)).state for name in names] == [State.DONE] * 4


async def test_alone_waits_for_those_inside_and_keeps_others_out() -> None:
    floor, said = Floor(), list[str]()
    first_may_leave = anyio.Event()

    async def first() -> None:
        async with floor.among_others():
            said.append("first in")
            await first_may_leave.wait()
            said.append("first out")

    async def alone() -> None:
        async with floor.alone():
            said.append("alone in")
            await anyio.lowlevel.checkpoint()
            said.append("alone out")

    async def last() -> None:
        async with floor.among_others():
            said.append("last")

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for one in (first, alone, last):
                group.start_soon(one)
                await anyio.wait_all_tasks_blocked()
            first_may_leave.set()
    assert said == ["first in", "first out", "alone in", "alone out", "last"]
