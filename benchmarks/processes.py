"""Servers that are started for a measurement, and what their processes take."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.wire import HOST, free_port

PATIENCE: Final = 300.0
"""Seconds after which something that does not come is taken to be stuck."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """A running process, looked at from outside."""

    pid: int

    @property
    def peak_memory(self) -> int:
        """The most bytes of memory that it has had resident since it started."""
        return self._status("VmHWM:")

    @property
    def memory(self) -> int:
        """The bytes of memory that it has resident now."""
        return self._status("VmRSS:")

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used, in the kernel too."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def command(self) -> list[str]:
        """What it was started as."""
        return Path(f"/proc/{self.pid}/cmdline").read_text(encoding="utf-8").split("\0")

    @property
    def children(self) -> list[Process]:
        """Processes that it has started and that are there."""
        found: list[Process] = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            found += [Process(int(pid)) for pid in (task / "children").read_text(encoding="utf-8").split()]
        return found

    def _status(self, what: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(what):
                return int(line.split()[1]) * 1024
        raise LookupError(f"process {self.pid} has no memory")


class Started:
    """A server from its start until ``stop``. Its log is beside its data."""

    def __init__(self, command: Sequence[str], data: Path, port: int) -> None:
        self.port = port
        self.data = data
        self._log = data.parent / f"{data.name}.log"
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
        with self._log.open("ab") as log:
            self.began = time.perf_counter()
            self._process = subprocess.Popen(
                command, cwd=data.parent, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.server = Process(self._process.pid)

    @property
    def serving(self) -> list[Process]:
        """The processes that answer requests."""
        return [self.server, *self.server.children]

    @property
    def cpu(self) -> float:
        """Seconds of processor time of all that answer requests."""
        return sum(process.cpu for process in self.serving)

    @property
    def peak_memory(self) -> int:
        """The most bytes that they had resident, one by one."""
        return sum(process.peak_memory for process in self.serving)

    def wait_for_port(self) -> None:
        """Wait until somebody listens."""
        while True:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port)):
                return
            self._check("listen")

    def wait_for(self, path: str) -> float:
        """Wait until ``path`` is answered with 200; seconds since the server was started."""
        while not self._answers(path):
            self._check(f"answer {path}")
        return time.perf_counter() - self.began

    def stop(self) -> None:
        """End it, gently if that works."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait()

    def _check(self, what: str) -> None:
        if self._process.poll() is not None or time.perf_counter() - self.began > PATIENCE:
            raise RuntimeError(f"the server does not {what}:\n{self._log.read_text(errors='replace')}")
        time.sleep(0.01)

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=PATIENCE)
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.request("GET", path)
            return connection.getresponse().status == 200
        return False


class Served(Started):
    """One ``onward serve`` over ``data``."""

    def __init__(
        self,
        data: Path,
        *,
        python: Sequence[str] = (sys.executable,),
        **settings: Any,  # noqa: ANN401 - any setting has its own type
    ) -> None:
        port = free_port()
        command = [*python, "-m", "onward", "serve", "--data", str(data), "--port", str(port)]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        super().__init__(command, data, port)
        self.files = data / "files"

    @property
    def serving(self) -> list[Process]:
        return [self.server, *(child for child in self.server.children if "worker" not in child.command)]

    @property
    def worker(self) -> Process:
        """The worker beside the server."""
        return next(child for child in self.server.children if "worker" in child.command)

    def wait_for_all(self) -> None:
        """Wait until the server and its worker are there."""
        self.wait_for("/ready")
        while not any("worker" in child.command for child in self.server.children):
            self._check("start its worker")


@contextlib.contextmanager
def serving(data: Path, **settings: Any) -> Iterator[Served]:  # noqa: ANN401 - any setting has its own type
    """A server with its worker, both ready, gone when the block ends."""
    served = Served(data, **settings)
    try:
        served.wait_for_all()
        yield served
    finally:
        served.stop()
