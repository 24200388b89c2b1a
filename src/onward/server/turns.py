"""Several processes on one listening socket: whose turn it is to take the next connection."""

from __future__ import annotations

import errno
import mmap
import os
import socket
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any, Final

GIVE_WAY: Final = 0.002
"""Seconds that a process with more connections than another leaves the next one to it."""
_SLOT: Final = 4


class Counts:
    """How many connections each process of a family has, told to all by memory that they share.

    Made from an open file, which ``shared_by`` makes once for the whole family; its descriptor is
    handed down. A number is as old as the last connection that was offered to its process.
    """

    def __init__(self, fd: int, mine: int) -> None:
        """``mine``: the number of this process in its family, from 0."""
        self._all = memoryview(mmap.mmap(fd, 0)).cast("I")
        self._mine = mine

    @staticmethod
    def shared_by(processes: int) -> IO[bytes]:
        """The file behind the numbers of so many processes; it has no name and goes with its last descriptor."""
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller's to close
        file.truncate(processes * _SLOT)
        return file

    def tell(self, connections: int) -> None:
        """This process has so many."""
        self._all[self._mine] = connections

    def has_fewer(self) -> bool:
        """True if another process has fewer than this one."""
        return min(self._all) < self._all[self._mine]


class SharedListener(socket.socket):
    """A listening socket of which each process takes its share.

    An event loop takes all connections that wait, and all processes wake for each: whichever is
    quickest would have most of them for as long as they last, while others have nothing to do. So a
    process takes one at a time, and gives way for a moment while another has fewer.
    """

    def __init__(
        self,
        fd: int,
        counts: Counts,
        connections: Callable[[], int],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``connections``: how many this process has now."""
        super().__init__(fileno=fd)
        self._counts = counts
        self._connections = connections
        self._clock = clock
        self._took = False
        self._gave_way: float | None = None
        counts.tell(0)

    def accept(self) -> tuple[socket.socket, Any]:
        """As the standard socket's; ``BlockingIOError`` also when the next one is not for this process yet."""
        if self._took:
            self._took = False
            raise _nobody()
        self._counts.tell(self._connections())
        if self._counts.has_fewer() and self._has_patience():
            raise _nobody()
        self._gave_way = None
        accepted = super().accept()
        self._took = True
        self._counts.tell(self._connections() + 1)  # the loop makes the connection only in its next turn
        return accepted

    def _has_patience(self) -> bool:
        now = self._clock()
        if self._gave_way is None:
            self._gave_way = now
        return now - self._gave_way < GIVE_WAY


def _nobody() -> BlockingIOError:
    return BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
