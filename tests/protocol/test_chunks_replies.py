"""The chunk dialect: which outcome is which reply, for chunks, declarations, completions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.outcome import Outcome
from onward.core.types import (
    Cancel,
    Declaration,
    Declared,
    Offset,
    Record,
    Removed,
    Seal,
    Sealed,
    Status,
    Store,
)
from onward.wire import views
from onward.wire.message import Dialect, Hrefs
from tests.protocol.chunk_rows import (
    BOTH,
    CHUNKS,
    DONE,
    HEX,
    HREFS,
    ID,
    NAME,
    NOT_CACHED,
    RESULT,
    SEAL,
    STATUS_URL,
    UPLOAD_URL,
    Told,
    answer,
    check,
    create,
    flat,
    head,
    numbered,
    part,
    sha256,
    store,
    stored,
)

STORE_ROWS: Sequence[Told] = [
    Told(
        "the first chunk by number",
        store(1),
        stored(numbered(part(1, b"abc")), 1, created=True),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "3"},
        answer(chunk=1, size=3, sha256=HEX, offset=3, received={"chunks": [[1, 1]]}),
    ),
    Told(
        "C-01 the same chunk again",
        store(3),
        stored(numbered(part(1, b"abc"), part(3, b"abc")), 3, fresh=False),
        200,
        {"Upload-Offset": "3"},
        answer(chunk=3, size=3, sha256=HEX, offset=3, received={"chunks": [[1, 1], [3, 3]]}),
    ),
    Told(
        "C-09 an empty file",
        store(1),
        stored(numbered(part(1, b"")), 1, size=0),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "0"},
        answer(chunk=1, size=0, sha256=sha256(b"").value.hex(), offset=0, received={"chunks": [[1, 1]]}),
    ),
    Told(
        "C-09 an empty file with a chunk size",
        store(1),
        stored(flat(part(0, b""), part_size=4, length=0), 1, size=0),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "0", "Upload-Length": "0", "Upload-Chunk-Size": "4"},
        answer(chunk=1, size=0, sha256=sha256(b"").value.hex(), offset=0, length=0, received={"chunks": [[1, 1]]}),
    ),
    Told(
        "the short last chunk in place, before others",
        store(3),
        stored(flat(part(8, b"ab"), part(0, b"abcd"), part_size=4, length=10), 3, size=2),
        201,
        {
            "Location": UPLOAD_URL,
            "Upload-Offset": "4",
            "Upload-Length": "10",
            "Upload-Chunk-Size": "4",
            "Upload-Ranges": "0-3,8-9",
        },
        answer(
            chunk=3,
            size=2,
            sha256=sha256(b"ab").value.hex(),
            offset=4,
            length=10,
            received={"chunks": [[1, 1], [3, 3]]},
        ),
    ),
    Told(
        "a chunk that came in segments has no digest of its own, and half a chunk is none",
        store(1),
        Outcome(upload=flat(part(0, b"ab"), part(2, b"cd"), part(4, b"e"), part_size=4), size=4, fresh=True),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "5", "Upload-Chunk-Size": "4", "Upload-Ranges": "0-4"},
        answer(chunk=1, size=4, sha256=None, offset=5, received={"chunks": [[1, 1]]}),
    ),
    Told(
        "a run of bytes",
        Store(target=NAME, at=Offset(40)),
        Outcome(upload=flat(part(40, b"abc")), part=part(40, b"abc"), size=3, fresh=True),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "0", "Upload-Ranges": "40-42"},
        answer(start=40, size=3, sha256=HEX, offset=0, received={"ranges": [[40, 42]]}),
    ),
]
URLS = {
    "upload": UPLOAD_URL,
    "complete": "https://example.org/upload/complete",
    "status": STATUS_URL,
    "events": f"{STATUS_URL}/events",
}
LIMITS = {"max_size": 1 << 40, "max_chunk": 64 << 20, "max_chunks": 10_000}
OTHER_ROWS: Sequence[Told] = [
    Told(
        "a new declaration",
        create(),
        Outcome(upload=flat(length=10, part_size=4), created=True),
        201,
        {"Location": UPLOAD_URL, "Upload-Offset": "0", "Upload-Length": "10", "Upload-Chunk-Size": "4"},
        {
            "id": ID,
            "name": "f.txt",
            "state": "receiving",
            "limits": LIMITS,
            "chunk_size": 4,
            "size": 10,
            "offset": 0,
            "received": {"chunks": []},
            "missing": [[1, 3]],
            "holes": [[0, 9]],
            "urls": URLS,
        },
    ),
    Told(
        "a declaration of what is there in part",
        create(),
        Outcome(upload=numbered(part(1, b"abc"), part(3, b"abc"), Declared(declared=Declaration(length=12)))),
        200,
        {"Location": UPLOAD_URL, "Upload-Offset": "3", "Upload-Length": "12"},
        {
            "id": ID,
            "name": "f.txt",
            "state": "receiving",
            "limits": LIMITS,
            "chunk_size": None,
            "size": 12,
            "offset": 3,
            "received": {"chunks": [[1, 1], [3, 3]]},
            "missing": [[2, 2]],
            "urls": URLS,
        },
    ),
    Told(
        "sealed",
        Seal(target=NAME),
        Outcome(upload=numbered(*BOTH, SEAL), fresh=True),
        202,
        {"Location": STATUS_URL, "Upload-Offset": "6", "Upload-Length": "6"},
        {
            "id": ID,
            "name": "f.txt",
            "state": "assembling",
            "chunks": 2,
            "bytes": 6,
            "total_known": True,
            "status": STATUS_URL,
            "result": None,
        },
        method="POST",
    ),
    Told(
        "sealed without a total",
        Seal(target=NAME),
        Outcome(upload=flat(part(0, b"abcdef"), Sealed(length=6, parts=1, total_known=False))),
        202,
        {"Location": STATUS_URL, "Upload-Offset": "6", "Upload-Length": "6", "Upload-Ranges": "0-5"},
        {
            "id": ID,
            "name": "f.txt",
            "state": "verifying",
            "chunks": 1,
            "bytes": 6,
            "total_known": False,
            "status": STATUS_URL,
            "result": None,
        },
        method="POST",
    ),
    Told(
        "completed again when done",
        Seal(target=NAME),
        Outcome(upload=DONE),
        200,
        {"Location": STATUS_URL, "Upload-Offset": "6", "Upload-Length": "6"},
        {
            "id": ID,
            "name": "f.txt",
            "state": "done",
            "chunks": 2,
            "bytes": 6,
            "total_known": True,
            "status": STATUS_URL,
            "result": RESULT,
        },
        method="POST",
    ),
    Told("cancelled", Cancel(target=NAME), Outcome(upload=numbered(Removed(reason="cancelled"))), 204, {}, None),
]
ONE = Status(target=NAME, number=2)
CHUNK_ROWS: Sequence[Told] = [
    Told(
        "C-04 a stored chunk",
        ONE,
        Outcome(upload=numbered(part(2, b"abc")), has=True),
        200,
        NOT_CACHED,
        {"chunk": 2, "size": 3, "sha256": HEX},
        method="GET",
    ),
    Told(
        "C-04 a stored chunk, asked by HEAD",
        ONE,
        Outcome(upload=numbered(part(2, b"abc")), has=True),
        200,
        NOT_CACHED,
        None,
        method="HEAD",
    ),
    Told("C-04 no such chunk", ONE, Outcome(upload=numbered(), has=False), 204, NOT_CACHED, None, method="GET"),
    Told(
        "C-04 a chunk whose bytes are freed",
        ONE,
        Outcome(upload=numbered(part(2, b"abc"), Removed(reason="cancelled")), has=True),
        204,
        NOT_CACHED,
        None,
        method="GET",
    ),
    Told(
        "C-04 a short last chunk that came in two runs",
        ONE,
        Outcome(upload=flat(part(4, b"ab"), part(6, b"c"), part_size=4, length=7), has=True),
        200,
        NOT_CACHED,
        {"chunk": 2, "size": 3, "sha256": None},
        method="GET",
    ),
]


@pytest.mark.parametrize("told", [*STORE_ROWS, *OTHER_ROWS, *CHUNK_ROWS], ids=lambda told: told.row)
def test_an_outcome_is_a_reply(told: Told) -> None:
    check(told)


def test_the_answer_to_one_chunk_of_ten_thousand_stays_small() -> None:
    by_number = numbered(*(part(n, b"abc") for n in range(1, 10_001, 2)))
    in_place = flat(*(part(n * 3, b"abc") for n in range(0, 10_000, 2)), part_size=3)
    runs = flat(*(part(n * 3, b"abc") for n in range(0, 10_000, 2)))
    for at, word in ((by_number, "chunks"), (in_place, "chunks"), (runs, "ranges")):
        reply = CHUNKS.reply(store(1), stored(at, 1), HREFS)
        received = msgspec.json.decode(reply.body)["received"]
        assert len(received[word]) == views.SHOWN
        assert received["more"] is True
        assert len(reply.body) < 2048
        assert len(reply.headers.get("Upload-Ranges", "")) <= 2048


@given(
    st.integers(1, 7),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12),
)
def test_received_and_missing_chunks_are_all_of_them(size: int, length: int, runs: list[tuple[int, int]]) -> None:
    at = flat(part_size=size, length=length)
    version = 1
    for start, wide in runs:
        end = min(start + wide, length)
        if start < end and not at.ranges.overlaps(start, end):
            version += 1
            at.apply(Record(version, 0.0, part(start, b"x" * (end - start))))
    shown = views.received(at)
    lacking = views.missing(at)
    assert isinstance(shown.chunks, list)
    assert isinstance(lacking, list)
    have = [n for a, b in shown.chunks for n in range(a, b + 1)]
    lack = [n for a, b in lacking for n in range(a, b + 1)]
    assert sorted(have + lack) == list(range(1, -(-length // size) + 1))
    assert all(at.has_chunk(n) for n in have)


def test_links_are_paths_where_no_base_is_known_and_names_are_escaped() -> None:
    hrefs = Hrefs(upload="/api/upload")
    assert hrefs.upload_of("a b/\u00fc?#") == "/api/upload/a%20b%2F%C3%BC%3F%23"
    assert hrefs.content_of(ID) == f"/files/{ID}/content"


def test_it_is_a_dialect() -> None:
    dialect: Dialect = CHUNKS
    assert dialect.parse(head("DELETE", "f.txt")) == Cancel(target=NAME)
