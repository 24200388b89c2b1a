"""Wakes the workers of this host at once; whoever misses it still polls."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".sock"


class Bell:
    """One listening worker's datagram socket, in a directory that ``ring`` looks into.

    ``open`` and ``close`` touch the file system: call them in a thread. The rest belongs to the
    event loop.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name + _SUFFIX
        self._socket: socket.socket | None = None
        self._heard = asyncio.Event()

    def open(self) -> None:
        """Make the socket. Raises ``OSError``."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        here = _open_folder(self._folder)
        bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            bell.setblocking(False)
            # Bound under a name that `ring` skips: between making the file and listening on it
            # the kernel refuses datagrams, and `ring` unlinks whatever refuses.
            bell.bind(_reachable(here, "." + self._name))
            os.rename("." + self._name, self._name, src_dir_fd=here, dst_dir_fd=here)
        except OSError:
            bell.close()
            raise
        finally:
            os.close(here)
        self._socket = bell

    def close(self) -> None:
        """Remove the socket. Missing is not an error."""
        if self._socket is not None:
            # The name goes first: a bell that refuses is taken for that of a dead worker.
            (self._folder / self._name).unlink(missing_ok=True)
            self._socket.close()
            self._socket = None

    def attach(self) -> None:
        """Begin to listen, on the running event loop; without a socket there is nothing to hear."""
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._ring)

    def detach(self) -> None:
        """Stop listening."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def clear(self) -> None:
        """Forget rings so far: call it before looking at what there is to do."""
        self._heard.clear()

    async def wait(self, seconds: float) -> None:
        """Return after a ring, or after ``seconds``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._heard.wait()

    def _ring(self) -> None:
        self._heard.set()
        if self._socket is not None:
            with contextlib.suppress(BlockingIOError):
                while self._socket.recv(16):
                    pass


def ring(folder: Path) -> list[str]:
    """Wake whoever has a bell in ``folder``; the names of workers that died, whose bells are removed. Never waits."""
    return _visit(folder, _send)


def died(folder: Path) -> list[str]:
    """The names of workers that died, whose bells are removed; nobody is woken."""
    return _visit(folder, socket.socket.connect)


def _visit(folder: Path, touch: Callable[[socket.socket, str], object]) -> list[str]:
    try:
        here = _open_folder(folder)
    except FileNotFoundError:
        return []
    try:
        bells = [name for name in os.listdir(here) if name.endswith(_SUFFIX) and not name.startswith(".")]
        return [name.removesuffix(_SUFFIX) for name in bells if _is_dead(here, name, touch)]
    finally:
        os.close(here)


def _is_dead(here: int, name: str, touch: Callable[[socket.socket, str], object]) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as visitor:
        visitor.setblocking(False)
        try:
            touch(visitor, _reachable(here, name))
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=here)
            return True
        except OSError:
            # Full: it is awake already. Anything else: polling finds the work.
            return False
    return False


def _send(visitor: socket.socket, address: str) -> None:
    visitor.sendto(b"!", address)


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _reachable(folder: int, name: str) -> str:
    """A path short enough for a socket address (108 bytes), however deep the folder lies."""
    return f"/proc/self/fd/{folder}/{name}"
