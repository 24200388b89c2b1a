"""The draft: which error is which refusal, and whether the client may go on after it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from onward import errors
from onward.core.types import Limits
from onward.errors import (
    AlreadyComplete,
    AppendTooSmall,
    BadField,
    BodyIncomplete,
    ChunkTooLarge,
    DigestInvalid,
    DigestMismatch,
    DigestUnsupported,
    Incomplete,
    LengthConflict,
    Locked,
    MethodNotAllowed,
    NoSpace,
    NotFound,
    NumberedLayout,
    OffsetMismatch,
    OnwardError,
    Refused,
    Revoked,
    StorageFault,
    TooManyChunks,
    Unauthorized,
    UnsupportedEncoding,
    UnsupportedMedia,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
    WritersBusy,
)
from onward.wire.draft import EXPOSED, Draft
from onward.wire.draft_refusals import breaks_limit
from onward.wire.message import Head, Reply
from tests.protocol.draft_rows import (
    ALL,
    DONE,
    DRAFT,
    HREFS,
    IANA,
    ID,
    OPEN,
    PARTIAL,
    append,
    asked,
    complete_field,
    creation,
    digest_field,
    sha256,
    shown,
)


class Row(NamedTuple):
    row: str
    make: Callable[..., Head]
    error: OnwardError
    status: int
    complete: bool | None
    """What is said of completeness: ``False`` invites to go on."""
    type: str
    members: Mapping[str, Any] = MappingProxyType({})
    headers: Mapping[str, str] = MappingProxyType({})


def status_request(version: int | None) -> Head:
    return asked("GET", ID, version)


ROWS: Sequence[Row] = [
    Row(
        "R-61 another offset",
        append,
        OffsetMismatch(expected=5, provided=3),
        409,
        False,
        f"{IANA}mismatching-upload-offset",
        {"expected-offset": 5, "provided-offset": 3},
        {"Upload-Offset": "5"},
    ),
    Row(
        "R-67 another length, appending",
        append,
        LengthConflict(expected=5, provided=7),
        400,
        False,
        f"{IANA}inconsistent-upload-length",
    ),
    Row(
        "R-34 two lengths, creating",
        creation,
        LengthConflict(expected=5, provided=7),
        400,
        False,
        f"{IANA}inconsistent-upload-length",
    ),
    Row(
        "R-67 the last byte before the length is reached",
        append,
        Incomplete(holes=[[3, 8]]),
        400,
        False,
        f"{IANA}inconsistent-upload-length",
    ),
    Row(
        "D-04 the body has another digest",
        append,
        DigestMismatch(algorithm="sha-256", expected=sha256(b"xyz").value.hex(), computed=sha256(b"abc").value.hex()),
        400,
        False,
        f"{IANA}digest-mismatched-values",
        {
            "mismatched_digests": [
                {
                    "algorithm": "sha-256",
                    "provided_digest": digest_field(b"xyz").removeprefix("sha-256="),
                    "header": "Content-Digest",
                }
            ]
        },
    ),
    Row(
        "R-60 another type",
        append,
        UnsupportedMedia(provided="a/b", allowed=[PARTIAL]),
        415,
        False,
        "unsupported-media-type",
    ),
    Row("R-38 a type that is not taken", creation, UnsupportedMedia(), 415, True, "unsupported-media-type"),
    Row("R-38 a coding that is not taken", creation, UnsupportedEncoding(), 415, True, "unsupported-content-encoding"),
    Row("R-38 nobody known", creation, Unauthorized(), 401, True, "unauthorized"),
    Row("R-38 not allowed", creation, Refused(), 403, True, "refused"),
    Row("R-38 not allowed any more, but the upload is there", append, Refused(), 403, False, "refused"),
    Row("R-38 a token may be had", append, Unauthorized(), 401, False, "unauthorized"),
    Row("R-36 larger than is taken", creation, UploadTooLarge(limit=5, provided=7), 413, True, "upload-too-large"),
    Row("R-71 an append larger than is taken", append, ChunkTooLarge(limit=5), 413, False, "chunk-too-large"),
    Row(
        "R-71 an append smaller than is taken",
        append,
        AppendTooSmall(limit=5, provided=1),
        400,
        False,
        "append-too-small",
    ),
    Row("R-61 no offset", append, BadField(field="Upload-Offset", allowed="x"), 400, False, "bad-field"),
    Row("R-40 begun beyond 0", creation, BadField(field="Upload-Offset", allowed="0"), 400, False, "bad-field"),
    Row("R-53 a field that is not for HEAD or GET", status_request, BadField(), 400, None, "bad-field"),
    Row("R-80 no such upload", append, NotFound(), 404, False, "not-found"),
    Row("R-80 no such upload, asked", status_request, NotFound(), 404, None, "not-found"),
    Row(
        "R-68 an upload that failed",
        append,
        UploadFailed(reason="too-long"),
        410,
        True,
        "upload-failed",
        {},
        {"Upload-State": "failed;reason=too-long"},
    ),
    Row(
        "R-15 expired", append, UploadOver(reason="expired"), 410, False, "upload-over", {}, {"Upload-State": "expired"}
    ),
    Row("chunks that came by number", append, NumberedLayout(), 409, False, "numbered-layout"),
    Row(
        "R-83 others are writing",
        append,
        WritersBusy(retry_after=2),
        409,
        False,
        "writers-busy",
        {},
        {"Retry-After": "2"},
    ),
    Row("R-38 storage fails", append, StorageFault(), 500, False, "storage-fault"),
    Row("R-38 no room, creating", creation, NoSpace(), 507, False, "no-space"),
    Row("R-37 cut", append, BodyIncomplete(), 400, False, "body-incomplete"),
    Row("R-83 a newcomer took over", append, Revoked(), 500, False, "server-fault"),
]


def refuse(error: OnwardError, head: Head, **more: Any) -> Reply:
    told = DRAFT.refuse(error, head, HREFS, **more)
    assert set(told.headers) - {"Cache-Control", "Accept-Encoding", "Allow", "WWW-Authenticate"} <= set(EXPOSED)
    return told


@pytest.mark.parametrize("row", ROWS, ids=[row.row for row in ROWS])
@pytest.mark.parametrize("version", ALL)
def test_a_refusal(version: int | None, row: Row) -> None:
    told = refuse(row.error, row.make(version))
    assert told.status == row.status
    members = shown(told)
    assert members["type"] == (row.type if row.type.startswith(IANA) else f"urn:onward:problem:{row.type}")
    assert members["status"] == row.status
    assert members.items() >= row.members.items()
    assert told.media_type == "application/problem+json"
    assert told.headers.items() >= row.headers.items()
    said = {name: value for name, value in told.headers.items() if name in {"Upload-Complete", "Upload-Incomplete"}}
    assert said == ({} if row.complete is None else dict([complete_field(version, yes=row.complete)]))
    assert told.headers.get("Upload-Draft-Interop-Version") == (None if version is None else str(version))
    # Whoever breaks a limit is told all of them, where the version has words for it.
    knows = version is None or version >= 6
    assert ("Upload-Limit" in told.headers) is (knows and breaks_limit(row.error))


@pytest.mark.parametrize("error", [UploadTooLarge(), ChunkTooLarge(), TooManyChunks(), AppendTooSmall()], ids=repr)
def test_which_errors_are_about_limits(error: OnwardError) -> None:
    assert breaks_limit(error)


@pytest.mark.parametrize("version", ALL)
def test_r_69_more_for_a_completed_upload(version: int | None) -> None:
    told = refuse(AlreadyComplete(), append(version))
    assert told.status == 400
    assert dict([complete_field(version, yes=False)]).items() <= told.headers.items()
    own = version in {6, 7, 8}
    assert shown(told)["type"] == (f"{IANA}completed-upload" if own else "urn:onward:problem:already-complete")


@pytest.mark.parametrize("version", ALL)
def test_r_83_somebody_else_holds_it_so_ask_again(version: int | None) -> None:
    told = refuse(Locked(retry_after=1), append(version))
    # Newer clients try again after any 5xx but after few 4xx; an older one knows 423.
    assert told.status == (503 if version in {9, 10, None} else 423)
    assert shown(told)["status"] == told.status
    assert told.headers["Retry-After"] == "1"
    for method in ("HEAD", "GET"):
        asking = refuse(Locked(retry_after=1), asked(method, ID, version))
        assert (asking.status, asking.headers["Retry-After"]) == (423, "1")


@pytest.mark.parametrize("version", ALL)
def test_the_offset_of_a_live_upload_is_told_with_any_refusal(version: int | None) -> None:
    assert refuse(Refused(), append(version), upload=OPEN).headers["Upload-Offset"] == "3"
    assert refuse(OffsetMismatch(expected=5, provided=3), append(version), upload=OPEN).headers["Upload-Offset"] == "5"
    assert "Upload-Offset" not in refuse(Refused(), append(version), upload=DONE).headers
    assert "Upload-Offset" not in refuse(Refused(), append(version)).headers


def test_r_60_which_type_an_append_has() -> None:
    assert refuse(UnsupportedMedia(), append()).headers["Accept-Patch"] == PARTIAL
    assert "Accept-Patch" not in refuse(UnsupportedMedia(), creation()).headers


def test_d_09_what_the_server_computed_is_not_disclosed() -> None:
    computed = sha256(b"secret").value
    error = DigestMismatch(algorithm="sha-256", expected=sha256(b"x").value.hex(), computed=computed.hex())
    body = refuse(error, append()).body
    assert computed.hex().encode() not in body
    assert base64.b64encode(computed) not in body


def test_d_09_algorithms_that_are_not_computed() -> None:
    head = append(content_digest="crc32c=:AAAAAA==:, unixsum=:AA==:")
    with pytest.raises(DigestUnsupported) as caught:
        DRAFT.parse(head)
    told = refuse(caught.value, head)
    assert told.status == 400
    assert told.headers["Want-Content-Digest"] == "sha-256=10, sha-512=9"
    assert shown(told)["type"] == f"{IANA}digest-unsupported-algorithms"
    assert shown(told)["unsupported_algorithms"] == [
        {"algorithm": "crc32c", "header": "Content-Digest"},
        {"algorithm": "unixsum", "header": "Content-Digest"},
    ]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("sha-256=:AAAA:, sha-512=7, crc32c=:AA:", ["sha-256", "sha-512"]),
        (f"{digest_field()}, md5=:AAAA:", ["md5"]),
        ("sha-256=:AA", [None]),
    ],
)
def test_d_09_digests_that_cannot_be_read(text: str, names: list[str | None]) -> None:
    head = creation(repr_digest=text)
    with pytest.raises(DigestInvalid) as caught:
        DRAFT.parse(head)
    told = shown(refuse(caught.value, head))
    assert told["type"] == f"{IANA}digest-invalid-values"
    assert [invalid.get("algorithm") for invalid in told["invalid_digests"]] == names
    assert all(invalid["header"] == "Repr-Digest" and invalid["reason"] for invalid in told["invalid_digests"])


def test_a_refusal_to_head_has_no_body() -> None:
    told = refuse(NotFound(), asked("HEAD", ID))
    assert (told.status, told.body, told.media_type) == (404, b"", "")


def test_a_method_without_a_meaning_is_told_which_have_one() -> None:
    assert refuse(MethodNotAllowed(allowed=["PATCH"]), asked("TRACE", ID)).headers["Allow"] == "PATCH"


def test_r_14_a_limit_told_with_a_refusal_has_the_time_that_is_left() -> None:
    draft = Draft(Limits(max_size=9), expire_after=600.0, now=lambda: 1000.0)
    told = draft.refuse(ChunkTooLarge(), append(), HREFS, upload=OPEN).headers["Upload-Limit"]
    assert told == "max-size=9, min-size=0, max-append-size=9, min-append-size=0, max-age=201"


ERRORS = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OnwardError)),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("version", ALL)
def test_every_error_has_a_refusal_even_without_its_facts(version: int | None, error: type[OnwardError]) -> None:
    for head in (append(version), creation(version), asked("HEAD", ID, version), None):
        told = DRAFT.refuse(error(), head, HREFS)
        assert 400 <= told.status <= 599
        # Never a redirect.
        assert "Location" not in told.headers
