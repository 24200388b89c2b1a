"""The child processes' side: serve on a socket that was handed down, and leave when the parent has gone."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
import time
from typing import Final

from uvicorn._types import ASGIApplication

from onward import config
from onward.server.limits import ServerConfig
from onward.server.server import Server
from onward.server.turns import Counts, SharedListener

APP: Final = "onward.app:app"
ORPHAN_GRACE: Final = 1.0
"""Seconds that an orphan gets to end its requests or its work."""


def run_child(settings: config.Settings, fd: int, counts: Counts, *, app: ASGIApplication | str = APP) -> int:
    """Serve on the listening socket ``fd``, which is shared, until SIGTERM; the process's exit code."""
    set_up_logging(settings.log_level)
    server = Server(ServerConfig(app, settings), hasty=False)
    listener = SharedListener(fd, counts, lambda: len(server.server_state.connections))
    return run_until_drained(server, listener)


def run_until_drained(server: Server, listener: socket.socket) -> int:
    """Run the server on this socket: 0 when it has drained, uvicorn's code when the app could not start."""
    try:
        server.run(sockets=[listener])
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def watch_parent(fd: int) -> None:
    """End this process soon after its parent has gone, however the parent ended.

    ``fd`` is the reading end of a pipe whose only writing end is the parent's. When it closes,
    this process gets SIGTERM, and is ended for good ``ORPHAN_GRACE`` seconds later.
    """
    threading.Thread(target=_wait_for_end, args=(fd,), name="parent-watch", daemon=True).start()


def _wait_for_end(fd: int) -> None:
    while os.read(fd, 64):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_GRACE)
    os._exit(1)


def set_up_logging(level: str) -> None:
    """Send log lines to standard error, unless the process has set up logging already."""
    logging.basicConfig(level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if level != "debug":
        logging.getLogger("taskiq").setLevel(logging.WARNING)
        # Each start and stop of a process is announced in our own words.
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def main(arguments: list[str]) -> int:
    """What ``python -m onward.server.child`` runs; started by the supervisor only."""
    parser = argparse.ArgumentParser(prog="onward.server.child")
    parser.add_argument("--listen-fd", type=int, required=True)
    parser.add_argument("--parent-fd", type=int, required=True)
    parser.add_argument("--counts-fd", type=int, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--app", default=APP)
    options = parser.parse_args(arguments)
    watch_parent(options.parent_fd)
    counts = Counts(options.counts_fd, options.number)
    return run_child(config.load(dotenv=None), options.listen_fd, counts, app=options.app)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
