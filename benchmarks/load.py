"""Bytes sent as fast as they are taken, from a process of its own: ``python -m benchmarks.load``.

The bytes go from the page cache to the socket by ``sendfile``; this process does not touch them.
It reads its order as JSON from standard input and writes what came of it to standard output.
With ``discard`` it is the other end instead: it takes requests, drops their bytes and says 201,
so that the sender's own ceiling can be measured.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.source import Source
from benchmarks.wire import HOST, Line

_ANSWER: Final = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
_TAKEN: Final = (200, 201, 202, 204)
_PATIENCE: Final = 900.0


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request whose body is a run of the file, with a few bytes before and after it where a form wants them."""

    method: str
    path: str
    start: int
    size: int
    headers: dict[str, str] = field(default_factory=dict)
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of it. Seconds; ``latencies`` are those of single requests, from first byte to answer."""

    began: float
    """By ``time.perf_counter``, which all processes share."""
    seconds: float
    cpu: float
    latencies: list[float]


def send(file: Path, asks: Sequence[Ask], *, port: int, connections: int) -> Sent:
    """Have requests answered, so many at a time, from a process of its own. Raises if one is refused."""
    order = {"port": port, "file": str(file), "connections": connections, "asks": [asdict(ask) for ask in asks]}
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name],
        input=json.dumps(order).encode(),
        stdout=subprocess.PIPE,
        timeout=_PATIENCE,
        check=True,
    )
    return Sent(**json.loads(done.stdout))


def chunks(source: Source, name: str, *, flat: bool) -> list[Ask]:
    """The chunks of a file as the chunk API takes them; ``flat``: their size is declared."""
    asks = []
    for number, digest in enumerate(source.chunk_digests, 1):
        start = (number - 1) * source.chunk_size
        headers = {"Content-Type": "application/octet-stream", "Content-Digest": digest}
        if flat:
            headers["Upload-Chunk-Size"] = str(source.chunk_size)
        size = min(source.chunk_size, source.size - start)
        asks.append(Ask(method="POST", path=f"/upload/{name}-{number}", start=start, size=size, headers=headers))
    return asks


@contextlib.contextmanager
def discarding() -> Iterator[int]:
    """The port of a process that takes requests and drops their bodies."""
    with (
        socket.create_server((HOST, 0), backlog=128) as listener,
        subprocess.Popen(
            [sys.executable, "-m", __spec__.name, "discard", str(listener.fileno())], pass_fds=[listener.fileno()]
        ) as process,
    ):
        try:
            yield listener.getsockname()[1]
        finally:
            process.terminate()


class _Sender:
    """As many threads as connections; each takes the next request when its last one is answered."""

    def __init__(self, port: int, file: str, asks: Sequence[Ask], connections: int) -> None:
        self._port = port
        self._asks: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        for ask in asks:
            self._asks.put(ask)
        self._threads = [threading.Thread(target=self._work) for _ in range(connections)]
        self._start = threading.Barrier(connections + 1)
        self._file = os.open(file, os.O_RDONLY)
        self._latencies: list[float] = []
        self._failures: list[BaseException] = []

    def run(self) -> Sent:
        for thread in self._threads:
            thread.start()
        self._start.wait()
        began, cpu = time.perf_counter(), time.process_time()
        for thread in self._threads:
            thread.join()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        if self._failures:
            raise self._failures[0]
        return Sent(began=began, seconds=seconds, cpu=cpu, latencies=self._latencies)

    def _work(self) -> None:
        line = Line(self._port)
        self._start.wait()
        with contextlib.closing(line):
            while not self._failures:
                try:
                    ask = self._asks.get_nowait()
                except queue.Empty:
                    return
                try:
                    self._send(line, ask)
                except BaseException as error:  # noqa: BLE001 - raised by run
                    self._failures.append(error)

    def _send(self, line: Line, ask: Ask) -> None:
        before, after = ask.before.encode(), ask.after.encode()
        length = {"Content-Length": str(len(before) + ask.size + len(after))}
        began = time.perf_counter()
        line.send(ask.method, ask.path, ask.headers | length, more=True)
        with contextlib.suppress(BrokenPipeError):  # refused: the answer says why
            if before:
                line.send_bytes(before)
            line.send_file(self._file, ask.start, ask.size)
            if after:
                line.send_bytes(after)
        status, body = line.answer()
        self._latencies.append(time.perf_counter() - began)
        if status not in _TAKEN:
            raise ConnectionError(f"{ask.method} {ask.path} was answered with {status}: {body[:500]!r}")


def _discard(listener: socket.socket) -> None:
    while True:
        taken, _ = listener.accept()
        threading.Thread(target=_drop, args=(taken,), daemon=True).start()


def _drop(taken: socket.socket) -> None:
    """Read requests of one connection; their bodies go into the same block again and again."""
    block = bytearray(1 << 18)
    with taken, taken.makefile("rb") as stream:
        while line := stream.readline():
            left = 0
            while line.strip():
                if line.lower().startswith(b"content-length:"):
                    left = int(line.partition(b":")[2])
                line = stream.readline()
            while left:
                left -= stream.readinto1(memoryview(block)[: min(left, len(block))])
            taken.sendall(_ANSWER)


def _main(order: dict[str, object]) -> Sent:
    asks = order.pop("asks")
    if not isinstance(asks, list):
        raise TypeError("an order has a list of requests")
    return _Sender(asks=[Ask(**ask) for ask in asks], **order).run()  # type: ignore[arg-type]  # plain JSON


if __name__ == "__main__":
    if sys.argv[1:2] == ["discard"]:
        _discard(socket.socket(fileno=int(sys.argv[2])))
    else:
        print(json.dumps(asdict(_main(json.load(sys.stdin)))))
