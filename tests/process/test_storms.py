"""An upload, and a server that is killed again and again while its bytes come: in each dialect it gets there.

A client that resumes loses no more to a kill than what was not yet recorded: part of one segment, or of
one chunk, and what was under way.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import httpx
import pytest

from tests.integration.real_server import RealServer
from tests.process.client import Half
from tests.process.processes import until, workers

MIB: Final = 1 << 20
PIECE: Final = 64 << 10
UNDER_WAY: Final = 4 * PIECE
"""Most bytes that the server may have read and not yet put into a segment, and those of the last piece."""
NAME: Final = "storm.bin"
PATIENCE: Final = 1500.0


class Dialect(Protocol):
    """How one upload is begun, asked about, sent and ended."""

    def begin(self, server: RealServer) -> None:
        """Create it; the server is up."""

    def stands_at(self, server: RealServer) -> int:
        """The first byte that lacks. Raises ``httpx.TransportError`` while there is no server."""

    def request(self, at: int) -> tuple[str, str, dict[str, str], int]:
        """The request that goes on there: method, path, headers, bytes."""

    def end(self, server: RealServer) -> str:
        """All bytes are there: have it published; its path below ``/uploads``."""


class _Sequential:
    """One request for all that lacks."""

    said: ClassVar[Mapping[str, str]]
    of_patch: ClassVar[Mapping[str, str]]
    of_post: ClassVar[Mapping[str, str]] = {}

    def __init__(self, data: bytes, segment: int) -> None:
        self._size = len(data)
        self._path = ""

    def begin(self, server: RealServer) -> None:
        headers = {**self.said, **self.of_post, "Upload-Length": str(self._size)}
        answer = httpx.post(f"{server.url}/files", headers=headers, trust_env=False)
        assert answer.status_code == 201, answer.text
        self._path = httpx.URL(answer.headers["location"]).path

    def stands_at(self, server: RealServer) -> int:
        answer = httpx.head(server.url + self._path, headers=dict(self.said), timeout=60, trust_env=False)
        assert answer.status_code in {200, 204}, answer
        return int(answer.headers["upload-offset"])

    def request(self, at: int) -> tuple[str, str, dict[str, str], int]:
        headers = {**self.said, **self.of_patch, "Upload-Offset": str(at)}
        return "PATCH", self._path, headers, self._size - at

    def end(self, server: RealServer) -> str:
        return self._path.rpartition("/")[2]


class Tus(_Sequential):
    said: ClassVar[Mapping[str, str]] = {"Tus-Resumable": "1.0.0"}
    of_patch: ClassVar[Mapping[str, str]] = {"Content-Type": "application/offset+octet-stream"}


class Draft(_Sequential):
    said: ClassVar[Mapping[str, str]] = {"Upload-Draft-Interop-Version": "8"}
    of_patch: ClassVar[Mapping[str, str]] = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    of_post: ClassVar[Mapping[str, str]] = {"Upload-Complete": "?0"}


class Chunks:
    """One chunk after the other, as large as a segment of the others."""

    def __init__(self, data: bytes, segment: int) -> None:
        self._size, self._chunk = len(data), segment
        self._sha256 = hashlib.sha256(data).hexdigest()

    def begin(self, server: RealServer) -> None:
        said = {"name": NAME, "size": self._size, "chunk_size": self._chunk}
        assert httpx.post(f"{server.url}/upload", json=said, trust_env=False).status_code == 201

    def stands_at(self, server: RealServer) -> int:
        there = httpx.get(f"{server.url}/upload/{NAME}", timeout=60, trust_env=False).json()["chunks"]
        return min(self._size, self._chunk * len(there))

    def request(self, at: int) -> tuple[str, str, dict[str, str], int]:
        headers = {"Upload-Chunk-Size": str(self._chunk), "Upload-Length": str(self._size)}
        return "POST", f"/upload/{NAME}-{at // self._chunk + 1}", headers, min(self._chunk, self._size - at)

    def end(self, server: RealServer) -> str:
        said = {
            "file_unique_name": NAME,
            "total_chunks": -(-self._size // self._chunk),
            "sha256": self._sha256,
        }
        answer = httpx.post(f"{server.url}/upload/complete", json=said, trust_env=False)
        assert answer.status_code in {200, 202}, answer.text
        return str(answer.json()["id"])


class Sender:
    """Sends one upload to its last byte, over any number of ends of the server."""

    def __init__(self, server: RealServer, dialect: Dialect, data: bytes) -> None:
        self._server, self._dialect, self._data = server, dialect, data
        self.resumes = 0
        self.attempts = 0
        """How often it was told where to go on."""
        self.wasted = 0
        """Bytes that were sent and had to be sent again."""
        self.since = 0
        """Bytes sent since it last resumed."""
        self.calm = False
        """No more kills: it may send as fast as it can."""

    def run(self) -> None:
        reached = told = 0
        deadline = time.monotonic() + PATIENCE
        while told < len(self._data):
            assert time.monotonic() < deadline, f"it stands at {told} of {len(self._data)}"
            try:
                at = self._dialect.stands_at(self._server)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            assert told <= at <= reached, f"told {told} before, {at} now, {reached} were sent"
            self.resumes += reached > 0
            self.wasted += reached - at
            self.since, told = 0, at
            self.attempts += 1
            reached = self._send_from(at)

    def _send_from(self, at: int) -> int:
        """Send until something breaks; how far the bytes went."""
        while at < len(self._data):
            method, path, headers, size = self._dialect.request(at)
            try:
                half = Half(self._server.port, method, path, size, headers)
            except OSError:
                return at
            with contextlib.closing(half):
                for start in range(at, at + size, PIECE):
                    piece = self._data[start : min(start + PIECE, at + size)]
                    try:
                        half.socket.sendall(piece)
                        while not (self.calm or half.is_read()):  # so that little is under way
                            time.sleep(0.001)
                    except OSError:
                        return start + len(piece)
                    self.since += len(piece)
                if half.answer().status not in {200, 201, 202, 204}:
                    return at + size
            at += size
        return at


class Storm:
    """One server, one upload in each of some dialects, and kills at random moments."""

    def __init__(self, data: Path, kinds: Sequence[type[Any]], *, size: int, segment: int, seed: int) -> None:
        self._draw = random.Random(seed)
        self._segment = segment
        self._server = RealServer(data, worker=False, segment=segment, send_104="never", min_free=0)
        self._data = b"".join(self._draw.randbytes(MIB) for _ in range(size // MIB))
        self._dialects: list[Dialect] = [kind(self._data, segment) for kind in kinds]
        self._attempts = [0] * len(kinds)
        """Of each sender, when the server was killed last."""

    def rage(self, kills: int) -> None:
        """So many kills; then everything comes to its end."""
        self._server.start()
        try:
            with workers(self._server.data, 1, sweep_every=1), ThreadPoolExecutor(len(self._dialects)) as pool:
                for dialect in self._dialects:
                    dialect.begin(self._server)
                senders = [Sender(self._server, dialect, self._data) for dialect in self._dialects]
                began = time.monotonic()
                sending = [pool.submit(sender.run) for sender in senders]
                for _ in range(kills):
                    self._kill(senders, sending)
                for sender in senders:
                    sender.calm = True
                for sent in sending:
                    sent.result()
                seconds = time.monotonic() - began
                for dialect, sender in zip(self._dialects, senders, strict=True):
                    self._check(dialect, sender, kills, seconds)
        finally:
            self._server.kill_all()

    def _kill(self, senders: Sequence[Sender], sending: Sequence[Future[None]]) -> None:
        """When all of them are sending again and one has got so far, before any is through."""
        one, moment = self._draw.choice(senders), self._draw.randint(PIECE, 2 * self._segment)

        def due() -> bool:
            for sent in sending:
                if sent.done():
                    sent.result()
                    raise AssertionError("it was there too early")
            again = all(sender.attempts > before for sender, before in zip(senders, self._attempts, strict=True))
            return again and one.since >= moment

        until(due, "nothing is sent")
        self._server.kill()
        self._attempts = [sender.attempts for sender in senders]
        self._server.start()

    def _check(self, dialect: Dialect, sender: Sender, kills: int, seconds: float) -> None:
        id = dialect.end(self._server)
        state = until(lambda: _done(self._server, id), "it is not published", patience=PATIENCE)
        digest = hashlib.sha256(self._server.file(state["result"]["ref"]).read_bytes()).hexdigest()
        print(
            f"{type(dialect).__name__}: {len(self._data) / MIB:g} MiB, {kills} kills, {sender.resumes} resumes,"
            f" {sender.wasted / MIB / kills:.2f} MiB sent again per kill, {seconds:.1f} s"
        )
        assert digest == hashlib.sha256(self._data).hexdigest()
        assert sender.resumes >= kills
        assert sender.wasted <= kills * (self._segment + UNDER_WAY)


def _done(server: RealServer, id: str) -> dict[str, Any] | None:
    state: dict[str, Any] = httpx.get(f"{server.url}/uploads/{id}", timeout=60, trust_env=False).json()
    assert state["state"] in {"receiving", "assembling", "verifying", "done"}, state
    return state if state["state"] == "done" else None


KINDS: Final = (Chunks, Tus, Draft)


def test_ten_kills_in_mid_body_of_each(tmp_path: Path) -> None:
    Storm(tmp_path / "data", KINDS, size=24 * MIB, segment=MIB, seed=1).rage(10)


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", KINDS)
def test_a_hundred_kills_in_mid_body(tmp_path: Path, kind: type[Any]) -> None:
    Storm(tmp_path / "data", [kind], size=512 * MIB, segment=4 * MIB, seed=2).rage(100)
