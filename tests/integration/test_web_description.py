"""Probes, the description of the API, and the page that shows it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest
import schemathesis

from onward import app as onward_app
from onward.config import Settings
from onward.errors import StorageFault
from onward.web import examples
from onward.web.components import SHOWN
from onward.web.status import WORDS
from tests.integration.asgi_driver import Driver, NotedJobs, running
from tests.integration.web_room import application, engine_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    async with running(application(Settings())) as driver:
        yield driver


# -- probes and description ---------------------------------------------------------------------------


async def test_probes_tell_what_can_be_done(caplog: pytest.LogCaptureFixture) -> None:
    async with running(application(Settings())) as driver:
        assert (await driver.send("GET", "/health")).json() == {"status": "ok"}
        assert (await driver.send("GET", "/ready")).json()["status"] == "ok"
    async with running(application(Settings())) as driver:
        jobs = engine_of(driver).jobs
        assert isinstance(jobs, NotedJobs)
        jobs.fault = OSError("redis://:password@host refused")
        answer = await driver.send("GET", "/ready")
        assert (answer.status, answer.json()["status"], answer.json()["checks"]["queue"]["status"]) == (
            *(200, "degraded"),
            "degraded",
        )
        assert b"password" not in answer.body
    assert [r.getMessage() for r in caplog.records if r.name == "onward.web"] == ["not ready: queue: OSError"]
    async with running(application(Settings())) as driver:

        async def full() -> None:
            raise StorageFault

        engine_of(driver).storage.check = full  # type: ignore[method-assign]  # a disk that is gone
        answer = await driver.send("GET", "/ready")
        assert (answer.status, answer.json()["checks"]["storage"]["status"]) == (503, "failed")


async def test_a_disk_without_room_is_told_before_anybody_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with running(application(Settings(min_free=5 << 20))) as driver:
        free = 5 << 20

        async def left() -> int | None:
            return free

        engine_of(driver).storage.free = left  # type: ignore[method-assign]  # a disk that is nearly full
        answer = await driver.send("GET", "/ready")
        assert (answer.status, answer.json()["status"]) == (200, "degraded")
        reason = "no new upload has room: 5 MiB (min_free) are kept free beside what others were promised"
        assert answer.json()["checks"]["space"] == {"status": "degraded", "reason": reason}
        assert (await driver.send("PUT", "/upload/f-1", b"x")).status == 507, "and it is true"
    said = [r.getMessage() for r in caplog.records if r.name == "onward.space"]
    assert said == ["no room: uploads get 507; 5 MiB are free, 0 MiB promised to others, 5 MiB (min_free) are kept"]
    async with running(application(Settings(min_free=5 << 20))) as driver:
        free += 1
        engine_of(driver).storage.free = left  # type: ignore[method-assign]
        assert (await driver.send("GET", "/ready")).json()["checks"]["space"] == {"status": "ok"}
        assert (await driver.send("PUT", "/upload/f-1", b"x")).status == 201


async def test_a_check_that_hangs_is_a_reason(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onward.web.probes.PATIENCE", 0.01)
    engine_of(driver).storage.check = anyio.sleep_forever  # type: ignore[method-assign]  # a disk that hangs
    answer = await driver.send("GET", "/ready")
    assert (answer.status, answer.json()["checks"]["storage"]["status"]) == (503, "failed")
    assert answer.json()["checks"]["storage"]["reason"].startswith("no answer within")


async def test_the_description_is_valid_and_whole(driver: Driver) -> None:
    answer = await driver.send("GET", "/openapi.json")
    document = answer.json()
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    assert sorted(document["paths"]) == [
        "/compat/content-range",
        "/compat/dropzone",
        "/compat/filepond",
        "/compat/filepond/{id}",
        "/compat/flow",
        "/compat/resumable",
        "/events",
        "/files",
        "/files/{id}",
        "/files/{id}/content",
        "/health",
        "/ready",
        "/upload",
        "/upload/complete",
        "/upload/{name}",
        "/uploads",
        "/uploads/{id}",
        "/uploads/{id}/events",
    ]
    names = set(document["components"]["schemas"])
    assert set(re.findall(rb'"#/components/schemas/(\w+)"', answer.body)) <= {name.encode() for name in names}
    operations = [one for path in document["paths"].values() for one in path.values()]
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["responses"]
    body = document["paths"]["/upload/{name}"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/octet-stream", "multipart/form-data"}
    states = document["paths"]["/uploads"]["get"]["parameters"][0]["schema"]["items"]["enum"]
    assert tuple(states) == WORDS


EXAMPLES = {
    "Complete": [examples.COMPLETE],
    "Declare": [examples.DECLARE],
    "DeclaredView": [examples.DECLARED],
    "ManifestView": [examples.MANIFEST],
    "PageView": [examples.PAGE],
    "ReadyView": [examples.READY, examples.NOT_READY],
    "SealedView": [examples.SEALED, examples.SEALED_DONE],
    "StoredView": [examples.STORED],
}


@pytest.mark.parametrize("kind", [kind for kind in SHOWN if kind.__name__ in EXAMPLES])
def test_examples_look_like_what_is_sent(kind: type[msgspec.Struct]) -> None:
    for example in EXAMPLES[kind.__name__]:
        shown = msgspec.convert(example, kind)
        assert set(msgspec.to_builtins(shown)) >= {name for name, value in example.items() if value is not None}
        assert set(example) <= set(kind.__struct_fields__)


async def test_the_page_of_the_description_loads_from_this_server_only(driver: Driver) -> None:
    page = await driver.send("GET", "/docs")
    text = page.body.decode()
    links = re.findall(r'(?:href|src|data-schema)="([^"]+)"', text)
    assert len(links) >= 6
    assert all(link.startswith("/") and not link.startswith("//") for link in links)
    assert "http" not in text.replace("http-equiv", "").replace("the HTTP API", "")
    policy = dict(piece.strip().split(" ", 1) for piece in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on[a-z]+=", text)
    assert '<html lang="en">' in text
    assert "<title>Onward: the HTTP API</title>" in text
    assert 'name="viewport" content="width=device-width' in text
    for link in set(links):
        loaded = await driver.send("GET", link)
        assert loaded.status == 200
        if "/assets/" in link:
            assert "immutable" in loaded.headers["cache-control"]
            assert loaded.headers["x-content-type-options"] == "nosniff"
        if link.endswith(".css"):
            assert b"@import" not in loaded.body
            assert re.findall(rb"url\((?![\"']?data:)", loaded.body) == []
        if link.endswith("/style.css"):
            assert b"prefers-color-scheme: dark" in loaded.body
            assert b":focus-visible { outline: 3px" in loaded.body
    assert (await driver.send("GET", "/docs/assets/0000/start.js")).status == 404


async def test_the_page_knows_where_a_proxy_put_it() -> None:
    async with running(application(Settings(trusted_proxies=("192.0.2.7",)))) as driver:
        page = await driver.send("GET", "/docs", headers={"X-Forwarded-Prefix": "/up"})
    assert b'data-schema="/up/openapi.json"' in page.body


def test_an_application_is_made_when_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONWARD_UPLOAD_PATH", "/up")
    app = onward_app.app
    assert app is onward_app.app
    monkeypatch.delitem(vars(onward_app), "app")
    assert any(route.path == "/up" for route in app.routes)
    with pytest.raises(AttributeError):
        _ = onward_app.nothing
