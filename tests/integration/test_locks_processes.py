"""Locks among real processes, which are asked, stopped and killed."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from blockbuster import BlockBuster

from onward.errors import Locked
from onward.locks.file import FileLocks
from onward.ports import FINISH, WHOLE
from onward.testing.conformance_locks import ACROSS, FIRST, ID, LONG, SECOND, is_free

pytestmark = pytest.mark.anyio

CHILD: Final = Path(__file__).with_name("locks_child.py")
PROCESSES: Final = 4


@pytest.fixture(scope="session")
def loop_guard(loop_guard: BlockBuster) -> BlockBuster:
    """The lock files and sockets are metadata of a local disk: they may be touched on the loop."""
    for function in loop_guard.functions.values():
        function.can_block_in("onward/locks/file/spanfile.py", {"lock", "forget"})
        function.can_block_in("onward/locks/file/bell.py", {"listen", "ring", "close"})
    return loop_guard


class Child:
    """A process that holds a span; see ``locks_child.py`` for what it says and understands."""

    def __init__(self, process: anyio.abc.Process) -> None:
        assert process.stdout is not None
        self._process = process
        self._said = BufferedByteReceiveStream(process.stdout)

    async def says(self, word: str) -> None:
        with anyio.fail_after(LONG):
            assert await self._said.receive_until(b"\n", 100) == word.encode()

    async def leave(self) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send(b"leave\n")
        await self.says("left")

    def send(self, which: signal.Signals) -> None:
        self._process.send_signal(which)

    async def ends(self) -> int:
        with anyio.fail_after(LONG):
            return await self._process.wait()

    @classmethod
    @asynccontextmanager
    async def run(cls, *arguments: object) -> AsyncIterator[Self]:
        command = [sys.executable, str(CHILD), *map(str, arguments)]
        process = await anyio.open_process(command, stderr=None)
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def all_end_well(*arguments: object) -> None:
    """Run the same child several times at once; each must end with 0."""

    async def one() -> None:
        async with Child.run(*arguments) as child:
            codes.append(await child.ends())

    codes: list[int] = []
    async with anyio.create_task_group() as group:
        for _ in range(PROCESSES):
            group.start_soon(one)
    assert codes == [0] * PROCESSES


@pytest.fixture
async def locks(tmp_path: Path) -> AsyncIterator[FileLocks]:
    made = FileLocks(tmp_path / "locks")
    yield made
    await made.close()


@pytest.fixture
async def others(tmp_path: Path) -> AsyncIterator[FileLocks]:
    """Locks that share nothing with ``locks`` but the directory, as another process would."""
    made = FileLocks(tmp_path / "locks")
    yield made
    await made.close()


async def test_no_update_is_lost_among_processes(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    await all_end_well("count", tmp_path / "locks", 200, counter)
    assert counter.read_text() == str(PROCESSES * 200)


async def test_processes_hold_disjoint_spans_side_by_side(tmp_path: Path, locks: FileLocks) -> None:
    async with (
        Child.run("hold", tmp_path / "locks", *FIRST) as one,
        Child.run("hold", tmp_path / "locks", *SECOND) as two,
    ):
        await one.says("held")
        await two.says("held")
        assert await is_free(locks, ID, (200, 300))
        assert await is_free(locks, ID, FINISH)
        for taken in (FIRST, SECOND, ACROSS, WHOLE):
            assert not await is_free(locks, ID, taken)
        await one.leave()
        assert await is_free(locks, ID, FIRST)
        assert not await is_free(locks, ID, ACROSS)
        await two.leave()
        assert await is_free(locks, ID, WHOLE)


async def test_a_newcomer_gets_the_span_of_another_process(tmp_path: Path, locks: FileLocks) -> None:
    async with Child.run("hold", tmp_path / "locks", *FIRST) as holder:
        await holder.says("held")
        async with locks.hold(ID, WHOLE, timeout=LONG, revoke=True):
            await holder.says("revoked")
            await holder.says("left")


async def test_a_process_is_not_asked_for_what_does_not_overlap(tmp_path: Path, locks: FileLocks) -> None:
    async with (
        Child.run("hold", tmp_path / "locks", *FIRST) as spared,
        Child.run("hold", tmp_path / "locks", *SECOND) as asked,
    ):
        await spared.says("held")
        await asked.says("held")
        async with locks.hold(ID, SECOND, timeout=LONG, revoke=True):
            await asked.says("revoked")
        await spared.leave()  # it says nothing else first


async def test_a_process_that_died_holds_nothing(tmp_path: Path, locks: FileLocks) -> None:
    async with Child.run("hold", tmp_path / "locks", *WHOLE) as holder:
        await holder.says("held")
        assert not await is_free(locks, ID, FIRST)
        holder.send(signal.SIGKILL)
        assert await holder.ends() == -signal.SIGKILL
        async with locks.hold(ID, FIRST, timeout=LONG, revoke=True):
            pass


async def test_a_stopped_process_keeps_what_it_holds(tmp_path: Path, locks: FileLocks) -> None:
    async with Child.run("hold", tmp_path / "locks", *FIRST) as holder:
        await holder.says("held")
        holder.send(signal.SIGSTOP)
        with pytest.raises(Locked):
            async with locks.hold(ID, FIRST, timeout=0.5, revoke=True):
                pytest.fail("held twice")
        holder.send(signal.SIGCONT)
        await holder.says("revoked")
        async with locks.hold(ID, FIRST, timeout=LONG):
            pass


async def test_forgetting_never_lets_two_processes_in(tmp_path: Path) -> None:
    await all_end_well("storm", tmp_path / "locks", 300, tmp_path / "inside")


async def test_sockets_of_dead_processes_are_removed(tmp_path: Path, locks: FileLocks, others: FileLocks) -> None:
    async with Child.run("hold", tmp_path / "locks", *FIRST) as dead:
        await dead.says("held")
        dead.send(signal.SIGKILL)
        await dead.ends()
    async with locks.hold(ID, FIRST, timeout=0):
        assert len(list((tmp_path / "locks" / "run").iterdir())) == 2
        with pytest.raises(Locked):
            async with others.hold(ID, FIRST, timeout=0, revoke=True):
                pytest.fail("held twice")
        assert len(list((tmp_path / "locks" / "run").iterdir())) == 2  # two that live
    async with locks.hold(ID, FIRST, timeout=0) as lease:
        with pytest.raises(Locked):
            async with others.hold(ID, FIRST, timeout=0, revoke=True):
                pytest.fail("held twice")
        await lease.revoked.wait()
