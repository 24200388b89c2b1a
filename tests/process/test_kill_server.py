"""SIGKILL to a server at random points of chunk, complete and merge: nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.integration.real_server import RealServer, real_server
from tests.process.client import Client, History, Source, check_file
from tests.process.disasters import survive
from tests.process.processes import are_gone, children, kill, until, worker_of

CLIENTS = 4
CHUNK = 128 << 10


def _source(client: int, turn: int) -> Source:
    return Source(f"file-{client}.{turn}.bin", 1_000_000 + 1000 * turn, chunk=CHUNK, flat=(client + turn) % 2 == 0)


def _kill(server: RealServer, draw: random.Random) -> list[Any]:
    """End the server in one of the ways there are; the processes that must be gone for it."""
    family = children(server)
    if draw.random() < 0.5:
        kill(family)  # the worker dies in the same instant as the server, else by itself soon after
    server.kill()
    return family


def _storm(tmp_path: Path, seed: int, kills: int) -> None:
    draw = random.Random(seed)
    ended: list[Any] = []
    with real_server(tmp_path / "data", sweep_every=1) as server:
        survive(server, lambda: ended.extend(_kill(server, draw)), draw, kills, clients=CLIENTS, source=_source)
        are_gone(ended)
        ended = children(server)
        assert server.stop() == 0
        are_gone(ended)


@pytest.mark.timeout(600)
def test_ten_kills_lose_nothing(tmp_path: Path) -> None:
    _storm(tmp_path, seed=1, kills=10)


@pytest.mark.deep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_storm_of_kills_loses_nothing(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    _storm(tmp_path, seed=seed, kills=50)


def niceness(pid: int) -> int:
    return os.getpriority(os.PRIO_PROCESS, pid)


def test_a_worker_stands_behind_its_server_and_is_not_reached_by_its_terminal(tmp_path: Path) -> None:
    with real_server(tmp_path / "data") as server:
        mine, worker = server.process.pid, worker_of(server).pid
        until(lambda: niceness(worker) > niceness(mine), "the worker does not step back")
        # Niceness counts among processes of one session; a signal from the terminal goes to one group.
        assert os.getsid(worker) == os.getsid(mine)
        assert os.getpgid(worker) != os.getpgid(mine)


def test_a_worker_ends_with_its_server_and_comes_back_with_it(tmp_path: Path) -> None:
    with real_server(tmp_path / "data", sweep_every=1) as server:
        first = worker_of(server)
        server.kill()
        are_gone([first])
        server.start()
        second = worker_of(server)
        kill([second])
        are_gone([second])
        third = until(lambda: [child for child in children(server) if child.pid != second.pid], "no worker comes back")
        client, source = Client(server.port, History()), Source("after.bin", 100_000, chunk=CHUNK, flat=False)
        client.deliver(source)
        check_file(server, source)
        assert server.stop() == 0
        are_gone(third)
