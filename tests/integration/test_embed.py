"""The example of the tutorial: Onward in somebody's application, run as the page says."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any

import anyio
import httpx
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from onward.app import create_app, opening
from onward.config import Settings
from onward.worker import receive
from tests.integration.asgi_driver import Driver, running
from tests.integration.serving import PATIENCE, ROOT, until

pytestmark = pytest.mark.anyio

ALICE, BOB = {"x-user": "alice"}, {"x-user": "bob"}


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Litestar:
    """The app of the page, with its data in a directory of this test."""
    monkeypatch.chdir(tmp_path)
    app: Litestar = import_module("docs.examples.embed").app
    return app


async def test_the_embedded_routes_know_their_callers(example: Litestar, tmp_path: Path) -> None:
    async with AsyncTestClient(example) as client:
        assert (await client.post("/api/upload/a.txt-1", content=b"hello ")).status_code == 401
        stored = await client.post("/api/upload/a.txt-1", content=b"hello ", headers=ALICE)
        assert stored.status_code == 201
        assert (await client.get("/api/upload/a.txt", headers=BOB)).status_code == 404
        assert (await client.post("/api/upload/a.txt-1", content=b"other", headers=BOB)).status_code == 201
        assert (await client.post("/api/upload/a.txt-2", content=b"world", headers=ALICE)).status_code == 201
        own_route = await client.get(f"/received/{stored.json()['id']}")
        assert own_route.json() == {"bytes": 11}
        listed = (await client.get("/uploads", headers=ALICE)).json()["uploads"]
        assert [row["owner"] for row in listed] == ["alice"]
    assert not list((tmp_path / "var/files").rglob("a.txt"))


@contextmanager
def uvicorn(folder: Path, *options: str) -> Iterator[httpx.Client]:
    """The command of the page, and a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "docs/examples"), "embed:app"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ONWARD_")}
    with (folder / "log").open("wb") as log:
        process = Popen([*command, "--port", str(port), *options], cwd=folder, env=environ, stdout=log, stderr=STDOUT)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=ALICE, timeout=PATIENCE) as client:

            def answers() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                try:
                    return client.get("/uploads").status_code == 200
                except httpx.ConnectError:
                    return False

            until(answers)
            yield client
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
        assert "Traceback" not in (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two processes"])
def test_the_command_of_the_page_publishes_without_a_worker_beside_it(tmp_path: Path, options: tuple[str, ...]) -> None:
    with uvicorn(tmp_path, *options) as client:
        for number, piece in enumerate((b"hello ", b"world"), 1):
            assert client.post(f"/api/upload/a.txt-{number}", content=piece).status_code == 201
        sealed = client.post("/api/upload/complete", json={"file_unique_name": "a.txt", "total_chunks": 2})
        assert sealed.status_code == 202
        status = sealed.json()["status"]
        done = until(lambda: (now := client.get(status).json())["state"] == "done" and now)
        assert client.get(done["result"]["content"]).content == b"hello world"
        assert client.get(done["result"]["content"], headers=BOB).status_code == 404
    assert (tmp_path / "var/files/alice/a.txt").read_bytes() == b"hello world"


# -- what the application does besides answering ------------------------------------------------------


async def sealed(driver: Driver) -> str:
    """The status URL of an upload that waits for a worker."""
    assert (await driver.send("POST", "/upload/f-1", b"aaaa")).status == 201
    answer = await driver.send(
        "POST", "/upload/complete", b'{"file_unique_name":"f"}', {"Content-Type": "application/json"}
    )
    assert answer.status == 202
    return str(answer.json()["status"]).removeprefix("http://up.test")


async def becomes(driver: Driver, path: str, state: str) -> dict[str, Any]:
    with anyio.fail_after(PATIENCE):
        while (shown := (await driver.send("GET", path)).json())["state"] != state:  # noqa: ASYNC110 - seen from outside
            await anyio.sleep(0.02)
    found: dict[str, Any] = shown
    return found


async def test_an_application_without_a_worker_leaves_the_work_to_others_and_tidies(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, sweep_every=0.1, expire_after=1.0)
    async with running(create_app(settings)) as driver:
        waiting = await sealed(driver)
        assert (await driver.send("POST", "/upload/left-1", b"aaaa")).status == 201
        await becomes(driver, "/upload/left", "expired")
        assert (await driver.send("GET", waiting)).json()["state"] == "assembling"
    async with running(create_app(settings, engine=opening(settings, worker=True))) as driver:
        await becomes(driver, waiting, "done")


async def test_a_sweep_that_fails_is_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(data=tmp_path, sweep_every=0.05, expire_after=1.0)
    async with running(create_app(settings)) as driver:
        engine = driver.app.dependencies["uploads"].dependency()  # type: ignore[attr-defined]  # it is a Litestar
        due, asked = engine.catalog.due, 0

        async def once_broken(*given: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                raise OSError("the disk was away")
            return await due(*given, **named)

        engine.catalog.due = once_broken
        assert (await driver.send("POST", "/upload/left-1", b"aaaa")).status == 201
        await becomes(driver, "/upload/left", "expired")
    assert "the sweep failed" in caplog.text


async def test_a_worker_inside_that_fails_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(data=tmp_path, sweep_every=0.1)
    begun = 0

    async def first_broken(*given: Any, **named: Any) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            raise OSError("the queue was away")
        await receive(*given, **named)

    monkeypatch.setattr("onward.app.receive", first_broken)
    async with running(create_app(settings, engine=opening(settings, worker=True))) as driver:
        await becomes(driver, await sealed(driver), "done")
    assert begun == 2
    assert "begins again" in caplog.text
