"""Chunks sent as fast as they are taken, from a process of its own: ``python -m benchmarks.load``.

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
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.source import Source
from benchmarks.wire import HOST, Line

_ANSWER: Final = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
_PATIENCE: Final = 900.0


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send where. ``flat``: the chunk size is declared, so that each byte's place is known."""

    port: int
    name: str
    file: str
    size: int
    chunk_size: int
    digests: list[str]
    connections: int
    flat: bool


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of it. Seconds; ``latencies`` are those of single chunks, from first byte to answer."""

    began: float
    """By ``time.perf_counter``, which all processes share."""
    seconds: float
    cpu: float
    latencies: list[float]


def send(source: Source, *, port: int, name: str, connections: int, flat: bool) -> Sent:
    """Have all chunks of a source stored, from a process of its own. Raises if one is refused."""
    order = Order(
        port=port,
        name=name,
        file=str(source.path),
        size=source.size,
        chunk_size=source.chunk_size,
        digests=list(source.chunk_digests),
        connections=connections,
        flat=flat,
    )
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name],
        input=json.dumps(asdict(order)).encode(),
        stdout=subprocess.PIPE,
        timeout=_PATIENCE,
        check=True,
    )
    return Sent(**json.loads(done.stdout))


@contextlib.contextmanager
def discarding() -> Iterator[int]:
    """The port of a process that takes chunks and drops them."""
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
    """As many threads as connections; each takes the next chunk when its last one is answered."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(1, len(order.digests) + 1):
            self._numbers.put(number)
        self._start = threading.Barrier(order.connections + 1)
        self._file = os.open(order.file, os.O_RDONLY)
        self._latencies: list[float] = []
        self._failures: list[BaseException] = []

    def run(self) -> Sent:
        threads = [threading.Thread(target=self._work) for _ in range(self._order.connections)]
        for thread in threads:
            thread.start()
        self._start.wait()
        began, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.join()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        if self._failures:
            raise self._failures[0]
        return Sent(began=began, seconds=seconds, cpu=cpu, latencies=self._latencies)

    def _work(self) -> None:
        line = Line(self._order.port)
        self._start.wait()
        with contextlib.closing(line):
            while not self._failures:
                try:
                    number = self._numbers.get_nowait()
                except queue.Empty:
                    return
                try:
                    self._store(line, number)
                except BaseException as error:  # noqa: BLE001 - raised by run
                    self._failures.append(error)

    def _store(self, line: Line, number: int) -> None:
        order = self._order
        start = (number - 1) * order.chunk_size
        size = min(order.chunk_size, order.size - start)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Content-Digest": order.digests[number - 1],
        }
        if order.flat:
            headers["Upload-Chunk-Size"] = str(order.chunk_size)
        began = time.perf_counter()
        line.send("POST", f"/upload/{order.name}-{number}", headers, more=True)
        with contextlib.suppress(BrokenPipeError):  # refused: the answer says why
            line.send_file(self._file, start, size)
        status, body = line.answer()
        self._latencies.append(time.perf_counter() - began)
        if status != 201:
            raise ConnectionError(f"chunk {number} was answered with {status}: {body.decode(errors='replace')}")


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


if __name__ == "__main__":
    if sys.argv[1:2] == ["discard"]:
        _discard(socket.socket(fileno=int(sys.argv[2])))
    else:
        print(json.dumps(asdict(_Sender(Order(**json.load(sys.stdin))).run())))
