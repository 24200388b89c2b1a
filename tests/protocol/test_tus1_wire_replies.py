"""tus 1.0.0: which outcome is which reply, and which error. Rows are named by the requirement they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest

from onward import errors
from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Cancel,
    Command,
    Completes,
    Create,
    Damaged,
    Declaration,
    Failed,
    Layout,
    Policy,
    Published,
    Removed,
    Sealed,
    Spec,
    Status,
    Store,
    Stored,
)
from onward.core.upload import Upload
from onward.errors import OnwardError
from onward.wire.message import Dialect, Head, Hrefs, Reply
from onward.wire.tus1 import ACCEPTED, EXPOSED, EXTENSIONS, PARTIAL, Tus1
from tests.protocol.tus1_rows import FILE_URL, HREFS, ID, LIMITS, OTHER, TUS, digest, head, patch, post, upload

STAMP = {"Tus-Resumable": "1.0.0"}
AT = 1403712000.0
EXPIRES = {"Upload-Expires": "Wed, 25 Jun 2014 16:00:00 GMT"}
MONITOR = {"Link": f'<https://example.org/uploads/{ID}>; rel="monitor"'}
TEN = Declaration(length=10)
ABC = Stored(key=0, size=3, digest=digest("sha-256"))
REST = Stored(key=3, size=7, digest=digest("sha-256", b"defghij"))
SEALED = Sealed(length=10, parts=2)
PUBLISHED = Published(ref="f.txt", size=10, digest=digest("sha-256", b"abcdefghij"))
DAMAGE = Failed(code="damaged")

NEW = upload(declared=TEN)
BEGUN = upload(ABC, declared=TEN)
FULL = upload(ABC, REST, SEALED, declared=TEN)
DONE = upload(ABC, REST, SEALED, PUBLISHED, declared=TEN)
DEFERRED = upload(ABC)
EMPTY = upload(Sealed(length=0, parts=0), declared=Declaration(length=0))
RAW = {"Upload-Metadata": "b , a YQ==,x /w==", "Upload-Concat": "partial"}
PIECE = upload(ABC, declared=TEN, partial=True, policy=PARTIAL, raw=RAW)
FULL_PIECE = upload(ABC, REST, declared=TEN, partial=True, policy=PARTIAL)
CONCAT = f"final;/files/{OTHER} /files/{OTHER}"
WHOLE = {"sources": (OTHER, OTHER), "raw": {"Upload-Concat": CONCAT}, "declared": TEN}
NUMBERED = upload(
    Stored(key=1, size=3, digest=digest("sha-256")),
    Stored(key=3, size=3, digest=digest("sha-256")),
    declared=Declaration(layout=Layout.NUMBERED),
    policy=Policy(dialect="chunks", completes=Completes.EXPLICIT),
    metadata={"a": "a", "b c": "d", "e": ""},
)

CREATE = Create(spec=Spec())
STATUS = Status(target=ID, takes_over=True)


def store(offset: int) -> Store:
    return Store(target=ID, at=Append(offset))


class Told(NamedTuple):
    row: str
    command: Command
    upload: Upload
    status: int
    headers: dict[str, str]
    size: int = 0


CREATED: Sequence[Told] = [
    Told("T-CREATE-01 T-EXP-01", CREATE, NEW, 201, {"Location": FILE_URL, "Upload-Offset": "0", **EXPIRES}),
    Told(
        "T-CREATE-06 T-EXP-04 complete at once",
        CREATE,
        EMPTY,
        201,
        {"Location": FILE_URL, "Upload-Offset": "0", **MONITOR},
    ),
    Told("T-CWU-01 some bytes", CREATE, BEGUN, 201, {"Location": FILE_URL, "Upload-Offset": "3", **EXPIRES}, 3),
    Told(
        "T-CWU-01 T-EXP-04 all bytes", CREATE, FULL, 201, {"Location": FILE_URL, "Upload-Offset": "10", **MONITOR}, 10
    ),
    Told("T-CONCAT-02 the whole is not known yet", CREATE, upload(**WHOLE), 201, {"Location": FILE_URL, **EXPIRES}),
    Told(
        "T-CONCAT-02 the whole is known",
        CREATE,
        upload(SEALED, **WHOLE),
        201,
        {"Location": FILE_URL, "Upload-Offset": "10", **MONITOR},
    ),
]

PATCHED: Sequence[Told] = [
    Told("T-PATCH-04 T-EXP-01", store(0), BEGUN, 204, {"Upload-Offset": "3", **EXPIRES}, 3),
    Told("T-PATCH-10 no byte", store(3), BEGUN, 204, {"Upload-Offset": "3", **EXPIRES}),
    Told("T-PATCH-04 T-EXP-04 the last bytes", store(3), FULL, 204, {"Upload-Offset": "10", **MONITOR}, 7),
    Told("T-PATCH-09 once more at the end", store(10), DONE, 204, {"Upload-Offset": "10", **MONITOR}),
    Told("T-EXP-01 length unknown", store(0), DEFERRED, 204, {"Upload-Offset": "3", **EXPIRES}, 3),
    Told("T-EXP-04 a piece that is whole", store(3), FULL_PIECE, 204, {"Upload-Offset": "10"}, 7),
    Told(
        "T-PATCH-04 bytes beyond had come by another way",
        store(0),
        upload(ABC, Stored(key=3, size=2, digest=digest("sha-256"))),
        204,
        {"Upload-Offset": "3", **EXPIRES},
        3,
    ),
]

NO_STORE = {"Cache-Control": "no-store"}
ASKED: Sequence[Told] = [
    Told(
        "T-HEAD-01 nothing yet", STATUS, NEW, 200, {"Upload-Offset": "0", "Upload-Length": "10", **EXPIRES, **NO_STORE}
    ),
    Told(
        "T-HEAD-01 T-EXP-01", STATUS, BEGUN, 200, {"Upload-Offset": "3", "Upload-Length": "10", **EXPIRES, **NO_STORE}
    ),
    Told("T-HEAD-01 T-EXP-04 full", STATUS, FULL, 200, {"Upload-Offset": "10", "Upload-Length": "10", **NO_STORE}),
    Told("T-HEAD-01 T-EXP-04 done", STATUS, DONE, 200, {"Upload-Offset": "10", "Upload-Length": "10", **NO_STORE}),
    Told("T-CREATE-06 empty", STATUS, EMPTY, 200, {"Upload-Offset": "0", "Upload-Length": "0", **NO_STORE}),
    Told(
        "T-HEAD-02 T-DEFER-02",
        STATUS,
        DEFERRED,
        200,
        {"Upload-Offset": "3", "Upload-Defer-Length": "1", **EXPIRES, **NO_STORE},
    ),
    Told(
        "T-META-02 T-CONCAT-07 as the client sent it",
        STATUS,
        PIECE,
        200,
        {"Upload-Offset": "3", "Upload-Length": "10", **RAW, **EXPIRES, **NO_STORE},
    ),
    Told(
        "T-CONCAT-07 the whole before it is known",
        STATUS,
        upload(**WHOLE),
        200,
        {"Upload-Length": "10", "Upload-Concat": CONCAT, **EXPIRES, **NO_STORE},
    ),
    Told(
        "T-CONCAT-07 the whole before its length is known",
        STATUS,
        upload(**{**WHOLE, "declared": Declaration()}),
        200,
        {"Upload-Concat": CONCAT, **EXPIRES, **NO_STORE},
    ),
    Told(
        "T-CONCAT-07 the whole",
        STATUS,
        upload(SEALED, PUBLISHED, **WHOLE),
        200,
        {"Upload-Offset": "10", "Upload-Length": "10", "Upload-Concat": CONCAT, **NO_STORE},
    ),
    Told(
        "A-25 begun by the chunk API",
        STATUS,
        NUMBERED,
        200,
        {
            "Upload-Offset": "3",
            "Upload-Defer-Length": "1",
            "Upload-Metadata": "a YQ==,e",
            **EXPIRES,
            **NO_STORE,
        },
    ),
    Told(
        "R-15 what was damaged may be sent again",
        STATUS,
        upload(ABC, REST, SEALED, Damaged(keys=(3,), size=7)),
        200,
        {"Upload-Offset": "3", "Upload-Length": "10", **EXPIRES, **NO_STORE},
    ),
]

OVER: Sequence[Told] = [
    Told("T-PATCH-05 failed", STATUS, upload(DAMAGE), 410, {"Upload-State": "failed;reason=damaged"}),
    Told("T-EXP-03 expired", STATUS, upload(ABC, Removed(reason="expired")), 410, {"Upload-State": "expired"}),
    Told("T-TERM-02 cancelled", STATUS, upload(ABC, Removed(reason="cancelled")), 410, {"Upload-State": "cancelled"}),
    Told(
        "A-12 the last bytes were not those announced",
        store(3),
        upload(ABC, REST, Failed(code="digest-mismatch"), declared=TEN),
        410,
        {"Upload-State": "failed;reason=digest-mismatch"},
        7,
    ),
    Told("a creation repeated too late", CREATE, upload(DAMAGE), 410, {"Upload-State": "failed;reason=damaged"}),
]


@pytest.mark.parametrize("told", [*CREATED, *PATCHED, *ASKED], ids=lambda told: told.row)
def test_an_outcome_is_a_reply(told: Told) -> None:
    outcome = Outcome(upload=told.upload, size=told.size)
    reply = TUS.reply(told.command, outcome, HREFS, expires_at=AT)
    assert reply == Reply(status=told.status, headers={**STAMP, **told.headers})
    assert set(reply.headers) - {"Cache-Control"} <= set(EXPOSED), "T-OPT-05"
    never = TUS.reply(told.command, outcome, HREFS)
    assert never.headers == {name: value for name, value in reply.headers.items() if name != "Upload-Expires"}


@pytest.mark.parametrize("told", OVER, ids=lambda told: told.row)
def test_an_upload_that_is_over_says_so_and_no_more(told: Told) -> None:
    asked = head("HEAD" if isinstance(told.command, Status) else "PATCH", ID)
    outcome = Outcome(upload=told.upload, size=told.size)
    reply = TUS.reply(told.command, outcome, HREFS, asked, expires_at=AT)
    assert reply.status == told.status
    assert reply.headers == {**STAMP, **told.headers, **NO_STORE}, "T-HEAD-05"
    assert bool(reply.body) is (asked.method != "HEAD")
    bare = TUS.reply(told.command, outcome, HREFS)
    assert (bare.status, bare.headers, bare.body) == (reply.status, reply.headers, reply.body)


@pytest.mark.parametrize("at", [BEGUN, DONE, upload(DAMAGE), upload(Removed(reason="cancelled"))])
def test_t_term_01_a_cancelled_upload_is_told_without_a_word(at: Upload) -> None:
    assert TUS.reply(Cancel(target=ID), Outcome(upload=at), HREFS, expires_at=AT) == Reply(status=204, headers=STAMP)


class Refusal(NamedTuple):
    row: str
    error: OnwardError
    asked: Head | None
    status: int
    headers: dict[str, str]


REFUSALS: Sequence[Refusal] = [
    Refusal(
        "T-VER-02 version",
        errors.VersionUnsupported(provided="2", allowed=["1.0.0"]),
        patch(),
        412,
        {"Tus-Version": "1.0.0", **EXPIRES},
    ),
    Refusal(
        "T-PATCH-02 T-EXP-01 offset",
        errors.OffsetMismatch(expected=3, provided=0),
        patch(),
        409,
        {"Upload-Offset": "3", **EXPIRES},
    ),
    Refusal("T-PATCH-03 T-EXP-01 a field", errors.BadField(field="Upload-Offset"), patch(), 400, EXPIRES),
    Refusal("T-PATCH-05 unknown", errors.NotFound(), patch(), 404, {}),
    Refusal("T-PATCH-08 beyond the end", errors.LengthConflict(limit=7, provided=8), patch(), 413, EXPIRES),
    Refusal(
        "T-PATCH-08 the end while it streamed",
        errors.LengthConflict(limit=7, offset=10),
        patch(),
        413,
        {"Upload-Offset": "10", **EXPIRES},
    ),
    Refusal("T-DEFER-04 another length", errors.LengthConflict(expected=10, provided=9), patch(), 400, EXPIRES),
    Refusal("T-DEFER-06 too large", errors.UploadTooLarge(limit=1000), patch(), 413, EXPIRES),
    Refusal("A-07 bytes after the end", errors.AlreadyComplete(state="done"), patch(), 413, EXPIRES),
    Refusal(
        "T-PATCH-11 silence", errors.Stalled(seconds=30, offset=3), patch(), 408, {"Upload-Offset": "3", **EXPIRES}
    ),
    Refusal("T-PATCH-12 busy", errors.Locked(), patch(), 423, {"Retry-After": "1", **EXPIRES}),
    Refusal(
        "A-06 busy for longer", errors.Locked(retry_after=9), head("HEAD", ID), 423, {"Retry-After": "9", **EXPIRES}
    ),
    Refusal("T-CONCAT-06 a whole made of others", errors.Refused(), patch(), 403, {}),
    Refusal("T-HEAD-05 forbidden", errors.Refused(offset=3), head("HEAD", ID), 403, {}),
    Refusal("T-HEAD-05 unknown", errors.NotFound(offset=3), head("HEAD", ID), 404, {}),
    Refusal(
        "T-EXP-03 expired",
        errors.UploadOver(reason="expired", offset=3),
        head("HEAD", ID),
        410,
        {"Upload-State": "expired"},
    ),
    Refusal("T-EXP-03 over, nobody says why", errors.UploadOver(), patch(), 410, {"Upload-State": "gone"}),
    Refusal(
        "T-PATCH-05 failed",
        errors.UploadFailed(reason="damaged"),
        patch(),
        410,
        {"Upload-State": "failed;reason=damaged"},
    ),
    Refusal("T-CSUM-02 mismatch", errors.DigestMismatch(algorithm="sha"), patch(), 460, EXPIRES),
    Refusal(
        "T-CSUM-02 algorithm",
        errors.DigestUnsupported(field="Upload-Checksum", allowed=["sha1"]),
        patch(),
        400,
        {"Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5", **EXPIRES},
    ),
    Refusal(
        "D-09 algorithm of the standard",
        errors.DigestUnsupported(field="Content-Digest"),
        patch(),
        400,
        {"Want-Content-Digest": "sha-256=10, sha-512=9", **EXPIRES},
    ),
    Refusal(
        "T-CSUM-04 malformed",
        errors.DigestInvalid(field="Upload-Checksum"),
        patch(),
        400,
        {"Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5", **EXPIRES},
    ),
    Refusal("T-CONCAT-05 a piece that is not whole", errors.Incomplete(), post(), 400, EXPIRES),
    Refusal("T-CONCAT-05 a piece that is not ready", errors.NotReady(), post(), 400, EXPIRES),
    Refusal("T-CONCAT-05 no such piece", errors.NotFound(), post(), 404, {}),
    Refusal("what a sealed upload refuses otherwise", errors.AlreadyComplete(), head("DELETE", ID), 409, EXPIRES),
    Refusal(
        "a method",
        errors.MethodNotAllowed(allowed=["OPTIONS", "POST"]),
        head("PUT"),
        405,
        {"Allow": "OPTIONS, POST", **EXPIRES},
    ),
    Refusal("T-VER-01 a fault of ours", errors.StorageFault(), patch(), 500, EXPIRES),
    Refusal("T-VER-01 a word between our own parts", errors.Revoked(), patch(), 500, EXPIRES),
    Refusal("T-VER-01 no request that could be read", errors.BadField(), None, 400, EXPIRES),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.row)
def test_an_error_is_a_refusal(refusal: Refusal) -> None:
    reply = TUS.refuse(refusal.error, refusal.asked, HREFS, BEGUN, expires_at=AT)
    assert reply.status == refusal.status
    assert reply.headers == {**STAMP, **NO_STORE, **refusal.headers}
    if refusal.asked is not None and refusal.asked.method == "HEAD":
        assert (reply.body, reply.media_type) == (b"", ""), "T-HEAD-05"
    else:
        assert msgspec.json.decode(reply.body)["status"] == refusal.status
        assert reply.media_type == "application/problem+json"
    alone = TUS.refuse(refusal.error, refusal.asked)
    assert alone.headers == {name: value for name, value in reply.headers.items() if name != "Upload-Expires"}


OPTIONS: Sequence[tuple[str, Sequence[str], dict[str, str]]] = [
    (
        "T-OPT-02 T-OPT-04 T-CREATE-08 T-DEFER-07 T-CWU-03 T-CSUM-06 T-CONCAT-09 all there are",
        EXTENSIONS,
        {
            "Tus-Extension": "creation,creation-with-upload,creation-defer-length,expiration,"
            "checksum,termination,concatenation,concatenation-unfinished",
            "Tus-Checksum-Algorithm": "sha1,sha256,sha512,md5",
        },
    ),
    ("T-OPT-04 no checksum", ["creation", "termination"], {"Tus-Extension": "creation,termination"}),
    ("T-OPT-02 none", [], {}),
]


@pytest.mark.parametrize(("row", "extensions", "headers"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_t_opt_01_options(row: str, extensions: Sequence[str], headers: dict[str, str]) -> None:
    reply = Tus1(LIMITS, extensions=extensions).options()
    assert reply.status == 200
    assert reply.headers == {**STAMP, "Tus-Version": "1.0.0", "Tus-Max-Size": "1000", **headers}
    assert (reply.body, reply.media_type) == (b"", "")


def test_t_opt_05_browsers_may_send_and_read_the_fields_of_tus() -> None:
    sent = {"Upload-Length", "Upload-Offset", "Tus-Resumable", "Upload-Metadata", "Upload-Defer-Length"}
    sent |= {"Upload-Concat", "Upload-Checksum", "X-HTTP-Method-Override", "X-Requested-With", "Content-Type"}
    read = {"Upload-Offset", "Location", "Upload-Length", "Tus-Version", "Tus-Resumable", "Tus-Max-Size"}
    read |= {"Tus-Extension", "Tus-Checksum-Algorithm", "Upload-Metadata", "Upload-Defer-Length"}
    read |= {"Upload-Concat", "Upload-Expires"}
    assert sent <= set(ACCEPTED)
    assert read <= set(EXPOSED)


def test_links_are_paths_where_the_host_is_not_known() -> None:
    reply = TUS.reply(CREATE, Outcome(upload=NEW), Hrefs(base="/app", files="/f"))
    assert reply.headers["Location"] == f"/app/f/{ID}"


def test_it_is_a_dialect() -> None:
    dialect: Dialect = TUS
    assert dialect.parse(patch(), b"") == Store(target=ID, at=Append(0), size=3)
