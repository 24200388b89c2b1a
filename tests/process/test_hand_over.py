"""An upload whose old request hangs: whoever comes next gets through, in this process or another of the host."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.integration.real_server import RealServer
from tests.process.client import Half
from tests.process.processes import until, workers

SENT: Final = 300_000
LENGTH: Final = 500_000
PATIENCE: Final = 60.0
LOCK_WAIT: Final = 3.0
BYTES: Final = random.Random(11).randbytes(LENGTH)
OTHERS: Final = random.Random(12).randbytes(LENGTH)
"""What the old request would still bring: none of it may be seen again."""

Pair = tuple[RealServer, RealServer]
Said = Mapping[str, str]

DIALECTS: Final[Mapping[str, tuple[Said, Said]]] = {
    "tus": ({"Tus-Resumable": "1.0.0"}, {"Content-Type": "application/offset+octet-stream"}),
    "draft": (
        {"Upload-Draft-Interop-Version": "8"},
        {"Content-Type": "application/partial-upload", "Upload-Complete": "?0"},
    ),
}
"""Headers of every request, and those that a ``PATCH`` has beside them."""

WHERE: Final = {"same process": 0, "other process": 1}
both = pytest.mark.parametrize("dialect", DIALECTS)
anywhere = pytest.mark.parametrize("where", WHERE)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    data = tmp_path_factory.mktemp("hand-over") / "data"
    # A body may rest for longer than these tests last: whatever ends one, it is not the wait.
    servers = [
        RealServer(data, worker=False, body_idle=600, lock_wait=LOCK_WAIT, send_104="never", min_free=0)
        for _ in range(2)
    ]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            until(server.is_healthy, "a server does not answer")
        with workers(data, 1, sweep_every=1):
            yield servers[0], servers[1]
    finally:
        for server in servers:
            server.kill_all()


class Upload:
    """One upload, spoken to in one dialect."""

    def __init__(self, server: RealServer, dialect: str, length: int = LENGTH) -> None:
        self.said, self.of_patch = DIALECTS[dialect]
        more = {} if dialect == "tus" else {"Upload-Complete": "?0"}
        answer = httpx.post(
            f"{server.url}/files",
            headers={**self.said, **more, "Upload-Length": str(length)},
            timeout=PATIENCE,
            trust_env=False,
        )
        assert answer.status_code == 201, answer.text
        self.path = httpx.URL(answer.headers["location"]).path
        self.id = self.path.rpartition("/")[2]
        self.stored: Path = server.data / "uploads" / self.id[:2] / self.id / "data"

    def ask(self, server: RealServer, method: str, **headers: str) -> httpx.Response:
        """A request without a body."""
        said = {**self.said, **headers}
        return httpx.request(method, server.url + self.path, headers=said, timeout=PATIENCE, trust_env=False)

    def patch(self, server: RealServer, at: int, body: bytes, *, last: bool = False) -> httpx.Response:
        """Bytes at an offset; ``last`` ends the upload."""
        more = {"Upload-Complete": "?1"} if last and "Upload-Complete" in self.of_patch else {}
        headers = {**self.said, **self.of_patch, **more, "Upload-Offset": str(at)}
        return httpx.patch(server.url + self.path, headers=headers, content=body, timeout=PATIENCE, trust_env=False)

    def hanging(self, server: RealServer, sent: int = SENT) -> Half:
        """A ``PATCH`` of everything that has brought ``sent`` bytes, all of them read by the server."""
        headers = {**self.said, **self.of_patch, "Upload-Offset": "0"}
        half = Half(server.port, "PATCH", self.path, LENGTH, headers)
        half.send(BYTES[:sent])
        until(half.is_read, "the server does not read")
        return half


def _finish(server: RealServer, upload: Upload, at: int) -> str:
    """Send what lacks; the SHA-256 of what is published."""
    answer = upload.patch(server, at, BYTES[at:], last=True)
    assert answer.status_code in {201, 202, 204}, answer.text

    def published() -> Path | None:
        state = httpx.get(f"{server.url}/uploads/{upload.id}", trust_env=False).json()
        return server.file(state["result"]["ref"]) if state["state"] == "done" else None

    return hashlib.sha256(until(published, "it is not published").read_bytes()).hexdigest()


# -- a newcomer gets through ------------------------------------------------------------------------


@both
@anywhere
def test_who_asks_is_told_of_every_byte_and_no_other_comes(pair: Pair, dialect: str, where: str) -> None:
    """T-PATCH-12 T-HEAD-06 R-83 R-52"""
    server = pair[WHERE[where]]
    upload = Upload(pair[0], dialect)
    with contextlib.closing(upload.hanging(pair[0])) as old:
        told = upload.ask(server, "HEAD")
        assert told.status_code in {200, 204}
        assert told.headers["upload-offset"] == str(SENT)
        old.send(OTHERS[SENT:])  # the old client is alive after all
        assert old.answer().status in {0, 423}
        assert old.has_ended()
    assert upload.ask(server, "HEAD").headers["upload-offset"] == str(SENT)
    assert upload.stored.read_bytes() == BYTES[:SENT]
    assert _finish(server, upload, SENT) == hashlib.sha256(BYTES).hexdigest()


@both
@anywhere
def test_who_brings_more_is_let_in_and_keeps_its_place(pair: Pair, dialect: str, where: str) -> None:
    """T-PATCH-12 R-83"""
    server, more = pair[WHERE[where]], SENT + 100_000
    upload = Upload(pair[0], dialect)
    with contextlib.closing(upload.hanging(pair[0])) as old:
        assert upload.patch(server, SENT, BYTES[SENT:more]).status_code == 204
        old.send(OTHERS[SENT:])
        assert old.has_ended()
    assert upload.ask(server, "HEAD").headers["upload-offset"] == str(more)
    assert upload.stored.read_bytes() == BYTES[:more]
    assert _finish(server, upload, more) == hashlib.sha256(BYTES).hexdigest()


@both
@anywhere
def test_who_takes_it_away_leaves_nothing_behind(pair: Pair, dialect: str, where: str) -> None:
    """T-TERM-04 R-81 R-82"""
    server = pair[WHERE[where]]
    upload = Upload(pair[0], dialect)
    with contextlib.closing(upload.hanging(pair[0])) as old:
        assert upload.ask(server, "DELETE").status_code == 204
        old.send(OTHERS[SENT:])
        assert old.has_ended()
    assert upload.ask(server, "HEAD").status_code == 410
    until(lambda: not upload.stored.parent.exists(), "bytes are left behind")


@both
@anywhere
def test_a_client_that_keeps_sending_is_sent_away_too(pair: Pair, dialect: str, where: str) -> None:
    """What it was told of stays; what comes after that has no effect, however fast it comes."""
    server = pair[WHERE[where]]
    upload = Upload(pair[0], dialect, length=1 << 30)
    headers = {**upload.said, **upload.of_patch, "Upload-Offset": "0"}
    old, enough = Half(pair[0].port, "PATCH", upload.path, 1 << 30, headers), threading.Event()
    old.socket.settimeout(1)

    def keep_sending() -> None:
        with contextlib.suppress(TimeoutError):
            while not enough.is_set():
                old.send(BYTES)

    with ThreadPoolExecutor(1) as pool, contextlib.closing(old):
        sending = pool.submit(keep_sending)
        try:
            until(lambda: upload.stored.exists() and upload.stored.stat().st_size > 1 << 20, "nothing is stored")
            told = upload.ask(server, "HEAD")
            offset = int(told.headers["upload-offset"])
            assert offset > 1 << 20
            assert upload.patch(server, offset, b"after all").status_code == 204
        finally:
            enough.set()
        sending.result()
    end = offset + len(b"after all")
    assert upload.ask(server, "HEAD").headers["upload-offset"] == str(end)
    with upload.stored.open("rb") as stored:
        digest = hashlib.sha256(stored.read(offset)).digest()
        assert stored.read() == b"after all"
    sent = hashlib.sha256(BYTES * (offset // LENGTH) + BYTES[: offset % LENGTH]).digest()
    assert digest == sent


# -- what cannot be had, and what is not waited for ---------------------------------------------------


def test_a_holder_that_does_not_let_go_is_said_to_be_busy(pair: Pair) -> None:
    """T-PATCH-12 R-83: its process stands still, so it can save nothing and let nobody in."""
    one, other = pair
    uploads = [Upload(one, dialect) for dialect in DIALECTS]
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(6) as pool:
        olds = [stack.enter_context(contextlib.closing(upload.hanging(one))) for upload in uploads]
        one.pause()
        try:
            asked = [pool.submit(upload.ask, other, method) for upload in uploads for method in ("HEAD", "DELETE")]
            asked += [pool.submit(upload.patch, other, 0, b"x") for upload in uploads]
            for answer in asked:
                told = answer.result()
                assert (told.status_code, told.headers["retry-after"]) == (423, "1"), told.text
        finally:
            one.resume()
        # Once it can, it lets go, and nothing has happened to what it had.
        for upload, old in zip(uploads, olds, strict=True):
            assert upload.ask(other, "HEAD").headers["upload-offset"] == str(SENT)
            assert old.has_ended()
            assert _finish(other, upload, SENT) == hashlib.sha256(BYTES).hexdigest()


@both
def test_who_asks_does_not_wait_for_those_who_download(pair: Pair, dialect: str) -> None:
    """R-55: whoever reads the file may take for ever; the answer is there."""
    one, other = pair
    upload = Upload(one, dialect)
    assert _finish(one, upload, 0) == hashlib.sha256(BYTES).hexdigest()
    with contextlib.ExitStack() as stack:
        for server in (one, other) * 4:
            reader = stack.enter_context(contextlib.closing(socket.socket()))
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(PATIENCE)
            reader.connect(("127.0.0.1", server.port))
            reader.sendall(f"GET {upload.path}/content HTTP/1.1\r\nHost: test\r\n\r\n".encode())
            assert reader.recv(12) == b"HTTP/1.1 200"
        for server in pair:
            assert upload.ask(server, "HEAD").headers["upload-offset"] == str(LENGTH)


def test_the_lock_files_go_with_the_uploads(pair: Pair) -> None:
    upload = Upload(pair[0], "tus")
    with contextlib.closing(upload.hanging(pair[0])):
        assert upload.ask(pair[1], "DELETE").status_code == 204
    held = [Path(folder, name) for folder, _, names in os.walk(pair[0].data) for name in names if name == upload.id]
    assert not held
