"""SIGKILL to a worker in mid-merge on an idle queue: somebody else publishes, and no request has to wake them."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from onward.testing.conformance_broker import Log, Recipe, calling, doomed, kick, listening
from tests.integration.real_server import RealServer, real_server
from tests.integration.redis_server import redis_server
from tests.process.client import Client, History, Source, check_file
from tests.process.processes import are_gone, freeze, kill, until, worker_logs, worker_of, workers

CHUNK = 8 << 20
SIZE = 96 << 20
TRIES = 8


@contextlib.contextmanager
def _queue(kind: str) -> Iterator[dict[str, Any]]:
    """The settings that choose this queue, for as long as it runs."""
    if kind == "sqlite":
        yield {}
        return
    with redis_server() as redis:
        yield {"queue_url": redis.url}


def _begun(published: Path, upload: str, processes: list[psutil.Process]) -> bool:
    return published.exists() or bool(_busy_with(upload, processes))


def _busy_with(upload: str, processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have a file of this upload open, stopped so that they stay at it."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            if any(upload in opened.path for opened in process.open_files()):
                freeze([process])
                found.append(process)
    return found


def _caught_in_merge(server: RealServer, processes: list[psutil.Process]) -> tuple[Source, psutil.Process]:
    """A large upload whose worker, stopped now, has the parts open and has published nothing."""
    client = Client(server.port, History())
    for turn in range(TRIES):
        source = Source(f"large-{turn}.bin", SIZE, chunk=CHUNK, flat=False)
        client.send(source, range(1, len(source.chunks) + 1))
        upload = client.manifest(source).body["id"]
        assert client.complete(source).status == 202
        until(partial(_begun, server.file(source.name), upload, processes), "nobody works")
        stopped = [process for process in processes if process.status() == psutil.STATUS_STOPPED]
        if stopped and not server.file(source.name).exists():
            return source, stopped[0]
        for process in stopped:
            process.send_signal(signal.SIGCONT)
    raise AssertionError("every merge was over before its worker was caught")


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_the_other_of_two_workers_publishes(tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    with (
        _queue(kind) as queue,
        real_server(data, worker=False, **queue) as server,
        workers(data, 2, sweep_every=1, **queue) as both,
    ):
        source, victim = _caught_in_merge(server, both)
        kill([victim])
        are_gone([victim])
        # Nothing is asked of the server from here on: the queue stays idle.
        until(server.file(source.name).exists, "the other worker does not publish")
        check_file(server, source)
        assert worker_logs(data).count(f"as {source.name}:") == 1
        assert [process for process in both if process.status() != psutil.STATUS_ZOMBIE] != []


@pytest.mark.redis
@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_the_worker_that_comes_back_publishes(tmp_path: Path, kind: str) -> None:
    with _queue(kind) as queue, real_server(tmp_path / "data", sweep_every=1, **queue) as server:
        source, victim = _caught_in_merge(server, [worker_of(server)])
        kill([victim])
        are_gone([victim])
        until(server.file(source.name).exists, "the new worker does not publish")
        check_file(server, source)
        assert server.said().count(f"as {source.name}:") == 1
        assert server.stop() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("kicked", [True, False], ids=["somebody kicks", "nobody kicks"])
async def test_a_dead_workers_message_does_not_wait_for_its_lease(tmp_path: Path, kicked: bool) -> None:
    recipe = Recipe("onward.broker.sqlite:SqliteBroker", {"path": str(tmp_path / "broker.db"), "lease": 3600.0})
    log = Log()
    async with calling(recipe.build()) as caller, AsyncExitStack() as others:
        async with doomed(recipe) as begun:
            await kick(caller, "left behind")
            await begun(1)
            if not kicked:
                await others.enter_async_context(listening(recipe.build(), log.execute))
        if kicked:
            await kick(caller, "more")
            await others.enter_async_context(listening(recipe.build(), log.execute))
            await log.until("more")
        await log.until("left behind")
        assert log.begun.count("left behind") == 1
