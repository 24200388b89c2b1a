"""Asking holders in other processes of this host to leave, by datagrams between unix sockets.

Every process has one socket in a shared directory. A message names an upload and a span; it is
a request and may be lost, so whoever waits repeats it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from onward.core.types import UploadId
from onward.locks.file.spanfile import make_private
from onward.ports import LAST_KEY, Span

log = logging.getLogger(__name__)

_MESSAGE: Final = re.compile(rb"([0-9a-z]{26,43}) (0|[1-9][0-9]{0,18}) ([1-9][0-9]{0,18})")
_SOCKET_NAME: Final = re.compile(r"[0-9]+-[0-9a-f]+\.sock", re.ASCII)
_LONGEST: Final = 128
"""Bytes read of a datagram; more than any message has, so that a cut one is never taken for whole."""
_AT_ONCE: Final = 64
"""Datagrams handled before the event loop gets its turn again."""

Heard = Callable[[UploadId, Span], None]


def parse(message: bytes) -> tuple[UploadId, Span] | None:
    """What a datagram asks for; ``None`` for anything that is not exactly a message."""
    match = _MESSAGE.fullmatch(message)
    if match is None:
        return None
    start, stop = int(match[2]), int(match[3])
    if not start < stop <= LAST_KEY:
        return None
    return UploadId(match[1].decode("ascii")), (start, stop)


class Bell:
    """One process's socket, and the way to everybody else's.

    Where no such socket can be made it says so once in the log; ``ring`` then reaches nobody
    and others cannot reach this process, which costs hand-over, never exclusion.
    """

    def __init__(self, directory: Path, heard: Heard, random_bytes: Callable[[int], bytes]) -> None:
        self._directory = directory
        self._heard = heard
        self._name = f"{os.getpid()}-{random_bytes(8).hex()}.sock"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._socket: socket.socket | None = None
        self._directory_fd = -1

    def listen(self) -> None:
        """Listen from now on, on the running event loop; does nothing if it was called before."""
        if self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        try:
            self._socket = self._bind()
        except OSError as error:
            log.warning("Uploads held by another process of this host cannot be asked back: %s", error)
            self._close_directory()
            return
        self._loop.add_reader(self._socket, self._read)

    def ring(self, id: UploadId, span: Span) -> None:
        """Ask all other processes for a span, without waiting and without knowing who has heard it."""
        if self._socket is None:
            return
        message = b"%s %d %d" % (id.encode("ascii"), *span)
        try:
            names = os.listdir(self._directory)
        except OSError as error:
            log.warning("Other processes cannot be asked for an upload: %s", error)
            return
        for name in names:
            if name != self._name and _SOCKET_NAME.fullmatch(name):
                self._send(self._socket, name, message)

    def close(self) -> None:
        """Take the socket away."""
        if self._socket is not None:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            with suppress(FileNotFoundError):
                (self._directory / self._name).unlink()
        self._close_directory()

    def _bind(self) -> socket.socket:
        make_private(self._directory.parent)
        make_private(self._directory)
        self._directory_fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        # The name is there a moment before the socket answers to it, and a caller takes a socket
        # that does not answer for a dead one: it gets the name that is looked for only afterwards.
        unready = self._name + ".new"
        try:
            made.bind(self._address(unready))
            os.rename(self._directory / unready, self._directory / self._name)
        except BaseException:
            made.close()
            raise
        return made

    def _address(self, name: str) -> str:
        """A path to a socket that is short however long that of the directory is (108 bytes at most)."""
        short = f"/proc/self/fd/{self._directory_fd}"
        return f"{short if os.path.isdir(short) else self._directory}/{name}"

    def _send(self, mine: socket.socket, name: str, message: bytes) -> None:
        try:
            mine.sendto(message, self._address(name))
        except ConnectionRefusedError:
            # Nobody has it open: its process is dead, and names are never used twice.
            with suppress(FileNotFoundError):
                (self._directory / name).unlink()
        except (BlockingIOError, FileNotFoundError):
            # Full, so it hears others now and us the next time; or closed this moment.
            log.debug("A process did not take a request to leave")
        except OSError as error:
            log.warning("Another process cannot be asked for an upload: %s", error)

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            if self._socket is None:
                return
            try:
                message = self._socket.recv(_LONGEST)
            except BlockingIOError:
                return
            request = parse(message)
            if request is None:
                log.warning("A message of %d bytes that is none of ours was ignored", len(message))
            else:
                self._heard(*request)

    def _close_directory(self) -> None:
        if self._directory_fd >= 0:
            os.close(self._directory_fd)
            self._directory_fd = -1
