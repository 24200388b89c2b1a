"""What the tables of the front-ends are written in: forms as browsers send them, and an application to send them to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from litestar import Litestar
from litestar.connection import ASGIConnection

from onward.config import Settings
from onward.core.types import UploadId
from onward.ports import Caller
from onward.web.plugin import OnwardConfig, OnwardPlugin
from tests.integration.asgi_driver import Answer, Driver, memory_engine, running

SETTINGS: Final = Settings(max_size=1000, max_chunk=8, max_chunks=5, min_free=0, delete_finished="allow")
BOUNDARY: Final = "b0undary"
FORM: Final = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
RAW: Final = {"Content-Type": "application/octet-stream"}
END: Final = f"--{BOUNDARY}--\r\n".encode()
WHOLE: Final = b"aaaabbbbcc"
NAME: Final = "a b.bin"


class Ask(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes | Sequence[bytes] = b""
    headers: Mapping[str, str] = {}
    gone: bool = False


class Bad(NamedTuple):
    """A request that is refused and changes nothing; the ids of requirements begin its name."""

    name: str
    ask: Ask
    status: int
    code: str | None


def field(name: str, value: str | bytes) -> bytes:
    """A field of a form that is no file."""
    data = value if isinstance(value, bytes) else value.encode()
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"


def file(data: bytes, filename: str = NAME, name: str = "file") -> bytes:
    """A field of a form that is a file, its name written as browsers do."""
    quoted = filename.replace('"', "%22")
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{quoted}"\r\n'
    return f"{head}Content-Type: application/octet-stream\r\n\r\n".encode() + data + b"\r\n"


def form(fields: Mapping[str, Any], data: bytes | None, filename: str = NAME) -> bytes:
    """The form that a library makes of its parameters and a piece of a file."""
    said = b"".join(field(name, str(value)) for name, value in fields.items())
    return said + (b"" if data is None else file(data, filename)) + END


def query(path: str, fields: Mapping[str, Any]) -> str:
    """A path with parameters behind it."""
    return f"{path}?{urlencode(fields)}"


def by_header(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    """The owner is whoever the request says, for these tests."""
    return Caller(owner=connection.headers.get("x-user"), operator="x-user" not in connection.headers)


class Room:
    """An application over memory backends, with our plugin in it and nothing else."""

    def __init__(self, plugin: OnwardPlugin, driver: Driver) -> None:
        self.engine = plugin.site.engine
        self._driver = driver

    async def ask(self, ask: Ask) -> Answer:
        """Send a request."""
        return await self._driver.send(ask.method, ask.path, ask.body, ask.headers, gone=ask.gone)

    async def finished(self, id: str) -> tuple[str, bytes]:
        """Where the worker publishes an upload that is whole, and its bytes."""
        await self.engine.finish(UploadId(id))
        shown = (await self.ask(Ask("GET", f"/uploads/{id}"))).json()
        assert shown["state"] == "done", shown
        return shown["result"]["ref"], (await self.ask(Ask("GET", f"/files/{id}/content"))).body

    async def uploads(self) -> list[dict[str, Any]]:
        """All uploads as they are listed, without the time of the last byte."""
        listed = (await self.ask(Ask("GET", "/uploads"))).json()["uploads"]
        return [{name: value for name, value in row.items() if name != "active_at"} for row in listed]

    async def refuses(self, bad: Bad) -> Answer:
        """A bad request gets its refusal, and everything is as it was before."""
        before = await self.uploads()
        answer = await self.ask(bad.ask)
        assert (bad.name, answer.status, answer.code) == (bad.name, bad.status, bad.code), answer.body
        if answer.code is not None:
            assert answer.json()["status"] == bad.status
        assert (bad.name, await self.uploads()) == (bad.name, before)
        return answer


@asynccontextmanager
async def room(settings: Settings = SETTINGS) -> AsyncIterator[Room]:
    """A fresh application that runs."""
    config = OnwardConfig(settings=settings, engine=partial(memory_engine, settings), caller=by_header)
    plugin = OnwardPlugin(config)
    async with running(Litestar(plugins=[plugin], path="/api/v1")) as driver:
        driver.app = _below("/api/v1", driver.app)
        yield Room(plugin, driver)


def _below(path: str, app: Any) -> Any:
    """Requests to a mounted application, with paths as if it were not."""

    async def call(scope: dict[str, Any], receive: Any, send: Any) -> None:
        moved = {"path": path + scope["path"], "raw_path": path.encode() + scope["raw_path"]}
        await app({**scope, **moved}, receive, send)

    return call
