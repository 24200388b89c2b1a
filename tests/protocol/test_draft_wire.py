"""The draft: which request is which command, in every interop version."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.types import (
    Append,
    Cancel,
    Completes,
    Create,
    Declaration,
    First,
    Layout,
    Limits,
    Overrun,
    Policy,
    Status,
    Store,
)
from onward.errors import (
    AppendTooSmall,
    BadField,
    ChunkTooLarge,
    DigestInvalid,
    DigestUnsupported,
    LengthConflict,
    MethodNotAllowed,
    NotFound,
    OnwardError,
    UnsupportedEncoding,
    UnsupportedMedia,
)
from onward.wire.draft import Draft
from onward.wire.message import Head
from tests.protocol.draft_rows import ALL, DRAFT, ID, PARTIAL, append, asked, creation, digest_field, sha256


def create(head: Head, draft: Draft = DRAFT) -> Create:
    command = draft.parse(head)
    assert isinstance(command, Create)
    return command


def first(head: Head) -> First:
    command = create(head)
    assert command.first is not None
    return command.first


def store(head: Head, draft: Draft = DRAFT) -> Store:
    command = draft.parse(head)
    assert isinstance(command, Store)
    return command


# -- creation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("complete", [True, False])
def test_r_30_any_method_with_content_creates(version: int | None, method: str, complete: bool) -> None:
    command = create(creation(version, complete=complete, method=method, content_length="3", upload_length="3"))
    assert command.first == First(size=3, ends=complete)
    assert command.spec.declared == Declaration(layout=Layout.FLAT, length=3)


def test_the_rules_of_a_draft_upload() -> None:
    assert create(creation()).policy == Policy(
        dialect="ietf", completes=Completes.EXPLICIT, overrun=Overrun.FAIL, reopens=False
    )


def test_the_owner_and_the_idempotency_key_are_taken_over() -> None:
    head = Head(method="POST", headers={"upload-complete": "?0", "idempotency-key": "k1"}, owner="ann")
    command = create(head)
    assert (command.spec.owner, command.idempotency_key) == ("ann", "k1")


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("said", [{}, {"upload_complete": "true"}, {"upload_complete": "1"}])
def test_r_11_without_a_readable_word_it_is_an_ordinary_upload(version: int | None, said: dict[str, str]) -> None:
    head = creation(version, complete=None, content_length="3", **said)
    assert first(head).ends
    assert create(head).spec.declared.length == 3


def test_version_3_does_not_read_the_later_word_and_later_ones_not_the_old() -> None:
    assert first(asked("POST", "", 3, upload_complete="?0")).ends
    assert first(asked("POST", "", 6, upload_incomplete="?1")).ends


LENGTHS: list[tuple[str, bool, dict[str, str], int | None]] = [
    ("R-34 none is known", False, {"content_length": "3"}, None),
    ("R-34 the body is the whole", True, {"content_length": "3"}, 3),
    ("R-34 a body of unknown size is the whole", True, {}, None),
    ("R-34 said beforehand", False, {"content_length": "3", "upload_length": "9"}, 9),
    ("R-34 said, the body's size is unknown", True, {"upload_length": "9"}, 9),
    ("R-34 both agree", True, {"content_length": "9", "upload_length": "9"}, 9),
    ("R-12 unreadable", False, {"upload_length": "9.0"}, None),
    ("R-12 negative", False, {"upload_length": "-9"}, None),
    ("R-12 with a parameter", False, {"upload_length": "9;a"}, 9),
    ("R-12 the greatest", False, {"upload_length": "9" * 15}, 10**15 - 1),
    ("R-12 too long", False, {"upload_length": "9" * 16}, None),
    ("R-35 an empty file", True, {"content_length": "0"}, 0),
]


@pytest.mark.parametrize(("row", "complete", "headers", "length"), LENGTHS, ids=[row[0] for row in LENGTHS])
@pytest.mark.parametrize("version", ALL)
def test_the_length_of_the_whole(
    version: int | None, row: str, complete: bool, headers: dict[str, str], length: int | None
) -> None:
    assert create(creation(version, complete=complete, **headers)).spec.declared.length == length


@pytest.mark.parametrize(
    ("complete", "size", "length"), [(True, "3", "9"), (True, "9", "3"), (False, "9", "3"), (True, "0", "1")]
)
@pytest.mark.parametrize("version", ALL)
def test_r_34_lengths_that_contradict_each_other(version: int | None, complete: bool, size: str, length: str) -> None:
    with pytest.raises(LengthConflict) as caught:
        DRAFT.parse(creation(version, complete=complete, content_length=size, upload_length=length))
    assert caught.value.facts == {"expected": int(length), "provided": int(size)}


@pytest.mark.parametrize("version", ALL)
def test_r_35_an_empty_body_just_creates(version: int | None) -> None:
    assert first(creation(version, complete=False, content_length="0")) == First(size=0, ends=False)


@pytest.mark.parametrize("version", ALL)
def test_r_42_an_empty_file_of_a_client_that_sends_no_more(version: int | None) -> None:
    made = first(creation(version, complete=False, content_length="0", upload_length="0"))
    assert made.ends is (version in {5, 6})


@pytest.mark.parametrize(
    ("offset", "fine"), [("0", True), ("abc", True), ("5;a=1", False), ("5", False), ("5, 5", True)]
)
def test_r_40_an_upload_begins_at_0(offset: str, fine: bool) -> None:
    head = creation(upload_offset=offset)
    if fine:
        assert isinstance(DRAFT.parse(head), Create)
        return
    with pytest.raises(BadField) as caught:
        DRAFT.parse(head)
    assert caught.value.facts["field"] == "Upload-Offset"


def test_r_39_metadata_is_taken_from_the_fields_of_the_representation() -> None:
    head = creation(content_type="image/png; x=1", content_disposition="inline; filename*=UTF-8''%C3%BC.png")
    assert create(head).spec.metadata == {"filename": "ü.png", "filetype": "image/png; x=1"}
    assert create(creation()).spec.metadata == {}


def test_r_39_a_name_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadField):
        DRAFT.parse(creation(content_disposition=f'inline; filename="{"x" * 1025}"'))


def test_r_42_what_a_client_that_comes_from_tus_says_besides() -> None:
    told = base64.b64encode("ü.png".encode()).decode()
    head = creation(
        6,
        content_type=PARTIAL,
        content_length="3",
        upload_length="9",
        upload_metadata=f"filename {told},album {told}",
        upload_defer_length="1",
    )
    command = create(head)
    assert command.spec.metadata == {"filename": "ü.png", "album": "ü.png"}
    assert command.spec.raw == {"Upload-Metadata": f"filename {told},album {told}"}
    assert command.first == First(size=3, ends=False)


@pytest.mark.parametrize("parse", [creation, append])
def test_r_16_content_codings_are_not_taken(parse: Any) -> None:
    with pytest.raises(UnsupportedEncoding):
        DRAFT.parse(parse(content_encoding="gzip"))
    assert isinstance(DRAFT.parse(parse(content_encoding="identity")), Create | Store)


def test_a_form_is_no_file() -> None:
    with pytest.raises(UnsupportedMedia):
        DRAFT.parse(creation(complete=True, content_type="Multipart/Form-Data; boundary=x"))


# -- digests --------------------------------------------------------------------------------------


def test_d_04_d_05_digests_of_the_body_and_of_the_whole() -> None:
    said: dict[str, Any] = {"content_digest": digest_field(b"abc"), "repr_digest": digest_field(b"abcdef")}
    made = create(creation(**said))
    assert made.spec.declared.digest == sha256(b"abcdef")
    assert made.first == First(digests=(sha256(b"abc"),))
    more = store(append(complete=True, **said))
    assert more.digests == (sha256(b"abc"),)
    assert more.declared.digest == sha256(b"abcdef")


def test_d_01_d_02_digests_that_cannot_be_used() -> None:
    with pytest.raises(DigestInvalid):
        DRAFT.parse(append(content_digest="sha-256=abc"))
    with pytest.raises(DigestUnsupported):
        DRAFT.parse(creation(repr_digest="crc32c=:AAAAAA==:"))
    assert store(append(content_digest=f"crc32c=:AAAAAA==:, {digest_field()}")).digests == (sha256(b"abc"),)


def test_d_06_the_wish_for_a_digest_is_kept_for_the_last_answer() -> None:
    assert create(creation(want_repr_digest="sha-256=10")).spec.raw == {"Want-Repr-Digest": "sha-256=10"}


# -- append ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("complete", [True, False])
def test_r_63_an_append(version: int | None, complete: bool) -> None:
    command = DRAFT.parse(append(version, complete=complete, content_length="4"))
    length = 7 if complete else None
    assert command == Store(target=ID, at=Append(3), size=4, ends=complete, declared=Declaration(length=length))


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("kind", ["", "application/octet-stream", "application/partial-uploads", "text/plain"])
def test_r_60_the_type_of_an_append(version: int | None, kind: str) -> None:
    head = append(version, content_type=kind)
    if version in {3, 4, 5}:
        assert store(head).at == Append(3)
        return
    with pytest.raises(UnsupportedMedia) as caught:
        DRAFT.parse(head)
    assert caught.value.facts["allowed"] == [PARTIAL]


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("offset", ["", "abc", "-1", '"5"', "5.0", "5, 6", "1" * 16])
def test_r_61_the_offset_of_an_append_must_be_said(version: int | None, offset: str) -> None:
    with pytest.raises(BadField) as caught:
        DRAFT.parse(append(version, upload_offset=offset))
    assert caught.value.facts["field"] == "Upload-Offset"


def test_r_10_the_greatest_offset_and_parameters() -> None:
    assert store(append(upload_offset="9" * 15)).at == Append(10**15 - 1)
    assert store(append(upload_offset="5;a=1")).at == Append(5)


MISSING: list[tuple[str, dict[str, str], bool]] = [
    ("nothing else is known", {}, False),
    ("the body's size is known", {"content_length": "4"}, False),
    ("its end is the length", {"content_length": "4", "upload_length": "7"}, True),
    ("its end is before the length", {"content_length": "4", "upload_length": "8"}, False),
    ("no body, and the offset is the length", {"upload_length": "3"}, True),
    ("a body of unknown size before the length", {"upload_length": "7"}, False),
]


@pytest.mark.parametrize(("row", "headers", "full"), MISSING, ids=[row[0] for row in MISSING])
@pytest.mark.parametrize("version", ALL)
def test_r_62_an_append_that_does_not_say_whether_it_is_the_last(
    version: int | None, row: str, headers: dict[str, str], full: bool
) -> None:
    head = append(version, complete=None, **headers)
    if version == 3 and headers.get("upload_length") == "8":  # complete there, so its lengths contradict each other
        with pytest.raises(LengthConflict):
            DRAFT.parse(head)
        return
    if version is None or version >= 7:
        with pytest.raises(BadField) as caught:
            DRAFT.parse(head)
        assert caught.value.facts["field"] == "Upload-Complete"
        return
    assert store(head).ends is (version == 3 or full)


def test_r_66_an_empty_append_may_be_the_last() -> None:
    command = store(append(complete=True, content_length="0"))
    assert (command.size, command.ends, command.declared.length) == (0, True, 3)


@pytest.mark.parametrize("version", ALL)
def test_r_67_a_length_said_again_must_match(version: int | None) -> None:
    assert store(append(version, complete=True, content_length="4", upload_length="7")).declared.length == 7
    assert store(append(version, complete=False, content_length="4", upload_length="9")).declared.length == 9
    for complete, length in ((True, "8"), (True, "6"), (False, "6")):
        with pytest.raises(LengthConflict) as caught:
            DRAFT.parse(append(version, complete=complete, content_length="4", upload_length=length))
        assert caught.value.facts == {"expected": int(length), "provided": 7}


def test_content_length_is_a_number_or_the_request_is_refused() -> None:
    with pytest.raises(BadField):
        DRAFT.parse(append(content_length="4;a=1"))


SMALL = Draft(Limits(), min_append=5, max_append=9)
SIZES: list[tuple[str, Any, bool, str, type[OnwardError] | None]] = [
    ("R-71 within", append, False, "5", None),
    ("R-71 too small", append, False, "4", AppendTooSmall),
    ("R-71 empty, and not the last", append, False, "0", AppendTooSmall),
    ("R-71 small, but the last", append, True, "4", None),
    ("R-71 too large", append, False, "10", ChunkTooLarge),
    ("R-71 too large, and the last", append, True, "10", ChunkTooLarge),
    ("R-71 as large as may be", append, True, "9", None),
    ("R-35 an empty creation", creation, False, "0", None),
    ("R-35 a small creation", creation, False, "4", AppendTooSmall),
    ("R-35 a small creation that is all", creation, True, "4", None),
    ("R-71 a large creation", creation, True, "10", ChunkTooLarge),
]


@pytest.mark.parametrize(("row", "make", "complete", "size", "error"), SIZES, ids=[row[0] for row in SIZES])
@pytest.mark.parametrize("version", ALL)
def test_limits_of_one_request(
    version: int | None, row: str, make: Any, complete: bool, size: str, error: type[OnwardError] | None
) -> None:
    head = make(version, complete=complete, content_length=size)
    if error is None:
        assert isinstance(SMALL.parse(head), Create | Store)
        return
    with pytest.raises(error) as caught:
        SMALL.parse(head)
    assert caught.value.facts == {"limit": 5 if error is AppendTooSmall else 9, "provided": int(size)}


def test_a_body_of_unknown_size_is_held_to_limits_while_it_streams() -> None:
    assert store(append(), SMALL).size is None


# -- status and cancellation ----------------------------------------------------------------------


@pytest.mark.parametrize("version", ALL)
def test_r_50_r_80_asking_and_cancelling(version: int | None) -> None:
    for method in ("HEAD", "GET"):
        assert DRAFT.parse(asked(method, ID, version)) == Status(target=ID, takes_over=True)
    assert DRAFT.parse(asked("DELETE", ID, version)) == Cancel(target=ID)


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("Upload-Offset", "0"), ("Upload-Length", "5"), ("Upload-Complete", "?0"), ("Upload-Incomplete", "?1")],
)
def test_r_53_these_bring_no_bytes_so_they_say_nothing_of_them(
    version: int | None, method: str, field: str, value: str
) -> None:
    name = field.lower().replace("-", "_")
    said: dict[str, Any] = {name: value}
    unreadable: dict[str, Any] = {name: "unreadable"}
    with pytest.raises(BadField) as caught:
        DRAFT.parse(asked(method, ID, version, **said))
    assert caught.value.facts["field"] == field
    assert isinstance(DRAFT.parse(asked(method, ID, version, **unreadable)), Status | Cancel)


@pytest.mark.parametrize("segment", ["x", "../etc/passwd", ID.upper(), f"{ID}x{ID}"])
@pytest.mark.parametrize("method", ["HEAD", "GET", "DELETE", "PATCH"])
def test_what_is_no_id_is_not_found(method: str, segment: str) -> None:
    with pytest.raises(NotFound):
        DRAFT.parse(asked(method, segment, content_type=PARTIAL))


@pytest.mark.parametrize(
    ("method", "segment"), [("POST", ID), ("PUT", ID), ("HEAD", ""), ("GET", ""), ("DELETE", ""), ("TRACE", ID)]
)
def test_methods_without_a_meaning(method: str, segment: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        DRAFT.parse(asked(method, segment))
    allowed = caught.value.facts["allowed"]
    assert isinstance(allowed, list)
    assert method not in allowed


VALUES = st.text(alphabet=st.sampled_from('0159-+.;,= \t?:"%\\*/aé'), max_size=12)
NAMES = st.sampled_from(
    [
        *("upload-complete", "upload-incomplete", "upload-offset", "upload-length", "upload-metadata"),
        *("upload-draft-interop-version", "content-length", "content-type", "content-disposition"),
        *("content-digest", "repr-digest"),
    ]
)


@given(
    st.sampled_from(["POST", "PUT", "PATCH", "HEAD", "GET", "DELETE", "OPTIONS"]),
    st.sampled_from(["", ID, "x"]),
    st.dictionaries(NAMES, VALUES | st.sampled_from(["?0", "?1", "5", "0", PARTIAL, "3", "6", "10"])),
)
def test_nothing_but_an_onward_error_comes_out(method: str, segment: str, headers: dict[str, str]) -> None:
    head = Head(method=method, segment=segment, headers=headers)
    assert DRAFT.speaks(headers) in {True, False}
    try:
        command = DRAFT.parse(head)
    except OnwardError:
        return
    assert not isinstance(command, Store) or command.declared.length is None or command.declared.length >= 0
