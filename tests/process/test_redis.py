"""Redis stopped, restarted and emptied: uploads never need it, merges come when it is back."""

from __future__ import annotations

from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.integration.real_server import real_server
from tests.integration.redis_server import redis_server
from tests.process.client import Client, History, Source, check, check_file
from tests.process.processes import freeze, until, worker_of, workers

pytestmark = pytest.mark.redis

CHUNK = 64 << 10


def _small(number: int) -> Source:
    return Source(f"small-{number}.bin", 200_000 + number, chunk=CHUNK, flat=number % 2 == 0)


def _send_and_complete(client: Client, source: Source) -> None:
    client.send(source, range(1, len(source.chunks) + 1))
    assert client.complete(source).status == 202
    assert client.history.refused == []


def test_redis_away_at_complete_then_back(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        redis_server() as redis,
        real_server(data, sweep_every=1, queue_url=redis.url) as server,
    ):
        client = Client(server.port, History())
        before = _small(0)
        client.deliver(before)
        worker = worker_of(server)
        redis.kill()
        until(lambda: client.ask("GET", "/ready").body["status"] == "degraded", "nobody misses the queue")
        ready = client.ask("GET", "/ready")
        assert (ready.status, ready.body["checks"]["queue"]["status"]) == (200, "degraded")
        assert {ready.body["checks"][part]["status"] for part in ("storage", "journal")} == {"ok"}
        during = [_small(number) for number in (1, 2, 3)]
        for source in during:
            _send_and_complete(client, source)
        redis.start()
        for source in during:
            until(server.file(source.name).exists, f"{source.name} is not published after Redis came back")
            check_file(server, source)
        until(lambda: client.ask("GET", "/ready").body["status"] == "ok", "the queue stays away")
        assert worker == worker_of(server), "the worker did not outlive the outage"
        client.deliver(_small(4))
        check(server, client.history)
        assert server.stop() == 0


def test_redis_emptied_with_twenty_merges_queued(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        redis_server() as redis,
        real_server(data, worker=False, queue_url=redis.url) as server,
        workers(data, 1, sweep_every=1, queue_url=redis.url) as (worker,),
    ):
        client = Client(server.port, History())
        client.deliver(_small(100))  # the worker is there and has a group of its own in Redis
        freeze([worker])
        queued = [_small(number) for number in range(20)]
        for source in queued:
            _send_and_complete(client, source)
        redis.flush()
        assert not any(server.file(source.name).exists() for source in queued)
        psutil.Process(worker.pid).resume()
        for source in queued:
            until(server.file(source.name).exists, f"{source.name} was lost with the queue")
        check(server, client.history)
        for source in queued:
            client.deliver(source)
            check_file(server, source)
