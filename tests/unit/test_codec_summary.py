"""Events as they lie in journals, and the row that is kept of each upload."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.codec import decode, encode
from onward.core.summary import Summary, advance, begin
from onward.core.types import (
    AnyEvent,
    ClientName,
    Created,
    Damaged,
    Declaration,
    Declared,
    Digest,
    Failed,
    Layout,
    Policy,
    Published,
    Record,
    Removed,
    Sealed,
    Spec,
    State,
    Stored,
    Unknown,
    is_id,
    make_id,
)
from tests.unit.folding import (
    CANCELLED,
    FAILED,
    GOOD,
    ID,
    NUMBERED,
    UNKNOWN,
    damaged,
    length,
    part,
    published,
    sealed,
    upload_of,
)

BEGUN = Created(
    id=ID,
    spec=Spec(name=ClientName("me", "f"), declared=Declaration(length=8), metadata={"k": "v"}, owner="me"),
    policy=Policy(reopens=False),
    place="here",
    asked="x",
)
PINNED: tuple[tuple[AnyEvent, bytes], ...] = (
    (BEGUN, b'"type":"created"'),
    (Declared(declared=Declaration(layout=Layout.FLAT, part_size=4)), b'"type":"declared"'),
    (Stored(key=0, size=4, digest=GOOD, token="t"), b'"type":"stored"'),
    (Sealed(length=4, parts=1, digest=GOOD, total_known=False), b'"type":"sealed"'),
    (Damaged(keys=(1, 2), size=8), b'"type":"damaged"'),
    (Published(ref="f", size=4, digest=GOOD), b'"type":"published"'),
    (Failed(code="damaged", detail="why"), b'"type":"failed"'),
    (Removed(reason="expired"), b'{"type":"removed","reason":"expired"}'),
    (Removed(reason="cancelled", cause="replaced"), b'{"type":"removed","reason":"cancelled","cause":"replaced"}'),
)


@pytest.mark.parametrize(("event", "tag"), PINNED, ids=lambda value: type(value).__name__)
def test_an_event_comes_back_as_it_was(event: AnyEvent, tag: bytes) -> None:
    assert decode(encode(event)) == event
    assert tag in encode(event)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{",
        b"\xff",
        b'{"type":"extended","expires_at":1}',
        b'{"key":0,"size":4}',
        b'{"type":"stored","key":"0"}',
        b'{"type":"declared","declared":{"layout":"diagonal"}}',
        b'{"type":"unknown","raw":""}',
        b"[" * 100_000,
    ],
)
def test_what_this_version_does_not_know_is_kept_byte_for_byte(data: bytes) -> None:
    event = decode(data)
    assert event == Unknown(raw=data)
    assert encode(event) == data


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    event = decode(data)
    assert isinstance(event, Unknown)
    assert encode(event) == data


def test_a_field_of_a_newer_version_does_not_hide_an_event() -> None:
    assert decode(encode(CANCELLED)[:-1] + b',"by":"somebody"}') == CANCELLED


# -- the row ---------------------------------------------------------------------------------------


def row_of(*events: AnyEvent, first: Created = BEGUN) -> Summary:
    row = begin(Record(1, 10.0, first))
    for version, event in enumerate(events, 2):
        row = advance(row, Record(version, 10.0 * version, event))
    return row


SEALED: tuple[AnyEvent, ...] = (NUMBERED, part(1), part(2), sealed(8, 2))


@pytest.mark.parametrize(
    ("events", "facts"),
    [
        ((), {"state": State.OPEN, "length": 8, "received": 0, "parts": 0, "promised": 8, "version": 1}),
        ((part(1),), {"received": 4, "parts": 1, "promised": 4, "active_at": 20.0, "created_at": 10.0}),
        ((NUMBERED,), {"length": 8}),
        ((length(9),), {"length": 9, "promised": 9, "name": "f"}),
        ((Declared(declared=Declaration(filename="g")),), {"name": "g", "length": 8}),
        (SEALED, {"state": State.SEALED, "received": 8, "kept": 8, "promised": 0, "word": "verifying"}),
        ((part(1), sealed(4, 1)), {"length": 4}),
        ((*SEALED, damaged(2)), {"state": State.OPEN, "received": 4, "parts": 1, "promised": 4, "word": "receiving"}),
        ((*SEALED, published(8)), {"state": State.DONE, "ref": "f", "received": 8, "word": "done"}),
        ((*SEALED, FAILED), {"state": State.FAILED, "reason": "damaged", "word": "failed", "promised": 0, "kept": 0}),
        ((part(1), CANCELLED), {"received": 4, "kept": 0}),
        ((CANCELLED,), {"state": State.GONE, "reason": "cancelled", "word": "cancelled", "promised": 0}),
        ((part(1), UNKNOWN), {"state": State.OPEN, "version": 3, "active_at": 20.0, "received": 4}),
        ((part(1, 16),), {"received": 16, "promised": 0}),
    ],
)
def test_the_row_follows_the_events(events: tuple[AnyEvent, ...], facts: dict[str, Any]) -> None:
    row = row_of(*events)
    assert {name: getattr(row, name) for name in facts} == facts


def test_nothing_is_promised_for_a_length_that_nobody_said() -> None:
    assert row_of(part(1), first=Created(id=ID, spec=Spec(), policy=Policy())).promised == 0


def test_a_clock_that_jumps_back_makes_no_row_older() -> None:
    row = advance(row_of(part(1)), Record(3, 5.0, part(2)))
    assert row.active_at == 20.0


@pytest.mark.parametrize(
    ("spec", "name", "owner"),
    [
        (Spec(name=ClientName("me", "f"), metadata={"filename": "g"}, owner="me"), "f", "me"),
        (Spec(metadata={"filename": "g"}), "g", None),
        (Spec(), None, None),
    ],
)
def test_the_name_in_the_row(spec: Spec, name: str | None, owner: str | None) -> None:
    row = begin(Record(1, 1.0, Created(id=ID, spec=spec, policy=Policy())))
    assert (row.name, row.owner) == (name, owner)


@pytest.mark.parametrize("event", [NUMBERED, UNKNOWN, CANCELLED])
def test_a_journal_begins_with_its_beginning(event: AnyEvent) -> None:
    with pytest.raises(TypeError, match="begins with Created"):
        begin(Record(1, 1.0, event))


@pytest.mark.parametrize("events", [(), SEALED, (*SEALED, damaged(2)), (*SEALED, published(8)), (*SEALED, FAILED)])
def test_the_row_and_the_upload_agree(events: tuple[AnyEvent, ...]) -> None:
    upload = upload_of(*events)
    row = row_of(*events, first=Created(id=ID, spec=Spec(name=ClientName(None, "f")), policy=Policy()))
    assert (row.state, row.word, row.received, row.parts) == (
        upload.state,
        upload.word,
        upload.received_bytes,
        len(upload.stored),
    )
    assert (row.length, row.version, row.reason) == (upload.length, upload.version, upload.reason)


# -- ids -------------------------------------------------------------------------------------------


@given(st.binary(min_size=16, max_size=16))
def test_what_is_made_is_an_id(randomness: bytes) -> None:
    assert is_id(make_id(randomness))


@pytest.mark.parametrize("text", ["", "a" * 25, "a" * 44, "A" * 32, "../" * 10, "a" * 31 + "\n", "a" * 31 + "\u0663"])
def test_nothing_else_is_an_id(text: str) -> None:
    assert not is_id(text)


def test_digests_are_compared_with_their_algorithm() -> None:
    assert Digest("sha-256", b"x") != Digest("sha-512", b"x")
