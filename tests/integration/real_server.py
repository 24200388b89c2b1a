"""A real `onward serve` for tests: a process of its own on a free loopback port, which it keeps when started again."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

PATIENCE: Final = 60.0
"""Seconds after which a server that does not come or go is stuck; nothing is judged by it."""


class RealServer:
    """One `onward serve` with its worker over ``data``. ``url`` stays the same over any end and ``start``.

    ``settings`` are those of ``onward.config.Settings``, given as flags; the environment has none.
    """

    def __init__(self, data: Path, **settings: Any) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.base = self.url + str(settings.get("upload_path", "/upload"))
        """Where the chunk API is."""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not running"
        return self._process

    def launch(self) -> None:
        """Start the server and do not wait for it."""
        assert self._process is None, "the server is running"
        command = [sys.executable, "-m", "onward", "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--data", str(self.data), *_flags(self._settings)]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.log.parent,
                env=environ | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start(self) -> None:
        """Start the server and wait until it answers ``/health``."""
        self.launch()
        self.wait()

    def wait(self) -> None:
        """Wait until a launched server answers ``/health``."""
        deadline = time.monotonic() + PATIENCE
        while not self.is_healthy():
            assert self.process.poll() is None, f"the server ended:\n{self.said()}"
            assert time.monotonic() < deadline, f"the server does not answer:\n{self.said()}"
            time.sleep(0.05)

    def is_healthy(self) -> bool:
        """Whether it answers ``/health`` with 200 now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        return False

    def kill(self) -> None:
        """SIGKILL to the server alone; its worker notices and ends by itself. Without a server: nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def kill_all(self) -> None:
        """SIGKILL to the server and its worker in one instant. Without a server: nothing."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM; the exit code after the drain."""
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        code = self.process.wait(PATIENCE)
        self._process = None
        return code

    def pause(self) -> None:
        """SIGSTOP: connections stay and nothing is answered, until ``resume``."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def said(self) -> str:
        """All that every run has written to its output."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def file(self, name: str) -> Path:
        """Where a file with a client's name is when it is published."""
        return self.data / "files" / name


@contextlib.contextmanager
def real_server(data: Path, **settings: Any) -> Iterator[RealServer]:
    """A running server that is gone, with its worker, when the block ends."""
    server = RealServer(data, **settings)
    try:
        server.start()
        yield server
    finally:
        server.kill_all()


def _flags(settings: dict[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield f"--{flag}={value}"
