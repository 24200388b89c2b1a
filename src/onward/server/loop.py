"""The event loop of a server: asyncio's own, which takes in a few sockets at a time."""

from __future__ import annotations

import asyncio
import os
import select
from selectors import EVENT_READ, EVENT_WRITE, EpollSelector, SelectorKey
from typing import Any, Final, Protocol

TOGETHER: Final = 16
"""Sockets that are looked after before everybody else gets their turn."""


class HasFileno(Protocol):
    """What can be watched, beside bare descriptors."""

    def fileno(self) -> int:
        """Its descriptor."""


class FewAtATime(EpollSelector):
    """Tells of at most ``most`` files at a time; of the others next time, those that have waited longest first.

    asyncio runs the callbacks of all files it is told of before any task that they wake. While dozens
    of bodies come at full speed, that would fill every buffer before the first one is worked on, and
    let whoever asks a short question wait for all of them.
    """

    def __init__(self, most: int = TOGETHER) -> None:
        super().__init__()
        self._most = most
        self._poller = select.epoll.fromfd(os.dup(self.fileno()))
        self._keys: dict[int, SelectorKey] = {}

    def register(self, fileobj: int | HasFileno, events: int, data: Any = None) -> SelectorKey:  # noqa: ANN401, as it is there
        """As the standard selector."""
        key = super().register(fileobj, events, data)
        self._keys[key.fd] = key
        return key

    def modify(self, fileobj: int | HasFileno, events: int, data: Any = None) -> SelectorKey:  # noqa: ANN401, as it is there
        """As the standard selector."""
        key = super().modify(fileobj, events, data)
        self._keys[key.fd] = key
        return key

    def unregister(self, fileobj: int | HasFileno) -> SelectorKey:
        """As the standard selector."""
        key = super().unregister(fileobj)
        del self._keys[key.fd]
        return key

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """As the standard selector, rounding the timeout up to milliseconds as it does."""
        wait = -1.0 if timeout is None else max(0.0, -(-timeout * 1000 // 1) / 1000)
        try:
            found = self._poller.poll(wait, self._most)
        except InterruptedError:
            return []
        ready = []
        for fd, event in found:
            key = self._keys.get(fd)
            if key is not None:
                events = (event & ~select.EPOLLIN and EVENT_WRITE) | (event & ~select.EPOLLOUT and EVENT_READ)
                ready.append((key, events & key.events))
        return ready

    def close(self) -> None:
        """Close both descriptors."""
        self._poller.close()
        super().close()


def make() -> asyncio.AbstractEventLoop:
    """A new loop."""
    return asyncio.SelectorEventLoop(FewAtATime())
