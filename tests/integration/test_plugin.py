"""Onward in somebody's application: what it adds, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

from onward.config import Settings
from onward.core.types import UploadId
from onward.engine.engine import Engine
from onward.ports import Caller
from onward.web.plugin import OnwardConfig, OnwardPlugin
from tests.integration.asgi_driver import Driver, memory_engine, running

pytestmark = pytest.mark.anyio

SETTINGS = Settings(upload_path="/up", uploads_path="/all", files_path="/got", events_path="/news", token="t")
ALICE, BOB = {"X-User": "alice"}, {"X-User": "bob"}


def signed_in(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    if "x-user" not in connection.headers:
        raise NotAuthorizedException("sign in first")


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


async def test_guards_stand_before_every_byte(driver: Driver) -> None:
    answer = await driver.send("POST", "/api/up/f-1", b"aaaa")
    assert (answer.status, answer.code, answer.taken) == (401, "unauthorized", 0)
    assert answer.headers["connection"] == "close"


async def test_owners_see_their_own(driver: Driver) -> None:
    mine = await driver.send("POST", "/api/up/f-1", b"aaaa", ALICE)
    theirs = await driver.send("POST", "/api/up/f-1", b"bbbb", BOB)
    assert (mine.status, theirs.status) == (201, 201)
    assert mine.json()["status"] == f"http://up.test/api/all/{mine.json()['id']}"
    listed = (await driver.send("GET", "/api/all", headers=ALICE)).json()["uploads"]
    assert [row["id"] for row in listed] == [mine.json()["id"]]
    for path in (f"/api/all/{mine.json()['id']}", f"/api/got/{mine.json()['id']}/content"):
        assert (await driver.send("GET", path, headers=BOB)).status == 404
    assert (await driver.send("GET", f"/api/own/{mine.json()['id']}")).body == b"4"


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
