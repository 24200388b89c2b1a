"""Front-ends of others, as they are published, in a real Chromium against a real server: what arrives is what was sent.

Their pages are in `tests/clients/pages`; each has the library's own defaults but for the size of a chunk.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx
import pytest

from onward.testing.chaos import ChaosProxy, Fault, Kind, Weather, script
from tests.clients.arrivals import arrived, sha256
from tests.integration.real_server import RealServer, real_server

pytestmark = pytest.mark.anyio

CLIENTS: Final = Path(__file__).parents[1] / "clients"
CHUNK: Final = 1 << 20
TOO_LARGE: Final = 6 * CHUNK
SIZES: Final = {
    "clip.bin": 5_000_001,
    "large.bin": TOO_LARGE,
    "even.bin": 3 * CHUNK,
    "small ä.bin": 70_000,
    "tail.bin": 2 * CHUNK + 1,
}
PATIENCE: Final = 60.0

CUTS: Final = (
    Weather(fault=Fault(kind=Kind.CUT, after=700_000)),
    Weather(fault=Fault(kind=Kind.RESET, after=CHUNK + 300_000)),
    Weather(fault=Fault(kind=Kind.DEAF, after=CHUNK + 100_000)),
)
"""Connections that end in a chunk, and one that loses the answer to it; the next ones are as they should be."""


class Browser:
    """One Chromium, in which pages are played side by side."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._asked = 0
        self.origin = ""
        self.ready = asyncio.Event()

    async def play(self, page: str, target: str, file: Path, **options: Any) -> dict[str, Any]:
        """Have a page upload a file; what it came to."""
        assert self._process.stdin is not None
        self._asked += 1
        waiting = self._waiting[self._asked] = asyncio.get_running_loop().create_future()
        asked = {"number": self._asked, "page": page, "target": target, "file": str(file), **options}
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            told: dict[str, Any] = await waiting
        assert told["faults"] == [], told
        return told

    async def listen(self) -> None:
        """Hand out what the driver says until it ends."""
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            self.origin = json.loads(await self._process.stdout.readline())["origin"]
        self.ready.set()
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            self._waiting.pop(told["number"]).set_result(told)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    found = shutil.which("chromium")
    assert found, "chromium is missing; `make test` installs it"
    assert shutil.which("node"), "node is missing; `make test` installs it"
    assert (CLIENTS / "node_modules").is_dir(), "the clients are missing; `make test` fetches them"
    process = await asyncio.create_subprocess_exec(
        "node", "front_ends.mjs", found, cwd=CLIENTS, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    browser = Browser(process)
    listening = asyncio.create_task(browser.listen())
    ready = asyncio.create_task(browser.ready.wait())
    try:
        await asyncio.wait([listening, ready], return_when=asyncio.FIRST_COMPLETED)
        assert browser.origin, "the browser's driver has ended"
        yield browser
    finally:
        ready.cancel()
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        await listening


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    data = tmp_path_factory.mktemp("front-ends") / "data"
    with real_server(data, min_free=0, delete_finished="allow", max_size=TOO_LARGE - 1) as running:
        yield running


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


Make = Callable[[str, str], Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A file of random bytes that no other test has; its name is not another's, either: some clients ask by that."""

    def named(who: str, name: str) -> Path:
        path = tmp_path / f"{tmp_path.name} {who} {name}"
        path.write_bytes(Random(path.name).randbytes(SIZES[name]))
        return path

    return named


async def check(server: RealServer, told: Mapping[str, Any], sent: Path) -> None:
    """What is published is what was sent, under its name, with the manifest's own word for it."""
    assert "error" not in told, told
    id = told.get("id") or (told["url"].rsplit("/", 1)[1] if "url" in told else json.loads(told["answer"])["id"])
    path = await arrived(server, f"{server.url}/uploads/{id}")
    assert sha256(path) == sha256(sent)
    assert path.name == sent.name


RESUMABLE: Final = ("resumable", "/compat/resumable")
FLOW: Final = ("flow", "/compat/flow")
DROPZONE: Final = ("dropzone", "/compat/dropzone")
FILEPOND: Final = ("filepond", "/compat/filepond")
BLUEIMP: Final = ("content-range", "/compat/content-range")
UPLOADY: Final = ("uploady", "/compat/content-range")
UPPY: Final = ("uppy", "/files")

WAYS: Final[Mapping[str, tuple[tuple[str, str], str, Mapping[str, Any]]]] = {
    "resumable.js": (RESUMABLE, "clip.bin", {}),
    "resumable.js, raw": (RESUMABLE, "even.bin", {"method": "octet"}),
    "resumable.js, chunks of one size": (RESUMABLE, "tail.bin", {"forceChunkSize": True}),
    "flow.js": (FLOW, "clip.bin", {}),
    "flow.js, raw": (FLOW, "tail.bin", {"method": "octet"}),
    "Dropzone": (DROPZONE, "clip.bin", {}),
    "Dropzone, side by side": (DROPZONE, "even.bin", {"parallelChunkUploads": True}),
    "Dropzone, a small file": (DROPZONE, "small ä.bin", {}),
    "Dropzone, raw": (DROPZONE, "tail.bin", {"binaryBody": True}),
    "Dropzone, a small file, raw": (DROPZONE, "small ä.bin", {"binaryBody": True}),
    "FilePond": (FILEPOND, "clip.bin", {}),
    "FilePond, an empty last chunk": (FILEPOND, "even.bin", {}),
    "FilePond, a small file": (FILEPOND, "small ä.bin", {}),
    "jQuery File Upload": (BLUEIMP, "clip.bin", {}),
    "jQuery File Upload, raw": (BLUEIMP, "tail.bin", {"multipart": False}),
    "jQuery File Upload, a small file": (BLUEIMP, "small ä.bin", {}),
    "react-uploady": (UPLOADY, "clip.bin", {}),
    "react-uploady, side by side": (UPLOADY, "even.bin", {"parallel": 3}),
    "Uppy": (UPPY, "clip.bin", {}),
}


PATIENT: Final[Mapping[str, Mapping[str, Any]]] = {
    "flow": {"maxChunkRetries": 10, "chunkRetryInterval": 100},
    "uploady": {"retries": 10},
}
"""These give up at the first failure, unless they are told how often to try again."""


async def all_of(tasks: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Run them side by side; every one that failed is named."""
    done = await asyncio.gather(*tasks.values(), return_exceptions=True)
    failed = {name: error for name, error in zip(tasks, done, strict=True) if error is not None}
    assert failed == {}


async def test_what_arrives_is_what_was_sent(server: RealServer, browser: Browser, make: Make) -> None:
    assert browser.origin != server.url

    async def run(way: str) -> None:
        (page, path), name, library = WAYS[way]
        file = make(way, name)
        await check(server, await browser.play(page, server.url + path, file, library=library), file)

    await all_of({way: run(way) for way in WAYS})


async def test_lines_that_break(server: RealServer, browser: Browser, make: Make) -> None:
    async def run(page: str, path: str) -> None:
        proxy = ChaosProxy(server.port, script(CUTS))
        file = make(page, "clip.bin")
        async with proxy.running():
            told = await browser.play(page, f"http://127.0.0.1:{proxy.port}{path}", file, library=PATIENT.get(page, {}))
        assert proxy.faults, "no connection met its misfortune"
        await check(server, told, file)

    fronts = (RESUMABLE, FLOW, DROPZONE, FILEPOND, BLUEIMP, UPLOADY, UPPY)
    await all_of({page: run(page, path) for page, path in fronts})


@pytest.mark.parametrize(("page", "path"), [RESUMABLE, FLOW])
async def test_a_page_loaded_anew_sends_what_lacks(
    server: RealServer, browser: Browser, make: Make, page: str, path: str
) -> None:
    """C-04: the question before each chunk is answered with what is stored."""
    proxy = ChaosProxy(server.port)
    file = make(page, "clip.bin")
    one_by_one = {"simultaneousUploads": 1}
    async with proxy.running():
        target = f"http://127.0.0.1:{proxy.port}{path}"
        assert (await browser.play(page, target, file, library=one_by_one, stopAfter=2))["stopped"]
        before = proxy.up
        told = await browser.play(page, target, file, library=one_by_one)
    assert proxy.up - before < file.stat().st_size - 2 * CHUNK + 100_000
    await check(server, told, file)


async def test_uppy_pauses_and_goes_on(server: RealServer, browser: Browser, make: Make) -> None:
    file = make("uppy", "clip.bin")
    told = await browser.play("uppy", f"{server.url}/files", file, pauseAt=2 * CHUNK)
    assert told["paused"]
    await check(server, told, file)


async def test_a_file_taken_back_in_filepond_is_gone(server: RealServer, browser: Browser, make: Make) -> None:
    file = make("filepond", "tail.bin")
    told = await browser.play("filepond", f"{server.url}/compat/filepond", file, revert=True)
    assert told.get("reverted"), told
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.url}/uploads/{told['id']}")).json()["state"] == "cancelled"


async def test_what_no_further_try_can_help_is_given_up_at_once(
    server: RealServer, browser: Browser, make: Make
) -> None:
    """C-05: each library takes the refusal for final and shows it, though its body was not read."""

    async def run(page: str, path: str, library: Mapping[str, Any]) -> None:
        proxy = ChaosProxy(server.port)
        file = make(f"{page} {len(library)}", "large.bin")
        async with proxy.running():
            told = await browser.play(page, f"http://127.0.0.1:{proxy.port}{path}", file, library=library)
        assert "upload-too-large" in told["error"], told
        assert proxy.up < TOO_LARGE

    untested = {"testChunks": False}
    await all_of(
        {
            "resumable.js": run(*RESUMABLE, {}),
            "resumable.js, not asking": run(*RESUMABLE, untested),
            "flow.js": run(*FLOW, PATIENT["flow"]),
            "flow.js, not asking": run(*FLOW, {**PATIENT["flow"], **untested}),
            "Dropzone": run(*DROPZONE, {"retryChunks": False}),
        }
    )
