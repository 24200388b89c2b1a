"""What the tables over ``/files`` are written in: requests one after the other, each with what must come back."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec
from litestar import Litestar

from onward.app import create_app
from onward.config import Settings
from onward.core.types import UploadId
from onward.engine.engine import Engine
from onward.web.plugin import OnwardConfig, OnwardPlugin
from tests.integration.asgi_driver import Answer, Driver, memory_engine, running

SETTINGS: Final = Settings(max_size=1000, max_chunk=100, min_free=0, segment=1 << 18)
BYTES: Final = "application/offset+octet-stream"
PARTIAL: Final = "application/partial-upload"
CHUNKED: Final = {"Transfer-Encoding": "chunked"}
TUS: Final = {"Tus-Resumable": "1.0.0"}

Headers = Mapping[str, str]

_NONE: Final[Headers] = MappingProxyType({})


class Step(NamedTuple):
    """One request and its answer. In ``path`` and headers ``@`` is the last upload, ``@1`` the first one.

    ``has``: headers of the answer; ``lacks``: those that must not be there. ``status`` 0: the client has left.
    """

    method: str
    path: str
    status: int
    headers: Headers = _NONE
    body: bytes | Sequence[bytes] = b""
    has: Headers = _NONE
    lacks: Sequence[str] = ()
    code: str | None = None
    gone: bool = False


class Row(NamedTuple):
    """What must hold, beginning with the ids of the requirements, and how that is seen."""

    name: str
    steps: Sequence[Step]


def tus(method: str, path: str, status: int, /, **more: Any) -> Step:
    """A request of a tus client."""
    return Step(method, path, status, **{**more, "headers": {**TUS, **more.get("headers", {})}})


def post(status: int = 201, /, **more: Any) -> Step:
    """A creation by a tus client, of 10 bytes unless it says so."""
    headers = more.pop("headers", {"Upload-Length": "10"})
    return tus("POST", "/files", status, headers=headers, **more)


def patch(offset: int | str, body: bytes | Sequence[bytes], status: int = 204, /, **more: Any) -> Step:
    """Bytes from a tus client for the last upload."""
    headers = {"Content-Type": BYTES, "Upload-Offset": str(offset), **more.pop("headers", {})}
    return tus("PATCH", more.pop("path", "@"), status, body=body, headers=headers, **more)


def stands(offset: int | str, /, path: str = "@", **more: Any) -> Step:
    """The last upload has that many bytes, a tus client is told."""
    return tus("HEAD", path, 200, has={"Upload-Offset": str(offset), **more.pop("has", {})}, **more)


def draft(method: str, path: str, status: int, /, *, version: int | None = 8, **more: Any) -> Step:
    """A request of a client of the draft."""
    spoken = {} if version is None else {"Upload-Draft-Interop-Version": str(version)}
    return Step(method, path, status, **{**more, "headers": {**spoken, **more.get("headers", {})}})


def begin(body: bytes | Sequence[bytes] = b"", /, *, status: int = 201, complete: str = "?0", **more: Any) -> Step:
    """A creation by a client of the draft."""
    headers = {"Upload-Complete": complete, **more.pop("headers", {})}
    return draft("POST", "/files", status, body=body, headers=headers, **more)


def append(
    offset: int, body: bytes | Sequence[bytes], status: int, /, *, complete: str | None = "?0", **more: Any
) -> Step:
    """Bytes from a client of the draft for the last upload."""
    said = {} if complete is None else {"Upload-Complete": complete}
    headers = {"Content-Type": PARTIAL, "Upload-Offset": str(offset), **said, **more.pop("headers", {})}
    return draft("PATCH", more.pop("path", "@"), status, body=body, headers=headers, **more)


def told(offset: int, /, *, complete: str = "?0", **more: Any) -> Step:
    """The last upload has that many bytes, a client of the draft is told."""
    has = {"Upload-Offset": str(offset), "Upload-Complete": complete, **more.pop("has", {})}
    return draft("HEAD", "@", 204, has=has, **more)


def digest(data: bytes) -> str:
    """A digest as ``Content-Digest`` and ``Repr-Digest`` have it."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def sha1(data: bytes) -> str:
    """A digest as ``Upload-Checksum`` has it."""
    return f"sha1 {base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()}"


class Room:
    """An application over memory backends, and the uploads that were begun in it."""

    def __init__(self, app: Litestar, driver: Driver) -> None:
        self.app = app
        self.driver = driver
        self.begun: list[str] = []

    @property
    def engine(self) -> Engine:
        """The application's."""
        return next(plugin for plugin in self.app.plugins if isinstance(plugin, OnwardPlugin)).site.engine

    @property
    def id(self) -> UploadId:
        """Of the upload that was begun last."""
        return UploadId(self.begun[-1].rpartition("/")[2])

    def told(self, text: str) -> str:
        """The text with the uploads' paths in it."""
        if not self.begun:
            return text
        for number, path in enumerate(self.begun, 1):
            text = text.replace(f"@{number}", path)
        return text.replace("@", self.begun[-1])

    async def ask(self, step: Step) -> Answer:
        """Send one request and note the upload that it began."""
        headers = {name: self.told(value) for name, value in step.headers.items()}
        answer = await self.driver.send(step.method, self.told(step.path), step.body, headers, gone=step.gone)
        if answer.status < 300 and step.path == "/files" and "location" in answer.headers:
            self.begun.append(answer.headers["location"].removeprefix("http://up.test"))
        return answer

    async def play(self, steps: Sequence[Step]) -> None:
        """Send the requests and compare what comes back."""
        for number, step in enumerate(steps, 1):
            answer = await self.ask(step)
            shown = f"step {number}: {step.method} {step.path}: {answer}"
            if step.status:
                assert answer.status == step.status, shown
            found = {name: answer.headers.get(name.lower()) for name in step.has}
            assert found == {name: self.told(value) for name, value in step.has.items()}, shown
            assert not [name for name in step.lacks if name.lower() in answer.headers], shown
            assert step.code is None or answer.code == step.code, shown
            if step.headers.get("Tus-Resumable"):
                assert answer.headers.get("tus-resumable") == "1.0.0", f"T-VER-01 {shown}"

    async def stored(self, id: UploadId | None = None) -> bytes:
        """The bytes of an upload, published."""
        id = id or self.id
        await self.engine.finish(id)
        return (await self.driver.send("GET", f"/files/{id}/content")).body

    async def count(self) -> int:
        """Uploads that there are."""
        return len((await self.driver.send("GET", "/uploads?limit=200")).json()["uploads"])


@asynccontextmanager
async def room(settings: Settings = SETTINGS, engine: Any = None, **config: Any) -> AsyncIterator[Room]:
    """A running application, by itself or over ``engine``; with ``config``, another one that has ours in it."""
    opened = engine or partial(memory_engine, settings)
    if config:
        app = Litestar(plugins=[OnwardPlugin(OnwardConfig(settings=settings, engine=opened, **config))])
    else:
        app = create_app(settings, engine=opened)
    async with running(app) as driver:
        yield Room(app, driver)


def with_settings(**changed: Any) -> Settings:
    """The settings of these tables but for a few."""
    return msgspec.structs.replace(SETTINGS, **changed)
