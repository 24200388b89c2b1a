"""`onward put` as tests run it: in this process or in one of its own, over a network that may be bad."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from onward.put.backoff import Backoff
from onward.put.command import Report
from onward.put.progress import Board
from onward.put.run import Job, Plan, Told, run
from onward.testing.chaos import ChaosProxy, Forecast
from tests.integration.real_server import RealServer

MIB: Final = 1 << 20
HASTY: Final = Backoff(first=0.05, most=0.5)
PATIENCE: Final = 60.0
"""Seconds after which a test is stuck; nothing is judged by it."""


def make(path: Path, size: int) -> bytes:
    """A file of random bytes, the same for the same path."""
    data = random.Random(str(path)).randbytes(size)
    path.write_bytes(data)
    return data


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Result(NamedTuple):
    """What became of the files, as the exit code and `--json` tell it."""

    code: int
    told: list[Told]

    @property
    def one(self) -> Told:
        assert len(self.told) == 1
        return self.told[0]


async def put(base: str, *paths: Path, name: str | None = None, **wanted: Any) -> Result:
    """Send files as the command does, in this process."""
    jobs = [Job(str(path), name or path.name, path.stat().st_size) for path in paths]
    chosen: dict[str, Any] = {
        "chunk_size": MIB,
        "parallel": 4,
        "give_up_after": PATIENCE,
        "retries": None,
        "backoff": HASTY,
    }
    plan = Plan(jobs=jobs, base=base, headers={}, **(chosen | {"wait": True} | wanted))
    report = Report(jobs, as_json=True, quiet=True)
    told: list[Told] = []

    def tell(one: Told) -> None:
        report.tell(one)
        told.append(one)

    async with asyncio.timeout(PATIENCE):
        await run(plan, Board(time.monotonic), tell)
    return Result(report.exit_code, told)


class Command:
    """`onward put` in a process of its own."""

    def __init__(self, cwd: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "onward", "put", *arguments]
        # Its output is small: no pipe fills up while nobody reads.
        self.process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def output(self) -> tuple[str, str]:
        """All that it printed, to standard output and standard error. Waits for its end."""
        try:
            return self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()

    async def end(self) -> tuple[int, str, str]:
        """Exit code, output and error output."""
        out, err = await asyncio.to_thread(self.output)
        return self.process.returncode, out, err


@contextlib.asynccontextmanager
async def through(
    server: RealServer, forecast: Forecast, path: str = "/upload"
) -> AsyncIterator[tuple[ChaosProxy, str]]:
    """A proxy with that weather before the server, and where the API is behind it."""
    async with ChaosProxy(server.port, forecast).running() as proxy:
        yield proxy, f"http://127.0.0.1:{proxy.port}{path}"
