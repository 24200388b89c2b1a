"""`onward put` against a real server: on good networks and bad ones, killed, and lied to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onward.testing.chaos import Fault, Kind, Weather, script, storms
from tests.integration.putting import MIB, PATIENCE, Command, make, put, sha256, through
from tests.integration.real_server import RealServer, real_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """One server for all tests that do not harm it; each takes names of its own."""
    with real_server(tmp_path_factory.mktemp("put") / "data", max_size=64 * MIB) as running:
        yield running


def peak_memory(pid: int) -> int:
    """The most bytes that a process has held so far; 0 if it is gone."""
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


async def stored(base: str, name: str) -> int:
    """Bytes of the unbroken run that the server holds, 0 while it is not there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.head(f"{base}/{name}")
        except httpx.TransportError:
            return 0
        return int(answer.headers.get("upload-offset", 0))


async def until_stored(base: str, name: str, least: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while await stored(base, name) < least:  # noqa: ASYNC110  # the other side is another process
            await asyncio.sleep(0.02)


# -- good networks ------------------------------------------------------------------------------------


async def test_files_of_any_size_arrive_and_are_proven(server: RealServer, tmp_path: Path) -> None:
    sizes = {"plain.bin": 20 * MIB + 1, "small ü%.bin": 10, "even-1": 2 * MIB, "empty": 0}
    data = {name: make(tmp_path / name, size) for name, size in sizes.items()}
    result = await put(server.base, *(tmp_path / name for name in sizes))
    assert result.code == 0
    assert {told.name for told in result.told} == set(sizes)
    for told in result.told:
        assert (told.outcome, told.exit_code) == ("done", 0)
        assert (told.size, told.sent, told.retries) == (sizes[told.name], sizes[told.name], 0)
        assert told.sha256 == sha256(data[told.name])
        assert server.file(told.name).read_bytes() == data[told.name]
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(str(told.content))).content == data[told.name]


async def test_what_the_command_prints_is_the_truth(server: RealServer, tmp_path: Path) -> None:
    data = make(tmp_path / "words.bin", MIB)
    code, out, err = await Command(tmp_path, "words.bin", server.url).end()
    assert (code, err) == (0, ""), "and no bar where there is no terminal"
    assert out.startswith(f"words.bin  {MIB} bytes  sha256 {sha256(data)}  {server.url}/files/")
    (tmp_path / "words.bin").write_bytes(b"other")
    code, out, err = await Command(tmp_path, "words.bin", server.base).end()
    assert (code, out) == (1, "")
    assert err == "onward put: words.bin: a finished file has this name; choose another\n"


async def test_a_finished_file_is_only_compared(server: RealServer, tmp_path: Path) -> None:
    make(tmp_path / "again.bin", 3 * MIB)
    assert (await put(server.base, tmp_path / "again.bin")).code == 0
    result = await put(server.base, tmp_path / "again.bin")
    assert (result.code, result.one.outcome, result.one.sent) == (0, "done", 0)


async def test_without_waiting_the_server_has_every_byte(server: RealServer, tmp_path: Path) -> None:
    make(tmp_path / "nowait.bin", 3 * MIB)
    result = await put(server.base, tmp_path / "nowait.bin", wait=False)
    assert (result.code, result.one.outcome, result.one.content) == (0, "stored", None)
    result = await put(server.base, tmp_path / "nowait.bin")
    assert (result.code, result.one.outcome, result.one.sent) == (0, "done", 0)


async def test_a_name_is_given_and_the_chunk_size_in_use_is_taken(server: RealServer, tmp_path: Path) -> None:
    data = make(tmp_path / "cut.bin", 3 * MIB)
    async with httpx.AsyncClient(trust_env=False) as client:
        said = {"Upload-Chunk-Size": str(MIB // 2), "Upload-Length": str(len(data))}
        answer = await client.put(f"{server.base}/other%20name-2", content=data[MIB // 2 : MIB], headers=said)
        assert answer.status_code == 201
    told = (await put(server.base, tmp_path / "cut.bin", name="other name")).one
    assert (told.exit_code, told.chunk_size) == (0, MIB // 2)
    assert (told.resumed, told.sent) == (MIB // 2, len(data) - MIB // 2)
    assert server.file("other name").read_bytes() == data


async def test_memory_holds_no_more_chunks_than_it_may(server: RealServer, tmp_path: Path) -> None:
    """What a large file takes beyond an empty one is far less than the file, however slow the connection is."""
    make(tmp_path / "large.bin", 32 * MIB)
    make(tmp_path / "little.bin", 0)
    most = []
    async with through(server, lambda _: Weather(bandwidth=16.0 * MIB)) as (_, base):
        for name in ("little.bin", "large.bin"):
            command = Command(tmp_path, name, base, "--chunk-size", "1MiB", "--parallel", "2", "--quiet")
            peak = 0
            while command.process.poll() is None:
                peak = max(peak, peak_memory(command.process.pid))
                await asyncio.sleep(0.02)
            assert await command.end() == (0, "", "")
            most.append(peak)
    assert 0 < most[0] < most[1] < most[0] + 16 * MIB


# -- refusals -----------------------------------------------------------------------------------------


async def test_another_file_of_the_name_is_never_mixed_in(server: RealServer, tmp_path: Path) -> None:
    old = make(tmp_path / "old", 4 * MIB)
    assert (await put(server.base, tmp_path / "old", name="taken.bin")).code == 0
    for content, code in ((old[: 3 * MIB] + bytes(MIB), "part-conflict"), (b"short", "name-taken")):
        (tmp_path / "new").write_bytes(content)
        result = await put(server.base, tmp_path / "new", name="taken.bin")
        assert (result.code, result.one.outcome, result.one.code, result.one.sent) == (1, "failed", code, 0)
    assert server.file("taken.bin").read_bytes() == old


@pytest.mark.parametrize(("first", "code"), [(3 * MIB, "part-conflict"), (5 * MIB // 2, "different-file")])
async def test_a_finished_file_in_other_pieces_is_compared_all_the_same(
    server: RealServer, tmp_path: Path, first: int, code: str
) -> None:
    name = f"pieces-of-{first}.bin"
    old = make(tmp_path / "old", 4 * MIB)
    async with httpx.AsyncClient(trust_env=False) as client:
        for number, piece in ((1, old[:first]), (2, old[first:])):
            assert (await client.put(f"{server.base}/{name}-{number}", content=piece)).status_code == 201
        await client.post(f"{server.base}/complete", json={"file_unique_name": name, "total_chunks": 2})
        async with asyncio.timeout(PATIENCE):
            while (await client.get(f"{server.base}/{name}")).json()["state"] != "done":  # noqa: ASYNC110, another process
                await asyncio.sleep(0.02)
    (tmp_path / "new").write_bytes(old[: 3 * MIB] + bytes(MIB))
    told = (await put(server.base, tmp_path / "new", name=name)).one
    assert (told.exit_code, told.code, told.sent) == (1, code, 0)
    told = (await put(server.base, tmp_path / "old", name=name)).one
    assert (told.exit_code, told.outcome, told.sent) == (0, "done", 0)
    assert server.file(name).read_bytes() == old


async def test_another_file_half_sent_under_the_name_is_a_clear_error(server: RealServer, tmp_path: Path) -> None:
    old, new = make(tmp_path / "old", 4 * MIB), make(tmp_path / "new", 4 * MIB)
    async with httpx.AsyncClient(trust_env=False) as client:
        said = {"Upload-Chunk-Size": str(MIB), "Upload-Length": str(len(old))}
        await client.put(f"{server.base}/half.bin-3", content=old[2 * MIB : 3 * MIB], headers=said)
        told = (await put(server.base, tmp_path / "new", name="half.bin")).one
        assert (told.exit_code, told.code) == (1, "part-conflict")
        assert "another file is stored under the name 'half.bin': its chunk 3 differs" in str(told.detail)
        held = (await client.get(f"{server.base}/half.bin")).json()
    assert held["state"] == "receiving"
    assert [part["sha256"] for part in held["chunks"] if part["number"] == 3] == [sha256(old[2 * MIB : 3 * MIB])]
    assert sha256(new[3 * MIB :]) not in str(held), "nothing was sent once the difference was seen"


async def test_a_refusal_is_told_in_the_server_s_words_and_the_others_go_on(server: RealServer, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(64 * MIB + 1)
    make(tmp_path / "beside.bin", 10)
    result = await put(server.base, tmp_path / "huge", tmp_path / "beside.bin")
    told = {one.name: one for one in result.told}
    assert result.code == 1
    assert (told["huge"].status, told["huge"].code, told["huge"].sent) == (413, "upload-too-large", 0)
    assert told["huge"].detail == "a file may have 67108864 bytes, not 67108865"
    assert told["beside.bin"].outcome == "done"


@pytest.mark.parametrize(("path", "status"), [("/nothing/here", 404), ("/health", 405)])
async def test_what_is_not_the_chunk_api_is_an_error_at_once(
    server: RealServer, tmp_path: Path, path: str, status: int
) -> None:
    make(tmp_path / "a", 10)
    result = await put(server.url + path, tmp_path / "a")
    assert (result.code, result.one.outcome, result.one.retries) == (1, "failed", 0)
    assert result.one.status == status


@pytest.mark.parametrize("limit", [{"retries": 1}, {"give_up_after": 0.2}])
async def test_nobody_there_is_given_up_and_can_go_on(tmp_path: Path, limit: dict[str, Any]) -> None:
    make(tmp_path / "a", 10)
    result = await put("http://127.0.0.1:9/upload", tmp_path / "a", **limit)
    assert (result.code, result.one.outcome) == (3, "gave-up")
    assert result.one.retries >= 1
    assert "cannot be reached" in str(result.one.detail)


# -- bad networks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
async def test_connections_that_break_all_the_time_cost_little(server: RealServer, tmp_path: Path, seed: int) -> None:
    size = 16 * MIB
    data = make(tmp_path / f"storm{seed}.bin", size)
    async with through(server, storms(seed, least=MIB // 2, most=4 * MIB)) as (proxy, base):
        result = await put(base, tmp_path / f"storm{seed}.bin")
        assert (result.code, result.one.sha256) == (0, sha256(data)), result
        assert server.file(f"storm{seed}.bin").read_bytes() == data
        assert len(proxy.faults) >= 4
        assert result.one.retries >= 1
        # A break costs at most the chunk that was on its way; headers and questions come on top.
        assert size < proxy.up <= size + len(proxy.faults) * MIB + MIB // 2


async def test_lost_answers_make_no_double_trouble(server: RealServer, tmp_path: Path) -> None:
    data = make(tmp_path / "deaf.bin", 4 * MIB)
    deaf = [Weather(fault=Fault(kind=Kind.DEAF, after=after)) for after in (0, MIB // 2, 2 * MIB, 10, MIB + 10, 0)]
    async with through(server, script(deaf)) as (proxy, base):
        result = await put(base, tmp_path / "deaf.bin", parallel=2)
        assert result.code == 0, result
        assert server.file("deaf.bin").read_bytes() == data
        assert len(proxy.faults) >= 3
        assert result.one.retries >= 3


async def test_a_hole_is_noticed_and_gone_round(server: RealServer, tmp_path: Path) -> None:
    data = make(tmp_path / "hole.bin", 8 * MIB)
    holes = [Weather(fault=Fault(kind=Kind.HOLE, after=after, up=up)) for after, up in ((0, False), (MIB // 2, True))]
    async with through(server, script(holes)) as (proxy, base):
        result = await put(base, tmp_path / "hole.bin", stall=1.0, parallel=2)
        assert result.code == 0, result
        assert server.file("hole.bin").read_bytes() == data
        assert proxy.faults == [Kind.HOLE, Kind.HOLE]


async def test_a_slow_connection_is_no_stall(server: RealServer, tmp_path: Path) -> None:
    """The chunk takes twice as long as nothing may move; were that a stall, no try would ever get through."""
    data = make(tmp_path / "slow.bin", 4 * MIB)
    async with through(server, lambda _: Weather(bandwidth=1.0 * MIB)) as (_, base):
        result = await put(base, tmp_path / "slow.bin", chunk_size=8 * MIB, stall=2.0, give_up_after=25.0)
        assert result.code == 0, result
        assert server.file("slow.bin").read_bytes() == data


# -- ends of processes --------------------------------------------------------------------------------


@pytest.mark.parametrize(("sig", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
async def test_what_was_stopped_goes_on_where_it_stopped(
    server: RealServer, tmp_path: Path, sig: signal.Signals, code: int
) -> None:
    name, size = f"stopped{sig}.bin", 16 * MIB
    data = make(tmp_path / name, size)
    async with through(server, lambda _: Weather(bandwidth=2.0 * MIB)) as (proxy, base):
        command = Command(tmp_path, name, base, "--chunk-size", "1MiB", "--parallel", "2", "--json")
        await until_stored(server.base, name, 3 * MIB)
        command.process.send_signal(sig)
        ended, out, err = await command.end()
        assert ended == code
        if sig is signal.SIGINT:
            assert json.loads(out)["outcome"] == "interrupted"
            assert err == "onward put: interrupted; what is stored stays, the same command goes on from here.\n"
        proxy.forecast, before = script([]), proxy.up
        told = (await put(base, tmp_path / name)).one
        assert (told.exit_code, told.sha256) == (0, sha256(data))
        assert told.resumed >= 3 * MIB
        assert told.sent == size - told.resumed
        assert proxy.up - before < size - 2 * MIB
    assert server.file(name).read_bytes() == data


async def test_a_killed_server_is_waited_for(tmp_path: Path) -> None:
    data = make(tmp_path / "killed.bin", 16 * MIB)
    with real_server(tmp_path / "data") as server:
        async with through(server, lambda _: Weather(bandwidth=3.0 * MIB)) as (proxy, base):
            sending = asyncio.create_task(put(base, tmp_path / "killed.bin", parallel=2))
            await until_stored(server.base, "killed.bin", 3 * MIB)
            server.kill()
            await asyncio.to_thread(server.start)
            await until_stored(server.base, "killed.bin", 8 * MIB)
            server.kill_all()
            await asyncio.to_thread(server.start)
            result = await sending
        assert (result.code, result.one.sha256) == (0, sha256(data)), result
        assert result.one.retries >= 2
        # Each kill costs at most what was on its way on both connections.
        assert proxy.up <= len(data) + 2 * 2 * MIB + MIB // 2
        assert server.file("killed.bin").read_bytes() == data


async def test_damage_on_the_server_s_disk_is_mended(tmp_path: Path) -> None:
    data = make(tmp_path / "hurt.bin", 4 * MIB)
    with real_server(tmp_path / "data", worker=False) as server:
        sending = asyncio.create_task(put(server.base, tmp_path / "hurt.bin"))
        async with asyncio.timeout(PATIENCE), httpx.AsyncClient(trust_env=False) as client:
            while (await client.get(f"{server.base}/hurt.bin")).json().get("state") != "verifying":  # noqa: ASYNC110, another process
                await asyncio.sleep(0.02)
        (scratch,) = (tmp_path / "data/uploads").glob("*/*/data")
        with scratch.open("r+b") as file:
            file.seek(MIB + 7)
            file.write(b"damage")
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
        command = [sys.executable, "-m", "onward", "worker", "--data", str(tmp_path / "data")]
        worker = await asyncio.create_subprocess_exec(*command, env=environ, cwd=tmp_path, stderr=subprocess.DEVNULL)
        try:
            result = await sending
        finally:
            worker.kill()
            await worker.wait()
        assert result.code == 0, result
        assert result.one.sent == 5 * MIB, "only the damaged chunk was sent again"
        assert server.file("hurt.bin").read_bytes() == data


async def test_a_file_that_changes_while_it_is_sent_is_not_completed(server: RealServer, tmp_path: Path) -> None:
    make(tmp_path / "moving.bin", 8 * MIB)
    async with through(server, lambda _: Weather(bandwidth=4.0 * MIB)) as (_, base):
        sending = asyncio.create_task(put(base, tmp_path / "moving.bin", parallel=1))
        await until_stored(server.base, "moving.bin", MIB)
        with (tmp_path / "moving.bin").open("r+b") as file:
            file.write(b"other")
        result = await sending
    assert (result.code, result.one.code) == (1, "file-changed")
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.base}/moving.bin")).json()["state"] == "receiving"
