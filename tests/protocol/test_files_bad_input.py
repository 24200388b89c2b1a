"""What is sent wrongly to ``/files``: refused, and nothing is touched."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.protocol.files_rows import CHUNKED, TUS, Room, append, begin, draft, patch, post, room, stands, tus

pytestmark = pytest.mark.anyio

IDS = {
    "two steps up": "../x",
    "two steps up, encoded": "%2e%2e%2f",
    "two steps up, encoded twice": "%252e%252e%252f",
    "a NUL": "a%00b",
    "no UTF-8": "%ff",
    "5 000 characters": "a" * 5000,
    "an id in capitals": "ABCDEF0123456789ABCDEF0123456789",
    "an id and a NUL": "0" * 32 + "%00",
    "an id and a line's end": "0" * 32 + "%0a",
    "an id of 31 characters": "0" * 31,
    "digits that are not ASCII": "%D9%A0" * 32,
}
ASKED = {
    "tus HEAD": tus("HEAD", "", 404),
    "tus PATCH": patch(0, b"abc", 404, path=""),
    "tus DELETE": tus("DELETE", "", 404),
    "draft HEAD": draft("HEAD", "", 404),
    "draft PATCH": append(0, b"abc", 404, path=""),
    "draft DELETE": draft("DELETE", "", 404),
    "GET": draft("GET", "", 404, version=None),
}


@pytest.fixture
async def files() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


@pytest.mark.parametrize("id", IDS.values(), ids=IDS)
@pytest.mark.parametrize("step", ASKED.values(), ids=ASKED)
async def test_what_is_no_id_is_no_upload(files: Room, id: str, step: object) -> None:
    """R-84 T-PATCH-05: no name of a file or of anything else is ever made of it."""
    assert isinstance(step, type(ASKED["GET"]))
    await files.play([step._replace(path=f"/files/{id}", lacks=["Upload-Offset", "Location"])])
    assert await files.count() == 0
    assert [one async for one in files.engine.storage.scratch()] == []


NUMBERS = ["", "+5", "-1", "1e3", "0x5", "5.0", "1_0", "5,5", "\u0665".encode().decode("latin-1"), "9" * 30, "5 5"]


@pytest.mark.parametrize("text", NUMBERS)
async def test_what_is_no_number(files: Room, text: str) -> None:
    """T-CREATE-05 T-PATCH-03: only digits are, and not too many."""
    creation = post(400, headers={"Upload-Length": text}, lacks=["Location"])
    await files.play([creation, post(), patch(text, b"abc", 400), stands(0)])


async def test_a_coding_is_not_stored(files: Room) -> None:
    """R-16: the bytes would not be those of the file."""
    coded = {"Content-Encoding": "gzip"}
    await files.play([
        post(415, headers={"Upload-Length": "10", **coded}),
        post(),
        patch(0, b"abc", 415, headers=coded),
        stands(0),
        begin(b"abc", status=415, headers=coded),
    ])  # fmt: skip
    assert await files.count() == 1


async def test_a_body_without_an_end_stops_at_the_length(files: Room) -> None:
    """T-PATCH-08 R-68: no more is asked for than shows that there is more."""
    await files.play([post()])
    answer = await files.ask(patch(0, [b"abcde"] * 10, 413, headers=CHUNKED))
    assert (answer.status, answer.headers["tus-resumable"]) == (413, TUS["Tus-Resumable"])
    assert answer.taken <= 15
    assert answer.headers["connection"] == "close"
    assert await files.stored() == b"abcdeabcde"
