"""The draft: which outcome is which reply, and what a 104 says, in every interop version."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from onward.core.outcome import Outcome
from onward.core.types import Cancel, Create, Failed, Limits, Sealed, Spec, UploadId
from onward.wire.draft import POLICY, Draft
from onward.wire.message import Dialect, Head, Reply
from onward.wire.structured import weights
from tests.protocol.draft_rows import (
    ALL,
    CANCELLED,
    CLOCK,
    CREATE,
    DONE,
    DRAFT,
    EXPIRED,
    FAILED,
    FILE_URL,
    HREFS,
    IANA,
    ID,
    OPEN,
    SEALED,
    STATUS,
    STATUS_URL,
    STORE,
    append,
    asked,
    complete_field,
    creation,
    digest_field,
    part,
    reply,
    sha256,
    shown,
    upload,
)

SIZES = f"max-size={1 << 40}, min-size=0, max-append-size={1 << 40}, min-append-size=0"


def expected(version: int | None, *, complete: bool, offset: int, age: int | None = 201, **more: str) -> dict[str, str]:
    """Headers that every reply about an upload has in that version."""
    headers = {"Upload-Offset": str(offset), **dict([complete_field(version, yes=complete)])}
    if version is None or version >= 6:
        name = "expires" if version == 6 else "max-age"
        headers["Upload-Limit"] = SIZES if age is None else f"{SIZES}, {name}={age}"
    if version is not None:
        headers["Upload-Draft-Interop-Version"] = str(version)
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def early(version: int | None) -> bool:
    return version in {3, 4, 5, 6}


# -- more is to come ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
def test_r_31_r_02_a_creation_that_goes_on(version: int | None) -> None:
    told = reply(CREATE, OPEN, creation(version))
    assert told.status == 201
    assert told.headers == expected(version, complete=False, offset=3, Location=FILE_URL)
    assert (told.body, told.media_type) == (b"", "")


@pytest.mark.parametrize("version", ALL)
def test_r_64_an_append_that_goes_on(version: int | None) -> None:
    told = reply(STORE, OPEN, append(version))
    assert told.status == (201 if early(version) else 204)
    assert told.headers == expected(version, complete=False, offset=3)
    assert told.body == b""


def test_a_21_a_full_upload_is_not_complete_before_it_is_said() -> None:
    full = upload(part(0, b"abc"), length=3)
    told = reply(STORE, full, append())
    assert (told.status, told.headers["Upload-Complete"], told.headers["Upload-Offset"]) == (204, "?0", "3")
    assert reply(STATUS, full, asked("HEAD", ID)).headers["Upload-Complete"] == "?0"


# -- the last byte --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
def test_r_32_a_creation_that_is_all(version: int | None) -> None:
    told = reply(CREATE, SEALED, creation(version, complete=True))
    assert told.status == (201 if early(version) else 202)
    link = f'<{STATUS_URL}>; rel="monitor"'
    assert told.headers == expected(version, complete=True, offset=6, age=None, Location=FILE_URL, Link=link)
    assert told.media_type == "application/json"
    assert shown(told) == {
        "id": ID,
        "name": "f.txt",
        "state": "verifying",
        "length": 6,
        "status": STATUS_URL,
        "events": f"{STATUS_URL}/events",
        "result": None,
    }


@pytest.mark.parametrize("version", ALL)
def test_r_65_the_last_append(version: int | None) -> None:
    told = reply(STORE, SEALED, append(version, complete=True))
    assert told.status == (201 if early(version) else 202)
    link = f'<{STATUS_URL}>; rel="monitor"'
    assert told.headers == expected(version, complete=True, offset=6, age=None, Link=link)
    assert shown(told)["state"] == "verifying"


@pytest.mark.parametrize("version", ALL)
def test_r_69_the_last_answer_again_when_the_file_is_there(version: int | None) -> None:
    told = reply(STORE, DONE, append(version, complete=True, upload_offset="6"))
    assert told.status == (201 if early(version) else 200)
    assert dict([complete_field(version, yes=True)]).items() <= told.headers.items()
    assert shown(told)["state"] == "done"
    assert shown(told)["result"]["content"] == f"{FILE_URL}/content"


EMPTY = upload(Sealed(length=0, parts=0), length=0)


@pytest.mark.parametrize("version", [5, 6])
def test_r_42_an_empty_file_is_complete_at_once(version: int) -> None:
    told = reply(CREATE, EMPTY, creation(version, upload_length="0"))
    assert (told.status, told.headers["Upload-Offset"], told.headers["Location"]) == (201, "0", FILE_URL)
    assert told.headers["Upload-Complete"] == "?1"


ONE = upload(part(0, b"abc"), Sealed(length=3, parts=1))
KEPT = upload(part(0, b"abc"), Sealed(length=3, parts=1), raw={"Want-Repr-Digest": "sha-512=3, sha-256=10"})


def test_d_06_the_digest_that_was_wished_for_where_it_is_known() -> None:
    wish: dict[str, Any] = {"want_repr_digest": "sha-256=1"}
    assert reply(CREATE, ONE, creation(complete=True, **wish)).headers["Repr-Digest"] == digest_field(b"abc")
    assert reply(STORE, KEPT, append(complete=True)).headers["Repr-Digest"] == digest_field(b"abc")
    assert reply(CREATE, EMPTY, creation(complete=True, **wish)).headers["Repr-Digest"] == digest_field(b"")
    assert reply(STORE, DONE, append(complete=True, **wish)).headers["Repr-Digest"] == digest_field(b"abcdef")


@pytest.mark.parametrize("wish", ["", "sha-256=0", "sha-512=10", "sha-256", "sha-256=11", "what?"])
def test_d_06_no_digest_that_nobody_wished_for(wish: str) -> None:
    assert "Repr-Digest" not in reply(STORE, ONE, append(complete=True, want_repr_digest=wish)).headers


def test_d_07_no_digest_that_is_not_known() -> None:
    assert "Repr-Digest" not in reply(STORE, SEALED, append(complete=True, want_repr_digest="sha-256=1")).headers
    assert weights("sha-256=1")


# -- where it stands ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_r_50_r_54_where_an_upload_stands(version: int | None, method: str) -> None:
    told = reply(STATUS, upload(part(0, b"abc"), length=9), asked(method, ID, version))
    assert told.status == 204
    assert told.headers == expected(version, complete=False, offset=3, Upload_Length="9", Cache_Control="no-store")
    assert told.body == b""


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("found", [SEALED, DONE])
def test_r_50_r_55_a_complete_upload_is_still_answered_for(version: int | None, found: object) -> None:
    told = reply(STATUS, found, asked("HEAD", ID, version))  # type: ignore[arg-type]  # both are uploads
    more = {"Upload_Length": "6", "Cache_Control": "no-store"}
    assert (told.status, told.headers) == (204, expected(version, complete=True, offset=6, age=None, **more))


def test_r_50_a_length_that_nobody_said_is_not_told() -> None:
    assert "Upload-Length" not in reply(STATUS, OPEN, asked("HEAD", ID)).headers


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize(
    ("found", "state"),
    [(FAILED, "failed;reason=damaged"), (EXPIRED, "expired"), (CANCELLED, "cancelled")],
    ids=["failed", "expired", "cancelled"],
)
def test_r_15_an_upload_that_is_over_has_no_offset(version: int | None, method: str, found: object, state: str) -> None:
    told = reply(STATUS, found, asked(method, ID, version))  # type: ignore[arg-type]  # all are uploads
    assert told.status == 410
    assert told.headers["Upload-State"] == state
    assert "Upload-Offset" not in told.headers
    assert (told.body == b"") is (method == "HEAD")


@pytest.mark.parametrize("version", ALL)
def test_r_80_a_cancelled_upload(version: int | None) -> None:
    told = reply(Cancel(target=ID), CANCELLED, asked("DELETE", ID, version))
    echo = {} if version is None else {"Upload-Draft-Interop-Version": str(version)}
    assert told == Reply(status=204, headers=echo)


WRONG = upload(part(0, b"abc"), Failed(code="digest-mismatch"), digest=sha256(b"xyz"))


@pytest.mark.parametrize("command", [CREATE, STORE], ids=["creation", "append"])
@pytest.mark.parametrize("version", ALL)
def test_d_05_a_whole_that_is_not_what_was_announced(version: int | None, command: object) -> None:
    head = creation(version, complete=True) if command is CREATE else append(version, complete=True)
    told = reply(command, WRONG, head)
    assert told.status == 400
    assert dict([complete_field(version, yes=True)]).items() <= told.headers.items()
    assert shown(told)["type"] == f"{IANA}digest-mismatched-values"
    provided = digest_field(b"xyz").removeprefix("sha-256=")
    assert shown(told)["mismatched_digests"] == [
        {"algorithm": "sha-256", "provided_digest": provided, "header": "Repr-Digest"}
    ]
    # Asked later, it is an upload that is over.
    assert reply(STATUS, WRONG, asked("HEAD", ID, version)).status == 410


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("segment", ["", ID])
def test_r_20_r_22_limits_are_told_beforehand(version: int | None, segment: str) -> None:
    told = DRAFT.discover(asked("OPTIONS", segment, version))
    age = "expires" if version == 6 else "max-age"
    assert told.status == 200
    assert told.headers["Upload-Limit"] == f"{SIZES}, {age}=600"
    assert told.headers["Accept-Patch"] == "application/partial-upload"
    assert set(told.headers["Allow"].split(", ")) >= {"PATCH", "OPTIONS", "HEAD" if segment else "POST"}
    assert told.headers.get("Upload-Draft-Interop-Version") == (None if version is None else str(version))


def test_r_13_r_20_limits_are_never_empty_and_always_integers() -> None:
    head = asked("OPTIONS")
    plain = Draft(Limits(max_size=2**62)).discover(head).headers["Upload-Limit"]
    assert plain == f"max-size={10**15 - 1}, min-size=0, max-append-size={10**15 - 1}, min-append-size=0"
    told = Draft(Limits(max_size=9), min_append=2, max_append=5, expire_after=1.9).discover(head).headers
    assert told["Upload-Limit"] == "max-size=9, min-size=0, max-append-size=5, min-append-size=2, max-age=1"


def test_r_14_the_end_of_the_lifetime_does_not_come_nearer() -> None:
    head = asked("HEAD", ID)
    for now in (700.0, 900.0, 1200.9):
        draft = Draft(Limits(), expire_after=600.0, now=lambda at=now: at)  # type: ignore[misc]  # bound here
        told = draft.reply(STATUS, Outcome(upload=OPEN), HREFS, head).headers["Upload-Limit"]
        assert told.endswith(f"max-age={int(601 + 600 - now)}")
    given = DRAFT.reply(STATUS, Outcome(upload=OPEN), HREFS, head, expires_at=CLOCK + 5).headers["Upload-Limit"]
    assert given.endswith("max-age=5")
    past = DRAFT.reply(STATUS, Outcome(upload=OPEN), HREFS, head, expires_at=CLOCK - 5).headers["Upload-Limit"]
    assert past.endswith("max-age=0")


# -- 104 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("complete", [True, False])
def test_r_30_a_104_tells_where_the_upload_is(version: int | None, complete: bool) -> None:
    told = DRAFT.interim(OPEN, creation(version, complete=complete), HREFS)
    if version is None:
        assert told is None
        return
    wanted = {"Location": FILE_URL, "Upload-Draft-Interop-Version": str(version)}
    if version >= 6:
        wanted["Upload-Limit"] = f"{SIZES}, {'expires' if version == 6 else 'max-age'}=201"
    assert told == wanted


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("head", [creation, append])
def test_r_70_r_33_a_104_tells_how_far_it_is_and_never_where(version: int | None, head: object) -> None:
    made = creation(version) if head is creation else append(version)
    told = DRAFT.interim(OPEN, made, HREFS, offset=7)
    if version in {None, 3, 4}:
        assert told is None
        return
    assert told == {"Upload-Offset": "7", "Upload-Draft-Interop-Version": str(version)}


@pytest.mark.parametrize("text", ["11", "2", "x", ""])
def test_r_01_no_104_for_a_version_that_is_not_spoken(text: str) -> None:
    head = Head(method="POST", headers={"upload-complete": "?1", "upload-draft-interop-version": text})
    assert DRAFT.interim(OPEN, head, HREFS) is None
    assert DRAFT.interim(OPEN, head, HREFS, offset=1) is None


@pytest.mark.parametrize("version", ALL)
def test_r_11_no_104_for_an_ordinary_upload(version: int | None) -> None:
    head = creation(version, complete=None)
    assert DRAFT.interim(OPEN, head, HREFS) is None
    assert DRAFT.interim(OPEN, head, HREFS, offset=1) is None


@pytest.mark.parametrize("version", ALL)
def test_r_70_an_append_is_not_told_where_it_is(version: int | None) -> None:
    assert DRAFT.interim(OPEN, append(version), HREFS) is None


def test_r_33_the_place_is_the_same_in_all_answers_to_one_request() -> None:
    head = creation()
    told = DRAFT.interim(OPEN, head, HREFS)
    assert told is not None
    assert told["Location"] == reply(CREATE, OPEN, head).headers["Location"]


def test_it_is_a_dialect() -> None:
    dialect: Dialect = DRAFT
    told = dialect.reply(Create(spec=Spec(), policy=POLICY), Outcome(upload=OPEN), HREFS)
    assert told.headers["Location"] == FILE_URL
    assert msgspec.json.decode(dialect.reply(STORE, Outcome(upload=SEALED), HREFS).body)["id"] == UploadId(ID)
