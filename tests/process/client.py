"""A patient client of the chunk API that writes down what it was told, and what that obliges the server to."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import random
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.integration.real_server import RealServer

PATIENCE: Final = 90.0
"""Seconds after which a file that has not come is stuck; nothing else is judged by it."""

# What a client is told when it should come again: cut body, other writer, drain, no room, a hiccup of the server.
COME_AGAIN: Final = frozenset({408, 409, 423, 429, 500, 503, 507})
FINISHING: Final = frozenset({"assembling", "verifying", "done"})


class Answer(NamedTuple):
    """What the server said; ``status`` 0 stands for a connection that ended without a word: anything may be true."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]


UNKNOWN: Final = Answer(0, {}, {})


class Source:
    """A file to send. Flat: its size and chunk size are declared with each chunk; else only the numbers are known."""

    def __init__(self, name: str, size: int, *, chunk: int, flat: bool, begin: bytes = b"") -> None:
        self.name = name
        self.flat = flat
        self.data: Final = begin + random.Random(name).randbytes(size - len(begin))
        self.chunks: Final = [self.data[at : at + chunk] for at in range(0, size, chunk)]
        self.sha256: Final = hashlib.sha256(self.data).hexdigest()
        self.headers: Final = {"Upload-Chunk-Size": str(chunk), "Upload-Length": str(size)} if flat else {}

    def digest(self, number: int) -> str:
        """The SHA-256 of a chunk, in hexadecimal digits."""
        return hashlib.sha256(self.chunks[number - 1]).hexdigest()


class History:
    """What clients were told of their files. Safe to use from several threads."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.stored: dict[str, set[int]] = {}
        self.sealed: set[str] = set()
        self.done: set[str] = set()
        self.unknown = 0
        self.refused: list[tuple[int, str]] = []
        self._moments: dict[str, threading.Event] = {}

    def has(self, source: Source) -> None:
        """From now on there is this file to ask about."""
        self.stored.setdefault(source.name, set())
        self.sources[source.name] = source

    def note(self, answer: Answer) -> Answer:
        """Count what was no success."""
        if answer.status == 0:
            self.unknown += 1
        elif answer.status >= 400:
            self.refused.append((answer.status, str(answer.body.get("code"))))
        return answer

    def moment(self, kind: str) -> threading.Event:
        """Set whenever a client begins a ``chunk`` or a ``complete``, or has been told of a ``merge`` to come."""
        return self._moments.setdefault(kind, threading.Event())


class Client:
    """Sends files to one port of this host, each request over a connection of its own, and never gives up."""

    def __init__(self, port: int, history: History, *, timeout: float = 30.0) -> None:
        self.port = port
        self.history = history
        self.timeout = timeout
        self.enough = threading.Event()
        """Set: whoever delivers a file leaves as soon as a request has ended."""

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, *, port: int = 0
    ) -> Answer:
        """One request, one answer, of whatever kind."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=self.timeout)
        with contextlib.closing(connection):
            try:
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    # An answer that came before the body was sent may still be there to be read.
                    connection.request(method, path, body or None, dict(headers or {}))
                response = connection.getresponse()
                data = response.read()
            except (OSError, http.client.HTTPException):
                return UNKNOWN
        parsed = json.loads(data) if "json" in (response.getheader("Content-Type") or "") and data else {}
        return Answer(response.status, parsed, {name.lower(): value for name, value in response.getheaders()})

    def chunk(self, source: Source, number: int) -> Answer:
        """Send one chunk and note what became of it."""
        self.history.has(source)
        self.history.moment("chunk").set()
        body = source.chunks[number - 1]
        answer = self.history.note(self.ask("POST", f"/upload/{source.name}-{number}", body, source.headers))
        if answer.status in {200, 201}:
            assert answer.body["sha256"] == source.digest(number)
            self.history.stored[source.name].add(number)
        return answer

    def complete(self, source: Source) -> Answer:
        """Ask for the merge and note the answer."""
        said = {"file_unique_name": source.name, "total_chunks": len(source.chunks), "size": len(source.data)}
        self.history.moment("complete").set()
        body = json.dumps(said | {"sha256": source.sha256}).encode()
        answer = self.history.note(self.ask("POST", "/upload/complete", body, {"Content-Type": "application/json"}))
        if answer.status in {200, 202}:
            self.history.sealed.add(source.name)
            self.history.moment("merge").set()
        return answer

    def manifest(self, source: Source) -> Answer:
        """All that the server says of the file."""
        return self.ask("GET", f"/upload/{source.name}")

    def send(self, source: Source, numbers: Iterable[int]) -> None:
        """Each of these chunks once, whatever becomes of it."""
        for number in numbers:
            if self.enough.is_set():
                return
            answer = self.chunk(source, number)
            assert answer.status in {0, 200, 201, *COME_AGAIN}, answer
            if answer.status not in {200, 201}:
                time.sleep(0.1)

    def deliver(self, source: Source, *, patience: float = PATIENCE, wait: bool = True) -> None:
        """Send what lacks, complete, and ``wait`` until it is done: over any number of disasters."""
        deadline = time.monotonic() + patience
        while not self.enough.is_set():
            assert time.monotonic() < deadline, f"{source.name} does not come: {self.manifest(source)}"
            answer = self.manifest(source)
            state = answer.body.get("state")
            if state == "done":
                self.history.done.add(source.name)
                return
            if state in FINISHING and not wait:
                return
            if answer.status == 404 or state == "receiving":
                there = {chunk["number"] for chunk in answer.body.get("chunks", [])}
                lacking = [n for n in range(1, len(source.chunks) + 1) if n not in there]
                random.Random(f"{source.name} {len(lacking)}").shuffle(lacking)
                self.send(source, lacking)
                if not self.enough.is_set():
                    answer = self.complete(source)
                    assert answer.status in {0, 200, 202, 404, *COME_AGAIN}, answer
            else:
                assert state in {None, *FINISHING}, answer
            time.sleep(0.1)


class Half:
    """A request whose body is sent piece by piece, over a connection of its own."""

    def __init__(self, port: int, method: str, path: str, size: int, headers: Mapping[str, str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        fields = {"Host": "test", "Content-Length": str(size), **headers}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket.sendall(head.encode() + b"\r\n")

    def send(self, data: bytes) -> None:
        """Send what comes next; a connection that the server has ended swallows it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)

    def is_read(self) -> bool:
        """Whether the server has read all that was sent: nothing of it waits in the kernel, on either side."""
        (_, far), (_, near) = self.socket.getpeername(), self.socket.getsockname()
        waiting = {(near, far): 0, (far, near): 0}  # a side that is gone has nothing
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            local, remote = (int(fields[n].partition(":")[2], 16) for n in (1, 2))
            if (local, remote) in waiting:
                sending, receiving = (int(size, 16) for size in fields[4].split(":"))
                waiting[local, remote] = sending if local == near else receiving
        return not any(waiting.values())

    def shut(self) -> None:
        """Say that nothing more comes, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self) -> Answer:
        """Wait for the answer or the end of the connection."""
        response = http.client.HTTPResponse(self.socket)
        try:
            response.begin()
            data = response.read()
        except (ConnectionError, http.client.HTTPException):
            return UNKNOWN
        finally:
            response.close()
        parsed = json.loads(data) if data else {}
        return Answer(response.status, parsed, {name.lower(): value for name, value in response.getheaders()})

    def has_ended(self) -> bool:
        """Wait for the server to end the connection; anything that still comes is dropped."""
        with contextlib.suppress(ConnectionError):
            while self.socket.recv(65536):
                continue
        return True

    def close(self) -> None:
        """End the connection from here."""
        self.socket.close()


def await_moment(history: History, kind: str, sending: Iterable[Future[None]]) -> None:
    """Wait until a client does this. Raises what a client that gave up has raised."""
    moment = history.moment(kind)
    moment.clear()
    deadline = time.monotonic() + PATIENCE
    while not moment.wait(0.05):
        for client in sending:
            if client.done():
                client.result()
        assert time.monotonic() < deadline, f"no {kind} was sent: {history.refused[-20:]}"


def check(server: RealServer, history: History, *, latest: int | None = None) -> None:
    """All that clients were told is still true, of all files or of the ``latest``; what is published is whole."""
    client = Client(server.port, history)
    for source in list(history.sources.values())[-(latest or 0) :]:
        stored, sealed = set(history.stored[source.name]), source.name in history.sealed
        done = source.name in history.done
        answer = client.manifest(source)
        if answer.status == 404:
            assert not stored, f"{source.name} is not known, chunks {stored} were acknowledged"
            continue
        assert answer.status == 200, answer
        there = {chunk["number"]: chunk["sha256"] for chunk in answer.body["chunks"]}
        assert stored <= there.keys(), f"{source.name}: acknowledged and lost: {sorted(stored - there.keys())}"
        for number, digest in there.items():
            assert digest == source.digest(number), f"{source.name}: chunk {number} is not what was sent"
        state = answer.body["state"]
        assert state in FINISHING or not sealed, f"{source.name} was sealed and is {state}"
        assert state == "done" or not done, f"{source.name} was done and is {state}"
        if state == "done":
            check_file(server, source)


def check_file(server: RealServer, source: Source) -> None:
    """The published file has the bytes that were sent."""
    found = hashlib.sha256(server.file(source.name).read_bytes()).hexdigest()
    assert found == source.sha256, f"{source.name} was published with other bytes"
