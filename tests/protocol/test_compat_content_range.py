"""Posts with Content-Range: jQuery File Upload, react-uploady."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.protocol.compat_rows import END, FORM, NAME, RAW, WHOLE, Ask, Bad, Room, file, form, query, room

pytestmark = pytest.mark.anyio

PATH: Final = "/compat/content-range"
NAMED: Final = {"Content-Disposition": 'attachment; filename="a%20b.bin"'}


@pytest.fixture
async def compat() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


def chunk(first: int, last: int, data: bytes | None = None, /, total: Any = 10, **headers: str) -> Ask:
    """A piece as jQuery File Upload sends it in a form."""
    body = form({"token": "t"}, WHOLE[first : last + 1] if data is None else data)
    said = {"Content-Range": f"bytes {first}-{last}/{total}", **NAMED, **headers}
    return Ask("POST", PATH, body, {**FORM, **said})


async def test_one_after_the_other(compat: Room) -> None:
    """C-01 C-08: `Range` tells the script where to go on."""
    for first, last in ((0, 3), (4, 7), (8, 9)):
        for status in (201, 200):
            stored = await compat.ask(chunk(first, last))
            assert (stored.status, stored.headers["range"]) == (status, f"0-{last}")
            (listed,) = stored.json()["files"]
            assert (listed["name"], listed["size"]) == (NAME, 10)
    (row,) = await compat.uploads()
    assert await compat.finished(row["id"]) == (NAME, WHOLE)
    again = await compat.ask(chunk(0, 3))
    assert (again.status, again.headers["range"]) == (200, "0-9")


async def test_side_by_side(compat: Room) -> None:
    """C-01 C-08: react-uploady may send any piece first; behind a hole nothing is promised."""
    late = await compat.ask(chunk(4, 9))
    assert late.status == 201
    assert "range" not in late.headers
    assert (await compat.ask(chunk(0, 3))).headers["range"] == "0-9"


async def test_raw(compat: Room) -> None:
    """C-01: `multipart: false`, and `PUT`."""
    for method, first, last in (("POST", 0, 3), ("PUT", 4, 9)):
        said = {**RAW, **NAMED, "Content-Range": f"bytes {first}-{last}/10"}
        stored = await compat.ask(Ask(method, PATH, WHOLE[first : last + 1], said))
        assert stored.status == 201
    (row,) = await compat.uploads()
    assert await compat.finished(row["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize(
    "ask", [Ask("POST", PATH, form({}, b"abc"), FORM), Ask("POST", PATH, b"abc", {**RAW, **NAMED})]
)
async def test_a_file_that_is_smaller_than_a_chunk(compat: Room, ask: Ask) -> None:
    """C-01: it has no range, and is whole."""
    stored = await compat.ask(ask)
    assert (stored.status, stored.json()["files"][0]["size"], stored.headers["range"]) == (201, 3, "0-2")
    assert await compat.finished(stored.json()["id"]) == (NAME, b"abc")


async def test_an_empty_file(compat: Room) -> None:
    """C-09: it can have no range."""
    stored = await compat.ask(Ask("POST", PATH, form({}, b""), FORM))
    assert stored.status == 201
    assert "range" not in stored.headers
    assert await compat.finished(stored.json()["id"]) == (NAME, b"")


async def test_a_page_asks_where_to_go_on(compat: Room) -> None:
    """C-04 C-08: `uploadedBytes`."""
    ask = Ask("GET", query(PATH, {"file": NAME, "size": 10}))
    nothing = await compat.ask(ask)
    assert (nothing.status, nothing.json(), nothing.headers["cache-control"]) == (200, {"file": None}, "no-store")
    await compat.ask(chunk(0, 3))
    there = await compat.ask(ask)
    assert (there.json()["file"]["size"], there.headers["range"]) == (4, "0-3")
    assert (await compat.ask(ask._replace(method="HEAD"))).headers["range"] == "0-3"
    other = await compat.ask(Ask("GET", query(PATH, {"file": NAME, "size": 10, "key": "2"})))
    assert other.json() == {"file": None}


async def test_what_tells_two_uploads_apart(compat: Room) -> None:
    """C-06: owner, name and size; and a key, if the page has one."""
    ids = set()
    for more in ({}, {"X-User": "anna"}):
        ids.add((await compat.ask(chunk(0, 3, **more))).json()["id"])
    ids.add((await compat.ask(chunk(0, 3, total=11))).json()["id"])
    ids.add((await compat.ask(chunk(0, 3)._replace(path=f"{PATH}?key=2"))).json()["id"])
    assert len(ids) == 4


async def test_a_refusal_tells_where_the_upload_stands(compat: Room) -> None:
    """C-08: the right offset, for programs."""
    await compat.ask(chunk(0, 3))
    refused = await compat.ask(chunk(0, 3, b"aaax"))
    assert (refused.status, refused.headers["range"], refused.headers["upload-offset"]) == (409, "0-3", "4")


def rows() -> list[Bad]:
    def ranged(text: str) -> Ask:
        return chunk(4, 7, **{"Content-Range": text})

    unnamed = {**RAW, "Content-Range": "bytes 4-7/10"}
    up = {"Content-Disposition": 'attachment; filename="..%2Fx"'}
    words: list[tuple[str, Ask, int, str]] = [
        ("C-02 the end before the start", ranged("bytes 7-4/10"), 400, "bad-field"),
        ("C-02 an end beyond the size", ranged("bytes 4-10/10"), 400, "bad-field"),
        ("C-02 an unknown size", ranged("bytes 4-7/*"), 400, "bad-field"),
        ("C-02 no bytes", ranged("bytes */10"), 400, "bad-field"),
        ("C-02 another unit", ranged("chunks 4-7/10"), 400, "bad-field"),
        ("C-02 numbers of 30 digits", ranged(f"bytes {'4' * 30}-7/10"), 400, "bad-field"),
        ("C-02 two ranges", ranged("bytes 0-3/10, bytes 4-7/10"), 400, "bad-field"),
        ("C-02 more bytes than the range", chunk(4, 7, b"bbbbb"), 400, "bad-body"),
        ("C-02 fewer bytes than the range", chunk(4, 7, b"bbb"), 400, "body-incomplete"),
        ("C-01 other bytes for a stored range", chunk(0, 3, b"aaax"), 409, "part-conflict"),
        ("C-05 a chunk that is too large", chunk(0, 8, WHOLE[:9]), 413, "chunk-too-large"),
        ("C-05 a file that is too large", chunk(0, 3, total=1001), 413, "upload-too-large"),
        ("C-06 a name that leads upwards", chunk(4, 7, **up), 400, "bad-name"),
        ("C-06 a form whose file's name leads upwards", Ask("POST", PATH, file(b"x", "../x") + END, FORM), 400,
         "bad-name"),
        ("C-06 no name", Ask("POST", PATH, b"bbbb", unnamed), 400, "bad-field"),
        ("C-07 no file", Ask("POST", PATH, form({"a": "b"}, None), {**FORM, "Content-Range": "bytes 4-7/10"}), 400,
         "bad-body"),
        ("C-02 a question without a size", Ask("GET", query(PATH, {"file": NAME})), 400, "bad-field"),
        ("C-06 a question without a name", Ask("GET", query(PATH, {"size": 10})), 400, "bad-field"),
        ("C-06 a question about a name that leads upwards", Ask("GET", query(PATH, {"size": 10, "file": "../x"})), 400,
         "bad-name"),
    ]  # fmt: skip
    return [Bad(*row) for row in words]


async def test_what_is_wrong_is_refused_and_changes_nothing(compat: Room) -> None:
    id = (await compat.ask(chunk(0, 3))).json()["id"]
    for bad in rows():
        await compat.refuses(bad)
    for first, last in ((4, 7), (8, 9)):
        assert (await compat.ask(chunk(first, last))).status == 201
    assert await compat.finished(id) == (NAME, WHOLE)


async def test_scripts_may_read_where_to_go_on(compat: Room) -> None:
    """C-08: `Range` is among the headers that a page of another origin may see."""
    stored = await compat.ask(chunk(0, 3, Origin="https://page.example"))
    assert "Range" in stored.headers["access-control-expose-headers"].split(", ")
