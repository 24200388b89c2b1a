"""tus-js-client, the released one and the next, against a real server: what arrives is what was sent."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import pytest

from onward.testing.chaos import ChaosProxy, Fault, Kind, Weather, script
from tests.clients.arrivals import PATIENCE, arrived, sha256
from tests.integration.real_server import RealServer, real_server

pytestmark = pytest.mark.anyio

HERE: Final = Path(__file__).parent
SIZE: Final = 8_000_001
VERSIONS: Final = ("stable", "next")
ERA: Final = 1_500_000

WAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "plain": {},
    "in chunks": {"chunkSize": ERA},
    "creation with upload": {"uploadDataDuringCreation": True},
    "deferred length": {"chunkSize": ERA, "uploadLengthDeferred": True},
    "method override": {"chunkSize": 3 * ERA, "overridePatchMethod": True},
    "parallel": {"parallelUploads": 3},
    "resumed from its URL": {"chunkSize": ERA // 2, "abortAt": 2 * ERA},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    assert shutil.which("node"), "node is missing; `make test` installs it"
    assert (HERE / "node_modules").is_dir(), "the clients are missing; `make test` installs them"
    with real_server(tmp_path_factory.mktemp("tus-js") / "data", sweep_every=1, min_free=0) as running:
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "clip.bin"
    path.write_bytes(Random(3).randbytes(SIZE))
    return path


async def upload(version: str, endpoint: str, source: Path, **options: Any) -> Any:
    """Have the client send a file; what it said at the end."""
    command = ["node", "tus.mjs", version, endpoint, str(source), json.dumps(options)]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=HERE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(said)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_what_arrives_is_what_was_sent(server: RealServer, source: Path, version: str, way: str) -> None:
    told = await upload(version, f"{server.url}/files", source, **WAYS[way])
    path = await arrived(server, told["url"])
    assert sha256(path) == sha256(source)
    assert path.name == "clip.bin"
    assert told.get("resumed", False) == (way == "resumed from its URL")


@pytest.mark.parametrize("protocol", ["ietf-draft-03", "ietf-draft-05"])
async def test_the_draft_as_this_client_speaks_it(server: RealServer, source: Path, protocol: str) -> None:
    told = await upload("next", f"{server.url}/files", source, protocol=protocol, chunkSize=ERA)
    assert sha256(await arrived(server, told["url"])) == sha256(source)


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_is_terminated_is_gone(server: RealServer, source: Path, version: str) -> None:
    # The file is sent only in part: whether a finished one may be deleted is the operator's choice.
    told = await upload(version, f"{server.url}/files", source, chunkSize=ERA // 2, abortAt=ERA, terminateAborted=True)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.head(told["url"], headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code == 410
    assert answer.headers["upload-state"].startswith("cancelled")


@pytest.mark.parametrize("version", VERSIONS)
async def test_lines_that_break(server: RealServer, source: Path, version: str) -> None:
    faults = [
        Weather(fault=Fault(kind=Kind.CUT, after=ERA)),
        Weather(fault=Fault(kind=Kind.RESET, after=2 * ERA)),
        Weather(fault=Fault(kind=Kind.CUT, after=ERA // 3)),
    ]
    proxy = ChaosProxy(server.port, script(faults))
    async with proxy.running():
        told = await upload(version, f"http://127.0.0.1:{proxy.port}/files", source)
    assert Kind.CUT in proxy.faults
    assert told["retries"] > 0
    assert sha256(await arrived(server, told["url"])) == sha256(source)


async def test_a_server_that_is_killed_in_between(tmp_path: Path, source: Path) -> None:
    with real_server(tmp_path / "data", sweep_every=1, min_free=0) as server:
        proxy = ChaosProxy(server.port, script([], then=Weather(bandwidth=4_000_000)))
        async with proxy.running():
            task = asyncio.create_task(
                upload("stable", f"http://127.0.0.1:{proxy.port}/files", source, chunkSize=ERA // 2)
            )
            async with asyncio.timeout(PATIENCE):
                while proxy.up < 2 * ERA:  # noqa: ASYNC110 - the proxy counts, it rings no bell
                    await asyncio.sleep(0.02)
            server.kill()
            await asyncio.to_thread(server.start)
            told = await task
        assert told["retries"] > 0
        assert sha256(await arrived(server, told["url"])) == sha256(source)
