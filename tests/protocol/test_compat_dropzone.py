"""Dropzone: chunks numbered from 0 with their offset, small files at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.protocol.compat_rows import END, FORM, NAME, RAW, WHOLE, Ask, Bad, Room, field, file, form, query, room

pytestmark = pytest.mark.anyio

PATH: Final = "/compat/dropzone"
PIECES: Final = (WHOLE[:4], WHOLE[4:8], WHOLE[8:])


@pytest.fixture
async def compat() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


def said(index: Any, **changed: Any) -> dict[str, Any]:
    first = {
        "dzuuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "dzchunkindex": index,
        "dztotalfilesize": 10,
        "dzchunksize": 4,
        "dztotalchunkcount": 3,
        "dzchunkbyteoffset": index * 4 if isinstance(index, int) else 0,
    }
    return {name: value for name, value in (first | changed).items() if value is not None}


def chunk(index: int, data: bytes | None = None, **changed: Any) -> Ask:
    return Ask("POST", PATH, form(said(index, **changed), PIECES[index] if data is None else data), FORM)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
async def test_any_order_and_twice(compat: Room, order: tuple[int, ...]) -> None:
    """C-01 C-02: counted from 0, each with its offset."""
    for index in order:
        assert (await compat.ask(chunk(index))).status == 201
        again = await compat.ask(chunk(index))
        assert (again.status, again.json()["name"]) == (200, NAME)
    (row,) = await compat.uploads()
    assert row["state"] == "verifying"
    assert await compat.finished(row["id"]) == (NAME, WHOLE)
    assert (await compat.ask(chunk(0))).status == 200


async def test_a_file_that_is_smaller_than_a_chunk(compat: Room) -> None:
    """C-01: it comes without a word of chunks, and is whole."""
    stored = await compat.ask(Ask("POST", PATH, form({"folder": "x"}, b"abc"), FORM))
    assert (stored.status, stored.json()["state"], stored.json()["length"]) == (201, "verifying", 3)
    assert await compat.finished(stored.json()["id"]) == (NAME, b"abc")


@pytest.mark.parametrize("fields", [{}, said(0, dztotalfilesize=0, dztotalchunkcount=1)])
async def test_an_empty_file(compat: Room, fields: dict[str, Any]) -> None:
    """C-09: with or without its parameters."""
    stored = await compat.ask(Ask("POST", PATH, form(fields, b""), FORM))
    assert stored.status == 201
    assert await compat.finished(stored.json()["id"]) == (NAME, b"")


async def test_a_raw_body_with_its_parameters_in_the_query(compat: Room) -> None:
    """C-02: `binaryBody`, where the page adds to the URL what the form would say."""
    for index, data in enumerate(PIECES):
        path = query(PATH, said(index, dzfilename=NAME, dztotalchunkcount=None, dzchunkbyteoffset=None))
        assert (await compat.ask(Ask("PUT", path, data, RAW))).status == 201
    (row,) = await compat.uploads()
    assert await compat.finished(row["id"]) == (NAME, WHOLE)


async def test_a_small_file_that_is_cut_leaves_nothing_behind(compat: Room) -> None:
    """C-06: nobody could go on with it, since nobody knows its id."""
    body = form({}, b"abcdef")
    await compat.ask(Ask("POST", PATH, [body[: body.index(b"def")]], FORM, gone=True))
    assert [row["state"] for row in await compat.uploads()] == ["cancelled"]
    assert [one async for one in compat.engine.storage.scratch()] == []


async def test_two_files_in_one_form(compat: Room) -> None:
    """C-07: `uploadMultiple`; neither is published in part."""
    refused = await compat.ask(Ask("POST", PATH, file(b"abc") + file(b"def", "other") + END, FORM))
    assert (refused.status, refused.code) == (400, "bad-body")
    assert [row["state"] for row in await compat.uploads()] == ["cancelled"]


async def test_a_file_before_its_parameters(compat: Room) -> None:
    """C-07: it is not taken for a small file, which is what it looks like at first."""
    behind = Ask("POST", PATH, file(WHOLE[:4]) + form(said(0), None), FORM)
    refused = await compat.ask(behind)
    assert (refused.status, refused.code) == (400, "bad-body")
    assert [row["state"] for row in await compat.uploads()] == ["cancelled"]
    # Said in the query, too, it does no harm behind the file.
    assert (await compat.ask(behind._replace(path=query(PATH, said(0))))).status == 201


def rows() -> list[Bad]:
    small = b"".join(field(name, str(value)) for name, value in said(1).items())
    new: dict[str, Any] = {"dzuuid": "new"}
    words: list[tuple[str, Ask, int, str]] = [
        ("C-02 an index of 3", chunk(1, dzchunkindex=3, dzchunkbyteoffset=None), 400, "bad-field"),
        ("C-02 an index of -1", chunk(1, dzchunkindex=-1), 400, "bad-field"),
        ("C-02 no index", chunk(1, dzchunkindex=None), 400, "bad-field"),
        ("C-02 no total", chunk(1, dztotalfilesize=None), 400, "bad-field"),
        ("C-02 a chunk size of 0", chunk(1, dzchunksize=0), 400, "bad-field"),
        ("C-02 another count", chunk(1, dztotalchunkcount=4), 400, "bad-field"),
        ("C-02 another offset", chunk(1, dzchunkbyteoffset=5), 400, "bad-field"),
        ("C-02 another total", chunk(1, dztotalfilesize=11), 409, "length-conflict"),
        ("C-02 more bytes than the chunk has", chunk(1, b"bbbbb"), 400, "bad-body"),
        ("C-02 fewer bytes than the chunk has", chunk(1, b"bbb"), 400, "body-incomplete"),
        ("C-01 other bytes for a stored chunk", chunk(0, b"aaax"), 409, "part-conflict"),
        ("C-05 a chunk that is too large", chunk(0, b"a" * 9, **new, dzchunksize=9, dztotalchunkcount=2), 413,
         "chunk-too-large"),
        ("C-05 a file that is too large", chunk(0, **new, dztotalfilesize=1001, dztotalchunkcount=251), 413,
         "upload-too-large"),
        ("C-05 too many chunks", chunk(0, b"a", **new, dzchunksize=1, dztotalchunkcount=10), 413, "too-many-chunks"),
        ("C-06 a name that leads upwards", Ask("POST", PATH, small + file(b"bbbb", "../x") + END, FORM), 400,
         "bad-name"),
        ("C-06 a small file whose name leads upwards", Ask("POST", PATH, form({}, b"bbbb", "a/../../x"), FORM), 400,
         "bad-name"),
        ("C-06 the same uuid for another file", Ask("POST", PATH, small + file(b"bbbb", "c.bin") + END, FORM), 409,
         "name-taken"),
        ("C-07 a raw body without parameters", Ask("POST", PATH, b"bbbb", RAW), 400, "bad-field"),
        ("C-07 no file", Ask("POST", PATH, form(said(1), None), FORM), 400, "bad-body"),
    ]  # fmt: skip
    return [Bad(*row) for row in words]


async def test_what_is_wrong_is_refused_and_changes_nothing(compat: Room) -> None:
    id = (await compat.ask(chunk(0))).json()["id"]
    for bad in rows():
        await compat.refuses(bad)
    for index in (1, 2):
        assert (await compat.ask(chunk(index))).status == 201
    assert await compat.finished(id) == (NAME, WHOLE)
