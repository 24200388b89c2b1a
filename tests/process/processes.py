"""Processes of a test: who belongs to a server, how they are stopped, and that they are gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import psutil  # type: ignore[import-untyped]  # ships no types

from tests.integration.real_server import RealServer

PATIENCE: Final = 60.0
"""Seconds after which a test is stuck; nothing is judged by it."""


def until(condition: Callable[[], Any], what: str, *, patience: float = PATIENCE) -> Any:
    """Wait for ``condition`` and return what it returned."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.01)
    return found


def children(server: RealServer) -> list[psutil.Process]:
    """The processes that a running server has started."""
    found: list[psutil.Process] = psutil.Process(server.process.pid).children(recursive=True)
    return found


def worker_of(server: RealServer) -> psutil.Process:
    """The worker beside a running server, once there is one."""
    return until(lambda: [child for child in children(server) if is_alive(child)], "no worker beside the server")[0]


def is_alive(process: psutil.Process) -> bool:
    """Whether it still runs: a dead child that nobody has waited for does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def are_gone(processes: Sequence[psutil.Process]) -> None:
    """Wait until none of them is left; a worker outlives a killed server by a second or two."""
    until(lambda: not any(map(is_alive, processes)), f"processes left behind: {processes}", patience=20)


def freeze(processes: Sequence[psutil.Process]) -> None:
    """SIGSTOP, and wait until all of them stand still: none is inside a system call then."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    for process in processes:
        until(partial(_stands_still, process.pid), "a process does not stop")


def _stands_still(pid: int) -> bool:
    """True if every thread of the process is stopped; one in the middle of a system call first ends that."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        if state not in {"T", "t"}:
            return False
    return True


def kill(processes: Sequence[psutil.Process]) -> None:
    """SIGKILL; those that are gone are fine."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@contextlib.contextmanager
def workers(data: Path, count: int, **settings: Any) -> Iterator[list[psutil.Process]]:
    """``onward worker`` processes of their own over ``data``, all gone when the block ends."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ONWARD_")}
    environ |= {f"ONWARD_{name.upper()}": str(value) for name, value in settings.items()}
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(count):
            with (data.parent / f"worker-{number}.log").open("ab") as log:
                command = [sys.executable, "-m", "onward", "worker", "--data", str(data)]
                started.append(subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait(PATIENCE)


def worker_logs(data: Path) -> str:
    """What the workers beside ``data`` have written."""
    return "".join(path.read_text(errors="replace") for path in sorted(data.parent.glob("worker-*.log")))
