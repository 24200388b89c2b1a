"""Hooks of a server under test: publishing waits until the test has seen what comes before."""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from onward.core.upload import Upload
from onward.hooks.none import NoHooks


class Slow(NoHooks):
    """Waits for the file ``publish`` in the working directory of the server."""

    async def before_publish(self, upload: Upload, name: str) -> str:
        while not await anyio.to_thread.run_sync(os.path.exists, str(Path.cwd() / "publish")):  # noqa: ASYNC110  # another process makes it
            await anyio.sleep(0.02)
        return name
