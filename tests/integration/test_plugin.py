"""Onward in somebody's application: what it adds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from onward.config import Settings
from onward.core.types import UploadId
from onward.engine.engine import Engine
from onward.ports import Caller
from onward.web.plugin import OnwardConfig, OnwardPlugin
from tests.integration.asgi_driver import Driver, memory_engine, running
from tests.integration.sse_client import events_in

pytestmark = pytest.mark.anyio

SETTINGS = Settings(upload_path="/up", uploads_path="/all", files_path="/got", events_path="/news", token="t")
ALICE, BOB = {"X-User": "alice"}, {"X-User": "bob"}


def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if "x-user" not in connection.headers:
        raise NotAuthorizedException("sign in first")
    if connection.headers["x-user"] == "mallory":
        raise PermissionDeniedException("not you")


async def who(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    return Caller(owner=connection.headers["x-user"])


@post("/own")
async def own_body(request: Request[Any, Any, Any]) -> int:
    return len(await request.body())


@get("/own")
async def own_fault() -> None:
    raise LookupError("the application's own")


@get("/own/{id:str}")
async def own_use(request: Request[Any, Any, Any], uploads: NamedDependency[Engine]) -> int:
    upload = await uploads.view(UploadId(str(request.path_params["id"])), Caller(operator=True))
    return upload.received_bytes


def in_its_own_words(_: Request[Any, Any, Any], error: Exception) -> Response[str]:
    return Response(f"own: {error}", status_code=418)


@pytest.fixture
def app() -> Litestar:
    config = OnwardConfig(
        settings=SETTINGS,
        engine=partial(memory_engine, SETTINGS),
        guards=[signed_in],
        caller=who,
        tags=["incoming"],
    )
    return Litestar(
        [own_body, own_fault, own_use],
        path="/api",
        plugins=[OnwardPlugin(config)],
        exception_handlers={LookupError: in_its_own_words},
    )


@pytest.fixture
async def driver(app: Litestar) -> AsyncIterator[Driver]:
    async with running(app) as driver:
        yield driver


@pytest.mark.parametrize(("headers", "status"), [({}, 401), ({"X-User": "mallory"}, 403)])
@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("POST", "/api/up/f-1", "application/octet-stream"),
        ("PUT", "/api/up/f-1", "multipart/form-data; boundary=b"),
        ("POST", "/api/up", "application/json"),
        ("POST", "/api/up/complete", "application/json"),
        ("POST", "/api/up/complete", "multipart/form-data; boundary=b"),
        ("DELETE", "/api/up/f", "text/plain"),
        ("POST", "/api/compat/resumable", "multipart/form-data; boundary=b"),
        ("POST", "/api/compat/content-range", "application/octet-stream"),
        ("PATCH", "/api/compat/filepond?patch=x", "application/offset+octet-stream"),
        ("DELETE", "/api/compat/filepond", "text/plain"),
    ],
)
async def test_guards_stand_before_every_byte(
    driver: Driver, method: str, path: str, kind: str, headers: dict[str, str], status: int
) -> None:
    answer = await driver.send(method, path, [b"a" * 1000] * 3, {"Content-Type": kind, **headers})
    assert (answer.status, answer.taken) == (status, 0)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", ["/api/all", "/api/news", "/api/all/x", "/api/all/x/events", "/api/got/x/content"])
async def test_guards_stand_before_every_question(driver: Driver, path: str) -> None:
    assert (await driver.send("GET", path)).status == 401
    assert (await driver.send("GET", path, headers={"X-User": "mallory"})).status == 403


async def test_owners_hear_of_their_own(driver: Driver) -> None:
    assert (await driver.send("POST", "/api/up/old-1", b"aaaa", ALICE)).status == 201
    async with driver.watching("GET", "/api/news", ALICE) as hers, driver.watching("GET", "/api/news", BOB) as his:
        for line in (hers, his):
            await line.wait_for(b"event: state")
        mine = (await driver.send("POST", "/api/up/f-1", b"aaaa", ALICE)).json()["id"]
        theirs = (await driver.send("POST", "/api/up/f-1", b"bbbb", BOB)).json()["id"]
        heard = [events_in(await line.wait_for(b"event: created")) for line in (hers, his)]
    assert [[row["name"] for row in told[0].data["uploads"]] for told in heard] == [["old"], []]
    assert [[event.data["id"] for event in told if event.name == "created"] for told in heard] == [[mine], [theirs]]
    async with driver.watching("GET", "/api/news", {**BOB, "Last-Event-ID": "0"}) as again:
        replayed = events_in(await again.wait_for(b"event: caught-up"))
    assert [event.data["id"] for event in replayed if event.name == "created"] == [theirs]
    assert (await driver.send("GET", f"/api/all/{mine}/events", headers=BOB)).status == 404


async def test_owners_see_their_own(driver: Driver) -> None:
    mine = await driver.send("POST", "/api/up/f-1", b"aaaa", ALICE)
    theirs = await driver.send("POST", "/api/up/f-1", b"bbbb", BOB)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json()["status"] == f"http://up.test/api/all/{mine.json()['id']}"
    page = (await driver.send("GET", "/api/all", headers=ALICE)).json()
    assert page["server"] is None, "the server as a whole is the operator's business"
    listed = page["uploads"]
    assert [row["id"] for row in listed] == [mine.json()["id"]]
    for path in (f"/api/all/{mine.json()['id']}", f"/api/got/{mine.json()['id']}/content"):
        assert (await driver.send("GET", path, headers=BOB)).status == 404
    assert (await driver.send("GET", f"/api/own/{mine.json()['id']}")).body == b"4"


async def test_there_is_no_engine_before_the_application_starts_nor_after_it(app: Litestar) -> None:
    engine = app.dependencies["uploads"].dependency  # type: ignore[union-attr]  # our plugin provides it
    with pytest.raises(RuntimeError, match="lifespan"):
        engine()
    async with running(app):
        assert isinstance(engine(), Engine)
    with pytest.raises(RuntimeError, match="lifespan"):
        engine()


async def test_the_application_keeps_its_limit_its_errors_and_its_headers(driver: Driver) -> None:
    assert (await driver.send("POST", "/api/own", b"x" * 10_000_001)).status == 413
    fault = await driver.send("GET", "/api/own", headers={"Origin": "https://a.example"})
    assert (fault.status, fault.body) == (418, b"own: the application's own")
    assert "access-control-allow-origin" not in fault.headers
    missing = await driver.send("GET", "/api/nothing")
    assert missing.headers["content-type"] == "application/json"
    assert (await driver.send("GET", "/docs")).status == 404


async def test_the_description_of_the_application_has_our_operations(app: Litestar) -> None:
    document: Any = app.openapi_schema.to_schema()
    assert document["paths"]["/api/up/{name}"]["post"]["tags"] == ["incoming"]
    assert "OnwardProblem" in document["components"]["schemas"]
    assert "/api/own" in document["paths"]


# -- layers of the application ---------------------------------------------------------------------


async def _answered_already(request: Request[Any, Any, Any]) -> Response[str] | None:
    return Response("closed for today", status_code=503) if "x-closed" in request.headers else None


async def _signed(response: Response[Any]) -> Response[Any]:
    response.headers["X-Signed"] = "yes"
    return response


async def _heard(request: Request[Any, Any, Any]) -> None:
    request.app.state.heard.append(request.method)


@pytest.mark.parametrize(
    ("layers", "seen"),
    [
        ({}, {}),
        ({"response_headers": {"X-Frame-Options": "DENY"}}, {"x-frame-options": "DENY"}),
        ({"response_cookies": {"kept": "yes"}}, {"set-cookie": "kept=yes; Path=/; SameSite=lax"}),
        ({"after_request": _signed}, {"x-signed": "yes"}),
        ({"before_request": _answered_already, "after_response": _heard}, {}),
    ],
    ids=["none", "headers", "cookies", "after", "before"],
)
async def test_what_the_application_adds_to_every_response_is_on_ours(
    layers: dict[str, Any], seen: dict[str, str]
) -> None:
    config = OnwardConfig(settings=SETTINGS, engine=partial(memory_engine, SETTINGS), caller=who)
    app = Litestar(plugins=[OnwardPlugin(config)], **layers)
    app.state.heard = []
    async with running(app) as driver:
        answers = [
            await driver.send("POST", "/up/f-1", b"aaaa", ALICE),
            await driver.send("HEAD", "/up/f", headers=ALICE),
            await driver.send("GET", "/up/nothing", headers=ALICE),
        ]
        assert [answer.status for answer in answers] == [201, 200, 404]
        assert answers[0].json()["size"] == 4
        assert not {"content-length", "content-type"} & set(answers[1].headers), "of a body that there never was"
        for answer in answers:
            assert {name: answer.headers.get(name) for name in seen} == seen
        if "before_request" in layers:
            closed = await driver.send("GET", "/up/f", headers={**ALICE, "X-Closed": "1"})
            assert (closed.status, closed.body) == (503, b"closed for today")
            assert app.state.heard == ["POST", "HEAD", "GET", "GET"]
