"""Real power cuts: the file system forgets all that was not synced. What was acknowledged is there."""

from __future__ import annotations

import os
import random
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.integration.real_server import RealServer, real_server
from tests.process.client import Client, History, Source, check
from tests.process.disasters import survive
from tests.process.mounts import KINDS, PowerDisk, make_tool, power_disk, why_not
from tests.process.processes import are_gone, children, freeze, kill

CLIENTS = 3
CHUNK = 64 << 10
TRIES = 3


def _source(client: int, turn: int) -> Source:
    return Source(f"file-{client}.{turn}.bin", 500_000 + 1000 * turn, chunk=CHUNK, flat=(client + turn) % 2 == 0)


def _cut(server: RealServer, disk: PowerDisk) -> None:
    """The power fails under the running server, and comes back; nothing is started."""
    family = children(server)
    # Stopped first, so that no sync is under way: every answer that left is to be kept.
    freeze([psutil.Process(server.process.pid), *family])
    disk.cut()
    kill(family)
    server.kill()
    are_gone(family)
    disk.unmount()
    disk.mount()


def _blackouts(disk: PowerDisk, seed: int, cuts: int) -> None:
    with real_server(disk.where, sweep_every=1, min_free=0) as server:
        survive(server, lambda: _cut(server, disk), random.Random(seed), cuts, clients=CLIENTS, source=_source)
        assert server.stop() == 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "cuts"), [("ext4", 12), ("xfs", 8)])
def test_twenty_power_cuts_lose_nothing(tmp_path: Path, kind: str, cuts: int) -> None:
    with power_disk(tmp_path / "data", kind) as disk:
        _blackouts(disk, 1, cuts)


@pytest.mark.deep
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(2, 5))
def test_three_hundred_power_cuts_lose_nothing(tmp_path: Path, kind: str, seed: int) -> None:
    print(f"seed {seed}")
    with power_disk(tmp_path / "data", kind) as disk:
        _blackouts(disk, seed, 50)


def test_a_cut_takes_what_was_not_synced(tmp_path: Path) -> None:
    with power_disk(tmp_path / "data", "ext4") as disk:
        kept, lost = disk.where / "kept", disk.where / "lost"
        kept.write_bytes(b"kept")
        for path in (kept, disk.where):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        lost.write_bytes(b"lost")
        disk.cut()
        disk.unmount()
        disk.mount()
        assert kept.read_bytes() == b"kept"
        assert not lost.exists()


def test_without_syncs_the_same_cut_loses_what_was_acknowledged(tmp_path: Path) -> None:
    history = History()
    settings = {"sweep_every": 1, "min_free": 0, "durability": "none"}
    with power_disk(tmp_path / "data", "ext4") as disk, real_server(disk.where, **settings) as server:
        for turn in range(TRIES):
            source = Source(f"unsafe-{turn}.bin", 500_000, chunk=CHUNK, flat=True)
            Client(server.port, history).send(source, range(1, len(source.chunks)))
            _cut(server, disk)
            server.start()
            try:
                check(server, history)
            except AssertionError as lost:
                assert "acknowledged" in str(lost)  # noqa: PT017  # what the check says is what is tested
                return
    raise AssertionError("the kernel had written everything by itself each time; this proves nothing")


def test_nothing_here_is_skipped_where_changes_are_judged() -> None:
    reason = why_not(*map(make_tool, KINDS))
    print(f"tests that mount: {reason or 'can run'}")
    assert reason is None or os.environ.get("CI") != "true" or os.getuid() != 0
