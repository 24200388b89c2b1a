"""`onward serve`: the listening socket, the server or servers on it, and the worker beside them."""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Final

from uvicorn._types import ASGIApplication

from onward.config import PREFIX, Settings, SettingsError, environment
from onward.server.child import APP, run_until_drained, set_up_logging
from onward.server.limits import ServerConfig
from onward.server.listener import listen, url_of
from onward.server.offspring import Offspring
from onward.server.server import CANCEL_GRACE, Server
from onward.server.turns import Counts

WORKER: Final = (sys.executable, "-m", "onward", "worker")
WORKER_NICENESS: Final = 10
"""Requests go before merging."""
STOP_MARGIN: Final = CANCEL_GRACE + 2.0
"""Seconds beyond the drain after which a child that is still there is killed."""


def run_server(settings: Settings, *, app: str | ASGIApplication = APP, worker: Sequence[str] = WORKER) -> int:
    """Serve until SIGTERM or SIGINT; the process's exit code, 0 when everything drained.

    Prints where it listens and where the data is. With ``settings.worker`` the command ``worker``
    runs beside it, with ``--parent-fd N`` appended (see ``watch_parent``). With ``settings.workers``
    above 1, ``app`` must be an import string. Children are started again when they die, and end
    with this process even if it is killed. A second signal ends everything at once.
    """
    set_up_logging(settings.log_level)
    try:
        listener = listen(settings)
    except SettingsError as error:
        print(f"onward: {error.detail}", file=sys.stderr, flush=True)  # noqa: T201  # the refusal itself
        return 2
    alive_until_closed, held = os.pipe()
    try:
        return _Family(settings, listener, alive_until_closed).run(app, worker)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    finally:
        listener.close()
        os.close(held)
        os.close(alive_until_closed)


class _Family:
    """The processes of one `onward serve`."""

    def __init__(self, settings: Settings, listener: socket.socket, parent_fd: int) -> None:
        self._settings = settings
        self._listener = listener
        self._parent_fd = parent_fd
        self._children: list[Offspring] = []
        self._inbox: queue.SimpleQueue[int] = queue.SimpleQueue()
        """Exit codes that something gave reason for; ``put`` is safe inside a signal handler."""
        self._deadline: float | None = None

    def run(self, app: str | ASGIApplication, worker: Sequence[str]) -> int:
        if self._settings.worker:
            self._add("worker", worker, niceness=WORKER_NICENESS)
        if self._settings.workers == 1:
            return self._serve_here(app)
        if not isinstance(app, str):
            raise TypeError("several server processes need the app as an import string")
        return self._serve_in_children(app)

    def _add(self, name: str, command: Sequence[str], *, niceness: int = 0, fds: Sequence[int] = ()) -> None:
        """``fds``: what it serves on, where it is a server."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        child = Offspring(
            name,
            [*command, "--parent-fd", str(self._parent_fd)],
            environ=inherited | environment(self._settings),
            pass_fds=[self._parent_fd, *fds],
            niceness=niceness,
            on_hopeless=self._inbox.put if fds else None,
        )
        self._children.append(child)

    def _serve_here(self, app: str | ASGIApplication) -> int:
        def started() -> None:
            self._announce()
            for child in self._children:
                child.start()

        server = Server(ServerConfig(app, self._settings), on_started=started, on_stop=self._stop)
        code = run_until_drained(server, self._listener)
        self._stop()
        self._see_off()
        return code

    def _serve_in_children(self, app: str) -> int:
        for sig in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sig, self._heard)
        with Counts.shared_by(self._settings.workers) as counts:
            fds = (self._listener.fileno(), counts.fileno())
            command = [sys.executable, "-m", "onward.server.child", "--app", app]
            command += ["--listen-fd", str(fds[0]), "--counts-fd", str(fds[1])]
            for number in range(self._settings.workers):
                self._add(f"server {number + 1}", [*command, "--number", str(number)], fds=fds)
            for child in self._children:
                child.start()
            self._announce()
            reason = self._inbox.get()
        self._listener.close()
        self._stop()
        if not self._see_off():
            return self._inbox.get()
        return 0 if reason > 128 else reason

    def _heard(self, sig: int, frame: FrameType | None) -> None:
        self._inbox.put(128 + sig)

    def _stop(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._settings.drain + STOP_MARGIN
        for child in self._children:
            child.stop()

    def _see_off(self) -> bool:
        """Wait for the children's end and kill those that are late; ``False`` if a second signal cut this short."""
        waiting = [child for child in self._children if child.started]
        while waiting and time.monotonic() < (self._deadline or 0) and self._inbox.empty():
            waiting = [child for child in waiting if not child.join(0.05)]
        for child in waiting:
            child.kill()
            child.join(1.0)
        return self._inbox.empty()

    def _announce(self) -> None:
        place = self._settings.data.resolve()
        lines = f"Onward is listening on {url_of(self._listener)}\nUploads and files are in {place}"
        if self._settings.demo:
            lines += "\nDEMO: anybody who reaches it can make uploads fail on purpose; keep nothing here that matters"
        print(lines, flush=True)  # noqa: T201  # for the person at the terminal
