"""The page at /ui: what is served and with which headers, and faults on request."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from litestar import Litestar, Router

from onward.app import VERSION, create_app
from onward.config import Settings, SettingsError, load
from onward.web.bench import CUT, Bench, Faults
from onward.web.callers import by_token
from onward.web.faults import HANDLERS
from onward.web.feed import Feed
from onward.web.site import Site
from onward.web.ui import POLICY, ui_routes
from tests.integration.asgi_driver import Driver, memory_engine, running
from tests.integration.real_server import RealServer, real_server

pytestmark = pytest.mark.anyio

SCRIPT: Final = b"export const answer = 42\n" * 40
PACKED: Final = {"Accept-Encoding": "br;q=1.0, gzip;q=0.8"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_bytes(b"<!doctype html><title>x</title>")
    (built / "onward.min.js").write_bytes(SCRIPT)
    (built / "assets" / "app-B1xQ90aZ.js").write_bytes(SCRIPT)
    (built / "assets" / "app-B1xQ90aZ.js.map").write_bytes(b"{}")
    return built


@asynccontextmanager
async def served(folder: Path, settings: Settings | None = None, bench: Bench | None = None) -> AsyncIterator[Driver]:
    settings = settings or Settings()
    site = Site(settings, by_token(settings.token), Feed())
    router = Router("/", route_handlers=ui_routes(site, version="9", bench=bench, folder=folder))
    async with running(Litestar([router], exception_handlers=HANDLERS, openapi_config=None)) as driver:
        yield driver


async def test_a_visitor_is_led_to_the_page(folder: Path) -> None:
    async with served(folder, Settings(trusted_proxies=("192.0.2.7",))) as driver:
        for path in ("/", "/ui"):
            led = await driver.send("GET", path)
            assert (led.status, led.headers["location"]) == (307, "/ui/")
        led = await driver.send("GET", "/", headers={"X-Forwarded-Prefix": "/up"})
        assert led.headers["location"] == "/up/ui/"
        page = await driver.send("GET", "/ui/")
        head = await driver.send("HEAD", "/ui/")
    assert (page.status, page.body) == (200, b"<!doctype html><title>x</title>")
    assert (head.status, head.body, head.headers["etag"]) == (200, b"", page.headers["etag"])
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "same-origin"
    assert page.headers["cache-control"] == "no-cache"
    assert "access-control-allow-origin" not in page.headers


async def test_what_a_name_stands_for_is_kept_and_the_rest_is_asked_for_again(folder: Path) -> None:
    async with served(folder) as driver:
        hashed = await driver.send("GET", "/ui/assets/app-B1xQ90aZ.js")
        plain = await driver.send("GET", "/ui/onward.min.js")
        again = await driver.send(
            "GET", "/ui/onward.min.js", headers={"If-None-Match": f'"x", {plain.headers["etag"]}'}
        )
        weak = await driver.send("GET", "/ui/onward.min.js", headers={"If-None-Match": f"W/{plain.headers['etag']}"})
        other = await driver.send("GET", "/ui/onward.min.js", headers={"If-None-Match": '"x"'})
    assert hashed.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert [(answer.status, answer.body) for answer in (again, weak, other)] == [(304, b""), (304, b""), (200, SCRIPT)]
    assert again.headers["etag"] == plain.headers["etag"]


async def test_the_client_may_be_loaded_by_any_page(folder: Path) -> None:
    async with served(folder) as driver:
        script = await driver.send("GET", "/ui/onward.min.js", headers={"Origin": "https://other.example"})
    assert script.headers["access-control-allow-origin"] == "*"
    assert script.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_who_takes_gzip_gets_it(folder: Path) -> None:
    async with served(folder) as driver:
        packed = await driver.send("GET", "/ui/onward.min.js", headers=PACKED)
        refused = await driver.send("GET", "/ui/onward.min.js", headers={"Accept-Encoding": "gzip;q=0, br"})
        same = await driver.send("GET", "/ui/onward.min.js", headers=PACKED | {"If-None-Match": packed.headers["etag"]})
        small = await driver.send("GET", "/ui/", headers=PACKED)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["content-length"] == str(len(packed.body))
    assert gzip.decompress(packed.body) == SCRIPT
    assert packed.headers["vary"] == refused.headers["vary"] == "Accept-Encoding"
    assert (refused.body, refused.headers["etag"] == packed.headers["etag"]) == (SCRIPT, False)
    assert same.status == 304
    assert "content-encoding" not in small.headers


@pytest.mark.parametrize(
    "path", ["assets/app-B1xQ90aZ.js.map", "assets", "none.js", "../dist/index.html", "%2e%2e/dist/index.html"]
)
async def test_nothing_else_is_served(folder: Path, path: str) -> None:
    async with served(folder) as driver:
        assert (await driver.send("GET", f"/ui/{path}")).status == 404
        assert (await driver.send("POST", "/ui/")).status == 405


async def test_without_its_page_the_server_says_so(tmp_path: Path) -> None:
    async with served(tmp_path / "nothing") as driver:
        page = await driver.send("GET", "/ui/")
        assert (await driver.send("GET", "/ui/onward.min.js")).status == 404
        assert (await driver.send("GET", "/ui/config.json")).status == 200
    assert page.status == 503
    assert b"The page is not built" in page.body
    assert b"The API is up" in page.body
    assert page.headers["cache-control"] == "no-store"


async def test_the_page_is_told_about_the_server(folder: Path) -> None:
    settings = Settings(upload_path="/in", token="t", max_chunk=5, trusted_proxies=("192.0.2.7",))
    async with served(folder, settings) as driver:
        said = (await driver.send("GET", "/ui/config.json", headers={"X-Forwarded-Prefix": "/up"})).json()
    assert said == {
        "version": "9",
        "demo": False,
        "endpoint": "/up/in",
        "files": "/up/files",
        "uploads": "/up/uploads",
        "events": "/up/events",
        "operator_token": True,
        "delete_finished": False,
        "limits": {"max_size": 1 << 40, "max_chunk": 5, "max_chunks": 10_000},
    }


async def test_the_stand_alone_application_has_the_page() -> None:
    settings = Settings(delete_finished="allow")
    app = create_app(settings, engine=partial(memory_engine, settings))
    assert not [path for path in app.openapi_schema.to_schema()["paths"] if path == "/" or path.startswith("/ui")]
    async with running(app) as driver:
        said = (await driver.send("GET", "/ui/config.json")).json()
        assert (said["version"], said["demo"], said["delete_finished"]) == (VERSION, False, True)
        assert (await driver.send("GET", "/ui/faults")).status == 404
        answer = await driver.send("PUT", "/ui/faults", b'{"fail": 0.5}')
        assert (answer.status, answer.code) == (404, "not-found")


# -- faults ---------------------------------------------------------------------------------------


class Luck:
    """Draws from a list, and keeps time by itself."""

    def __init__(self, *draws: float) -> None:
        self.draws = list(draws)
        self.now = 0.0

    def draw(self) -> float:
        return self.draws.pop(0)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def bench(self) -> Bench:
        return Bench(("/upload", "/files"), random=self.draw, clock=self.clock, sleep=self.sleep)


@asynccontextmanager
async def faulty(bench: Bench) -> AsyncIterator[Driver]:
    """An application that reads bodies, behind the bench."""
    settings = Settings()
    app = create_app(settings, engine=partial(memory_engine, settings))
    async with running(app) as driver:
        inner = driver.app

        async def shown(scope: Any, receive: Any, send: Any) -> None:
            await bench.middleware()(inner)(scope, receive, send)

        yield Driver(shown)


async def test_a_request_is_delayed_or_fails_as_the_draw_says() -> None:
    luck = Luck(0.6, 0.9, 0.2, 0.2)
    bench = luck.bench()
    bench.set(Faults(fail=0.5, delay_ms=250))
    async with faulty(bench) as driver:
        assert (await driver.send("PUT", "/upload/a-1", b"x")).status == 201
        with pytest.raises(Exception, match="made to fail"):
            await driver.send("PUT", "/upload/a-2", b"x")
        assert luck.now == 0.5
        assert (await driver.send("GET", "/uploads")).status == 200
        assert (await driver.send("OPTIONS", "/upload/a-1")).status == 204
        assert (await driver.send("GET", f"/files/{'0' * 32}/content")).status == 404
        assert luck.now == 0.5
        with pytest.raises(Exception, match="made to fail"):
            await driver.send("GET", "/upload/a")
        assert luck.now == 0.75
    assert (bench.view().failed, bench.view().dropped) == (2, 0)


async def test_a_connection_is_cut_inside_the_body() -> None:
    luck = Luck(0.9, 0.1, 0.5)
    bench = luck.bench()
    bench.set(Faults(drop=0.5))
    cuts: list[int] = []
    async with faulty(bench) as driver:
        line = driver.line("PUT", "/upload/a-1", [b"x"] * 10, extensions={CUT: lambda: cuts.append(1)})
        answer = await line.run()
    assert answer.taken == 10  # what stands in for the server goes on; the bench is deaf to it
    assert len(cuts) == 6  # from the fifth byte on, and at each one after it
    assert bench.view().dropped == 1


async def test_while_everything_is_cut_nothing_gets_through() -> None:
    luck = Luck(0.9, 0.9)
    bench = luck.bench()
    bench.set(Faults(cut_seconds=5))
    cuts: list[int] = []
    async with faulty(bench) as driver:
        for method in ("PUT", "OPTIONS"):
            with pytest.raises(Exception, match="made to end"):
                await driver.send(method, "/upload/a-1", b"x", extensions={CUT: lambda: cuts.append(1)})
        luck.now = 4.0
        assert bench.view().cut_seconds == 1
        luck.now = 5.0
        assert (await driver.send("PUT", "/upload/a-1", b"x")).status == 201
    assert (len(cuts), bench.view().refused, bench.view().cut_seconds) == (2, 2, 0)


@pytest.mark.parametrize(
    "body",
    [b'{"fail": 0.51}', b'{"delay_ms": 2001}', b'{"drop": -1}', b'{"cut_seconds": 31}', b'{"x": 1}', b"[]", b"{"],
)
async def test_faults_beyond_the_bounds_are_refused(folder: Path, body: bytes) -> None:
    bench = Luck().bench()
    async with served(folder, bench=bench) as driver:
        answer = await driver.send("PUT", "/ui/faults", body)
        assert (await driver.send("PUT", "/ui/faults", b" " * 5000)).status == 413
    assert answer.status == 400
    assert answer.code in {"bad-field", "bad-body"}
    assert bench.view().fail == 0


def test_each_process_would_have_faults_of_its_own() -> None:
    with pytest.raises(SettingsError, match="ONWARD_WORKERS=1"):
        load({"demo": "true", "workers": "2"}, {}, None)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    with real_server(tmp_path_factory.mktemp("demo") / "data", demo=True, min_free=0) as server:
        yield server


def test_faults_reach_a_real_client(demo: RealServer) -> None:
    with httpx.Client(base_url=demo.url, trust_env=False, headers={"Origin": "http://a.example"}) as client:
        assert client.get("/ui/config.json").json()["demo"] is True
        client.put("/ui/faults", json={"cut_seconds": 30}).raise_for_status()
        with pytest.raises(httpx.TransportError):
            client.put("/upload/a-1", content=b"x")
        assert client.get("/health").status_code == 200
        client.put("/ui/faults", json={"fail": 0.5, "drop": 0.5}).raise_for_status()
        seen: dict[str, int] = {}
        while not seen.keys() >= {"cut", "503"}:
            try:
                answer = client.put("/upload/a-1", content=b"x" * 300_000)
            except httpx.TransportError:
                outcome = "cut"
            else:
                outcome = str(answer.status_code)
                assert answer.headers["access-control-allow-origin"] == "*"
                assert outcome != "503" or answer.json()["code"] == "fault-on-purpose"
            seen[outcome] = seen.get(outcome, 0) + 1
            assert sum(seen.values()) < 200, seen
        view = client.put("/ui/faults", json={}).json()
        assert view["failed"] >= seen["503"] > 0
        assert view["dropped"] > 0
        assert client.put("/upload/a-1", content=b"x" * 300_000).status_code in {200, 201}
    assert demo.said().count("DEMO: ") == 2
