"""Answers without the router: the same as with it, and only where the request is plain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pytest
from litestar import Response
from litestar.exceptions import NotAuthorizedException
from litestar.types import Message, Scope

from onward.config import Settings
from onward.errors import NotFound
from onward.web.faults import HANDLERS
from onward.web.handler import AnyRequest, Handler, Plain
from onward.web.shortcut import Direct, Shortcuts
from tests.integration.asgi_driver import Answer, Driver, running
from tests.integration.web_room import application

pytestmark = pytest.mark.anyio

TUS: Final = {"Tus-Resumable": "1.0.0"}
CREATE: Final = {**TUS, "Upload-Length": "4", "Content-Type": "application/offset+octet-stream"}
ID: Final = "{id}"
UNKNOWN: Final = "f" * 32

ROWS: Final[Mapping[str, tuple[str, str, bytes, Mapping[str, str]]]] = {
    "create": ("POST", "/files", b"aaaa", CREATE),
    "create too large": ("POST", "/files", b"", {**TUS, "Upload-Length": "999999999999999"}),
    "create by put": ("PUT", "/files", b"abc", {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}),
    "head": ("HEAD", f"/files/{ID}", b"", TUS),
    "head of the draft": ("HEAD", f"/files/{ID}", b"", {"Upload-Draft-Interop-Version": "8"}),
    "head of nothing": ("HEAD", f"/files/{UNKNOWN}", b"", TUS),
    "head of no id": ("HEAD", "/files/none", b"", TUS),
    "append": (
        "PATCH",
        f"/files/{ID}",
        b"bb",
        {**TUS, "Upload-Offset": "2", "Content-Type": "application/offset+octet-stream"},
    ),
    "append elsewhere": (
        "PATCH",
        f"/files/{ID}",
        b"bb",
        {**TUS, "Upload-Offset": "9", "Content-Type": "application/offset+octet-stream"},
    ),
    "another version of tus": ("HEAD", f"/files/{ID}", b"", {"Tus-Resumable": "0.2.2"}),
    "overridden": ("POST", f"/files/{ID}", b"", {**TUS, "X-HTTP-Method-Override": "HEAD"}),
    "remove": ("DELETE", f"/files/{ID}", b"", TUS),
    "options": ("OPTIONS", f"/files/{ID}", b"", {}),
    "preflight": (
        "OPTIONS",
        "/files",
        b"",
        {"Origin": "http://a.example", "Access-Control-Request-Method": "POST"},
    ),
    "from a site": ("HEAD", f"/files/{ID}", b"", {**TUS, "Origin": "http://a.example"}),
    "from another site": ("HEAD", f"/files/{ID}", b"", {**TUS, "Origin": "http://b.example"}),
    "no such method": ("PUT", f"/files/{ID}", b"", {}),
    "a slash too many": ("HEAD", f"/files/{ID}/", b"", TUS),
    "two slashes": ("HEAD", f"/files//{ID}", b"", TUS),
    "an odd host": ("HEAD", f"/files/{ID}", b"", {**TUS, "Host": "a b"}),
    "a host": ("POST", "/files", b"aaaa", {**CREATE, "Host": "up.example:8000"}),
    "chunk": ("POST", "/upload/f-1", b"aaaa", {"Upload-Chunk-Size": "4"}),
    "chunk with an encoded name": ("POST", "/upload/a%2Fb-1", b"aaaa", {}),
    "chunk with a space": ("POST", "/upload/a%20b-1", b"aaaa", {}),
    "chunk without a number": ("POST", "/upload/f", b"aaaa", {}),
    "run of bytes": ("PUT", "/upload/g", b"aaaa", {"Upload-Offset": "0", "Upload-Length": "8"}),
    "status": ("GET", "/upload/nothing", b"", {}),
    "status with a question": ("GET", "/upload/nothing?chunk=x&more=1", b"", {}),
    "complete": ("POST", "/upload/complete", b'{"file_unique_name": "none"}', {"Content-Type": "application/json"}),
    "a file called complete": ("PUT", "/upload/complete", b"a", {"Upload-Offset": "0", "Upload-Length": "1"}),
    "declare": ("POST", "/upload", b'{"name": "h", "size": 4}', {"Content-Type": "application/json"}),
    "nothing of ours": ("GET", "/nothing", b"", {}),
}


def settings() -> Settings:
    return Settings(cors_origins=("http://a.example",))


async def answered(row: str, *, shortcuts: bool) -> Answer:
    app = application(settings())
    assert isinstance(app, Direct)
    if not shortcuts:
        app.shortcuts = None
    method, path, body, headers = ROWS[row]
    async with running(app) as driver:
        made = await driver.send("POST", "/files", b"", {**TUS, "Upload-Length": "6"})
        id = made.headers["location"].rpartition("/")[2]
        await driver.send("PATCH", f"/files/{id}", b"aa", {**CREATE, "Upload-Offset": "0"})
        return await driver.send(method, path.replace(ID, id), body, headers)


def told(answer: Answer) -> tuple[Any, ...]:
    """What can be compared between two runs: ids and times differ."""
    headers = {
        name: sorted(value.split(", ")) if name == "allow" else re.sub(r"[0-9a-f]{32}|[\d:]{8} GMT", "*", value)
        for name, value in answer.headers.items()
    }
    body = re.sub(rb'[0-9a-f]{32}|"(\w+_at|at)":[\d.]+', b"*", answer.body)
    return answer.status, headers, body


@pytest.mark.parametrize("row", ROWS)
async def test_the_answer_is_the_routers(row: str) -> None:
    assert told(await answered(row, shortcuts=True)) == told(await answered(row, shortcuts=False))


@pytest.mark.parametrize(
    ("method", "path", "known", "more"),
    [
        ("HEAD", f"/files/{UNKNOWN}", {"id": UNKNOWN}, {}),
        ("PATCH", f"/files/{UNKNOWN}", {"id": UNKNOWN}, {}),
        ("POST", "/files", {}, {}),
        ("PUT", "/upload/film.mkv-12", {"name": "film.mkv-12"}, {}),
        ("POST", "/upload/complete", {}, {}),
        ("PUT", "/upload/complete", None, {}),
        ("PUT", "/upload/a%b", None, {}),
        ("PUT", "/upload/", None, {}),
        ("PUT", "/upload/a/b", None, {}),
        ("TRACE", "/files", None, {}),
        ("POST", "/files/", None, {}),
        ("POST", "/files", None, {"root_path": "/sub"}),
        ("POST", "/files", None, {"headers": [(b"host", b"a b")]}),
        ("POST", "/files", {}, {"headers": [(b"host", b"a:80")]}),
    ],
)
def test_only_what_is_plain_is_found(method: str, path: str, known: Any, more: dict[str, Any]) -> None:
    app = application(settings())
    assert isinstance(app, Direct)
    assert app.shortcuts is not None
    found = app.shortcuts.find(
        {"method": method, "path": path, "headers": [], **more}  # type: ignore[typeddict-item]  # all it reads
    )
    assert (found and found[1]) == known


@pytest.mark.parametrize("error", [ValueError("secret"), NotAuthorizedException("who are you?"), NotFound()])
async def test_what_goes_wrong_is_said_as_by_the_application(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(request: AnyRequest) -> Response[bytes]:
        raise error

    handler = Handler.of("/broken/{id:str}", fail, http_method="GET")
    app = Direct([handler], exception_handlers=HANDLERS, openapi_config=None, logging_config=None)
    slow = await Driver(app).send("GET", "/broken/x")
    app.shortcuts = Shortcuts([handler])
    quick = await Driver(app).send("GET", "/broken/x")
    assert told(quick) == told(slow)
    assert b"secret" not in quick.body
    assert caplog.text.count("GET /broken/x failed") == (2 if isinstance(error, ValueError) else 0)


async def test_hooks_of_the_application_see_the_answer() -> None:
    async def yes(request: AnyRequest) -> Response[bytes]:
        return Plain(b"yes", status_code=200)

    async def stamp(message: Message, scope: Scope) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"stamp", str(scope["app"] is app).encode())]

    handler = Handler.of("/fine", yes, http_method="GET")
    app = Direct([handler], before_send=[stamp], openapi_config=None, logging_config=None)
    app.shortcuts = Shortcuts([handler])
    answer = await Driver(app).send("GET", "/fine")
    assert (answer.status, answer.body, answer.headers["stamp"]) == (200, b"yes", "True")
