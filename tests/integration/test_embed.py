"""The example of the tutorial: Onward in somebody's application."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path

import anyio
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Litestar:
    """The app of the page, with its data in a directory of this test."""
    monkeypatch.chdir(tmp_path)
    app: Litestar = import_module("docs.examples.embed").app
    return app


async def test_the_embedded_routes_know_their_callers(example: Litestar, tmp_path: Path) -> None:
    alice, bob = {"x-user": "alice"}, {"x-user": "bob"}
    async with AsyncTestClient(example) as client:
        assert (await client.post("/api/upload/a.txt-1", content=b"hello ")).status_code == 401
        stored = await client.post("/api/upload/a.txt-1", content=b"hello ", headers=alice)
        assert stored.status_code == 201
        assert (await client.get("/api/upload/a.txt", headers=bob)).status_code == 404
        assert (await client.post("/api/upload/a.txt-1", content=b"other", headers=bob)).status_code == 201
        assert (await client.post("/api/upload/a.txt-2", content=b"world", headers=alice)).status_code == 201
        own_route = await client.get(f"/received/{stored.json()['id']}")
        assert own_route.json() == {"bytes": 11}
        sealed = await client.post(
            "/api/upload/complete", json={"file_unique_name": "a.txt", "total_chunks": 2}, headers=alice
        )
        assert sealed.status_code == 202
        async with _worker(tmp_path):
            while (await client.get("/api/upload/a.txt", headers=alice)).json()["state"] != "done":  # noqa: ASYNC110 - seen from outside
                await anyio.sleep(0.05)
    assert (tmp_path / "var/files/alice/a.txt").read_bytes() == b"hello world"


@asynccontextmanager
async def _worker(folder: Path) -> AsyncIterator[None]:
    command = [sys.executable, "-m", "onward", "worker", "--data", "var"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ONWARD_")}
    async with await anyio.open_process(command, cwd=folder, env=environ, stdout=None, stderr=None) as worker:
        with anyio.fail_after(60):
            yield
        worker.send_signal(signal.SIGTERM)
        assert await worker.wait() == 0
