"""A child process that is started again when it dies."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from uvicorn.config import STARTUP_FAILURE

logger = logging.getLogger("onward.server")

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
STEADY_AFTER: Final = 60.0
"""Seconds after which a child counts as one that works: its next restart is quick again."""


class Offspring:
    """Keeps one command running until ``stop``; a thread of its own waits for the process.

    A child that dies is started again after a pause that doubles from half a second to 30 s. One
    that leaves, the first time, because the app cannot start is not tried again:
    ``on_hopeless(code)`` is called, from the thread.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        pass_fds: Sequence[int],
        niceness: int = 0,
        on_hopeless: Callable[[int], None] | None = None,
    ) -> None:
        self._name = name
        self._command = list(command)
        self._environ = dict(environ)
        self._fds = tuple(pass_fds)
        self._niceness = niceness
        self._on_hopeless = on_hopeless
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the command for the first time."""
        self._thread.start()

    def stop(self) -> None:
        """Send SIGTERM and start nothing any more. Repeated calls send nothing more."""
        with self._guard:
            if not self._stopping.is_set():
                self._stopping.set()
                if self._process is not None:
                    self._process.terminate()

    def kill(self) -> None:
        """End the process on the spot and start nothing any more."""
        with self._guard:
            self._stopping.set()
            if self._process is not None:
                self._process.kill()

    @property
    def started(self) -> bool:
        """Whether ``start`` was called."""
        return self._thread.ident is not None

    def join(self, seconds: float) -> bool:
        """Wait for the end after ``stop``; whether it came in time."""
        self._thread.join(max(seconds, 0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = FIRST_PAUSE
        first = True
        while (process := self._spawn()) is not None or not self._stopping.is_set():
            began = time.monotonic()
            code = process.wait() if process is not None else None
            if self._stopping.is_set():
                return
            if first and code == STARTUP_FAILURE and self._on_hopeless is not None:
                self._on_hopeless(code)
                return
            first = False
            if time.monotonic() - began >= STEADY_AFTER:
                pause = FIRST_PAUSE
            if process is not None:
                logger.warning("%s ended with %s; starting it again in %g s", self._name, code, pause)
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._guard:
            if self._stopping.is_set():
                return None
            try:
                # A group of its own: Ctrl-C in the terminal reaches the parent alone, which passes it on once.
                # But the same session: Linux shares processors out among sessions, whatever their niceness.
                self._process = subprocess.Popen(
                    self._command,
                    env=self._environ,
                    pass_fds=self._fds,
                    stdin=subprocess.DEVNULL,
                    process_group=0,
                )
            except OSError:
                logger.exception("%s cannot be started; trying again", self._name)
                return None
            if self._niceness:
                with contextlib.suppress(ProcessLookupError):
                    os.setpriority(os.PRIO_PROCESS, self._process.pid, self._niceness)
            return self._process
