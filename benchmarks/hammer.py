"""Many small requests, from a process of its own: ``python -m benchmarks.hammer``.

One thread, as many connections as asked for, each with one request on its way. It reads its order
as JSON from standard input and writes what came of it to standard output. With ``discard`` it is
the other end: it says 200 to whatever it is sent, so that the sender's own ceiling can be measured.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.wire import HOST

_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to send where; ``requests`` in base64."""

    requests: list[str]
    port: int
    seconds: float
    connections: int
    status: int
    pace: float
    most: int | None


@dataclass(frozen=True, kw_only=True)
class Hammered:
    """What came of it."""

    answered: int
    seconds: float
    cpu: float
    latencies: list[float]
    """Seconds of single requests; where they were sent at a set pace, from the moment each was due."""


def hammer(
    requests: Sequence[bytes],
    *,
    port: int,
    connections: int,
    status: int,
    seconds: float = 600.0,
    pace: float = 0.0,
    once: bool = False,
) -> Hammered:
    """Send the requests in turn, again and again, for so many seconds, as fast as they are answered.

    ``pace``: so many in a second instead. ``once``: each of them once. Raises unless each answer has
    ``status``.
    """
    order = Order(
        requests=[base64.b64encode(request).decode() for request in requests],
        port=port,
        seconds=seconds,
        connections=connections,
        status=status,
        pace=pace,
        most=len(requests) if once else None,
    )
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name],
        input=json.dumps(asdict(order)).encode(),
        stdout=subprocess.PIPE,
        timeout=seconds + 120,
        check=True,
    )
    return Hammered(**json.loads(done.stdout))


@contextlib.contextmanager
def agreeing() -> Iterator[int]:
    """The port of a process that says 200 to everything."""
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


class _Hammer:
    def __init__(self, order: Order) -> None:
        self._requests = [base64.b64decode(text) for text in order.requests]
        self._head = b"HTTP/1.1 %d" % order.status
        self._bare = self._requests[0].startswith(b"HEAD")
        self._seconds = order.seconds
        self._pace = order.pace
        self._most = float("inf") if order.most is None else order.most
        self._lines: dict[int, socket.socket] = {}
        for _ in range(order.connections):
            line = socket.create_connection((HOST, order.port))
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._lines[line.fileno()] = line
        self._began = dict.fromkeys(self._lines, 0.0)
        self._idle = list(self._lines)
        self._sent = 0
        self._took: list[float] = []

    def run(self) -> Hammered:
        poll = select.epoll()
        for number in self._lines:
            poll.register(number, select.EPOLLIN)
        clock = time.perf_counter
        began, cpu = clock(), time.process_time()
        end = began + self._seconds
        while ((now := clock()) < end and self._sent < self._most) or len(self._idle) < len(self._lines):
            if now < end:
                self._send_due(began, now)
            for number, _ in poll.poll(self._wait(began, now, end)):
                self._receive(self._lines[number])
                now = clock()
                self._took.append(now - self._began[number])
                self._idle.append(number)
                if now < end and not self._pace and self._sent < self._most:
                    self._send(now)
        cpu, seconds = time.process_time() - cpu, clock() - began
        return Hammered(answered=len(self._took), seconds=seconds, cpu=cpu, latencies=self._took)

    def _wait(self, began: float, now: float, end: float) -> float:
        if now >= end or not self._pace or not self._idle:
            return 1.0
        return max(0.0, min(began + self._sent / self._pace - now, end - now))

    def _send_due(self, began: float, now: float) -> None:
        while self._idle and self._sent < self._most:
            due = began + self._sent / self._pace if self._pace else now
            if due > now:
                return
            self._send(due)

    def _send(self, due: float) -> None:
        number = self._idle.pop()
        self._began[number] = due
        self._lines[number].sendall(self._requests[self._sent % len(self._requests)])
        self._sent += 1

    def _receive(self, line: socket.socket) -> None:
        data = line.recv(1 << 16)
        while not self._is_whole(data):
            more = line.recv(1 << 16)
            if not more:
                raise ConnectionError(f"the server has hung up: {data[:200]!r}")
            data += more
        if not data.startswith(self._head):
            raise ConnectionError(f"the answer was {data[:500]!r}")

    def _is_whole(self, data: bytes) -> bool:
        end = data.find(b"\r\n\r\n")
        if end < 0 or self._bare:
            return end >= 0
        length = _LENGTH.search(data, 0, end)
        if length is None:
            return b"chunked" not in data[:end].lower() or data.endswith(b"0\r\n\r\n")
        return len(data) >= end + 4 + int(length[1])


def _agree(listener: socket.socket) -> None:
    poll, lines = select.epoll(), {}
    poll.register(listener.fileno(), select.EPOLLIN)
    while True:
        for number, _ in poll.poll():
            if number == listener.fileno():
                line, _ = listener.accept()
                lines[line.fileno()] = line
                poll.register(line.fileno(), select.EPOLLIN)
            elif lines[number].recv(1 << 16):
                lines[number].sendall(_ANSWER)
            else:
                lines.pop(number).close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["discard"]:
        _agree(socket.socket(fileno=int(sys.argv[2])))
    else:
        print(json.dumps(asdict(_Hammer(Order(**json.load(sys.stdin))).run())))
