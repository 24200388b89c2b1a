"""Interim responses (1xx), where the server can send them and the client can read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, cast

import anyio

EXTENSION: Final = "http.response.informational"
"""ASGI has no way to send an interim response: a server that can puts a function here, which takes
a status and headers and may be called until the response starts."""

EVERY: Final = 1.0
"""Seconds between two words of progress."""

RESUMPTION_SUPPORTED: Final = 104

_PROXIED: Final = frozenset({"via", "forwarded"})
"""Beside ``X-Forwarded-*``: headers of a request that came through a proxy."""

Send = Callable[[int, Iterable[tuple[bytes, bytes]]], Awaitable[None]]


class Interim:
    """What one request may be told before its response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._next = 0.0
        self.began = False
        """Something was sent already."""

    @classmethod
    def of(cls, scope: Mapping[str, Any], headers: Mapping[str, str], policy: str) -> Interim | None:
        """``None`` where the server cannot, the policy forbids, or a proxy stands between that may break on it."""
        offered = cast("Send | None", (scope.get("extensions") or {}).get(EXTENSION))
        if offered is None or policy == "never" or scope.get("http_version") == "1.0":
            return None
        if policy == "auto" and any(name in _PROXIED or name.startswith("x-forwarded-") for name in headers):
            return None
        return cls(offered)

    async def send(self, headers: Mapping[str, str], *, urgent: bool = False) -> None:
        """Send a 104; progress at most once a second."""
        now = anyio.current_time()
        self.began = True
        if not urgent and now < self._next:
            return
        self._next = now + EVERY
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send(RESUMPTION_SUPPORTED, raw)
