"""resumable.js and flow.js: what they send, what they are told, and after which statuses they give up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio
import pytest

from onward import errors
from onward.config import Settings
from onward.errors import (
    Draining,
    Locked,
    OnwardError,
    Stalled,
    StorageFault,
    Unauthorized,
    UploadFailed,
    UploadOver,
)
from onward.ports import OnConflict
from onward.wire.compat.flow import flow
from onward.wire.compat.numbered import Numbered
from onward.wire.compat.resumable import resumable
from onward.wire.message import Head, Hrefs
from tests.protocol.compat_rows import (
    END,
    FORM,
    NAME,
    RAW,
    SETTINGS,
    WHOLE,
    Ask,
    Bad,
    Room,
    field,
    file,
    form,
    query,
    room,
)

pytestmark = pytest.mark.anyio

FRONTS: Final = ("resumable", "flow")
GIVES_UP: Final = {"resumable": {400, 404, 415, 500, 501}, "flow": {404, 413, 415, 500, 501}}
"""The statuses after which a chunk is not sent again, as each library has them."""


@pytest.fixture
async def compat() -> AsyncIterator[Room]:
    async with room() as made:
        yield made


def said(front: str, number: Any, **changed: Any) -> dict[str, Any]:
    """The parameters of a chunk of ten bytes in chunks of four: the last one has six."""
    first = {
        "ChunkNumber": number,
        "ChunkSize": 4,
        "CurrentChunkSize": 6 if number == 2 else 4,
        "TotalSize": 10,
        "Type": "video/mp4",
        "Identifier": "10-abbin",
        "Filename": NAME,
        "RelativePath": NAME,
        "TotalChunks": 2,
    }
    return {front + name: value for name, value in (first | changed).items() if value is not None}


PIECES: Final = {1: WHOLE[:4], 2: WHOLE[4:]}


def chunk(front: str, number: int, data: bytes | None = None, **changed: Any) -> Ask:
    body = form(said(front, number, **changed), PIECES[number] if data is None else data)
    return Ask("POST", f"/compat/{front}", body, FORM)


def asking(front: str, number: int, method: str = "GET", **changed: Any) -> Ask:
    return Ask(method, query(f"/compat/{front}", said(front, number, **changed)))


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
async def test_any_order_and_twice(compat: Room, front: str, order: tuple[int, int]) -> None:
    """C-01 C-02: the last chunk has up to twice the size of the others."""
    ids = []
    for number in order:
        stored = await compat.ask(chunk(front, number))
        assert (stored.status, stored.json()["name"]) == (201, NAME)
        again = await compat.ask(chunk(front, number))
        assert again.status == 200
        ids += [stored.json()["id"], again.json()["id"]]
    assert len(set(ids)) == 1
    assert await compat.finished(ids[0]) == (NAME, WHOLE)
    late = await compat.ask(chunk(front, 1))
    assert (late.status, late.json()["state"]) == (200, "done")


@pytest.mark.parametrize("front", FRONTS)
async def test_raw_with_everything_in_the_query(compat: Room, front: str) -> None:
    """C-01: `method: 'octet'`."""
    ids = set()
    for number, data in PIECES.items():
        path = query(f"/compat/{front}", said(front, number))
        assert (await compat.ask(Ask("POST", path, [data[:1], data[1:]], RAW))).status == 201
        again = await compat.ask(Ask("PUT", path, data, RAW))
        assert again.status == 200
        ids.add(again.json()["id"])
    assert await compat.finished(ids.pop()) == (NAME, WHOLE)
    assert ids == set()


@pytest.mark.parametrize("front", FRONTS)
async def test_it_is_an_upload_like_any_other(compat: Room, front: str) -> None:
    """C-01: listed, shown, and continued by its id in the chunk API, whose answer leads to it."""
    id = (await compat.ask(chunk(front, 2))).json()["id"]
    assert [(row["id"], row["name"], row["length"]) for row in await compat.uploads()] == [(id, NAME, 10)]
    stored = await compat.ask(Ask("PUT", f"/upload/{id}", WHOLE[:4], {"Upload-Offset": "0"}))
    assert stored.status == 201
    path = stored.headers["location"].removeprefix("http://up.test/api/v1")
    assert (await compat.ask(Ask("GET", path))).json()["id"] == id
    assert (await compat.ask(asking(front, 1))).status == 200
    assert await compat.finished(id) == (NAME, WHOLE)


@pytest.mark.parametrize("front", FRONTS)
async def test_chunks_of_one_size(compat: Room, front: str) -> None:
    """C-02: `forceChunkSize`; the total is then rounded up."""
    for number in (1, 2, 3):
        data = WHOLE[(number - 1) * 4 : number * 4]
        stored = await compat.ask(chunk(front, number, data, CurrentChunkSize=len(data), TotalChunks=3))
        assert stored.status == 201
    (row,) = await compat.uploads()
    assert await compat.finished(row["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize("front", FRONTS)
async def test_names_of_parameters_that_are_switched_off(compat: Room, front: str) -> None:
    """C-02: one of the two ways to tell how long a chunk is will do."""
    assert (await compat.ask(chunk(front, 1, TotalChunks=None, Type=None, RelativePath=None))).status == 201
    assert (await compat.ask(chunk(front, 2, TotalChunks=None, Filename=None))).status == 201
    assert (await compat.ask(chunk(front, 1, CurrentChunkSize=None))).status == 200
    assert [row["state"] for row in await compat.uploads()] == ["verifying"]


@pytest.mark.parametrize("front", FRONTS)
async def test_the_question_before_each_chunk(compat: Room, front: str) -> None:
    """C-04: 200 for what is durable, else 204, and never from a cache."""

    async def asked(number: int, method: str = "GET", **changed: Any) -> int:
        answer = await compat.ask(asking(front, number, method, **changed))
        assert answer.headers["cache-control"] == "no-store"
        if method == "GET" and answer.status == 200:
            assert answer.json()["name"] == NAME
        else:
            assert answer.body == b""
        return answer.status

    assert await asked(1) == 204
    stored = await compat.ask(chunk(front, 2))
    assert [await asked(1), await asked(2), await asked(2, "HEAD")] == [204, 200, 200]
    assert await asked(2, Identifier="another") == 204
    assert await asked(2, TotalSize=11, CurrentChunkSize=7) == 204
    await compat.ask(chunk(front, 1))
    assert [await asked(1), await asked(1, TotalSize=11, TotalChunks=2)] == [200, 204]
    await compat.finished(stored.json()["id"])
    assert [await asked(1), await asked(2)] == [200, 200]
    assert (await compat.ask(Ask("DELETE", f"/uploads/{stored.json()['id']}"))).status in {204, 405}
    assert (await compat.ask(Ask("DELETE", f"/files/{stored.json()['id']}"))).status == 204
    assert [await asked(1), await asked(2)] == [204, 204]


@pytest.mark.parametrize("front", FRONTS)
async def test_an_upload_that_is_over_is_begun_anew_by_its_first_chunk(compat: Room, front: str) -> None:
    """C-05: whoever comes before it is told to try again, by a status that this client does try again after."""
    first = (await compat.ask(chunk(front, 1))).json()["id"]
    assert (await compat.ask(Ask("DELETE", f"/files/{first}"))).status == 204
    early = await compat.ask(chunk(front, 2))
    assert (early.status, early.code) == (409, "upload-over")
    assert early.status not in GIVES_UP[front]
    anew = await compat.ask(chunk(front, 1))
    assert anew.status == 201
    assert (await compat.ask(chunk(front, 2))).status == 201
    assert anew.json()["id"] != first
    assert await compat.finished(anew.json()["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize("front", FRONTS)
async def test_both_last_chunks_at_once_complete_it_once(compat: Room, front: str) -> None:
    """C-03: one seal, one file."""
    asks = []
    for number in (1, 2, 3):
        data = WHOLE[(number - 1) * 4 : number * 4]
        whole = chunk(front, number, data, CurrentChunkSize=len(data), TotalChunks=3)
        assert isinstance(whole.body, bytes)
        asks.append(whole._replace(body=[whole.body[i : i + 100] for i in range(0, len(whole.body), 100)]))
    answers = []

    async def send(ask: Ask) -> None:
        answers.append(await compat.ask(ask))

    async with anyio.create_task_group() as tasks:
        for ask in asks:
            tasks.start_soon(send, ask)
    assert [answer.status for answer in answers] == [201, 201, 201]
    (row,) = await compat.uploads()
    events = await compat.engine.journal.read(row["id"])
    assert [type(record.event).__name__ for record in events].count("Sealed") == 1
    assert await compat.finished(row["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize("front", FRONTS)
async def test_an_empty_file(compat: Room, front: str) -> None:
    """C-09: one chunk without a byte."""
    empty: dict[str, Any] = {"TotalSize": 0, "CurrentChunkSize": 0, "TotalChunks": 1, "Identifier": "0-empty"}
    assert (await compat.ask(asking(front, 1, **empty))).status == 204
    stored = await compat.ask(chunk(front, 1, b"", **empty))
    assert stored.status == 201
    assert (await compat.ask(chunk(front, 1, b"", **empty))).status == 200
    assert (await compat.ask(asking(front, 1, **empty))).status == 200
    assert await compat.finished(stored.json()["id"]) == (NAME, b"")
    assert (await compat.ask(chunk(front, 1, b"", **empty))).status == 200


NEW: Final = {"Identifier": "new"}
ONE_MORE: Final = {"TotalSize": 11, "CurrentChunkSize": 7}
FIVES: Final = {**NEW, "ChunkSize": 5, "CurrentChunkSize": 5, "TotalSize": 14}
ONES: Final = {**NEW, "ChunkSize": 1, "CurrentChunkSize": 1, "TotalChunks": 10}
LARGE: Final = {"upload-too-large", "chunk-too-large", "too-many-chunks"}
WORDS: Final[list[tuple[str, int, bytes | None, dict[str, Any], str]]] = [
    ("C-02 a number of 0", 2, None, {"ChunkNumber": 0}, "bad-field"),
    ("C-02 a number beyond the last", 2, None, {"ChunkNumber": 3}, "bad-field"),
    (
        "C-02 a number beyond the last, without a size",
        2,
        b"cccc",
        {"ChunkNumber": 3, "CurrentChunkSize": None},
        "bad-field",
    ),
    ("C-02 a number with a sign", 2, None, {"ChunkNumber": "+2"}, "bad-field"),
    ("C-02 a number of 30 digits", 2, None, {"ChunkNumber": "9" * 30}, "bad-field"),
    ("C-02 a number beyond the largest file", 2, None, {"ChunkNumber": 2**62}, "bad-field"),
    ("C-02 no number", 2, None, {"ChunkNumber": None}, "bad-field"),
    ("C-02 no chunk size", 2, None, {"ChunkSize": None}, "bad-field"),
    ("C-02 a chunk size of 0", 2, None, {"ChunkSize": 0}, "bad-field"),
    ("C-02 no total", 2, None, {"TotalSize": None}, "bad-field"),
    ("C-02 neither size nor count", 2, None, {"CurrentChunkSize": None, "TotalChunks": None}, "bad-field"),
    ("C-02 another total", 2, b"bbbbccd", ONE_MORE, "length-conflict"),
    ("C-02 a count that does not fit", 2, b"bbbb", {"TotalChunks": 4, "CurrentChunkSize": None}, "bad-field"),
    ("C-02 a size that is not the chunk's", 2, None, {"CurrentChunkSize": 4}, "bad-field"),
    ("C-02 more bytes than the chunk has", 2, b"bbbbccc", {}, "bad-body"),
    ("C-02 fewer bytes than the chunk has", 2, b"bbbbc", {}, "body-incomplete"),
    ("C-01 other bytes for a stored chunk", 1, b"aaax", {}, "part-conflict"),
    ("C-06 no identifier", 2, None, {"Identifier": ""}, "bad-field"),
    ("C-06 the same identifier for another name", 2, None, {"Filename": "c.bin"}, "name-taken"),
    ("C-06 a name that leads upwards", 1, None, {**NEW, "Filename": "../x"}, "bad-name"),
    ("C-06 the name of a folder", 1, None, {**NEW, "Filename": ".."}, "bad-name"),
    ("C-06 a name with a NUL", 1, None, {**NEW, "Filename": "a\0b"}, "bad-name"),
    ("C-06 a name of 300 bytes", 1, None, {**NEW, "Filename": "n" * 300}, "bad-name"),
    ("C-02 a path of 2 000 bytes", 1, None, {**NEW, "RelativePath": "n" * 2000}, "bad-field"),
    ("C-07 a parameter of 70 000 bytes", 2, None, {"Type": "x" * 70_000}, "bad-body"),
    ("C-05 a file that is too large", 1, None, {**NEW, "TotalSize": 1001, "TotalChunks": 250}, "upload-too-large"),
    ("C-05 a last chunk that would be too large", 1, b"aaaaa", FIVES, "chunk-too-large"),
    ("C-05 too many chunks", 1, b"a", ONES, "too-many-chunks"),
]


def rows(front: str) -> list[Bad]:
    """Requests that no further try can help: each status is one that this client gives up after."""
    wrong, large = {"resumable": (400, 400), "flow": (415, 413)}[front]
    fields = said(front, 2)
    post = f"/compat/{front}"
    first = b"".join(field(name, str(value)) for name, value in fields.items())
    many = {**fields, **{f"extra{n}": n for n in range(40)}}
    twice = field(f"{front}ChunkNumber", "1") + first + file(b"bbbbcc") + END
    bodies = {
        "C-07 fifty fields": (form(many, b"bbbbcc"), "bad-body"),
        "C-07 a parameter that comes twice": (twice, "bad-body"),
        "C-07 parameters behind the file": (file(b"bbbbcc") + form(fields, None), "bad-field"),
        "C-07 two files": (first + file(b"bbbbcc") + file(b"x") + END, "bad-body"),
        "C-07 no file": (form(fields, None), "bad-body"),
        "C-07 a form without its end": (form(fields, b"bbbbcc")[:-9], "bad-body"),
        "C-07 text that is not UTF-8": (field("x", b"\xff") + first + file(b"bbbbcc") + END, "bad-body"),
    }
    coded = chunk(front, 2)._replace(headers={**FORM, "Content-Encoding": "gzip"})
    return [
        *(
            Bad(name, chunk(front, number, data, **changed), large if code in LARGE else wrong, code)
            for name, number, data, changed, code in WORDS
        ),
        *(Bad(name, Ask("POST", post, body, FORM), wrong, code) for name, (body, code) in bodies.items()),
        Bad("C-07 no form and no query", Ask("POST", post, b"bbbbcc", RAW), wrong, "bad-field"),
        Bad("C-05 a coding", coded, 415, "unsupported-content-encoding"),
    ]


@pytest.mark.parametrize("front", FRONTS)
async def test_what_is_wrong_is_refused_for_good_and_changes_nothing(compat: Room, front: str) -> None:
    """C-05: or the same chunk would come a hundred times."""
    id = (await compat.ask(chunk(front, 1))).json()["id"]
    for bad in rows(front):
        assert bad.status in GIVES_UP[front]
        await compat.refuses(bad)
    assert (await compat.ask(chunk(front, 2))).status == 201
    assert await compat.finished(id) == (NAME, WHOLE)


@pytest.mark.parametrize("dialect", [resumable(SETTINGS.limits), flow(SETTINGS.limits)], ids=FRONTS)
def test_every_refusal_is_final_or_not_as_it_should_be(dialect: Numbered) -> None:
    """C-05: the client tries again after what may be over by then, and after nothing else."""
    over_by_then = {Draining, Locked, Stalled, StorageFault, Unauthorized, UploadFailed, UploadOver}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OnwardError)]
    assert over_by_then < set(kinds)
    for kind in kinds:
        status = dialect.refuse(kind(), Head(method="POST"), Hrefs()).status
        assert (kind, status in GIVES_UP[dialect.name]) == (kind, kind not in over_by_then)
        assert 400 <= status < 600


@pytest.mark.parametrize("front", FRONTS)
async def test_a_chunk_that_is_cut_leaves_no_trace(compat: Room, front: str) -> None:
    """C-01: the next one may have other bytes."""
    await compat.ask(chunk(front, 1))
    body = form(said(front, 2), b"xxxxyy")
    await compat.ask(Ask("POST", f"/compat/{front}", body[: body.index(b"yy")], FORM, gone=True))
    assert (await compat.ask(asking(front, 2))).status == 204
    stored = await compat.ask(chunk(front, 2))
    assert stored.status == 201
    assert await compat.finished(stored.json()["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize("front", FRONTS)
async def test_identifiers_belong_to_their_owner(compat: Room, front: str) -> None:
    """C-06: two people's uploads with one identifier are two."""
    anna, ben = ({**FORM, "X-User": user} for user in ("anna", "ben"))
    hers = await compat.ask(chunk(front, 1)._replace(headers=anna))
    his = await compat.ask(chunk(front, 1, b"zzzz")._replace(headers=ben))
    assert (hers.status, his.status) == (201, 201)
    assert hers.json()["id"] != his.json()["id"]
    assert (await compat.ask(asking(front, 1)._replace(headers={"X-User": "eve"}))).status == 204


@pytest.mark.parametrize("identifier", ["../../etc/passwd", "a/b", "x" * 5000, "комп 1", ".", "complete", "f-1"])
@pytest.mark.parametrize("front", FRONTS)
async def test_an_identifier_is_any_text_and_no_path(compat: Room, front: str, identifier: str) -> None:
    """C-06: it is only compared."""
    assert (await compat.ask(chunk(front, 1, Identifier=identifier))).status == 201
    stored = await compat.ask(chunk(front, 2, Identifier=identifier))
    assert stored.status == 201
    assert await compat.finished(stored.json()["id"]) == (NAME, WHOLE)


@pytest.mark.parametrize(
    ("on_conflict", "refs"),
    [
        ("refuse", {"a b.bin", "@/a b.bin"}),
        ("rename", {"a b.bin", "a b (1).bin"}),
        ("replace", {"a b.bin"}),
    ],
)
async def test_two_files_of_one_name(on_conflict: str, refs: set[str]) -> None:
    """C-06: the name is that of the file, and what happens when it is taken is the operator's choice."""
    async with room(Settings(on_conflict=OnConflict(on_conflict), min_free=0)) as compat:
        found = set()
        for identifier in ("one", "two"):
            await compat.ask(chunk("resumable", 1, Identifier=identifier))
            stored = await compat.ask(chunk("resumable", 2, Identifier=identifier))
            ref, whole = await compat.finished(stored.json()["id"])
            assert whole == WHOLE
            found.add(ref.replace(stored.json()["id"], "@"))
        assert found == refs


async def test_what_is_said_of_the_file_is_kept(compat: Room) -> None:
    """C-02: its type and the path below the folder that was dropped, as metadata; neither is part of its name."""
    await compat.ask(chunk("resumable", 1, RelativePath="holiday/day 1/a b.bin"))
    stored = await compat.ask(chunk("resumable", 2, RelativePath="holiday/day 1/a b.bin"))
    ref, _ = await compat.finished(stored.json()["id"])
    upload = await compat.engine.ledger.load(stored.json()["id"])
    assert ref == NAME
    assert upload.spec.metadata == {"filetype": "video/mp4", "relativePath": "holiday/day 1/a b.bin"}
    assert (upload.policy.dialect, upload.called) == ("resumable", NAME)


@pytest.mark.parametrize("front", FRONTS)
async def test_scripts_of_other_origins_may_send_and_read(compat: Room, front: str) -> None:
    origin = {"Origin": "https://page.example"}
    preflight = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-csrf-token"}
    answer = await compat.ask(Ask("OPTIONS", f"/compat/{front}", headers=preflight))
    assert answer.status == 204
    assert "x-csrf-token" in answer.headers["access-control-allow-headers"]
    assert {"GET", "POST", "PUT"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    stored = await compat.ask(chunk(front, 1)._replace(headers={**FORM, **origin}))
    assert stored.headers["access-control-allow-origin"] == "*"
    refused = await compat.ask(Ask("POST", f"/compat/{front}", END, {**FORM, **origin}))
    assert refused.headers["access-control-allow-origin"] == "*"
