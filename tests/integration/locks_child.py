"""One of several processes that share locks. Run by ``test_locks_processes.py``, never imported by it.

``hold DIR START STOP``: says ``held``; on ``leave`` or when asked back (says ``revoked``) leaves, says ``left``.
``count DIR TIMES FILE``: adds 1 to the number in FILE that often, each time under the lock.
``storm DIR TIMES FILE``: holds and forgets that often; ends with 3 if somebody else was inside at the same time.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from onward.core.types import UploadId
from onward.locks.file import FileLocks
from onward.ports import Lease

ID: Final = UploadId("0123456789abcdefghijklmnopqrstuv")
LONG: Final = 60.0


async def hold(locks: FileLocks, start: int, stop: int) -> None:
    async with locks.hold(ID, (start, stop), timeout=LONG) as lease:
        print("held", flush=True)
        async with anyio.create_task_group() as group:
            group.start_soon(asked_back, lease, group.cancel_scope)
            await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)
            group.cancel_scope.cancel()
    print("left", flush=True)
    sys.stdout.flush()
    os._exit(0)  # the thread that waits for a line would keep the process


async def asked_back(lease: Lease, scope: anyio.CancelScope) -> None:
    await lease.revoked.wait()
    print("revoked", flush=True)
    scope.cancel()


def read(file: Path) -> int:
    return int(file.read_text())


def write(file: Path, number: int) -> None:
    file.write_text(str(number))


async def add_up(locks: FileLocks, times: int, file: Path) -> None:
    for _ in range(times):
        async with locks.hold(ID, (0, 10), timeout=LONG):
            number = read(file)
            await anyio.lowlevel.checkpoint()
            write(file, number + 1)
        await anyio.lowlevel.checkpoint()


async def storm(locks: FileLocks, times: int, inside: Path) -> int:
    for _ in range(times):
        async with locks.hold(ID, (0, 10), timeout=LONG):
            try:
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            except FileExistsError:
                return 3
            await anyio.sleep(0.0005)
            os.unlink(inside)
        await locks.forget(ID)
    return 0


async def main(role: str, directory: str, first: str, second: str) -> int:
    locks = FileLocks(Path(directory))
    try:
        if role == "hold":
            await hold(locks, int(first), int(second))
        elif role == "count":
            await add_up(locks, int(first), Path(second))
        else:
            return await storm(locks, int(first), Path(second))
        return 0
    finally:
        await locks.close()


if __name__ == "__main__":
    role, directory, first, second = sys.argv[1:]
    sys.exit(anyio.run(main, role, directory, first, second))
