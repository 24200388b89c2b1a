"""A server process and a raw client, for the tests that look at `onward serve` from outside."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

import psutil  # type: ignore[import-untyped]  # ships no types

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 30.0
"""Seconds after which a test is stuck; nothing is judged by it."""
HEADER_TIMEOUT: Final = 1.0
MAX_HEADER: Final = 16 * 1024


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)
    return found


class Serving:
    """One `onward serve` in a process of its own."""

    def __init__(self, data: Path, **settings: Any) -> None:
        data.mkdir(exist_ok=True)
        self.data = data
        self.log = data / "log"
        plan = settings.pop("plan", "")
        defaults = {"data": data, "port": 0, "worker": "false", "header_timeout": HEADER_TIMEOUT}
        chosen = defaults | {"max_header": MAX_HEADER} | settings
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
        environ |= {f"ONWARD_{name.upper()}": str(value) for name, value in chosen.items()}
        environ |= {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "SERVER_TEST_PLAN": plan}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, ROOT / "tests/integration/server_app.py"],
                env=environ,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self._family: list[psutil.Process] = []

    def port(self) -> int:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"Onward is listening on http://127\.0\.0\.1:(\d+)\n", line)
        assert found is not None, f"{line!r} {self.log.read_text()}"
        assert str(self.data) in self.process.stdout.readline().decode()
        return int(found[1])

    def children(self) -> list[psutil.Process]:
        found: list[psutil.Process] = psutil.Process(self.process.pid).children()
        self._family += found
        return found

    def leave(self, sig: int = signal.SIGTERM) -> int:
        self.process.send_signal(sig)
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        if self.process.poll() is None:
            self.children()
            self.process.kill()
        self.process.wait(PATIENCE)
        for child in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        assert self.process.stdout is not None
        self.process.stdout.close()


class Client:
    """A socket, and the responses that come out of it."""

    def __init__(self, port: int, sent: bytes = b"") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._rest = b""
        self.socket.sendall(sent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def response(self) -> tuple[int, dict[str, str], dict[str, Any]]:
        head, self._rest = self._until(lambda data: data.partition(b"\r\n\r\n")[1:] != (b"", b"")).split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        size = int(headers["content-length"])
        body = self._until(lambda data: len(data) >= size)
        self._rest = body[size:]
        return int(first.split()[1]), headers, json.loads(body[:size])

    def _until(self, enough: Callable[[bytes], bool]) -> bytes:
        while not enough(self._rest):
            data = self.socket.recv(65536)
            assert data, f"the connection ended after {self._rest!r}"
            self._rest += data
        return self._rest

    def ended(self) -> bool:
        """Whether the server ends the connection in order, with nothing more to say."""
        return not self._rest and self.socket.recv(1) == b""


def post(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"POST /{path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


GET: Final = b"GET /read HTTP/1.1\r\nHost: test\r\n\r\n"


def refused(client: Client, status: int, code: str) -> dict[str, Any]:
    got, headers, body = client.response()
    assert (got, body["status"], body["code"]) == (status, status, code)
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert body["type"] == f"urn:onward:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert client.ended()
    return body
