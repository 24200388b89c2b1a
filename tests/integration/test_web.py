"""The stand-alone application around the chunk API: who may, status, events, downloads, description, probes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import anyio
import msgspec
import pytest
import schemathesis
from litestar import Litestar

from onward import app as onward_app
from onward.app import create_app
from onward.config import Settings
from onward.core.types import Cancel, Command, UploadId
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.errors import Refused, StorageFault
from onward.hooks.none import NoHooks
from onward.ports import Caller, Hooks
from onward.web import examples
from onward.web.components import SHOWN
from onward.web.feed import Feed
from onward.web.status import WORDS
from tests.integration.asgi_driver import Answer, Driver, NotedJobs, memory_engine, running

pytestmark = pytest.mark.anyio

TOKEN = {"Authorization": "Bearer s3cret"}


def application(settings: Settings, hooks: Hooks | None = None) -> Litestar:
    return create_app(settings, engine=partial(memory_engine, settings, hooks), feed=Feed(every=0.005, pace=0.0))


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    async with running(application(Settings())) as driver:
        yield driver


def engine_of(driver: Driver) -> Engine:
    engine = driver.app.dependencies["uploads"].dependency()  # type: ignore[attr-defined]  # it is a Litestar
    assert isinstance(engine, Engine)
    return engine


async def store(driver: Driver, name: str = "f", data: bytes = b"aaaa", number: int = 1, size: int = 4) -> UploadId:
    answer = await driver.send("POST", f"/upload/{name}-{number}", data, {"Upload-Chunk-Size": str(size)})
    assert answer.status in {200, 201}, answer.body
    return UploadId(answer.json()["id"])


async def seal(driver: Driver, name: str = "f", headers: Mapping[str, str] | None = None) -> Answer:
    body = msgspec.json.encode({"file_unique_name": name})
    return await driver.send("POST", "/upload/complete", body, {"Content-Type": "application/json", **(headers or {})})


async def publish(driver: Driver, name: str = "f", data: bytes = b"aaaa") -> UploadId:
    id = await store(driver, name, data, size=max(len(data), 1))
    assert (await seal(driver, unquote(name))).status == 202
    await engine_of(driver).finish(id)
    return id


async def until(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not reached():  # noqa: ASYNC110 - what is waited for offers no event
            await anyio.sleep(0.005)


# -- who may, and what is read before that is known ---------------------------------------------------


class Closed(NoHooks):
    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        raise Refused("not today")


async def test_a_refused_body_is_never_asked_for_and_ends_the_connection() -> None:
    async with running(application(Settings(), Closed())) as driver:
        answer = await driver.send("POST", "/upload/f-1", [b"a" * 1000] * 10)
        assert (answer.status, answer.code, answer.taken) == (403, "refused", 0)
        assert answer.headers["connection"] == "close"
        second = await driver.send("POST", "/upload/f-1", b"a", http_version="2")
        assert "connection" not in second.headers


async def test_an_answer_after_the_whole_body_keeps_the_connection(driver: Driver) -> None:
    answer = await driver.send("POST", "/upload/f-1", [b"aa", b"aa"])
    assert (answer.status, answer.taken) == (201, 4)
    assert "connection" not in answer.headers


async def test_a_client_that_leaves_is_no_fault_of_the_server(driver: Driver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="onward")
    answer = await driver.send("POST", "/upload/f-1", [b"aa"], gone=True)
    assert answer.status == 400
    assert [r.levelname for r in caplog.records if "left in the middle" in r.getMessage()] == ["DEBUG"]
    assert not [r for r in caplog.records if r.levelno >= 30]
    assert (await driver.send("GET", "/upload/f")).json()["chunks"] == []


class Broken(NoHooks):
    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        raise OSError("/var/secret: permission denied")


async def test_what_nobody_foresaw_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    async with running(application(Settings(), Broken())) as driver:
        answer = await driver.send("POST", "/upload/f-1", b"a")
    assert (answer.status, answer.code) == (500, "server-fault")
    assert b"secret" not in answer.body
    assert any(record.exc_info for record in caplog.records)


@pytest.mark.parametrize("path", ["/uploads", "/events"])
async def test_lists_of_all_need_the_token(path: str) -> None:
    async with running(application(Settings(token="s3cret"))) as driver:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
            answer = await driver.send("GET", path, headers=headers)
            assert (answer.status, answer.code) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        async with driver.watching("GET", path, TOKEN) as line:
            await line.wait_for(b"uploads")
            assert line.answer.status == 200


async def test_one_upload_is_shown_to_whoever_knows_its_id() -> None:
    async with running(application(Settings(token="s3cret"))) as driver:
        id = await store(driver)
        assert (await driver.send("GET", f"/uploads/{id}")).status == 200
        for unknown in ("0" * 32, "short", "..", "A" * 32, "%00"):
            answer = await driver.send("GET", f"/uploads/{unknown}")
            assert (answer.status, answer.code) == (404, "not-found")


async def test_what_is_no_id_never_reaches_the_journal(driver: Driver) -> None:
    asked: list[UploadId] = []
    journal = engine_of(driver).journal
    read = journal.read

    async def noted(id: UploadId, *given: Any, **named: Any) -> Any:
        asked.append(id)
        return await read(id, *given, **named)

    journal.read = noted  # type: ignore[method-assign]  # notes, and asks the real one
    for text in ("short", "..%2Fonward", "A" * 32, "%ff", "0" * 32):
        for path in (f"/uploads/{text}", f"/uploads/{text}/events", f"/files/{text}/content"):
            assert (await driver.send("GET", path)).status == 404
    assert set(asked) == {"0" * 32}


# -- methods and other origins ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/upload", "POST, OPTIONS"),
        ("/upload/complete", "POST, OPTIONS"),
        ("/upload/f-1", "POST, PUT, GET, HEAD, DELETE, OPTIONS"),
        ("/uploads", "GET, OPTIONS"),
        ("/uploads/x", "GET, OPTIONS"),
        ("/uploads/x/events", "GET, OPTIONS"),
        ("/events", "GET, OPTIONS"),
        ("/files/x/content", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_tells_the_methods(driver: Driver, path: str, allowed: str) -> None:
    plain = await driver.send("OPTIONS", path)
    assert (plain.status, plain.body, plain.headers["allow"]) == (204, b"", allowed)
    asked = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
    preflight = await driver.send("OPTIONS", path, headers=asked)
    assert preflight.headers["access-control-allow-methods"] == allowed
    assert preflight.headers["access-control-allow-origin"] == "*"


async def test_browsers_see_refusals_too() -> None:
    settings = Settings(cors_origins=("https://a.example",), cors_credentials=True)
    async with running(application(settings)) as driver:
        ours, foreign = {"Origin": "https://a.example"}, {"Origin": "https://b.example"}
        for method, path, status in (("POST", "/upload/f", 400), ("PATCH", "/upload/f", 405), ("GET", "/files/x", 404)):
            answer = await driver.send(method, path, headers=ours)
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, "https://a.example")
            assert answer.headers["vary"] == "Origin"
            other = await driver.send(method, path, headers=foreign)
            assert other.status == status
            assert "access-control-allow-origin" not in other.headers
        assert "vary" not in (await driver.send("GET", "/health", headers=ours)).headers


async def test_head_has_no_body(driver: Driver) -> None:
    await store(driver)
    for path, status in (
        ("/upload/f", 200),
        ("/upload/f?chunk=1", 200),
        ("/upload/f?chunk=2", 204),
        ("/upload/g", 404),
    ):
        answer = await driver.send("HEAD", path)
        assert (answer.status, answer.body) == (status, b"")
    assert (await driver.send("HEAD", "/upload/f")).headers["upload-state"] == "receiving"


# -- status -------------------------------------------------------------------------------------------


async def test_the_list_is_filtered_and_paged(driver: Driver) -> None:
    ids = [await store(driver, f"f{n}") for n in range(5)]
    done = await publish(driver, "d")
    await engine_of(driver).run(Cancel(target=ids[0]), Caller(operator=True))

    async def names(query: str) -> list[str]:
        answer = await driver.send("GET", f"/uploads{query}")
        assert answer.status == 200
        return sorted(row["name"] for row in answer.json()["uploads"])

    assert await names("") == ["d", "f0", "f1", "f2", "f3", "f4"]
    assert await names("?state=done") == ["d"]
    assert await names("?state=cancelled") == ["f0"]
    assert await names("?state=expired") == []
    rows = (await driver.send("GET", "/uploads?state=cancelled,done")).json()["uploads"]
    assert {row["name"]: row["reason"] for row in rows} == {"d": None, "f0": "cancelled"}
    assert {row["name"]: row["urls"]["content"] for row in rows} == {
        "d": f"http://up.test/files/{done}/content",
        "f0": None,
    }
    assert await names("?state=done,cancelled&state=failed") == ["d", "f0"]
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = (await driver.send("GET", f"/uploads?limit=4&after={after}")).json()
        seen += [row["id"] for row in page["uploads"]]
        after = page["next"]
    assert sorted(seen) == sorted([*ids, done])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "state=gone", "state=", "state=done,", "after=nonsense", "other=1"]
)
async def test_a_list_asked_for_wrongly(driver: Driver, query: str) -> None:
    answer = await driver.send("GET", f"/uploads?{query}")
    assert (answer.status, answer.code) == (400, "bad-field")


async def test_one_upload_is_shown_the_same_by_name_and_by_id(driver: Driver) -> None:
    id = await store(driver)
    by_id = (await driver.send("GET", f"/uploads/{id}")).json()
    assert by_id == (await driver.send("GET", "/upload/f")).json()
    assert by_id["state"] == "receiving"
    assert by_id["expires_at"] > by_id["active_at"]
    await seal(driver)
    assert (await driver.send("GET", f"/uploads/{id}")).json()["state"] in {"verifying", "assembling"}
    await engine_of(driver).finish(id)
    shown = (await driver.send("GET", f"/uploads/{id}")).json()
    assert (shown["state"], shown["result"]["content"]) == ("done", f"http://up.test/files/{id}/content")


# -- events -------------------------------------------------------------------------------------------


def events(body: bytes) -> list[tuple[str, int, Any]]:
    """Name, id and data of each event, in order."""
    found = re.findall(rb"id: (\d+)\nevent: ([a-z-]+)\ndata: (.*)\n\n", body)
    return [(name.decode(), int(seq), msgspec.json.decode(data)) for seq, name, data in found]


def names(body: bytes) -> list[str]:
    return [name for name, _, _ in events(body)]


async def test_an_upload_is_followed_to_its_end(driver: Driver) -> None:
    id = await store(driver)
    async with driver.watching("GET", f"/uploads/{id}/events") as line:
        await line.wait_for(b"event: state")
        await store(driver, number=2, data=b"bb")
        await line.wait_for(b"event: progress")
        await seal(driver)
        await line.wait_for(b"event: sealed")
        await engine_of(driver).finish(id)
        body = await line.wait_for(b"event: published")
    assert line.answer.headers["content-type"].startswith("text/event-stream")
    assert line.answer.headers["x-accel-buffering"] == "no"
    assert line.answer.headers["cache-control"] == "no-store"
    assert body.startswith(b"retry: ")
    found = {name: data for name, _, data in events(body)}
    assert found["state"]["chunks"][0]["size"] == 4
    assert found["progress"] == {"id": id, "received": 6, "length": 6, "offset": 6}
    assert found["published"]["state"] == "done"
    assert found["published"]["size"] == 6
    assert [n for n in names(body) if n != "verifying"] == ["state", "progress", "sealed", "published"]
    sent = [seq for _, seq, _ in events(body)]
    assert sent == sorted(sent)


async def test_a_stream_of_a_finished_upload_ends_at_once_and_says_do_not_come_back(driver: Driver) -> None:
    id = await publish(driver)
    first = await driver.send("GET", f"/uploads/{id}/events")
    assert names(first.body) == ["state"]
    last = events(first.body)[-1][1]
    again = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": str(last)})
    assert (again.status, again.body) == (204, b"")


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(driver: Driver) -> None:
    id = await publish(driver)
    all_of_it = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": "0"})
    assert names(all_of_it.body) == ["created", "sealed", "published"]
    for index, (_, seq, _) in enumerate(events(all_of_it.body)[:-1]):
        rest = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": str(seq)})
        assert events(rest.body) == events(all_of_it.body)[index + 1 :]


async def test_an_event_id_from_another_life_begins_anew(driver: Driver) -> None:
    id = await publish(driver)
    for last in ("999999", "x", "-1", "9" * 40):
        answer = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": last})
        assert names(answer.body) == ["state"]


async def test_the_events_of_all(driver: Driver) -> None:
    await store(driver, "before")
    async with driver.watching("GET", "/events") as line:
        await line.wait_for(b"event: state")
        id = await publish(driver, "during")
        await engine_of(driver).run(Cancel(target=await store(driver, "gone")), Caller(operator=True))
        body = await line.wait_for(b"event: removed")
    found = events(body)
    assert [row["name"] for row in found[0][2]["uploads"]] == ["before"]
    named = [(name, data["id"]) for name, _, data in found if name in {"created", "sealed", "published"}]
    assert [name for name, of in named if of == id] == ["created", "sealed", "published"]
    assert found[-1][2]["state"] == "cancelled"
    # Whoever comes back with the id of any event is told of every later one that ends an upload.
    for _, seq, _ in found:
        async with driver.watching("GET", "/events", {"Last-Event-ID": str(seq)}) as again:
            rest = await again.wait_for(b"event: caught-up")
        later = [event for event in found if event[1] > seq and event[0] in {"published", "removed"}]
        assert [event for event in events(rest) if event[0] in {"published", "removed"}] == later


async def test_nobody_polls_when_nobody_listens(driver: Driver) -> None:
    engine, polls = engine_of(driver), 0
    feed = engine.catalog.feed

    async def counted(**asked: Any) -> Any:
        nonlocal polls
        polls += 1
        return await feed(**asked)

    engine.catalog.feed = counted  # type: ignore[method-assign]  # counts, and asks the real one
    await store(driver)
    await anyio.sleep(0.05)
    assert polls == 0
    async with driver.watching("GET", "/events") as line:
        await line.wait_for(b"event: state")
        await until(lambda: polls >= 3)
    await anyio.sleep(0.02)
    polls = 0
    await anyio.sleep(0.05)
    assert polls == 0


class Stop:
    """As a server offers it: set when it is about to stop."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()


async def test_a_server_that_stops_ends_streams_and_bodies(driver: Driver) -> None:
    stop = Stop()
    extensions = {"onward.drain": stop}
    slow = driver.line("PUT", "/upload/g", [b"a" * 10, b"b" * 10], {"Upload-Offset": "0"}, extensions=extensions)
    hold = anyio.Event()
    receive = slow._receive

    async def held() -> dict[str, Any]:
        if len(slow._pieces) == 1:
            await hold.wait()
        return await receive()

    slow._receive = held  # type: ignore[method-assign]  # the second half of the body never comes
    async with (
        driver.watching("GET", "/events", extensions=extensions) as line,
        anyio.create_task_group() as tasks,
    ):
        await line.wait_for(b"event: state")
        tasks.start_soon(slow.run)
        await until(lambda: slow.answer.taken >= 10)
        stop.set()
    assert (slow.answer.status, slow.answer.code) == (503, "draining")
    assert slow.answer.headers["connection"] == "close"
    assert (await driver.send("GET", "/upload/g")).json()["offset"] == 10
    ready = await driver.send("GET", "/ready")
    assert (ready.status, ready.json()["status"]) == (503, "failed")


# -- downloads ----------------------------------------------------------------------------------------


async def test_a_download_is_never_run_by_a_browser(driver: Driver) -> None:
    id = await publish(driver, "%3Cx%3E%22q.html", b"<script>")
    answer = await driver.send("GET", f"/files/{id}/content")
    assert (answer.status, answer.body) == (200, b"<script>")
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"].startswith("attachment; ")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["accept-ranges"] == "bytes"
    assert headers["repr-digest"].startswith("sha-256=:")
    assert headers["content-length"] == "8"


async def test_a_range_of_a_file(driver: Driver) -> None:
    id = await publish(driver, data=b"0123456789")
    path = f"/files/{id}/content"
    part = await driver.send("GET", path, headers={"Range": "bytes=2-4"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    outside = await driver.send("GET", path, headers={"Range": "bytes=10-"})
    assert (outside.status, outside.code, outside.headers["content-range"]) == (
        416,
        "range-unsatisfiable",
        "bytes */10",
    )
    several = await driver.send("GET", path, headers={"Range": "bytes=0-1,3-4"})
    assert (several.status, several.body) == (200, b"0123456789")
    tag = part.headers["etag"]
    for condition, status in ((tag, 206), (f"W/{tag}", 200), ('"x"', 200), (part.headers["last-modified"], 206)):
        answer = await driver.send("GET", path, headers={"Range": "bytes=0-0", "If-Range": condition})
        assert answer.status == status
    unchanged = await driver.send("GET", path, headers={"If-None-Match": tag})
    assert (unchanged.status, unchanged.body, unchanged.headers["etag"]) == (304, b"", tag)
    head = await driver.send("HEAD", path, headers={"Range": "bytes=2-4"})
    assert (head.status, head.body, head.headers["content-length"]) == (206, b"", "3")


async def test_there_is_nothing_to_download_before_it_is_done(driver: Driver) -> None:
    id = await store(driver)
    answer = await driver.send("GET", f"/files/{id}/content")
    assert (answer.status, answer.code, answer.json()["state"]) == (409, "not-ready", "receiving")
    await driver.send("DELETE", "/upload/f")
    answer = await driver.send("GET", f"/files/{id}/content")
    assert (answer.status, answer.code) == (409, "upload-over")
    assert (await driver.send("GET", f"/files/{'0' * 32}/content")).status == 404


async def test_an_empty_file_is_downloaded(driver: Driver) -> None:
    id = await publish(driver, data=b"")
    answer = await driver.send("GET", f"/files/{id}/content")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")
    assert (await driver.send("GET", f"/files/{id}/content", headers={"Range": "bytes=0-"})).status == 416


async def test_a_file_that_cannot_be_read_is_refused_in_words(driver: Driver) -> None:
    id = await publish(driver)
    published = (await engine_of(driver).view(id, Caller(operator=True))).published
    assert published is not None
    await engine_of(driver).storage.remove(published.ref, id)
    assert (await driver.send("GET", f"/files/{id}/content")).code == "not-found"
    assert (await driver.send("HEAD", f"/files/{id}/content")).status == 404


async def test_an_empty_file_that_is_gone_is_not_taken_for_an_empty_one(driver: Driver) -> None:
    id = await publish(driver, data=b"")
    published = (await engine_of(driver).view(id, Caller(operator=True))).published
    assert published is not None
    await engine_of(driver).storage.remove(published.ref, id)
    assert (await driver.send("GET", f"/files/{id}/content")).code == "not-found"


async def test_there_is_no_content_of_an_upload_that_failed(driver: Driver) -> None:
    body = msgspec.json.encode({"name": "f", "size": 4, "sha256": "0" * 64})
    assert (await driver.send("POST", "/upload", body, {"Content-Type": "application/json"})).status == 201
    id = await store(driver)
    await seal(driver)
    await engine_of(driver).finish(id)
    answer = await driver.send("GET", f"/files/{id}/content")
    assert (answer.status, answer.code, answer.json()["reason"]) == (409, "upload-failed", "digest-mismatch")


async def test_a_client_that_leaves_a_download_closes_the_file(driver: Driver) -> None:
    id = await publish(driver)
    closed = anyio.Event()

    async def endless(ref: str, start: int, size: int) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 1024
                await anyio.sleep(0.001)
        finally:
            closed.set()

    engine_of(driver).storage.read = endless  # type: ignore[method-assign, assignment]  # a file without an end
    async with driver.watching("GET", f"/files/{id}/content") as line:
        await line.wait_for(b"xxx")
    assert closed.is_set()


# -- probes and description ---------------------------------------------------------------------------


async def test_probes_tell_what_can_be_done() -> None:
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
    async with running(application(Settings())) as driver:

        async def full() -> None:
            raise StorageFault

        engine_of(driver).storage.check = full  # type: ignore[method-assign]  # a disk that is gone
        answer = await driver.send("GET", "/ready")
        assert (answer.status, answer.json()["checks"]["storage"]["status"]) == (503, "failed")


async def test_a_disk_without_room_is_told_before_anybody_is_refused() -> None:
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
