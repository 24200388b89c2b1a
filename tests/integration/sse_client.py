"""A client of server-sent events that keeps what comes, and reads on until the stream or the server ends."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import httpx
import msgspec

from tests.integration.serving import PATIENCE, until

_EVENT: Final = re.compile(rb"id: (\d+)\nevent: ([a-z-]+)\ndata: (.*)\n\n")


class Event(NamedTuple):
    """One event as it came."""

    seq: int
    name: str
    data: Any


def events_in(body: bytes) -> list[Event]:
    return [Event(int(seq), name.decode(), msgspec.json.decode(data)) for seq, name, data in _EVENT.findall(body)]


class Stream:
    """Listens from the beginning of the block to its end."""

    def __init__(self, url: str, last: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._headers = dict(headers or {}) | ({} if last is None else {"Last-Event-ID": str(last)})
        self._client = httpx.Client(timeout=PATIENCE)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._socket: socket.socket | None = None
        self.status = 0
        self.body = b""
        self.whole = False
        """The server has ended the stream in order."""

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self.status or not self._thread.is_alive())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the server was quicker
                self._socket.shutdown(socket.SHUT_RDWR)  # a mere close would not wake the thread
        self._thread.join(PATIENCE)
        self._client.close()

    @property
    def events(self) -> list[Event]:
        return events_in(self.body)

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def wait_for(self, name: str, count: int = 1) -> Event:
        """The ``count``-th event of this name."""

        def came() -> Event | None:
            found = [event for event in self.events if event.name == name]
            return found[count - 1] if len(found) >= count else None

        event: Event = until(came)
        return event

    def _listen(self) -> None:
        try:
            with self._client.stream("GET", self._url, headers=self._headers) as response:
                self._socket = response.extensions["network_stream"].get_extra_info("socket")
                self.status = response.status_code
                for piece in response.iter_raw():
                    self.body += piece
                self.whole = True
        except httpx.TransportError:
            self.whole = False  # the server was killed, or the block has ended
