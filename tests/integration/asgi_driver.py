"""Drives an ASGI application as a server does: pieces of any size, a client that leaves, requests side by side.

The usual test clients join a body's pieces to one, and none of them can leave in the middle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import msgspec
from litestar import Litestar

from onward.config import Settings
from onward.core.types import UploadId
from onward.engine.engine import Engine
from onward.hooks.none import NoHooks
from onward.journal.memory import MemoryJournal
from onward.locks.memory import MemoryLocks
from onward.ports import Hooks
from onward.storage.memory import MemoryStorage

App = Callable[[Any, Any, Any], Awaitable[None]]
Body = bytes | Sequence[bytes]


class Answer(msgspec.Struct):
    """What the application sent."""

    status: int = 0
    raw_headers: Sequence[tuple[bytes, bytes]] = ()
    body: bytes = b""
    taken: int = 0
    """Bytes of the request that the application asked for."""

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.raw_headers}

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem."""
        is_problem = self.headers.get("content-type") == "application/problem+json"
        return cast("str", self.json()["code"]) if is_problem else None


class Line:
    """One request on its way; what the application sends can be watched while it is being sent."""

    def __init__(
        self, app: App, scope: Mapping[str, Any], pieces: Sequence[bytes], *, gone: bool, pause: float
    ) -> None:
        self._app = app
        self._scope = scope
        self._pieces = deque(pieces)
        self._gone = gone
        self._pause = pause
        self._left = anyio.Event()
        self._news = anyio.Event()
        self.answer = Answer()

    def leave(self) -> None:
        """The client closes the connection."""
        self._left.set()

    async def run(self) -> Answer:
        """Until the application returns."""
        await self._app(dict(self._scope), self._receive, self._send)
        self._news.set()
        return self.answer

    async def wait_for(self, text: bytes) -> bytes:
        """Until ``text`` has been sent; the body so far."""
        with anyio.fail_after(20):
            while text not in self.answer.body:
                news = self._news
                await news.wait()
        return self.answer.body

    async def _receive(self) -> dict[str, Any]:
        await anyio.sleep(self._pause)
        if self._pieces:
            piece = self._pieces.popleft()
            self.answer.taken += len(piece)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or self._gone}
        if not self._gone:
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.raw_headers = list(message["headers"])
        else:
            self.answer.body += message.get("body", b"")
            if not message.get("more_body", False):
                self._left.set()
        news, self._news = self._news, anyio.Event()
        news.set()
        await anyio.lowlevel.checkpoint()


class Driver:
    """Sends requests to an application whose lifespan runs."""

    def __init__(self, app: Any) -> None:
        self.app: App = app

    def line(
        self,
        method: str,
        path: str,
        body: Body = b"",
        headers: Mapping[str, str] | None = None,
        *,
        gone: bool = False,
        pause: float = 0.0,
        **scope: Any,
    ) -> Line:
        """A request that is not under way yet. ``path`` is percent-encoded, as on the wire.

        ``gone``: the client leaves after the last piece, before the body is whole.
        """
        pieces = [body] if isinstance(body, bytes) else list(body)
        raw, _, query = path.partition("?")
        given = {name.lower(): value for name, value in (headers or {}).items()}
        size = sum(map(len, pieces))
        if size and "content-length" not in given and "transfer-encoding" not in given:
            given["content-length"] = str(size + gone)
        base = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(raw),
            "raw_path": raw.encode("ascii"),
            "query_string": query.encode("ascii"),
            "root_path": "",
            "headers": [(b"host", b"up.test"), *((n.encode(), v.encode("latin-1")) for n, v in given.items())],
            "client": ("192.0.2.7", 50000),
            "server": ("192.0.2.1", 80),
            "extensions": {},
        }
        return Line(self.app, base | scope, pieces, gone=gone, pause=pause)

    async def send(
        self, method: str, path: str, body: Body = b"", headers: Mapping[str, str] | None = None, **rest: Any
    ) -> Answer:
        """One request and its answer."""
        with anyio.fail_after(30):
            return await self.line(method, path, body, headers, **rest).run()

    @asynccontextmanager
    async def watching(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> AsyncIterator[Line]:
        """A request whose answer is watched while it streams; the client leaves at the end."""
        line = self.line(method, path, b"", headers, **rest)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(line.run)
            yield line
            line.leave()


class NotedJobs:
    """A queue that only notes what it was asked to do."""

    def __init__(self) -> None:
        self.asked: list[UploadId] = []
        self.fault: Exception | None = None

    async def finish_later(self, id: UploadId) -> None:
        self.asked.append(id)

    def finish_soon(self, id: UploadId) -> None:
        self.asked.append(id)

    async def check(self) -> None:
        if self.fault is not None:
            raise self.fault


@asynccontextmanager
async def memory_engine(settings: Settings, hooks: Hooks | None = None) -> AsyncIterator[Engine]:
    """An engine that keeps everything in memory."""
    journal = MemoryJournal()
    engine = Engine(
        storage=MemoryStorage(),
        journal=journal,
        catalog=journal,
        locks=MemoryLocks(),
        hooks=hooks or NoHooks(),
        jobs=NotedJobs(),
        limits=settings.limits,
        rules=settings.rules,
    )
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[Driver]:
    """A driver for ``app`` while its lifespan runs."""
    async with app.lifespan():
        yield Driver(app)
