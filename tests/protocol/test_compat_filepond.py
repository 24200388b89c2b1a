"""FilePond: an id first, then the bytes in order; small files at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from onward.config import Settings
from onward.core.types import Failed, UploadId
from tests.protocol.compat_rows import END, FORM, NAME, SETTINGS, WHOLE, Ask, Bad, Room, field, file, form, room

pytestmark = pytest.mark.anyio

PATH: Final = "/compat/filepond"
BYTES: Final = "application/offset+octet-stream"
NONE: Final = "0" * 32


@pytest.fixture
async def compat() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


async def begun(compat: Room, length: int = len(WHOLE), body: bytes | None = None) -> str:
    """An upload as FilePond begins it; its id is the whole answer."""
    said = form({"filepond": "{}"}, None) if body is None else body
    answer = await compat.ask(Ask("POST", PATH, said, {**FORM, "Upload-Length": str(length)}))
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (201, "text/plain")
    return answer.body.decode("ascii")


def patch(id: str, offset: Any, data: bytes, **headers: str) -> Ask:
    said = {"Content-Type": BYTES, "Upload-Offset": str(offset), "Upload-Length": str(len(WHOLE)), "Upload-Name": NAME}
    given = {name: value for name, value in {**said, **headers}.items() if value}
    return Ask("PATCH", f"{PATH}?patch={id}", data, {"Content-Length": str(len(data)), **given})


def head(id: str) -> Ask:
    return Ask("HEAD", f"{PATH}?patch={id}")


async def test_an_id_then_the_bytes(compat: Room) -> None:
    """C-01: the name comes with the bytes; the last ones complete the upload, the same ones again do no harm."""
    id = await begun(compat)
    assert (await compat.ask(head(id))).headers["upload-offset"] == "0"
    for offset in (0, 4, 8):
        data = WHOLE[offset : offset + 4]
        for _ in range(2):
            stored = await compat.ask(patch(id, offset, data))
            assert (stored.status, stored.headers["upload-offset"]) == (204, str(offset + len(data)))
        stands = await compat.ask(head(id))
        assert (stands.status, stands.headers["cache-control"]) == (200, "no-store")
        assert (stands.headers["upload-offset"], stands.headers["upload-length"]) == (str(offset + len(data)), "10")
    assert await compat.finished(id) == (NAME, WHOLE)
    assert [row["name"] for row in await compat.uploads()] == [NAME]


async def test_an_empty_last_chunk(compat: Room) -> None:
    """C-01: sent where the size is a multiple of a chunk's, also when the file is published already."""
    id = await begun(compat, 8)
    empty = patch(id, 8, b"", **{"Upload-Length": "8"})
    for offset in (0, 4):
        if offset:
            early = await compat.ask(empty)
            assert (early.status, early.headers["upload-offset"]) == (409, "4")
        assert (await compat.ask(patch(id, offset, WHOLE[offset : offset + 4], **{"Upload-Length": "8"}))).status == 204
    assert (await compat.ask(empty)).status == 204
    assert await compat.finished(id) == (NAME, WHOLE[:8])
    assert (await compat.ask(empty)).status == 204


async def test_an_empty_file(compat: Room) -> None:
    """C-09: `chunkForce`; its one chunk has no byte, but it has the name."""
    id = await begun(compat, 0)
    assert (await compat.ask(patch(id, 0, b"", **{"Upload-Length": "0"}))).status == 204
    assert (await compat.ask(patch(id, 0, b"", **{"Upload-Length": "0"}))).status == 204
    assert await compat.finished(id) == (NAME, b"")


@pytest.mark.parametrize("body", [END, b""])
async def test_a_form_without_a_field(compat: Room, body: bytes) -> None:
    """C-01: what a browser makes of a form with nothing in it, and no body at all."""
    kind = FORM if body else {}
    answer = await compat.ask(Ask("POST", PATH, body, {**kind, "Upload-Length": "10", "Upload-Name": NAME}))
    assert answer.status == 201
    assert [row["name"] for row in await compat.uploads()] == [NAME]


async def test_a_small_file_at_once(compat: Room) -> None:
    """C-01 C-07: its metadata has the same field name, and comes first."""
    body = field("filepond", "{}") + file(b"abc", "ä.txt", "filepond") + END
    answer = await compat.ask(Ask("POST", PATH, body, FORM))
    assert answer.status == 201
    assert await compat.finished(answer.body.decode()) == ("ä.txt", b"abc")


async def test_a_cut_chunk_is_not_counted(compat: Room) -> None:
    """C-01: FilePond takes a chunk for sent if the offset is anywhere behind its first byte."""
    id = await begun(compat)
    cut = patch(id, 0, b"aaaa")._replace(body=[b"aa"], gone=True)
    await compat.ask(cut)
    assert (await compat.ask(head(id))).headers["upload-offset"] == "0"


async def test_a_name_in_utf8(compat: Room) -> None:
    """C-06: as the library writes it into a header."""
    id = await begun(compat)
    name = "\u00e4 \u4e2d.bin".encode().decode("latin-1")
    for offset in (0, 4, 8):
        await compat.ask(patch(id, offset, WHOLE[offset : offset + 4], **{"Upload-Name": name}))
    assert await compat.finished(id) == ("ä 中.bin", WHOLE)


async def test_without_a_name_it_follows_the_template(compat: Room) -> None:
    """C-06: nothing that a client sent becomes a path."""
    id = await begun(compat)
    for offset in (0, 4, 8):
        await compat.ask(patch(id, offset, WHOLE[offset : offset + 4], **{"Upload-Name": ""}))
    assert await compat.finished(id) == (f"{id}/file", WHOLE)


@pytest.mark.parametrize("by_path", [True, False])
async def test_the_id_may_stand_in_the_path(compat: Room, by_path: bool) -> None:
    id = await begun(compat)
    where = f"{PATH}/{id}" if by_path else f"{PATH}?patch={id}"
    assert (await compat.ask(patch(id, 0, b"aaaa")._replace(path=where))).status == 204
    assert (await compat.ask(Ask("HEAD", where))).headers["upload-offset"] == "4"
    assert (await compat.ask(Ask("DELETE", where))).status == 204
    assert (await compat.ask(Ask("HEAD", where))).status == 410


async def test_a_file_is_taken_back(compat: Room) -> None:
    """C-06: only its owner's; a finished one only where the operator allows it."""
    id = await begun(compat)
    revert = Ask("DELETE", PATH, id.encode(), {"Content-Type": "text/plain"})
    assert (await compat.ask(revert._replace(headers={"X-User": "eve"}))).status == 404
    assert (await compat.ask(revert)).status == 204
    assert [row["state"] for row in await compat.uploads()] == ["cancelled"]
    kept = Settings(max_chunk=SETTINGS.max_chunk, min_free=0)
    async with room(kept) as other:
        done = (await other.ask(Ask("POST", PATH, file(b"abc") + END, FORM))).body
        await other.finished(done.decode())
        refused = await other.ask(Ask("DELETE", PATH, done))
        assert (refused.status, refused.code) == (403, "refused")


async def test_an_upload_that_failed_is_over(compat: Room) -> None:
    """C-08: no offset is told that a client could go on at."""
    id = UploadId(await begun(compat))
    upload = await compat.engine.ledger.load(id)
    await compat.engine.ledger.record(upload, lambda _: [Failed(code="damaged")])
    answer = await compat.ask(head(id))
    assert (answer.status, answer.body) == (410, b"")
    assert "upload-offset" not in answer.headers


def rows(id: str) -> list[Bad]:
    long = {"Upload-Length": "1001"}
    words: list[tuple[str, Ask, int, str | None]] = [
        ("C-02 no offset", patch(id, "", b"bbbb"), 400, "bad-field"),
        ("C-02 an offset that is no number", patch(id, "4x", b"bbbb"), 400, "bad-field"),
        ("C-02 an offset beyond the end", patch(id, 11, b"b"), 409, "length-conflict"),
        ("C-02 bytes beyond the end", patch(id, 8, b"ccc"), 409, "length-conflict"),
        ("C-02 another length", patch(id, 4, b"bbbb", **{"Upload-Length": "11"}), 409, "length-conflict"),
        ("C-02 a length that is no number", patch(id, 4, b"bbbb", **{"Upload-Length": "ten"}), 400, "bad-field"),
        ("C-01 other bytes for a stored place", patch(id, 0, b"aaax"), 409, "part-conflict"),
        ("C-05 a chunk that is too large", patch(id, 0, b"a" * 9), 413, "chunk-too-large"),
        ("C-05 another type", patch(id, 4, b"bbbb", **{"Content-Type": "text/plain"}), 415, "unsupported-media-type"),
        ("C-06 a name that leads upwards", patch(id, 4, b"bbbb", **{"Upload-Name": "../x"}), 400, "bad-name"),
        ("C-06 another name", patch(id, 4, b"bbbb", **{"Upload-Name": "c.bin"}), 409, "name-taken"),
        ("C-06 a name that is not UTF-8", patch(id, 4, b"bbbb", **{"Upload-Name": "\u00ff"}), 400, "bad-field"),
        ("C-06 what is no id", patch("..%2f..%2fx", 0, b"aaaa"), 404, "not-found"),
        ("C-06 nobody's id", patch(NONE, 0, b"aaaa"), 404, "not-found"),
        ("C-06 somebody else's", patch(id, 4, b"bbbb", **{"X-User": "eve"}), 404, "not-found"),
        ("C-06 no id", Ask("PATCH", PATH, b"a", {"Content-Type": BYTES, "Upload-Offset": "0"}), 400, "bad-field"),
        ("C-06 no id to ask about", Ask("HEAD", PATH), 400, None),
        ("C-06 what is no id to ask about", head("x"), 404, None),
        ("C-06 what is no id to take back", Ask("DELETE", PATH, b"../../x"), 404, "not-found"),
        ("C-07 more than an id to take back", Ask("DELETE", PATH, b"x" * 2000), 413, "body-too-large"),
        ("C-05 a file that is too large", Ask("POST", PATH, END, {**FORM, **long}), 413, "upload-too-large"),
        ("C-02 no length and no file", Ask("POST", PATH, END, FORM), 400, "bad-body"),
        ("C-06 a small file whose name leads upwards", Ask("POST", PATH, file(b"x", "../x") + END, FORM), 400,
         "bad-name"),
    ]  # fmt: skip
    return [Bad(*row) for row in words]


async def test_what_is_wrong_is_refused_and_changes_nothing(compat: Room) -> None:
    id = await begun(compat)
    assert (await compat.ask(patch(id, 0, b"aaaa"))).status == 204
    for bad in rows(id):
        await compat.refuses(bad)
    for offset in (4, 8):
        assert (await compat.ask(patch(id, offset, WHOLE[offset : offset + 4]))).status == 204
    assert await compat.finished(id) == (NAME, WHOLE)


async def test_a_refusal_tells_where_the_upload_stands(compat: Room) -> None:
    """C-08: to whoever may know."""
    id = await begun(compat)
    await compat.ask(patch(id, 0, b"aaaa"))
    assert (await compat.ask(patch(id, 0, b"aaax"))).headers["upload-offset"] == "4"
    assert "upload-offset" not in (await compat.ask(patch(id, 0, b"aaax", **{"X-User": "eve"}))).headers
