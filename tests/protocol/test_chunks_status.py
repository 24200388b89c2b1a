"""The chunk dialect: how an upload is shown to HEAD and GET."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from onward.core.outcome import Outcome
from onward.core.types import (
    Damaged,
    Failed,
    Phase,
    Published,
    Removed,
    Status,
)
from onward.core.upload import Upload
from onward.ports import WorkDone
from tests.protocol.chunk_rows import (
    BOTH,
    CHUNKS,
    DONE,
    HREFS,
    ID,
    NAME,
    NOT_CACHED,
    RESULT,
    SEAL,
    WHOLE,
    Told,
    after,
    check,
    flat,
    numbered,
    part,
    sha256,
    upload,
)

REPLACED = "a later upload was published under its name, as ONWARD_ON_CONFLICT=replace allows"
STATUS_HEADERS = {"Cache-Control": "no-store", "Upload-Complete": "?0", "Upload-State": "receiving"}
HEADS: Sequence[tuple[str, Upload, dict[str, str], WorkDone | None]] = [
    ("T-HEAD-01 of nothing", upload(), {"Upload-Offset": "0"}, None),
    (
        "of two runs",
        flat(part(0, b"abc"), part(6, b"gh"), length=9),
        {"Upload-Offset": "3", "Upload-Length": "9", "Upload-Ranges": "0-2,6-7"},
        None,
    ),
    (
        "of a chunk size",
        flat(part(3, b"def"), part_size=3),
        {"Upload-Offset": "0", "Upload-Chunk-Size": "3", "Upload-Ranges": "3-5"},
        None,
    ),
    ("of chunks by number", numbered(part(1, b"abc"), part(3, b"ghi")), {"Upload-Offset": "3"}, None),
    (
        "when sealed by number",
        numbered(*BOTH, SEAL),
        {"Upload-Offset": "6", "Upload-Length": "6", "Upload-Complete": "?1", "Upload-State": "assembling"},
        None,
    ),
    (
        "when the worker verifies",
        numbered(*BOTH, SEAL),
        {"Upload-Offset": "6", "Upload-Length": "6", "Upload-Complete": "?1", "Upload-State": "verifying"},
        WorkDone(phase=Phase.VERIFYING, done=1, total=6, at=0.0),
    ),
    (
        "when sealed in place",
        flat(part(0, b"abcdef"), SEAL),
        {
            "Upload-Offset": "6",
            "Upload-Length": "6",
            "Upload-Ranges": "0-5",
            "Upload-Complete": "?1",
            "Upload-State": "verifying",
        },
        None,
    ),
    (
        "when done, whatever the worker said last",
        DONE,
        {"Upload-Offset": "6", "Upload-Length": "6", "Upload-Complete": "?1", "Upload-State": "done"},
        WorkDone(phase=Phase.VERIFYING, done=6, total=6, at=0.0),
    ),
    (
        "when failed",
        numbered(*BOTH, SEAL, Failed(code="digest-mismatch")),
        {"Upload-Offset": "6", "Upload-Length": "6", "Upload-State": "failed;reason=digest-mismatch"},
        None,
    ),
    (
        "when the bytes are freed",
        flat(part(0, b"abc"), Removed(reason="expired")),
        {"Upload-Offset": "0", "Upload-State": "expired"},
        None,
    ),
    (
        "when a part was damaged",
        numbered(*BOTH, SEAL, Damaged(keys=(1,), size=3)),
        {"Upload-Offset": "0", "Upload-Length": "6"},
        None,
    ),
]
HEAD_ROWS: Sequence[Told] = [
    Told(
        f"HEAD {row}",
        Status(target=NAME),
        Outcome(upload=at),
        200,
        STATUS_HEADERS | headers,
        None,
        method="HEAD",
        work=work,
    )
    for row, at, headers, work in HEADS
]


def manifest(**more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "id": ID,
        "name": "f.txt",
        "state": "receiving",
        "length": None,
        "chunk_size": None,
        "layout": None,
        "offset": 0,
        "chunks": [],
        "progress": None,
        "result": None,
        "failure": None,
        "created_at": 100.0,
        "expires_at": None,
    }
    return plain | more


def piece(offset: int | None, data: bytes, number: int | None = None) -> dict[str, Any]:
    named = {} if number is None else {"number": number}
    return named | {"offset": offset, "size": len(data), "sha256": sha256(data).value.hex()}


ABCDEF = [piece(0, b"abc", 1), piece(3, b"def", 2)]
GETS: Sequence[tuple[str, Upload, dict[str, str], dict[str, Any], WorkDone | None]] = [
    (
        "of nothing",
        upload(),
        {"Upload-Offset": "0"},
        {"holes": [], "active_at": 100.0, "expires_at": 700.5},
        None,
    ),
    (
        "of chunks by number, whose places end at the first gap",
        numbered(part(1, b"abc"), part(4, b"d"), part(2, b"def")),
        {"Upload-Offset": "6"},
        {
            "layout": "numbered",
            "offset": 6,
            "chunks": [*ABCDEF, piece(None, b"d", 4)],
            "missing": [[3, 3]],
            "active_at": after(3),
        },
        None,
    ),
    (
        "of chunks in place, one of them in two runs",
        flat(part(6, b"g"), part(0, b"abc"), part(3, b"d"), part(4, b"ef"), part_size=3, length=10),
        {"Upload-Offset": "7", "Upload-Length": "10", "Upload-Chunk-Size": "3", "Upload-Ranges": "0-6"},
        {
            "layout": "flat",
            "length": 10,
            "chunk_size": 3,
            "offset": 7,
            "chunks": [piece(0, b"abc", 1), piece(3, b"d"), piece(4, b"ef"), piece(6, b"g")],
            "missing": [[3, 4]],
            "holes": [[7, 9]],
            "active_at": after(4),
        },
        None,
    ),
    (
        "of runs",
        flat(part(2, b"cd"), length=6),
        {"Upload-Offset": "0", "Upload-Length": "6", "Upload-Ranges": "2-3"},
        {
            "layout": "flat",
            "length": 6,
            "chunks": [piece(2, b"cd")],
            "holes": [[0, 1], [4, 5]],
            "active_at": after(1),
        },
        None,
    ),
    (
        "while the worker assembles",
        numbered(*BOTH, SEAL),
        {"Upload-Offset": "6", "Upload-Length": "6"},
        {
            "state": "assembling",
            "layout": "numbered",
            "length": 6,
            "offset": 6,
            "chunks": ABCDEF,
            "missing": [],
            "progress": {"phase": "assembling", "done": 2, "total": 6},
            "active_at": after(3),
        },
        WorkDone(phase=Phase.ASSEMBLING, done=2, total=6, at=0.0),
    ),
    (
        "when done",
        DONE,
        {"Upload-Offset": "6", "Upload-Length": "6"},
        {
            "state": "done",
            "layout": "numbered",
            "length": 6,
            "offset": 6,
            "chunks": ABCDEF,
            "missing": [],
            "result": RESULT,
            "active_at": after(4),
        },
        WorkDone(phase=Phase.VERIFYING, done=6, total=6, at=0.0),
    ),
    (
        "when failed",
        numbered(*BOTH, SEAL, Failed(code="damaged", detail="why")),
        {"Upload-Offset": "6", "Upload-Length": "6"},
        {
            "state": "failed",
            "layout": "numbered",
            "length": 6,
            "offset": 6,
            "chunks": ABCDEF,
            "missing": [],
            "failure": {"code": "damaged", "detail": "why"},
            "active_at": after(4),
        },
        None,
    ),
    (
        "when cancelled after it was done",
        numbered(*BOTH, SEAL, Published(ref="f.txt", size=6, digest=WHOLE), Removed(reason="cancelled")),
        {"Upload-Offset": "0", "Upload-Length": "6"},
        {"state": "cancelled", "layout": "numbered", "length": 6, "missing": [], "active_at": after(5)},
        None,
    ),
    (
        "when another has taken its name",
        numbered(
            *BOTH, SEAL, Published(ref="f.txt", size=6, digest=WHOLE), Removed(reason="cancelled", cause="replaced")
        ),
        {"Upload-Offset": "0", "Upload-Length": "6"},
        {
            "state": "cancelled",
            "layout": "numbered",
            "length": 6,
            "missing": [],
            "failure": {"code": "replaced", "detail": REPLACED},
            "active_at": after(5),
        },
        None,
    ),
]
GET_ROWS: Sequence[Told] = [
    Told(
        f"GET {row}",
        Status(target=NAME),
        Outcome(upload=at),
        200,
        NOT_CACHED | headers,
        manifest(**shown),
        method="GET",
        work=work,
        expires_at=shown.get("expires_at"),
    )
    for row, at, headers, shown, work in GETS
]


@pytest.mark.parametrize("told", [*HEAD_ROWS, *GET_ROWS], ids=lambda told: told.row)
def test_a_standing_is_a_reply(told: Told) -> None:
    check(told)


def test_the_manifest_lists_everything() -> None:
    at = flat(*(part(n * 3, b"abc") for n in range(0, 10_000, 2)), part_size=3)
    shown = msgspec.json.decode(CHUNKS.reply(Status(target=NAME), Outcome(upload=at), HREFS).body)
    assert [chunk["number"] for chunk in shown["chunks"]] == list(range(1, 10_001, 2))
    assert shown["missing"] == [[n, n] for n in range(2, 10_000, 2)]
    assert len(shown["holes"]) == 4_999
