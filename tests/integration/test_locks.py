"""The common suite for each kind of locks, then what is special to those with files and sockets."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest
from blockbuster import BlockBuster

from onward.errors import Draining, Locked, ServerFault
from onward.locks.file import FileLocks
from onward.locks.file.bell import parse
from onward.locks.memory import MemoryLocks
from onward.ports import FINISH, LAST_KEY, WHOLE, Locks, Span
from onward.testing.conformance_locks import (
    ACROSS,
    FIRST,
    ID,
    LONG,
    SECOND,
    Holder,
    LocksConformance,
    is_free,
    waiting,
)
from onward.testing.locks_removed import NoLocks

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="session")
def loop_guard(loop_guard: BlockBuster) -> BlockBuster:
    """The lock files and sockets are metadata of a local disk: they may be touched on the loop."""
    for function in loop_guard.functions.values():
        function.can_block_in("onward/locks/file/spanfile.py", {"lock", "forget"})
        function.can_block_in("onward/locks/file/bell.py", {"listen", "ring", "close"})
    return loop_guard


class TestMemoryLocks(LocksConformance):
    def make(self, directory: Path) -> Locks:
        return MemoryLocks()


class TestFileLocks(LocksConformance):
    def make(self, directory: Path) -> Locks:
        return FileLocks(directory)


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


def lock_file(directory: Path) -> Path:
    return directory / "locks" / ID[:2] / ID


# -- the file -------------------------------------------------------------------------------------


async def test_a_lock_on_a_forgotten_file_does_not_count(tmp_path: Path, locks: FileLocks, others: FileLocks) -> None:
    async with anyio.create_task_group() as group:
        async with locks.hold(ID, FIRST, timeout=0):
            waiter = await waiting(group, Holder(others, ID, FIRST))  # has the file open that is to go
            old = lock_file(tmp_path).stat().st_ino
        await locks.forget(ID)
        assert not lock_file(tmp_path).exists()
        await waiter.held.wait()
        assert lock_file(tmp_path).exists()
        assert not await is_free(locks, ID, FIRST), f"inode {old} is locked, and nobody will look at it"
        await waiter.has_left()


async def test_a_file_is_kept_while_another_process_holds_some_of_it(
    tmp_path: Path, locks: FileLocks, others: FileLocks
) -> None:
    for span in (FIRST, FINISH):
        async with locks.hold(ID, span, timeout=0):
            await others.forget(ID)
            assert lock_file(tmp_path).exists()
            assert not await is_free(others, ID, span)
    await others.forget(ID)
    assert not lock_file(tmp_path).exists()


async def test_forgetting_late_does_not_take_the_next_holders_file(
    tmp_path: Path, locks: FileLocks, others: FileLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock_range = fcntl.fcntl
    between = iter([True])

    def overtaken(fd: int, command: int, argument: bytes) -> object:
        if next(between, False):  # this file is open and not yet locked: somebody else removes it, and one comes anew
            lock_file(tmp_path).unlink()
            lock_file(tmp_path).touch()
        return lock_range(fd, command, argument)

    assert await is_free(locks, ID, FIRST)
    monkeypatch.setattr(fcntl, "fcntl", overtaken)
    await others.forget(ID)
    assert lock_file(tmp_path).exists()


async def test_a_span_is_free_for_others_while_its_neighbour_is_still_held(locks: FileLocks, others: FileLocks) -> None:
    async with locks.hold(ID, FIRST, timeout=0):
        async with locks.hold(ID, SECOND, timeout=0):
            assert not await is_free(others, ID, SECOND)
        assert await is_free(others, ID, SECOND)
        assert not await is_free(others, ID, ACROSS)


async def test_only_this_user_can_reach_the_locks(tmp_path: Path, locks: FileLocks) -> None:
    async with locks.hold(ID, FIRST, timeout=0):
        made = [tmp_path / "locks", *(tmp_path / "locks").rglob("*")]
        assert len(made) == 5
        assert [path for path in made if path.stat().st_mode & 0o077 and not path.is_socket()] == []


async def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path, locks: FileLocks) -> None:
    lock_file(tmp_path).parent.mkdir(parents=True)
    lock_file(tmp_path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ServerFault):
        async with locks.hold(ID, FIRST, timeout=0):
            pytest.fail("held a link")
    assert not (tmp_path / "elsewhere").exists()
    assert locks.busy == 0


async def test_what_is_not_an_id_never_becomes_a_path(locks: FileLocks) -> None:
    bad = type(ID)("../../../../../../../tmp/escaped")
    with pytest.raises(ValueError, match="id"):
        async with locks.hold(bad, FIRST, timeout=0):
            pytest.fail("held a path")
    with pytest.raises(ValueError, match="id"):
        await locks.forget(bad)


# -- asking back ----------------------------------------------------------------------------------


async def test_the_socket_is_there_from_the_first_hold_until_the_close(tmp_path: Path) -> None:
    run = tmp_path / "locks" / "run"
    locks = FileLocks(tmp_path / "locks")
    assert not run.exists()
    async with locks.hold(ID, FIRST, timeout=0):
        assert [path.name.split("-")[0] for path in run.iterdir()] == [str(os.getpid())]
    await locks.close()
    assert list(run.iterdir()) == []


async def test_who_waits_for_another_process_is_not_asked_to_leave_what_it_has_not_got(
    tmp_path: Path, locks: FileLocks, others: FileLocks
) -> None:
    third = FileLocks(tmp_path / "locks")
    got = anyio.Event()

    async def wait_and_see() -> None:
        async with locks.hold(ID, FIRST, timeout=LONG) as lease:
            await anyio.wait_all_tasks_blocked()
            assert not lease.revoked.is_set()
            got.set()

    async with anyio.create_task_group() as group:
        async with others.hold(ID, FIRST, timeout=0) as lease:
            group.start_soon(wait_and_see)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Locked):
                async with third.hold(ID, FIRST, timeout=0, revoke=True):
                    pytest.fail("held twice")
            await lease.revoked.wait()
        await got.wait()
    await third.close()


async def test_who_was_not_heard_asks_again(tmp_path: Path, locks: FileLocks, others: FileLocks) -> None:
    async with anyio.create_task_group() as group:
        async with others.hold(ID, FIRST, timeout=0) as lease:
            (path,) = (tmp_path / "locks" / "run").iterdir()
            away = path.rename(path.with_suffix(".away"))
            newcomer = await waiting(group, Holder(locks, ID, FIRST, revoke=True))
            assert not lease.revoked.is_set()
            away.rename(path)
            await lease.revoked.wait()
        await newcomer.held.wait()
        await newcomer.has_left()


async def test_a_socket_has_its_name_only_once_it_answers(
    tmp_path: Path, locks: FileLocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.rename
    seen: list[str] = []

    def watched(source: Path, target: Path) -> None:
        seen.extend(path.suffix for path in (tmp_path / "locks" / "run").iterdir())
        rename(source, target)

    monkeypatch.setattr(os, "rename", watched)
    async with locks.hold(ID, FIRST, timeout=0):
        assert seen == [".new"]


async def test_a_directory_with_a_long_name_will_do(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-quite-a-long-name"] * 5)
    one, two = FileLocks(deep), FileLocks(deep)
    async with one.hold(ID, FIRST, timeout=0) as lease:
        with pytest.raises(Locked):
            async with two.hold(ID, FIRST, timeout=0, revoke=True):
                pytest.fail("held twice")
        await lease.revoked.wait()
    await one.close()
    await two.close()


async def test_without_a_socket_there_is_still_exclusion(
    tmp_path: Path, locks: FileLocks, others: FileLocks, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "run").write_text("in the way")
    async with locks.hold(ID, FIRST, timeout=0), locks.hold(ID, SECOND, timeout=0):
        with pytest.raises(Locked):
            async with others.hold(ID, FIRST, timeout=0, revoke=True):
                pytest.fail("held twice")
    assert len([r for r in caplog.records if "cannot be asked back" in r.message]) == 2


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00" * 200,
        b"%s 0" % ID.encode(),
        b"%s 0 0" % ID.encode(),
        b"%s 5 4" % ID.encode(),
        b"%s -1 4" % ID.encode(),
        b"%s 00 4" % ID.encode(),
        b"%s 0 4\n" % ID.encode(),
        b"%s 0 %d" % (ID.encode(), LAST_KEY + 1),
        b"../../etc/passwd 0 4",
        "٣".encode() * 30 + b" 0 4",
    ],
)
def test_what_is_not_a_message_is_ignored(message: bytes) -> None:
    assert parse(message) is None


def test_a_message_names_an_upload_and_a_span() -> None:
    assert parse(b"%s %d %d" % (ID.encode(), *FINISH)) == (ID, FINISH)


async def test_garbage_on_the_socket_harms_nobody(tmp_path: Path, locks: FileLocks, others: FileLocks) -> None:
    async with locks.hold(ID, FIRST, timeout=0) as lease:
        (path,) = (tmp_path / "locks" / "run").iterdir()
        folder = os.open(path.parent, os.O_RDONLY)  # by descriptor: an address has at most 108 bytes
        try:
            async with await anyio.create_unix_datagram_socket() as sender:
                for garbage in (b"", b"\xff" * 4000, b"%s 0 4 and so on" % ID.encode()):
                    await sender.sendto(garbage, f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        await anyio.wait_all_tasks_blocked()
        assert not lease.revoked.is_set()
        with pytest.raises(Locked):
            async with others.hold(ID, FIRST, timeout=0, revoke=True):
                pytest.fail("held twice")
        await lease.revoked.wait()


# -- the end --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_closing_asks_holders_to_leave_and_sends_waiters_away(kind: str, tmp_path: Path) -> None:
    locks = MemoryLocks() if kind == "memory" else FileLocks(tmp_path)
    refused = anyio.Event()

    async def wait_in_vain() -> None:
        with pytest.raises(Draining):
            async with locks.hold(ID, FIRST, timeout=LONG):
                pytest.fail("held after the close")
        refused.set()

    async with anyio.create_task_group() as group, locks.hold(ID, FIRST, timeout=0) as lease:
        group.start_soon(wait_in_vain)
        await anyio.wait_all_tasks_blocked()
        assert locks.busy == 1
        await locks.close()
        assert lease.revoked.is_set()
        await refused.wait()
    with pytest.raises(Draining):
        async with locks.hold(ID, FIRST, timeout=0):
            pytest.fail("held after the close")
    assert locks.busy == 0
    await locks.close()


async def test_closing_frees_what_was_held_for_other_processes(locks: FileLocks, others: FileLocks) -> None:
    async with locks.hold(ID, FIRST, timeout=0):
        assert not await is_free(others, ID, FIRST)
        await locks.close()
        assert await is_free(others, ID, FIRST)


async def test_closing_sends_away_who_waits_for_another_process(locks: FileLocks, others: FileLocks) -> None:
    async with others.hold(ID, FIRST, timeout=0), anyio.create_task_group() as group:

        async def wait_in_vain() -> None:
            with pytest.raises(Draining):
                async with locks.hold(ID, FIRST, timeout=LONG):
                    pytest.fail("held after the close")

        group.start_soon(wait_in_vain)
        await anyio.wait_all_tasks_blocked()
        await locks.close()


def test_locks_serve_one_event_loop_after_another(tmp_path: Path) -> None:
    async def use(locks: FileLocks) -> None:
        async with locks.hold(ID, FIRST, timeout=0):
            assert not await is_free(locks, ID, FIRST)
        await locks.close()

    for _ in range(3):
        anyio.run(use, FileLocks(tmp_path))


async def test_nobody_is_counted_when_nobody_is_there(locks: FileLocks) -> None:
    for _ in range(3):
        async with locks.hold(ID, FIRST, timeout=0):
            assert locks.busy == 1
            assert not await is_free(locks, ID, WHOLE)
        assert locks.busy == 0


async def test_removed_locks_let_everybody_in() -> None:
    locks: Locks = NoLocks()
    async with locks.hold(ID, WHOLE, timeout=0) as lease, locks.hold(ID, WHOLE, timeout=0, revoke=True):
        assert not lease.revoked.is_set()
    await locks.forget(ID)
    await locks.close()


def test_a_span_is_two_numbers() -> None:
    span: Span = WHOLE
    assert span[1] <= FINISH[0]
