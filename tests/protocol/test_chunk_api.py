"""The chunk API through the whole application, over memory backends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from litestar import Litestar

from onward.app import create_app
from onward.core.types import UploadId
from onward.engine.engine import Engine
from tests.integration.asgi_driver import Answer, Driver, memory_engine, running
from tests.protocol import bad_input
from tests.protocol.bad_input import CHUNKS, NAME, ROWS, SETTINGS, WHOLE, Request, Row, chunk, complete

pytestmark = pytest.mark.anyio

URLENCODED = "application/x-www-form-urlencoded"
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "bad-input.md"


@pytest.fixture
def app() -> Litestar:
    return create_app(SETTINGS, engine=partial(memory_engine, SETTINGS))


@pytest.fixture
async def driver(app: Litestar) -> AsyncIterator[Driver]:
    async with running(app) as driver:
        yield driver


async def send(driver: Driver, request: Request) -> Answer:
    return await driver.send(request.method, request.path, request.body, request.headers, gone=request.gone)


def engine_of(app: Litestar) -> Engine:
    provide = app.dependencies["uploads"]
    engine = provide.dependency()  # type: ignore[union-attr]  # the plugin's, not a bare callable
    assert isinstance(engine, Engine)
    return engine


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.case)
async def test_bad_input_is_refused_and_nothing_is_lost(app: Litestar, driver: Driver, row: Row) -> None:
    for request in (chunk(1, CHUNKS[0]), chunk(2, CHUNKS[1]), *row.before):
        assert (await send(driver, request)).status < 300
    before = await driver.send("GET", f"/upload/{NAME}")

    answer = await send(driver, row.request)

    assert (answer.status if row.status else 0) == row.status, answer.body
    assert answer.code == row.code
    assert (await driver.send("GET", f"/upload/{NAME}")).json() == before.json()
    await _carry_on(app, driver, row)


async def _carry_on(app: Litestar, driver: Driver, row: Row) -> None:
    """The upload goes on as if nothing had been."""
    whole = b"aaaabbbbccccdd" if row.before == bad_input.FOURTH else WHOLE
    if row.before != bad_input.DONE:
        assert (await send(driver, chunk(3, whole[8:12]))).status in {200, 201}
        assert (await send(driver, complete(size=len(whole)))).status == 202
    id = UploadId((await driver.send("GET", f"/upload/{NAME}")).json()["id"])
    await engine_of(app).finish(id)
    assert (await driver.send("GET", f"/files/{id}/content")).body == whole


def test_the_page_of_the_reference_is_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == bad_input.page(), "write tests.protocol.bad_input.page() to the file"


async def test_chunks_in_any_order_at_once_make_the_file(app: Litestar, driver: Driver) -> None:
    pieces = [bytes([65 + n]) * 5 for n in range(12)]
    answers: list[Answer] = []

    async def put(number: int, data: bytes) -> None:
        line = driver.line(
            "POST", f"/upload/{NAME}-{number}", [data[:2], b"", data[2:]], {"Upload-Chunk-Size": "5"}, pause=0.001
        )
        answers.append(await line.run())

    async with anyio.create_task_group() as tasks:
        for number, data in reversed(list(enumerate(pieces, 1))):
            tasks.start_soon(put, number, data)
            tasks.start_soon(put, number, data)
    # Who sends the same chunk at the same time takes the place over; the other is told so.
    assert {answer.status for answer in answers} <= {200, 201, 423}
    sealed = await send(driver, complete(total_chunks=12, size=60))
    assert sealed.status == 202
    await engine_of(app).finish(UploadId(sealed.json()["id"]))
    assert (await driver.send("GET", f"/files/{sealed.json()['id']}/content")).body == b"".join(pieces)


async def test_a_chunk_after_a_completion_without_a_total_is_loud(driver: Driver) -> None:
    for number in (1, 2):
        assert (await driver.send("POST", f"/upload/{NAME}-{number}", b"aaaa")).status == 201
    sealed = await driver.send(
        "POST", "/upload/complete", f"file_unique_name={NAME}".encode(), {"Content-Type": URLENCODED}
    )
    assert (sealed.status, sealed.json()["chunks"], sealed.json()["total_known"]) == (202, 2, False)
    late = await driver.send("POST", f"/upload/{NAME}-3", b"aaaa")
    assert (late.status, late.code) == (409, "already-complete")


async def test_a_form_and_a_raw_body_store_the_same(driver: Driver) -> None:
    form = bad_input.field("note", b"x") + bad_input.field("data", CHUNKS[0]) + bad_input.END
    headers = {**bad_input.SIZED, **bad_input.FORM, "Content-Digest": bad_input.digest(CHUNKS[0])}
    stored = await driver.send("POST", f"/upload/{NAME}-1", [form[i : i + 1] for i in range(len(form))], headers)
    assert stored.status == 201
    again = await driver.send("PUT", f"/upload/{NAME}-1", CHUNKS[0], bad_input.SIZED)
    assert (again.status, again.json()["sha256"]) == (200, stored.json()["sha256"])
    assert stored.json()["size"] == len(CHUNKS[0])


async def test_completion_takes_a_form(driver: Driver) -> None:
    await send(driver, chunk(1, b"aaaa"))
    form = bad_input.field("file_unique_name", NAME.encode()) + bad_input.field("size", b"4") + bad_input.END
    assert (await driver.send("POST", "/upload/complete", form, bad_input.FORM)).status == 202


async def test_a_repeated_client_name_in_another_normal_form_is_one_upload(driver: Driver) -> None:
    assert (await driver.send("POST", "/upload/e%CC%81-1", b"aaaa")).status == 201
    assert (await driver.send("POST", "/upload/%C3%A9-1", b"aaaa")).status == 200
