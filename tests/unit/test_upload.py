"""An upload folded from its events: every fact is taken, and every view follows from the facts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.types import (
    AnyEvent,
    Created,
    Declaration,
    Declared,
    Digest,
    Event,
    Layout,
    Record,
    Removed,
    Spec,
    State,
    Stored,
)
from onward.core.upload import TRANSITIONS, Upload
from tests.unit.folding import (
    CANCELLED,
    FAILED,
    FLAT,
    GOOD,
    ID,
    NUMBERED,
    OTHER,
    SIZED,
    UNKNOWN,
    damaged,
    length,
    part,
    published,
    sealed,
    upload_of,
)

SEALED = (NUMBERED, part(1), part(2), sealed(8, 2))
ONE_OF_EACH: dict[State, tuple[AnyEvent, ...]] = {
    State.OPEN: (NUMBERED, part(1), part(2)),
    State.SEALED: SEALED,
    State.DONE: (*SEALED, published(8)),
    State.FAILED: (*SEALED, FAILED),
    State.GONE: (NUMBERED, CANCELLED),
}
EVENTS: tuple[Event, ...] = (NUMBERED, part(3), sealed(8, 2), damaged(2), published(8), FAILED, CANCELLED)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("state", State)
def test_every_state_takes_every_event_and_goes_where_the_table_says(state: State, event: Event) -> None:
    upload = upload_of(*ONE_OF_EACH[state])
    assert upload.state is state
    upload.apply(Record(upload.version + 1, 99.0, event))
    assert upload.state is TRANSITIONS[state].get(type(event), state)


def test_nothing_leaves_the_end() -> None:
    assert TRANSITIONS[State.GONE] == {}
    assert set(TRANSITIONS[State.FAILED]) == {Removed}
    assert set(TRANSITIONS[State.DONE]) == {Removed}


def test_an_event_of_a_newer_version_makes_it_read_only_and_changes_no_state() -> None:
    upload = upload_of(*SEALED, UNKNOWN)
    assert upload.read_only
    assert upload.state is State.SEALED
    assert upload.version == len(SEALED) + 2
    assert not upload_of(*SEALED).read_only


def test_a_clock_that_jumps_back_makes_nothing_older() -> None:
    upload = Upload(ID)
    for version, at in enumerate([100.0, 300.0, 200.0], 1):
        upload.apply(Record(version, at, Created(id=ID, spec=Spec(), policy=upload.policy) if version == 1 else FLAT))
    assert (upload.created_at, upload.active_at) == (100.0, 300.0)


def test_what_was_said_first_stays_unless_more_is_said() -> None:
    upload = upload_of(SIZED, length(8))
    assert upload.declared == Declaration(layout=Layout.FLAT, part_size=4, length=8)
    assert upload_of(Declared(declared=Declaration(part_size=4))).layout is Layout.FLAT
    assert upload_of(sealed(0, 0)).length == 0
    known = upload_of(Declared(declared=Declaration(digest=GOOD, part_digests=(b"x",))), length(8)).declared
    assert (known.digest, known.part_digests) == (GOOD, (b"x",))


def test_the_offset_of_numbered_chunks_is_the_unbroken_run_from_the_first() -> None:
    assert upload_of(NUMBERED, part(2)).offset == 0
    assert upload_of(NUMBERED, part(2), part(1)).offset == 8
    assert upload_of(NUMBERED, part(1), part(3), part(2, 1)).offset == 9
    assert upload_of(*SEALED, damaged(1)).offset == 0
    assert upload_of(*SEALED, damaged(2)).offset == 4
    assert upload_of(*SEALED, damaged(1), part(1)).offset == 8


def test_the_offset_of_bytes_is_the_unbroken_run_from_the_first() -> None:
    assert upload_of(FLAT, part(4)).offset == 0
    assert upload_of(FLAT, part(4), part(0)).offset == 8
    assert upload_of().offset == 0


def test_damage_drops_parts_and_keeps_the_seal_in_mind() -> None:
    upload = upload_of(*SEALED, damaged(2))
    assert (upload.state, upload.sealed, upload.seal_in_mind) == (State.OPEN, None, sealed(8, 2))
    assert (upload.received_bytes, list(upload.stored), list(upload.missing())) == (4, [1], [(2, 2)])
    assert upload.total_parts == 2
    again = upload_of(*SEALED, damaged(2), part(2), sealed(8, 2))
    assert (again.state, again.seal_in_mind, again.received_bytes) == (State.SEALED, None, 8)
    flat = upload_of(SIZED, part(0), part(4), sealed(8, 2), damaged(0))
    assert (list(flat.holes()), flat.received_bytes) == ([(0, 4)], 4)


def test_damage_of_a_part_that_is_not_there_changes_no_sum() -> None:
    assert upload_of(*SEALED, damaged(7)).received_bytes == 8


@pytest.mark.parametrize(
    ("events", "total"),
    [
        ((), None),
        ((NUMBERED, part(1)), None),
        ((SIZED,), None),
        ((SIZED, length(9)), 3),
        ((FLAT, length(9)), None),
        ((Declared(declared=Declaration(part_digests=(b"x", b"y"))),), 2),
        (SEALED, 2),
        ((FLAT, part(0), sealed(4, 3)), 3),
    ],
)
def test_how_many_chunks_there_are(events: tuple[AnyEvent, ...], total: int | None) -> None:
    assert upload_of(*events).total_parts == total


def test_a_chunk_is_one_part_of_its_full_size() -> None:
    assert upload_of(NUMBERED, part(2, 1)).chunk(2) == part(2, 1)
    assert upload_of(NUMBERED, part(2)).chunk(1) is None
    assert upload_of(SIZED, part(4)).chunk(2) == part(4)
    assert upload_of(SIZED, part(4)).chunk(1) is None
    assert upload_of(FLAT, part(4)).chunk(2) is None
    assert upload_of(SIZED, part(4, 2)).chunk(2) is None
    assert upload_of(SIZED, part(4, 2), length(6)).chunk(2) == part(4, 2)


@pytest.mark.parametrize(
    ("events", "number", "has"),
    [
        ((NUMBERED, part(2)), 2, True),
        ((NUMBERED, part(2)), 1, False),
        ((FLAT, part(0)), 1, False),
        ((SIZED, part(0, 2), part(2, 2)), 1, True),
        ((SIZED, part(0, 2)), 1, False),
        ((SIZED, part(0, 8)), 2, True),
        ((SIZED, part(0, 5), length(5)), 2, True),
        ((SIZED, part(0, 5)), 2, False),
        ((SIZED, part(0, 5), length(5)), 3, False),
        ((SIZED, part(0, 0), length(0)), 1, True),
        ((SIZED, length(0)), 1, False),
        ((), 1, False),
    ],
)
def test_whether_all_of_a_chunk_is_there(events: tuple[AnyEvent, ...], number: int, *, has: bool) -> None:
    assert upload_of(*events).has_chunk(number) is has


@pytest.mark.parametrize(
    ("events", "missing"),
    [
        ((), []),
        ((NUMBERED, part(2), part(5)), [(1, 1), (3, 4)]),
        ((SIZED, part(4), part(16)), [(1, 1), (3, 4)]),
        ((SIZED, part(0), length(10)), [(2, 3)]),
        ((SIZED, part(1, 1), part(3, 2), length(8)), [(1, 2)]),  # three holes, two chunks
        ((SIZED, part(4, 4), part(12, 4), length(14)), [(1, 1), (3, 3)]),
        ((FLAT, part(4)), []),
        ((NUMBERED, part(2), sealed(4, 3)), [(1, 1), (3, 3)]),
    ],
)
def test_which_chunks_lack(events: tuple[AnyEvent, ...], missing: list[tuple[int, int]]) -> None:
    assert list(upload_of(*events).missing()) == missing


def test_which_bytes_lack() -> None:
    assert list(upload_of(FLAT, part(4)).holes()) == [(0, 4)]
    assert list(upload_of(FLAT, part(4), length(10)).holes()) == [(0, 4), (8, 10)]


def test_the_word_for_the_state() -> None:
    assert [upload_of(*ONE_OF_EACH[state]).word for state in State] == [
        "receiving",
        "verifying",
        "done",
        "failed",
        "cancelled",
    ]
    assert upload_of(*SEALED, FAILED).reason == "damaged"


def test_parts_are_in_the_order_of_their_places() -> None:
    assert [p.key for p in upload_of(NUMBERED, part(3), part(1), part(2)).parts()] == [1, 2, 3]


@given(st.lists(st.integers(1, 8), unique=True, max_size=8))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    parts = [Stored(key=n, size=n, digest=Digest("sha-256", bytes([n]))) for n in order]
    upload, sorted_upload = upload_of(NUMBERED, *parts), upload_of(NUMBERED, *sorted(parts, key=lambda p: p.key))
    for view in ("offset", "received_bytes", "stored"):
        assert getattr(upload, view) == getattr(sorted_upload, view)
    assert list(upload.missing()) == list(sorted_upload.missing())


def test_a_later_digest_is_kept_only_if_there_is_one() -> None:
    said = Declared(declared=Declaration(digest=OTHER))
    assert upload_of(said, sealed(0, 0)).declared.digest == OTHER
