"""A worker process whose engine only says what it does: run it, or give ``broker`` to Taskiq's own command."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import anyio

from onward import config, worker
from onward.core.types import UploadId

STUCK = os.environ.pop("SEAT_STUCK", "") == "yes"


class Engine:
    async def finish(self, id: UploadId) -> None:
        print("begun", id, flush=True)
        try:
            if STUCK:
                await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.2)
                print("left", id, flush=True)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[Engine]:
    print("opened", flush=True)
    async with anyio.create_task_group() as group:  # must be left by the task that entered it
        group.start_soon(anyio.sleep_forever)
        yield Engine()
        group.cancel_scope.cancel()
    print("closed", flush=True)


async def look_around(engine: Engine) -> None:
    print("swept", flush=True)


if __name__ == "__main__":
    anyio.run(lambda: worker.main(config.load(), open_engine=opened, background=[look_around]))
else:
    broker, _ = worker.equip(config.load(), open_engine=opened, background=[look_around])
