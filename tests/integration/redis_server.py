"""A real Redis for tests: started on a free loopback port with a directory of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path


class RedisServer:
    """One redis-server process. ``url`` stays the same over ``kill`` and ``start``.

    Nothing is persisted: a killed server comes back empty.
    """

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("redis-server")
        assert binary is not None, "these tests need redis-server in PATH (Debian: apt-get install redis-server)"
        self._binary = binary
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = self._folder / "redis.log"
        self._process = subprocess.Popen(
            [
                *(self._binary, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "no", "--logfile", str(log)),
            ]
        )
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                assert self.command("PING").startswith(b"+PONG")
                return
            assert self._process.poll() is None, f"redis-server ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: everything in it is lost, every connection breaks. Without a server: nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def flush(self) -> None:
        """Lose everything, connections stay."""
        self.command("FLUSHALL")

    def command(self, *words: str | bytes) -> bytes:
        """Send one command over a connection of its own; the first 64 KiB of the raw reply."""
        encoded = [word.encode() if isinstance(word, str) else word for word in words]
        request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in encoded)
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            return connection.recv(65536)


@contextlib.contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A running Redis that is gone, with its directory, when the block ends."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
