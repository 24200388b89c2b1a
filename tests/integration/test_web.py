"""The stand-alone application around the chunk API: who may, status, downloads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from onward.config import Settings
from onward.core.types import Cancel, Command, UploadId
from onward.core.upload import Upload
from onward.errors import Refused
from onward.hooks.none import NoHooks
from onward.ports import Caller
from tests.integration.asgi_driver import Driver, running
from tests.integration.web_room import TOKEN, application, engine_of, publish, seal, store

pytestmark = pytest.mark.anyio


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    async with running(application(Settings())) as driver:
        yield driver


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
    for path, status in (("f", 200), ("f?chunk=1", 200), ("nothing", 404)):
        answer = await driver.send("HEAD", f"/upload/{path}")
        assert answer.status == status
        assert not {"content-length", "content-type"} & set(answer.headers), "nothing says what a body would be"
    refused = await driver.send("HEAD", "/health")
    assert (refused.status, refused.headers.get("content-length")) == (405, None)


@pytest.mark.parametrize(
    ("method", "path", "field", "words"),
    [
        ("GET", "/upload/f?chunks=1", "query", "the query has no field 'chunks' here"),
        ("HEAD", "/upload/f?chunks=1", "query", ""),
        ("GET", "/upload/f?chunk=1&chunk=2", "chunk", "the query has chunk more than once"),
        ("PUT", "/upload/f-2?chunk=2", "query", "the query has no field 'chunk' here"),
        ("DELETE", "/upload/f?now=", "query", "the query has no field 'now' here"),
    ],
)
async def test_a_query_that_nobody_reads_is_refused(
    driver: Driver, method: str, path: str, field: str, words: str
) -> None:
    await store(driver)
    answer = await driver.send(method, path, b"aaaa" if method == "PUT" else b"")
    assert answer.status == 400
    if words:
        assert (answer.json()["field"], answer.json()["detail"]) == (field, words)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b'{"name": "f", "size": "5"}', "size must be a whole number, not text"),
        (b'{"name": "f", "size": 1.5}', "size must be a whole number, not a number with a fraction"),
        (b'{"name": null}', "name must be text, not null"),
        (b'{"name": "f", "chunks": 5}', "chunks must be a list, not a whole number"),
        (b'{"name": "f", "metadata": []}', "metadata must be an object, not a list"),
        (b'{"name": "f", "sha256": true}', "sha256 must be text, not true or false"),
    ],
)
async def test_a_field_of_another_type_is_refused_in_plain_words(driver: Driver, said: bytes, words: str) -> None:
    answer = await driver.send("POST", "/upload", said, {"Content-Type": "application/json"})
    assert (answer.status, answer.json()["detail"]) == (400, words)


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


async def test_a_row_tells_what_is_there_now_and_until_when(driver: Driver) -> None:
    open_, gone = await store(driver, "open"), await store(driver, "gone")
    done = await publish(driver, "done")
    await engine_of(driver).run(Cancel(target=gone), Caller(operator=True))
    rows = {row["id"]: row for row in (await driver.send("GET", "/uploads")).json()["uploads"]}
    assert [(rows[id]["received"], rows[id]["kept"], rows[id]["chunks"]) for id in (open_, gone, done)] == [
        (4, 4, 1),
        (0, 0, 0),
        (4, 4, 1),
    ]
    assert rows[open_]["expires_at"] == (await driver.send("GET", f"/uploads/{open_}")).json()["expires_at"]
    assert rows[gone]["expires_at"] is rows[done]["expires_at"] is None


async def test_a_list_can_say_where_the_bytes_are(driver: Driver) -> None:
    id = await store(driver, "f", number=1)
    await store(driver, "f", number=3)
    await publish(driver, "done")
    rows = (await driver.send("GET", "/uploads?map=true&limit=50")).json()["uploads"]
    assert {row["id"] == id: row["map"] for row in rows} == {True: "999900009999", False: None}
    assert [row["map"] for row in (await driver.send("GET", "/uploads?map=false")).json()["uploads"]] == [None, None]


async def test_a_list_shows_no_bytes_of_what_ended_while_it_was_made(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_, over, forgotten = [await store(driver, name) for name in ("open", "over", "forgotten")]
    engine = engine_of(driver)
    page = engine.catalog.page

    async def then_some_end(**asked: Any) -> Any:
        found = await page(**asked)
        for id in (over, forgotten):
            await engine.run(Cancel(target=id), Caller(operator=True))
        await engine.journal.drop(forgotten)
        engine.ledger.forget(forgotten)
        return found

    monkeypatch.setattr(engine.catalog, "page", then_some_end)
    rows = (await driver.send("GET", "/uploads?map=true")).json()["uploads"]
    assert {row["id"] for row in rows} == {open_, over, forgotten}
    assert {row["id"] for row in rows if row["map"] is not None} == {open_}


async def test_the_server_as_a_whole_is_shown_to_operators() -> None:
    settings = Settings(token=TOKEN["Authorization"].removeprefix("Bearer "), min_free=1 << 20)
    async with running(application(settings)) as driver:

        async def left() -> int | None:
            return 5 << 20

        engine_of(driver).storage.free = left  # type: ignore[method-assign]  # as a disk has it
        said = {"Upload-Chunk-Size": "4", "Upload-Length": "10"}
        assert (await driver.send("POST", "/upload/f-1", b"aaaa", said)).status == 201
        await store(driver, "g")
        await seal(driver, "g")
        page = await driver.send("GET", "/uploads", headers=TOKEN)
        assert page.json()["server"] == {"free": 5 << 20, "floor": 1 << 20, "promised": 6, "waiting": 1}
        async with driver.watching("GET", "/events", TOKEN) as line:
            assert b'{"free":5242880,"floor":1048576,"promised":6,"waiting":1}' in await line.wait_for(b"event: server")


@pytest.mark.parametrize(
    "query",
    [
        "map=x",
        "map=true&limit=51",
        "limit=0",
        "limit=201",
        "limit=x",
        "state=gone",
        "state=",
        "state=done,",
        "after=nonsense",
        "other=1",
    ],
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
