"""A disk that is full, and has room again: 507 where bytes would be stored, nothing lost, everything goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.integration.real_server import RealServer, real_server
from tests.process.client import Client, Half, History, Source, check, check_file
from tests.process.mounts import resize, small_disk
from tests.process.processes import until

MIB: Final = 1 << 20


def _fill(disk: Path, *, leave: int = 0) -> Path:
    """Take all the room there is but some bytes."""
    ballast = disk / "ballast"
    block = bytes(MIB)
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(block):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - leave))
    return ballast


def test_a_disk_that_fills_up_in_mid_chunk(tmp_path: Path) -> None:
    history = History()
    with small_disk(tmp_path / "data", "48m") as disk, real_server(disk, sweep_every=1, min_free=0) as server:
        client = Client(server.port, history)
        sources = [Source(f"full-{flat}.bin", 6 * MIB, chunk=2 * MIB, flat=flat) for flat in (True, False)]
        finished = Source("before.bin", MIB, chunk=MIB, flat=True)
        client.deliver(finished)
        halves = []
        for source in sources:
            assert client.chunk(source, 1).status == 201
            halves.append(Half(server.port, "POST", f"/upload/{source.name}-2", 2 * MIB, source.headers))
            halves[-1].send(source.chunks[1][: MIB // 2])
        _fill(disk)
        for source, half in zip(sources, halves, strict=True):
            half.send(source.chunks[1][MIB // 2 :])
            answer = half.answer()
            assert (answer.status, answer.body["code"]) == (507, "no-space")
            half.close()
            assert client.chunk(source, 3).status == 507
        assert client.ask("GET", "/health").status == 200
        assert client.ask("GET", f"/upload/{finished.name}").body["state"] == "done"
        check(server, history)
        for source in sources:
            answer = client.manifest(source)
            assert [chunk["number"] for chunk in answer.body["chunks"]] == [1]
        resize(disk, "128m")
        for source in sources:
            client.deliver(source)
            check_file(server, source)
        check(server, history)
        assert "Traceback" not in server.said(), server.said()
        assert server.stop() == 0


def test_a_disk_that_fills_up_in_mid_merge(tmp_path: Path) -> None:
    history = History()
    with small_disk(tmp_path / "data", "40m") as disk, real_server(disk, sweep_every=1, min_free=0) as server:
        client = Client(server.port, history)
        source = Source("twice.bin", 24 * MIB, chunk=4 * MIB, flat=False)
        client.send(source, range(1, len(source.chunks) + 1))
        assert client.complete(source).status == 202
        until(lambda: _complaints(server) >= 1, "the worker does not notice that the disk is full")
        assert client.manifest(source).body["state"] in {"assembling", "verifying"}
        assert not server.file(source.name).exists()
        # A copy that does not fit gives its room back: what does fit is received and published.
        other = Source("beside.bin", 2 * MIB, chunk=MIB, flat=True)
        client.deliver(other)
        check_file(server, other)
        check(server, history)
        assert not server.file(source.name).exists()
        resize(disk, "128m")
        until(server.file(source.name).exists, "the merge is not tried again")
        client.deliver(source)
        check_file(server, source)
        assert server.stop() == 0


def _complaints(server: RealServer) -> int:
    return server.said().count("No space left on device")


def test_the_floor_of_free_space_is_kept(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data", "64m") as disk, real_server(disk, min_free=32 * MIB) as server:
        client = Client(server.port, History())
        answer = client.ask("POST", "/upload", b'{"name": "large.bin", "size": %d}' % (40 * MIB), _JSON)
        assert (answer.status, answer.body["code"]) == (507, "no-space")
        assert client.ask("GET", "/upload/large.bin").status == 404
        answer = client.ask("POST", "/upload", b'{"name": "small.bin", "size": %d}' % (20 * MIB), _JSON)
        assert answer.status == 201
        # What was promised to one is not promised to another.
        answer = client.ask("POST", "/upload", b'{"name": "next.bin", "size": %d}' % (20 * MIB), _JSON)
        assert (answer.status, answer.body["code"]) == (507, "no-space")
        client.deliver(Source("room.bin", MIB, chunk=MIB, flat=True))


_JSON: Final = {"Content-Type": "application/json"}
