"""tuspy (blocking and async) and aiotus against a real server, over good lines and bad ones."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import io
import itertools
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, Final

import aiohttp
import aiotus
import httpx
import pytest
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError
from tusclient.storage.filestorage import FileStorage
from tusclient.uploader.uploader import Uploader

from onward.testing.chaos import ChaosProxy, Fault, Forecast, Kind, Weather, script, storms
from tests.clients.arrivals import PATIENCE, arrived, sha256
from tests.integration.real_server import RealServer, real_server

pytestmark = [
    pytest.mark.anyio,
    # tuspy opens the source anew for each request and leaves it to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    # Both hand bodies to aiohttp as bytes.
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
]

SIZE: Final = 3_000_001
PIECE: Final = 500_000
AGAIN: Final = 50
"""Retries of one request, far more than there are faults."""
METADATA: Final = {"filename": "clip, 1.bin", "filetype": "video/mp4"}

BAD_LINES: Final[dict[str, Forecast]] = {
    "cut": storms(1, kinds=[Kind.CUT], least=300, most=800_000),
    "reset": storms(2, kinds=[Kind.RESET], least=300, most=800_000),
    "answers lost": script(itertools.repeat(Weather(fault=Fault(kind=Kind.DEAF, after=PIECE)), 6)),
    "slow": script([], then=Weather(delay=0.001, jitter=0.004)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("python-tus") / "data", sweep_every=1, min_free=0) as running:
        yield running


@pytest.fixture(autouse=True)
def left_open() -> Iterator[None]:
    """What the clients leave open is closed while a word about it is still passed over."""
    yield
    gc.collect()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "clip.bin"
    path.write_bytes(Random(5).randbytes(SIZE))
    return path


def blocking(endpoint: str, source: Path, **options: Any) -> str:
    """Have tuspy's plain uploader send a file; the URL of the upload."""
    uploader = TusClient(endpoint).uploader(str(source), retry_delay=0, metadata=METADATA, **options)
    uploader.upload()
    return str(uploader.url)


def in_async(endpoint: str, source: Path, **options: Any) -> str:
    """The same with its async uploader, on a loop of its own: it asks for offsets without giving way."""
    uploader = TusClient(endpoint).async_uploader(str(source), retry_delay=0, metadata=METADATA, **options)
    asyncio.run(uploader.upload())
    return str(uploader.url)


Send = Callable[[str, Path], Awaitable[str]]


def tuspy(upload: Callable[..., str], **options: Any) -> Send:
    async def send(endpoint: str, source: Path) -> str:
        return await asyncio.to_thread(upload, endpoint, source, retries=AGAIN, **options)

    return send


async def with_aiotus(endpoint: str, source: Path) -> str:
    """The same with aiotus."""
    config = aiotus.RetryConfiguration(retry_attempts=AGAIN, max_retry_period_seconds=0.02)
    metadata = {name: value.encode() for name, value in METADATA.items()}
    # A line that stands still is given up by who waits; by default this client waits five minutes.
    timeout = aiohttp.ClientTimeout(sock_read=0.5)
    with _opened(source) as file:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            url = await aiotus.upload(endpoint, file, metadata, session, config, chunksize=3 * PIECE)
    assert url is not None, "it has given up"
    return str(url)


def _opened(source: Path) -> BinaryIO:
    return source.open("rb")


CLIENTS: Final[dict[str, Send]] = {
    "tuspy": tuspy(blocking),
    "tuspy in pieces": tuspy(blocking, chunk_size=PIECE),
    "tuspy with checksums": tuspy(blocking, chunk_size=PIECE, upload_checksum=True),
    "tuspy async": tuspy(in_async),
    "tuspy async with checksums": tuspy(in_async, chunk_size=PIECE, upload_checksum=True),
    "aiotus": with_aiotus,
}


@pytest.mark.parametrize("client", CLIENTS)
async def test_what_arrives_is_what_was_sent(server: RealServer, source: Path, client: str) -> None:
    url = await CLIENTS[client](f"{server.url}/files", source)
    path = await arrived(server, url)
    assert sha256(path) == sha256(source)
    assert path.name == METADATA["filename"]
    assert await aiotus.metadata(url) == {name: value.encode() for name, value in METADATA.items()}


@pytest.mark.parametrize("line", BAD_LINES)
@pytest.mark.parametrize("client", ["tuspy", "tuspy with checksums", "tuspy async", "aiotus"])
async def test_bad_lines(server: RealServer, source: Path, client: str, line: str) -> None:
    proxy = ChaosProxy(server.port, BAD_LINES[line])
    async with proxy.running(), asyncio.timeout(PATIENCE):
        url = await CLIENTS[client](f"http://127.0.0.1:{proxy.port}/files", source)
    assert sha256(await arrived(server, url)) == sha256(source)
    assert proxy.faults or line == "slow"


async def test_a_line_that_swallows_everything(server: RealServer, source: Path) -> None:
    """aiotus gives the dead line up and goes on over another, at the offset that the server tells."""
    # Whether a question and the bytes after it share a line is up to the client, so there are holes for both.
    proxy = ChaosProxy(server.port, script(itertools.repeat(Weather(fault=Fault(kind=Kind.HOLE, after=PIECE)), 4)))
    async with proxy.running(), asyncio.timeout(PATIENCE):
        url = await with_aiotus(f"http://127.0.0.1:{proxy.port}/files", source)
    assert len(proxy.faults) >= 2
    assert set(proxy.faults) == {Kind.HOLE}
    assert sha256(await arrived(server, url)) == sha256(source)


def _urls(folder: Path) -> contextlib.closing[FileStorage]:
    """Where tuspy keeps the URLs of uploads that are not over."""
    return contextlib.closing(FileStorage(str(folder / "urls.json")))  # type: ignore[no-untyped-call]  # half typed


@pytest.mark.parametrize("upload", [blocking, in_async])
async def test_a_second_one_goes_on_while_the_first_still_hangs(
    server: RealServer, source: Path, tmp_path: Path, upload: Callable[..., str]
) -> None:
    """tuspy waits on a dead line for ever; whoever starts it again goes on from the stored URL."""
    proxy = ChaosProxy(server.port, script([Weather(), Weather(fault=Fault(kind=Kind.HOLE, after=2 * PIECE))]))
    with _urls(tmp_path) as urls, ThreadPoolExecutor(1) as pool:
        stored = {"store_url": True, "url_storage": urls}
        async with proxy.running(), asyncio.timeout(PATIENCE):
            endpoint = f"http://127.0.0.1:{proxy.port}/files"
            first = asyncio.wrap_future(pool.submit(upload, endpoint, source, **stored))
            while not proxy.faults:  # noqa: ASYNC110 - the proxy rings no bell
                await asyncio.sleep(0.01)
            before = proxy.up
            url = await asyncio.to_thread(upload, endpoint, source, **stored)
            assert proxy.up - before < SIZE - PIECE, "it began again"
            assert not first.done()
        with pytest.raises(TusCommunicationError):  # its line ends with the proxy, and the upload is over
            await first
    assert sha256(await arrived(server, url)) == sha256(source)


async def test_resumed_from_the_stored_url(server: RealServer, source: Path, tmp_path: Path) -> None:
    with _urls(tmp_path) as urls:
        options = {"chunk_size": PIECE, "store_url": True, "url_storage": urls}

        def part() -> Uploader:
            uploader = TusClient(f"{server.url}/files").uploader(str(source), **options)
            uploader.upload(stop_at=3 * PIECE)
            return uploader

        def rest() -> tuple[int, Uploader]:
            uploader = TusClient(f"{server.url}/files").uploader(str(source), **options)
            found = uploader.offset
            uploader.upload()
            return found, uploader

        begun = await asyncio.to_thread(part)
        found, resumed = await asyncio.to_thread(rest)
    assert found == 3 * PIECE
    assert resumed.url == begun.url
    assert sha256(await arrived(server, str(resumed.url))) == sha256(source)


class _Wrong(Uploader):
    """Announces digests of other bytes."""

    @property
    def checksum_algorithm(self) -> Any:
        return lambda data: hashlib.sha1(data + b"!")


async def test_bytes_that_are_not_what_was_announced(server: RealServer, source: Path) -> None:
    def send() -> Uploader:
        uploader = _Wrong(str(source), client=TusClient(f"{server.url}/files"), chunk_size=PIECE, upload_checksum=True)
        with pytest.raises(TusCommunicationError) as refusal:
            uploader.upload()
        assert refusal.value.status_code == 460
        return uploader

    uploader = await asyncio.to_thread(send)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.head(str(uploader.url), headers={"Tus-Resumable": "1.0.0"})
    assert answer.headers["upload-offset"] == "0"


async def test_three_files_become_one(server: RealServer, source: Path) -> None:
    with _opened(source) as file:
        data = file.read()
    pieces = [io.BytesIO(data[at : at + SIZE // 3 + 1]) for at in range(0, SIZE, SIZE // 3 + 1)]
    url = await aiotus.upload_multiple(f"{server.url}/files", pieces, {"filename": b"joined.bin"})
    path = await arrived(server, str(url))
    assert sha256(path) == sha256(source)
    assert path.name == "joined.bin"
