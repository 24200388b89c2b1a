"""Requests side by side on one upload, expiry, joining: tus through the whole application, named by requirement."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import anyio
import pytest
from litestar.connection import ASGIConnection

from onward.engine.engine import Engine
from onward.engine.sweep import sweep
from onward.errors import Unauthorized
from onward.hooks.none import NoHooks
from onward.journal.memory import MemoryJournal
from onward.locks.memory import MemoryLocks
from onward.ports import Caller
from onward.storage.memory import MemoryStorage
from tests.integration.asgi_driver import Line, NotedJobs
from tests.protocol.files_rows import (
    BYTES,
    SETTINGS,
    TUS,
    Room,
    Row,
    Step,
    append,
    begin,
    draft,
    patch,
    post,
    room,
    stands,
    told,
    tus,
    with_settings,
)

pytestmark = pytest.mark.anyio

IMF_FIXDATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII)


@pytest.fixture
async def files() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


# -- joining ------------------------------------------------------------------------------------------


def piece(length: int = 3, **more: str) -> Step:
    return post(headers={"Upload-Length": str(length), "Upload-Concat": "partial", **more})


def whole(urls: str, status: int = 201, **more: str) -> Step:
    return post(status, headers={"Upload-Concat": f"final;{urls}", **more}, lacks=[] if status == 201 else ["Location"])


TWO = [piece(), patch(0, b"abc"), piece(2), patch(0, b"de")]

JOINS: Sequence[Row] = [
    Row(
        "T-CONCAT-01 T-CONCAT-07 a piece is an upload like any, and says what it is",
        [piece(), stands(0, has={"Upload-Concat": "partial"}), patch(0, b"abc"), stands(3, has={"Upload-Length": "3"})],
    ),
    Row(
        "T-CONCAT-02 T-CONCAT-07 T-CONCAT-08 a whole of two pieces",
        [
            piece(3, **{"Upload-Metadata": "a YQ=="}),
            patch(0, b"abc"),
            piece(2),
            patch(0, b"de"),
            whole("@2 http://up.test@1"),
            stands(
                5, has={"Upload-Length": "5", "Upload-Concat": "final;@2 http://up.test@1"}, lacks=["Upload-Metadata"]
            ),
        ],
    ),
    Row(
        "T-CONCAT-03 a whole with a length",
        [*TWO, whole("@1 @2", 400, **{"Upload-Length": "5"})],
    ),
    Row(
        "T-CONCAT-05 what nothing is made of",
        [
            *TWO,
            post(headers={"Upload-Length": "3"}),
            patch(0, b"abc"),
            whole("@1 @3", 400),
            whole(f"@1 /files/{'0' * 32}", 404),
            whole("@1 http://elsewhere.test@2", 404),
            whole("", 400),
            piece(999),
            whole("@1 @2 @4", 413),
        ],
    ),
    Row(
        "T-CONCAT-06 bytes for a whole",
        [*TWO, whole("@1 @2"), patch(5, b"x", 403), patch(0, b"", 403), stands(5)],
    ),
    Row(
        "T-CONCAT-09 a whole before its pieces have all of their bytes",
        [
            piece(),
            patch(0, b"ab"),
            whole("@1"),
            tus("HEAD", "@", 200, has={"Upload-Length": "3"}, lacks=["Upload-Offset"]),
            patch(0, b"x", 403),
            patch(2, b"c", path="@1"),
            stands(3, has={"Upload-Length": "3"}),
        ],
    ),
]


@pytest.mark.parametrize("row", JOINS, ids=lambda row: row.name)
async def test_joining(files: Room, row: Row) -> None:
    await files.play(row.steps)


async def test_a_piece_may_be_in_several_wholes_and_twice_in_one(files: Room) -> None:
    """T-CONCAT-02 T-CONCAT-04 T-CONCAT-01: the order is the listed one, and pieces alone are never finished."""
    await files.play([*TWO, whole("@2 @1 @2"), whole("@1 @2")])
    assert files.engine.jobs.asked == [files.begun[-2].rpartition("/")[2], files.id]  # type: ignore[attr-defined]  # the recording queue of the room
    first = files.begun[-2].rpartition("/")[2]
    assert await files.stored(type(files.id)(first)) == b"deabcde"
    assert await files.stored() == b"abcde"


# -- one upload, several requests -----------------------------------------------------------------------

SILENCE: Final = (b"ab", b"cd", *[b""] * 1000)
"""Four bytes, and then none while the connection stands."""
STALLED: dict[str, str] = {"Content-Type": BYTES, "Upload-Offset": "0", "Content-Length": "9"}


@asynccontextmanager
async def sending(files: Room, headers: dict[str, str]) -> AsyncIterator[Line]:
    """A PATCH that has brought 4 bytes and brings no more."""
    line = files.driver.line("PATCH", files.begun[-1], SILENCE, headers, gone=True, pause=0.02)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        with anyio.fail_after(20):
            while line.answer.taken < 4:  # noqa: ASYNC110  # the application asks when it likes
                await anyio.sleep(0.01)
        yield line
        line.leave()


NEWCOMERS: Sequence[Row] = [
    Row("T-PATCH-12 T-HEAD-06 HEAD", [stands(4), patch(4, b"efghij", has={"Upload-Offset": "10"})]),
    Row("T-PATCH-12 PATCH by a client that was told before", [patch(4, b"efghij", has={"Upload-Offset": "10"})]),
    Row("T-PATCH-12 PATCH at the old offset", [patch(0, b"abcd", 409, has={"Upload-Offset": "4"}), stands(4)]),
    Row("T-PATCH-12 T-TERM-04 DELETE", [tus("DELETE", "@", 204), tus("HEAD", "@", 410)]),
    Row("R-83 R-52 HEAD of the draft", [told(4), append(4, b"ef", 204), told(6)]),
    Row("R-83 PATCH of the draft", [append(4, b"ef", 204), told(6)]),
    Row("R-81 R-82 DELETE of the draft", [draft("DELETE", "@", 204), draft("HEAD", "@", 410)]),
]


@pytest.mark.parametrize("row", NEWCOMERS, ids=lambda row: row.name)
async def test_a_newcomer_sends_the_older_request_away(files: Room, row: Row) -> None:
    of_draft = row.name.startswith("R-")
    await files.play([begin() if of_draft else post()])
    said = {"Upload-Draft-Interop-Version": "8", "Upload-Complete": "?0", "Content-Type": "application/partial-upload"}
    headers = {**STALLED, **said} if of_draft else {**STALLED, **TUS}
    async with sending(files, headers) as line:
        await files.play(row.steps)
        with anyio.fail_after(20):
            while line.answer.status == 0:  # noqa: ASYNC110  # it is on its way
                await anyio.sleep(0.01)
    assert line.answer.status in {404, 410, 423}
    assert line.answer.headers.get("connection") == "close"
    scratch = [id async for id in files.engine.storage.scratch()]
    assert scratch == ([] if "DELETE" in row.name else [files.id]), "T-TERM-04: nothing comes back"


async def test_a_client_that_falls_silent_loses_its_connection() -> None:
    """T-PATCH-11 R-85: what it brought is kept."""
    async with room(with_settings(body_idle=0.1)) as files:
        await files.play([post()])
        answer = await files.driver.send("PATCH", files.begun[-1], SILENCE, {**STALLED, **TUS}, gone=True, pause=0.02)
        assert (answer.status, answer.code) == (408, "stalled")
        assert answer.headers["connection"] == "close"
        await files.play([stands(4)])


# -- in time --------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def clocked(clock: Clock) -> AsyncIterator[Engine]:
    journal = MemoryJournal()
    engine = Engine(
        storage=MemoryStorage(),
        journal=journal,
        catalog=journal,
        locks=MemoryLocks(),
        hooks=NoHooks(),
        jobs=NotedJobs(),
        limits=SETTINGS.limits,
        rules=SETTINGS.rules,
        clock=clock,
    )
    try:
        yield engine
    finally:
        await engine.close()


async def test_an_unfinished_upload_tells_when_it_ends_and_does() -> None:
    """T-EXP-01 T-EXP-02 T-EXP-03 T-PATCH-05 R-55 R-15: on POST, PATCH and HEAD; then it is 410 to all."""
    clock = Clock()
    async with room(engine=partial(clocked, clock)) as files:
        for step in (post(), patch(0, b"abc"), stands(3), patch(0, b"", 409)):
            told_at = (await files.ask(step)).headers["upload-expires"]
            assert IMF_FIXDATE.fullmatch(told_at)
        clock.now += SETTINGS.expire_after - 1
        await sweep(files.engine)
        await files.play([stands(3)])
        clock.now += 2
        await sweep(files.engine)
        await files.play([
            tus("HEAD", "@", 410, lacks=["Upload-Offset"]),
            patch(3, b"d", 410, lacks=["Upload-Offset"]),
            draft("HEAD", "@", 410, lacks=["Upload-Offset"]),
            append(3, b"d", 410, lacks=["Upload-Offset"]),
        ])  # fmt: skip


# -- whose, and how the server fails ----------------------------------------------------------------------


def by_header(connection: ASGIConnection) -> Caller:  # type: ignore[type-arg]  # whatever application it is of
    return Caller(owner=connection.headers.get("x-owner"))


async def test_an_upload_is_there_for_its_owner_alone() -> None:
    """R-84 T-CONCAT-05 T-HEAD-05: for anybody else it does not exist, whatever they ask."""
    ada, bob = {"X-Owner": "ada"}, {"X-Owner": "bob"}
    async with room(caller=by_header) as files:
        sent = {"Upload-Length": "3", "Upload-Concat": "partial"}
        await files.play([post(headers={**sent, **ada}), patch(0, b"abc", headers=ada)])
        await files.play([
            tus("HEAD", "@", 404, headers=bob, lacks=["Upload-Offset"]),
            patch(3, b"", 404, headers=bob),
            tus("DELETE", "@", 404, headers=bob),
            post(404, headers={"Upload-Concat": "final;@", **bob}),
            draft("HEAD", "@", 404, headers=bob, lacks=["Upload-Offset"]),
            append(3, b"d", 404, headers=bob),
            draft("DELETE", "@", 404, headers=bob),
            tus("HEAD", "@", 200, headers=ada),
        ])  # fmt: skip
        assert re.fullmatch("[0-9a-f]{32}", files.id)


def nobody(connection: ASGIConnection) -> Caller:  # type: ignore[type-arg]  # whatever application it is of
    raise Unauthorized


async def test_somebody_unknown_is_turned_away_in_the_words_of_the_request() -> None:
    """R-38: to begin an upload again cannot help, to go on with one may."""
    async with room(caller=nobody) as files:
        await files.play([
            begin(b"abc", status=401, has={"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}),
            append(0, b"abc", 401, path=f"/files/{'0' * 32}", has={"Upload-Complete": "?0"}),
            draft("HEAD", f"/files/{'0' * 32}", 401, lacks=["Upload-Complete"]),
            Step("PUT", "/files", 401, body=b"abc", has={"Upload-Complete": "?1"}, lacks=["Tus-Resumable"]),
            post(401, lacks=["Upload-Complete"]),
            Step("POST", "/files", 401, has=TUS, code="unauthorized"),
        ])  # fmt: skip
        assert (await files.ask(begin(b"abc"))).taken == 0


def broken(connection: ASGIConnection) -> Caller:  # type: ignore[type-arg]  # whatever application it is of
    raise RuntimeError("no way to know")


def closed(connection: ASGIConnection, _: object) -> None:  # type: ignore[type-arg]  # whatever application it is of
    raise PermissionError


@pytest.mark.parametrize("config", [{"caller": broken}, {"guards": (closed,)}], ids=["in ours", "before ours"])
async def test_a_failure_of_the_server_is_stamped(config: dict[str, Any]) -> None:
    """T-VER-01: also what no handler has seen."""
    async with room(**config) as files:
        await files.play([
            post(500, lacks=["Location"]),
            tus("HEAD", f"/files/{'0' * 32}", 500),
            Step("POST", "/files", 500, {"Tus-Resumable": "9"}, has=TUS),
        ])  # fmt: skip
