"""A real ``onward serve`` with its worker, and what its processes take."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.wire import free_port

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
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise LookupError(f"process {self.pid} has no memory")

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used, in the kernel too."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    @property
    def children(self) -> list[Process]:
        """Processes that it has started and that are there."""
        found: list[Process] = []
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            found += [Process(int(pid)) for pid in (task / "children").read_text(encoding="utf-8").split()]
        return found


class Served:
    """One ``onward serve`` over ``data``, from its start until ``stop``. Its log is beside the data."""

    def __init__(self, data: Path, **settings: Any) -> None:  # noqa: ANN401 - any setting has its own type
        self.port = free_port()
        self.files = data / "files"
        self._log = data.parent / f"{data.name}.log"
        command = [sys.executable, "-m", "onward", "serve", "--data", str(data), "--port", str(self.port)]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
        with self._log.open("ab") as log:
            self.began = time.perf_counter()
            self._process = subprocess.Popen(
                command, cwd=data.parent, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.server = Process(self._process.pid)

    @property
    def worker(self) -> Process:
        """The worker beside the server."""
        return self.server.children[0]

    def wait_for(self, path: str) -> float:
        """Wait until ``path`` is answered with 200; seconds since the server was started."""
        while not self._answers(path):
            if self._process.poll() is not None or time.perf_counter() - self.began > PATIENCE:
                raise RuntimeError(f"the server does not answer {path}:\n{self._log.read_text(errors='replace')}")
            time.sleep(0.01)
        return time.perf_counter() - self.began

    def stop(self) -> None:
        """End it, gently if that works."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection), contextlib.suppress(ConnectionError):
            connection.request("GET", path)
            return connection.getresponse().status == 200
        return False


@contextlib.contextmanager
def serving(data: Path, **settings: Any) -> Iterator[Served]:  # noqa: ANN401 - any setting has its own type
    """A server with its worker, both ready, gone when the block ends."""
    served = Served(data, **settings)
    try:
        served.wait_for("/ready")
        while not served.server.children:
            time.sleep(0.01)
        yield served
    finally:
        served.stop()
