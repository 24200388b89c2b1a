"""`onward put` by tus and by the draft against a real server: whole, cut, killed, refused."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onward.put.command import PATHS
from onward.put.run import Told
from onward.testing.chaos import ChaosProxy, Fault, Kind, Weather, script, storms
from tests.integration.putting import MIB, PATIENCE, Command, make, put, sha256, through
from tests.integration.real_server import RealServer, real_server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("protocol", ["tus", "ietf"])]

PIECE = MIB // 2
MOST = 48 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("put") / "data", max_size=MOST, max_chunk=MIB) as running:
        yield running


def path_of(protocol: str) -> str:
    return str(PATHS[protocol])


async def send(protocol: str, base: str, path: Path, **wanted: Any) -> Told:
    return (await put(base, path, protocol=protocol, **({"chunk_size": PIECE} | wanted))).one


async def content(told: Told) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(str(told.content))).raise_for_status().content


async def uploads_named(server: RealServer, name: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(trust_env=False) as client:
        rows = (await client.get(f"{server.url}/uploads?limit=200")).json()["uploads"]
        return [row for row in rows if row["name"] == name]


async def until_up(proxy: ChaosProxy, least: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while proxy.up < least:  # noqa: ASYNC110  # the other side is another process
            await asyncio.sleep(0.01)


# -- good networks ------------------------------------------------------------------------------------


async def test_files_of_any_size_arrive_and_are_found_again(server: RealServer, tmp_path: Path, protocol: str) -> None:
    sizes = {"plain.bin": 3 * MIB + 1, "small ü%\"'.bin": 10, "even-1": 2 * MIB, "empty": 0}
    data = {name: make(tmp_path / name, size) for name, size in sizes.items()}
    paths = [tmp_path / name for name in sizes]
    result = await put(server.url + path_of(protocol), *paths, protocol=protocol)
    assert (result.code, {told.name for told in result.told}) == (0, set(sizes))
    for told in result.told:
        assert (told.outcome, told.size, told.sent, told.retries) == ("done", len(data[told.name]), told.size, 0)
        assert told.sha256 == sha256(data[told.name])
        assert await content(told) == data[told.name]
        assert told.id
        assert server.file(f"{told.id}/{told.name}").read_bytes() == data[told.name], "the name came along"
    again = await put(server.url + path_of(protocol), *paths, protocol=protocol)
    assert again.code == 0
    ids = {told.name: told.id for told in result.told}
    for told in again.told:
        assert (told.outcome, told.sent, told.resumed, told.id) == ("done", 0, told.size, ids[told.name])


async def test_the_command_sends_to_the_path_of_its_protocol(server: RealServer, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / f"{protocol}-words.bin"
    data = make(path, MIB)
    command = Command(tmp_path, path.name, server.url, "--protocol", protocol)
    code, out, err = await command.end()
    assert (code, err) == (0, "")
    assert out.startswith(f"{path.name}  {MIB} bytes  sha256 {sha256(data)}  {server.url}/files/")


async def test_without_waiting_the_server_has_every_byte(server: RealServer, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / f"{protocol}-nowait.bin"
    make(path, MIB + 5)
    base = server.url + path_of(protocol)
    first = await send(protocol, base, path, wait=False)
    assert (first.outcome, first.content, first.sent) == ("stored", None, MIB + 5)
    second = await send(protocol, base, path)
    assert (second.outcome, second.sent, second.id) == ("done", 0, first.id)


async def test_what_the_server_limits_is_kept_to(server: RealServer, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / f"{protocol}-limited.bin"
    data = make(path, 3 * MIB)
    base = server.url + path_of(protocol)
    told = await send(protocol, base, path, chunk_size=8 * MIB)
    assert (told.outcome, told.chunk_size, told.sha256) == ("done", MIB, sha256(data))
    with (tmp_path / f"{protocol}-huge").open("wb") as file:
        file.truncate(MOST + 1)
    told = await send(protocol, base, tmp_path / f"{protocol}-huge")
    assert (told.exit_code, told.code, told.sent) == (1, "upload-too-large", 0)
    assert told.detail == f"a file may have {MOST} bytes, not {MOST + 1}"


# -- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [("/nothing/here", 404), ("/health", None)])
async def test_what_speaks_another_protocol_is_an_error_at_once(
    server: RealServer, tmp_path: Path, path: str, status: int | None, protocol: str
) -> None:
    make(tmp_path / "a", 10)
    result = await put(server.url + path, tmp_path / "a", protocol=protocol)
    assert (result.code, result.one.outcome, result.one.retries, result.one.sent) == (1, "failed", 0, 0)
    assert result.one.status == (status or {"tus": 204, "ietf": 405}[protocol])


async def test_a_cancelled_upload_stays_cancelled_and_the_next_command_begins_another(
    server: RealServer, tmp_path: Path, protocol: str
) -> None:
    path = tmp_path / f"{protocol}-cancelled.bin"
    data = make(path, 4 * MIB)
    async with through(server, lambda _: Weather(bandwidth=2.0 * MIB), path_of(protocol)) as (proxy, base):
        sending = asyncio.create_task(send(protocol, base, path))
        await until_up(proxy, MIB)
        (row,) = await uploads_named(server, path.name)
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.delete(f"{server.url}/upload/{row['id']}")
        told = await sending
        assert (told.exit_code, told.status) == (1, 410)
        assert "cancelled" in str(told.detail)
        proxy.forecast = script([])
        told = await send(protocol, base, path)
    assert (told.outcome, told.resumed, told.sha256) == ("done", 0, sha256(data))
    assert told.id != row["id"]


async def test_a_file_that_changed_unseen_is_never_mixed_with_what_it_was(
    server: RealServer, tmp_path: Path, protocol: str
) -> None:
    """Same size, same time, same beginning and end: the server is told what the whole must be."""
    path = tmp_path / f"{protocol}-sly.bin"
    old = make(path, 3 * MIB)
    found = path.stat()
    async with through(server, lambda _: Weather(bandwidth=2.0 * MIB), path_of(protocol)) as (proxy, base):
        command = Command(tmp_path, path.name, base, "--protocol", protocol, "--chunk-size", "512KiB", "--json")
        await until_up(proxy, 2 * MIB)
        command.process.kill()
        await command.end()
        path.write_bytes(old[: MIB // 2] + bytes(MIB // 2) + old[MIB:])
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        proxy.forecast = script([])
        told = await send(protocol, base, path)
        assert (told.outcome, told.exit_code, told.content) == ("failed", 1, None)
        assert told.resumed >= MIB
        assert told.code == "digest-mismatch", told
        (row,) = await uploads_named(server, path.name)
        assert row["state"] == "failed"
        told = await send(protocol, base, path)
        assert (told.outcome, told.resumed, told.sha256) == ("done", 0, sha256(path.read_bytes()))


# -- bad networks -------------------------------------------------------------------------------------


async def test_connections_that_break_all_the_time_cost_little(
    server: RealServer, tmp_path: Path, protocol: str
) -> None:
    size = 6 * MIB
    path = tmp_path / f"{protocol}-storm.bin"
    data = make(path, size)
    forecast = storms(3, least=PIECE // 2, most=3 * PIECE)
    async with through(server, forecast, path_of(protocol)) as (proxy, base):
        told = await send(protocol, base, path)
        assert (told.outcome, told.sha256) == ("done", sha256(data)), told
        assert await content(told) == data
        assert len(proxy.faults) >= 4
        assert told.retries >= 1
        # A break costs at most the piece that was on its way; headers and questions come on top.
        assert size < proxy.up <= size + len(proxy.faults) * PIECE + MIB // 2


async def test_lost_answers_make_no_second_upload(server: RealServer, tmp_path: Path, protocol: str) -> None:
    """Of the first question, the creation, the bytes and the last of them."""
    path = tmp_path / f"{protocol}-deaf.bin"
    data = make(path, 2 * PIECE)
    afters = (0, 400, 10, PIECE // 2, 10, 10)
    deaf = [Weather(fault=Fault(kind=Kind.DEAF, after=after)) for after in afters]
    async with through(server, script(deaf), path_of(protocol)) as (proxy, base):
        told = await send(protocol, base, path)
        assert (told.outcome, told.sha256) == ("done", sha256(data)), told
        assert len(proxy.faults) >= 4
        assert told.retries >= 4
    assert [row["id"] for row in await uploads_named(server, path.name)] == [told.id]


async def test_a_hole_is_noticed_and_gone_round(server: RealServer, tmp_path: Path, protocol: str) -> None:
    path = tmp_path / f"{protocol}-hole.bin"
    data = make(path, 2 * MIB)
    holes = [Weather(fault=Fault(kind=Kind.HOLE, after=after, up=up)) for after, up in ((0, False), (MIB, True))]
    async with through(server, script(holes), path_of(protocol)) as (proxy, base):
        told = await send(protocol, base, path, stall=1.0)
        assert (told.outcome, told.sha256) == ("done", sha256(data)), told
        assert proxy.faults == [Kind.HOLE, Kind.HOLE]


# -- ends of processes --------------------------------------------------------------------------------


async def test_what_was_stopped_goes_on_where_it_stopped(server: RealServer, tmp_path: Path, protocol: str) -> None:
    size = 4 * MIB
    path = tmp_path / f"{protocol}-stopped.bin"
    data = make(path, size)
    async with through(server, lambda _: Weather(bandwidth=2.0 * MIB), path_of(protocol)) as (proxy, base):
        command = Command(tmp_path, path.name, base, "--protocol", protocol, "--chunk-size", "512KiB", "--json")
        await until_up(proxy, 2 * MIB)
        command.process.send_signal(signal.SIGKILL)
        assert (await command.end())[0] == -9
        proxy.forecast, before = script([]), proxy.up
        told = await send(protocol, base, path)
        assert (told.exit_code, told.sha256) == (0, sha256(data))
        assert told.resumed >= MIB
        assert told.sent == size - told.resumed
        assert proxy.up - before < size - MIB // 2
    assert server.file(f"{told.id}/{path.name}").read_bytes() == data


async def test_a_killed_server_is_waited_for(tmp_path: Path, protocol: str) -> None:
    size = 6 * MIB
    path = tmp_path / f"{protocol}-killed.bin"
    data = make(path, size)
    with real_server(tmp_path / "data") as server:
        async with through(server, lambda _: Weather(bandwidth=3.0 * MIB), path_of(protocol)) as (proxy, base):
            sending = asyncio.create_task(send(protocol, base, path))
            await until_up(proxy, 2 * MIB)
            server.kill()
            await asyncio.to_thread(server.start)
            await until_up(proxy, 4 * MIB)
            server.kill_all()
            await asyncio.to_thread(server.start)
            told = await sending
        assert (told.outcome, told.sha256) == ("done", sha256(data)), told
        assert told.retries >= 2
        assert proxy.up <= size + 2 * PIECE + MIB // 2, "each kill costs at most what was on its way"
        assert server.file(f"{told.id}/{path.name}").read_bytes() == data


async def test_a_file_that_changes_while_it_is_sent_is_not_completed(
    server: RealServer, tmp_path: Path, protocol: str
) -> None:
    path = tmp_path / f"{protocol}-moving.bin"
    make(path, 4 * MIB)
    async with through(server, lambda _: Weather(bandwidth=4.0 * MIB), path_of(protocol)) as (proxy, base):
        sending = asyncio.create_task(send(protocol, base, path))
        await until_up(proxy, MIB)
        with (path).open("r+b") as file:
            file.write(b"other")
        told = await sending
    assert (told.exit_code, told.code) == (1, "file-changed")
    (row,) = await uploads_named(server, path.name)
    assert row["state"] == "receiving"
