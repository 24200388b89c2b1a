"""What came of an upload by a client of others: the published file, held against the one that was sent."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Final

import httpx

from tests.integration.real_server import RealServer

PATIENCE: Final = 60.0
"""Seconds after which an upload that has not come is stuck; nothing else is judged by it."""


async def arrived(server: RealServer, url: str) -> Path:
    """The published file of an upload, as soon as it is done."""
    id = url.rsplit("/", 1)[1]
    deadline = time.monotonic() + PATIENCE
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            state = (await client.get(f"{server.url}/uploads/{id}")).json()
            if state["state"] == "done":
                return server.file(state["result"]["ref"])
            assert state["state"] in {"receiving", "assembling", "verifying"}, state
            assert time.monotonic() < deadline, state
            await asyncio.sleep(0.05)


def sha256(path: Path) -> str:
    """In hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
