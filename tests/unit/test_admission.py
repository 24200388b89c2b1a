"""Which bodies may be stored where, and what is recorded of them. One row for each guard."""

from __future__ import annotations

from typing import Any

import pytest

from onward.core.admission import accept, admit, declare, over_limit
from onward.core.digest import sha256
from onward.core.types import (
    MAX_INT,
    Admission,
    AnyEvent,
    Declaration,
    Declared,
    Digest,
    Layout,
    Limits,
    Number,
    Offset,
    Sealed,
    Store,
    Stored,
)
from onward.errors import (
    AlreadyComplete,
    ChunkTooLarge,
    DigestConflict,
    EmptyChunk,
    LayoutConflict,
    LengthConflict,
    NumberedLayout,
    OnwardError,
    PartConflict,
    TooManyChunks,
    Unreadable,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
)
from tests.unit.folding import (
    CANCELLED,
    FAILED,
    FLAT,
    LIMITS,
    NAME,
    NUMBERED,
    SIZE,
    SIZED,
    UNKNOWN,
    damaged,
    data_for,
    length,
    part,
    published,
    run,
    sealed,
    upload_of,
)

Past = tuple[AnyEvent, ...]


def chunk(number: int, size: int | None = SIZE, *, digests: tuple[Digest, ...] = (), **said: Any) -> Store:
    return Store(target=NAME, at=Number(number), size=size, digests=digests, declared=Declaration(**said))


def at(offset: int, size: int | None = SIZE, *, digests: tuple[Digest, ...] = (), **said: Any) -> Store:
    return Store(target=NAME, at=Offset(offset), size=size, digests=digests, declared=Declaration(**said))


ANY_DIGEST = (sha256(b""),)
TWO = (sha256(data_for(1, SIZE)).value, sha256(data_for(2, SIZE)).value)
DONE_NUMBERED: Past = (NUMBERED, part(1), part(2), sealed(8, 2), published(8))
DONE_FLAT: Past = (SIZED, part(0), part(4), sealed(8, 2), published(8))
EMPTY_NUMBERED: Past = (NUMBERED, part(1, 0))
BROKEN: Past = (NUMBERED, part(1), part(2), sealed(8, 2), damaged(2))


@pytest.mark.parametrize(
    ("past", "cmd", "error"),
    [
        # -- nothing follows an end
        ((UNKNOWN,), chunk(1), Unreadable),
        ((NUMBERED, part(1), sealed(4, 1), FAILED), chunk(1), UploadFailed),
        ((NUMBERED, CANCELLED), chunk(1), UploadOver),
        # -- the layout is that of the first recorded request
        ((NUMBERED, part(1)), chunk(2, part_size=4), LayoutConflict),
        ((SIZED, part(0)), chunk(2, part_size=5), LayoutConflict),
        ((FLAT, part(0)), chunk(2), LayoutConflict),
        ((NUMBERED, part(1)), at(4), NumberedLayout),
        ((), chunk(1, layout=Layout.FLAT), LayoutConflict),
        # -- numbers
        ((), chunk(13), TooManyChunks),
        ((), chunk(13, part_size=4), TooManyChunks),
        ((), chunk(3, part_digests=TWO), LengthConflict),
        (EMPTY_NUMBERED, chunk(2), LengthConflict),
        # -- an empty chunk
        ((), chunk(2, 0), EmptyChunk),
        ((NUMBERED, part(2)), chunk(1, 0), EmptyChunk),
        ((), chunk(2, 0, part_size=4), EmptyChunk),
        ((SIZED, part(4)), chunk(1, 0), EmptyChunk),
        # -- sizes of a numbered chunk
        ((), chunk(1, 17), ChunkTooLarge),
        ((NUMBERED, part(1), length(6)), chunk(2, 3), LengthConflict),
        ((NUMBERED, *(part(n, 16) for n in (1, 2, 3)), part(4, 15)), chunk(5, 2), UploadTooLarge),
        ((NUMBERED, part(1), part(2)), chunk(3, length=7), LengthConflict),
        # -- sizes of a flat chunk
        ((SIZED,), chunk(1, 5), ChunkTooLarge),
        ((SIZED, length(7)), chunk(2, 4), ChunkTooLarge),
        ((SIZED, length(7)), chunk(1, 3), LengthConflict),
        ((SIZED, length(7)), chunk(2, 2), LengthConflict),
        ((SIZED, length(7)), chunk(3, 1), LengthConflict),
        ((SIZED, length(8)), chunk(3, 1), LengthConflict),
        ((SIZED, length(0)), chunk(2, 0), LengthConflict),
        ((SIZED, length(0)), chunk(1, 1), ChunkTooLarge),
        ((), chunk(5, 1, part_size=16), UploadTooLarge),
        ((), chunk(6, 1, part_size=16), UploadTooLarge),
        ((), chunk(10, 1, part_size=16), UploadTooLarge),
        ((SIZED, part(8, 2), length(10)), chunk(4, 4), LengthConflict),
        # -- runs by offset
        ((), at(65, 1), LengthConflict),
        ((), at(64, 1), UploadTooLarge),
        ((FLAT, length(8)), at(9, 0), LengthConflict),
        ((FLAT, length(8)), at(6, 3), LengthConflict),
        ((), at(0, 17, digests=ANY_DIGEST), ChunkTooLarge),
        ((FLAT, part(0), part(8)), at(4, length=10), LengthConflict),
        # -- sealed and done: only what is stored can be shown again
        ((NUMBERED, part(1), part(2), sealed(8, 2)), chunk(3), AlreadyComplete),
        (DONE_NUMBERED, chunk(3), AlreadyComplete),
        (DONE_FLAT, at(1), AlreadyComplete),
        (DONE_FLAT, at(4, 3), AlreadyComplete),
        (DONE_NUMBERED, chunk(1, length=9), LengthConflict),
        # -- damage left a seal in mind: what lies beyond it cannot come
        (BROKEN, chunk(3), LengthConflict),
        (BROKEN, chunk(2, 5), LengthConflict),
    ],
)
def test_what_is_not_admitted(past: Past, cmd: Store, error: type[OnwardError]) -> None:
    upload = upload_of(*past)
    with pytest.raises(error) as caught:
        admit(upload, cmd, LIMITS)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("past", "cmd", "start", "limit", "rule", "exact", "whole"),
    [
        ((), chunk(1), 1, 16, "chunk", None, True),
        ((), chunk(12, None), 12, 16, "chunk", None, True),
        ((NUMBERED, part(1), length(6)), chunk(2, 2), 2, 2, "length", None, True),
        ((NUMBERED, part(1), length(30)), chunk(2, 16), 2, 16, "chunk", None, True),
        ((NUMBERED, *(part(n, 16) for n in (1, 2, 3)), part(4, 10)), chunk(5, 6), 5, 6, "size", None, True),
        (EMPTY_NUMBERED, chunk(1, 0), 1, 16, "chunk", None, True),
        ((), chunk(1, 0), 1, 16, "chunk", None, True),
        ((), chunk(3, part_size=4), 8, 4, "part", None, True),
        ((SIZED, length(7)), chunk(2, 3), 4, 3, "part", 3, True),
        ((SIZED, length(8)), chunk(2, None), 4, 4, "part", 4, True),
        ((), chunk(1, 0, part_size=4, length=0), 0, 0, "part", 0, True),
        ((), chunk(1, 0, part_size=4), 0, 4, "part", None, True),
        ((), chunk(5, None, part_size=13), 52, 12, "size", None, True),
        ((FLAT,), at(3, 5), 3, 61, "size", None, False),
        ((), at(64, 0), 64, 0, "size", None, False),
        ((FLAT, length(8)), at(8, 0), 8, 0, "length", None, False),
        ((FLAT, length(8)), at(3, None), 3, 5, "length", None, False),
        ((FLAT,), at(3, 5, digests=ANY_DIGEST), 3, 16, "chunk", None, True),
        ((FLAT, length(8)), at(3, 5, digests=ANY_DIGEST), 3, 5, "length", None, True),
    ],
)
def test_leave_to_store(
    past: Past, cmd: Store, start: int, limit: int, rule: str, exact: int | None, *, whole: bool
) -> None:
    grant = admit(upload_of(*past), cmd, LIMITS)
    assert (grant.start, grant.limit, grant.limit_is, grant.exact, grant.whole) == (start, limit, rule, exact, whole)


@pytest.mark.parametrize(
    ("past", "cmd", "key"),
    [
        ((NUMBERED, part(1)), chunk(1), 1),
        ((NUMBERED, part(1)), chunk(1, 17), 1),  # any body may be compared, none is stored
        (DONE_NUMBERED, chunk(2), 2),
        (DONE_NUMBERED, chunk(2, None), 2),
        ((NUMBERED, part(1), length(4)), chunk(1, 5), 1),
        (EMPTY_NUMBERED, chunk(1), 1),
        ((SIZED, part(4)), chunk(2), 4),
        ((SIZED, part(0), part(4, 2), length(6)), chunk(2, 2), 4),
        (DONE_FLAT, chunk(1), 0),
        (DONE_FLAT, at(4), 4),
        ((FLAT, part(4)), at(4), 4),
    ],
)
def test_a_recorded_place_is_shown_again(past: Past, cmd: Store, key: int) -> None:
    upload = upload_of(*past)
    assert admit(upload, cmd, LIMITS).replay_of is upload.stored[key]


@pytest.mark.parametrize(
    ("past", "cmd"),
    [
        ((FLAT, part(4)), at(4, None)),
        ((FLAT, part(4)), at(4, 5)),
        ((FLAT, part(0), part(4)), chunk(2, 3, part_size=4)),  # whether it is a chunk nobody knew when it came
        ((SIZED, part(4, 2)), chunk(2)),
    ],
)
def test_a_run_of_another_size_is_compared_byte_by_byte(past: Past, cmd: Store) -> None:
    assert admit(upload_of(*past), cmd, LIMITS).replay_of is None


def test_a_lower_limit_does_not_take_back_what_is_stored() -> None:
    low = Limits(max_size=4, max_chunk=4)
    assert admit(upload_of(*DONE_FLAT), chunk(2), low).replay_of is not None
    with pytest.raises(UploadTooLarge):
        admit(upload_of(SIZED, part(0)), chunk(2), low)


def test_number_times_size_stays_an_integer_that_all_can_hold() -> None:
    wide = Limits(max_size=MAX_INT, max_chunk=MAX_INT, max_chunks=MAX_INT)
    with pytest.raises(LengthConflict) as caught:
        admit(upload_of(), chunk(3, part_size=2**62), wide)
    assert caught.value.facts == {"limit": MAX_INT}


def test_the_digest_declared_for_a_chunk_is_asked_for() -> None:
    assert admit(upload_of(), chunk(2, part_digests=TWO), LIMITS).expected == TWO[1]
    assert admit(upload_of(SIZED), chunk(1, part_digests=TWO), LIMITS).expected == TWO[0]
    assert admit(upload_of(), chunk(1), LIMITS).expected is None


@pytest.mark.parametrize(
    ("grant", "span"),
    [
        (Admission(layout=Layout.NUMBERED, start=3, limit=16, limit_is="chunk"), (3, 4)),
        (Admission(layout=Layout.FLAT, start=3, limit=16, limit_is="part"), (3, 19)),
        (Admission(layout=Layout.FLAT, start=0, limit=0, limit_is="part"), (0, 1)),
    ],
)
def test_the_span_of_a_grant(grant: Admission, span: tuple[int, int]) -> None:
    assert grant.span == span


@pytest.mark.parametrize(
    ("rule", "error"),
    [("size", UploadTooLarge), ("length", LengthConflict), ("chunk", ChunkTooLarge), ("part", ChunkTooLarge)],
)
def test_a_body_too_long_is_refused_by_the_rule_it_breaks(rule: str, error: type[OnwardError]) -> None:
    grant = Admission(layout=Layout.FLAT, start=0, limit=4, limit_is=rule)
    assert type(over_limit(grant)) is error
    assert over_limit(grant).facts == {"limit": 4}
    assert over_limit(grant, 7).facts == {"limit": 4, "provided": 7}


# -- declaring -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("past", "said", "error"),
    [
        ((FAILED,), Declaration(length=4), UploadFailed),
        ((CANCELLED,), Declaration(length=4), UploadOver),
        ((UNKNOWN,), Declaration(length=4), Unreadable),
        (DONE_NUMBERED, Declaration(digest=sha256(b"late")), AlreadyComplete),
        ((NUMBERED, part(1), part(2)), Declaration(length=7), LengthConflict),
        ((FLAT, part(8)), Declaration(length=11), LengthConflict),
        ((NUMBERED, part(1), part(3)), Declaration(part_digests=TWO), LengthConflict),
        ((NUMBERED, part(2, variant=1)), Declaration(part_digests=TWO), DigestConflict),
        ((SIZED, part(0, variant=1)), Declaration(part_digests=TWO), DigestConflict),
    ],
)
def test_what_cannot_be_declared(past: Past, said: Declaration, error: type[OnwardError]) -> None:
    with pytest.raises(error):
        declare(upload_of(*past), said, LIMITS)


@pytest.mark.parametrize(
    ("past", "said", "news"),
    [
        ((), Declaration(length=4), True),
        ((length(4),), Declaration(length=4), False),
        (DONE_NUMBERED, Declaration(length=8), False),
        (DONE_NUMBERED, Declaration(), False),
        ((NUMBERED, part(1), part(2)), Declaration(length=8), True),
        ((FLAT, part(8)), Declaration(length=12), True),
        ((NUMBERED, part(2)), Declaration(part_digests=TWO), True),
        ((NUMBERED, part(1), part(2)), Declaration(part_digests=TWO), True),
    ],
)
def test_only_what_is_news_is_recorded(past: Past, said: Declaration, *, news: bool) -> None:
    assert declare(upload_of(*past), said, LIMITS) == ([Declared(declared=said)] if news else [])


# -- recording -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("past", "cmd", "runs", "error"),
    [
        ((UNKNOWN,), chunk(1), [run(1)], Unreadable),
        ((CANCELLED,), chunk(1), [run(1)], UploadOver),
        (DONE_NUMBERED, chunk(1), [run(1, variant=1)], AlreadyComplete),
        ((NUMBERED, part(1)), chunk(1), [run(1, variant=1)], PartConflict),
        ((NUMBERED, part(1)), chunk(1), [run(1, 3)], PartConflict),
        ((SIZED, part(4)), chunk(2), [run(4, variant=1)], PartConflict),
        ((FLAT, part(4)), at(2), [run(2)], PartConflict),
        ((FLAT, part(4)), at(5, 2), [run(5, 2)], PartConflict),
        # -- the layout was fixed by another request meanwhile
        ((NUMBERED, part(1)), chunk(2, part_size=4), [run(4)], LayoutConflict),
        ((NUMBERED, part(1)), at(0, layout=Layout.FLAT), [run(0)], LayoutConflict),
        # -- empty chunks
        ((NUMBERED, part(2)), chunk(1), [run(1, 0)], EmptyChunk),
        ((), chunk(2, None), [run(2, 0)], EmptyChunk),
        (EMPTY_NUMBERED, chunk(2), [run(2)], LengthConflict),
        ((SIZED,), chunk(2, None), [run(4, 0)], EmptyChunk),
        ((SIZED, part(4)), chunk(1, None), [run(0, 0)], EmptyChunk),
        # -- the end: a short chunk fixes it
        ((SIZED, part(8)), chunk(2, 3), [run(4, 3)], LengthConflict),
        ((SIZED, part(4, 3), length(7)), chunk(3), [run(8)], LengthConflict),
        # -- totals
        ((NUMBERED, part(1), length(6)), chunk(2), [run(2, 3)], LengthConflict),
        ((NUMBERED, *(part(n, 16) for n in (1, 2, 3, 4))), chunk(5), [run(5, 1)], UploadTooLarge),
        ((FLAT,), at(62), [run(62, 3)], UploadTooLarge),
        ((NUMBERED, part(1), part(2)), chunk(3, length=7), [], LengthConflict),
        ((FLAT, *(part(n * 2, 1) for n in range(12))), at(30, 1), [run(30, 1)], TooManyChunks),
        # -- a seal that damage broke is set again over as many bytes only
        (BROKEN, chunk(2), [run(2, 3)], LengthConflict),
    ],
)
def test_what_is_not_recorded(past: Past, cmd: Store, runs: list[Any], error: type[OnwardError]) -> None:
    with pytest.raises(error) as caught:
        accept(upload_of(*past), cmd, runs, LIMITS)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("past", "cmd", "runs", "recorded"),
    [
        ((), chunk(2), [run(2)], [NUMBERED, part(2)]),
        ((), at(2), [run(2)], [FLAT, part(2)]),
        ((), chunk(2, part_size=4), [run(4)], [SIZED, part(4)]),
        ((NUMBERED, part(1)), chunk(1), [run(1)], []),
        (DONE_NUMBERED, chunk(1), [run(1)], []),
        (DONE_NUMBERED, chunk(1, digest=sha256(b"late")), [run(1)], []),
        ((NUMBERED, part(1)), chunk(1, length=4), [], [length(4)]),
        ((SIZED, part(0)), chunk(2, 3), [run(4, 3)], [length(7), part(4, 3)]),
        ((SIZED,), chunk(1, 0), [run(0, 0)], [length(0), part(0, 0)]),
        ((SIZED, length(0)), chunk(1, 0), [run(0, 0)], [part(0, 0)]),
        ((), chunk(1, 0), [run(1, 0)], [NUMBERED, part(1, 0)]),
        ((FLAT, part(4)), at(0, 12), [run(0), run(8)], [part(0), part(8)]),
        ((FLAT,), at(4, 0), [run(4, 0)], []),  # nothing at an offset is no part
        ((NUMBERED, *(part(n, 16) for n in (1, 2, 3)), part(4, 15)), chunk(5, 1), [run(5, 1)], [part(5, 1)]),
        ((FLAT,), at(60), [run(60)], [part(60)]),
        ((FLAT, *(part(n * 2, 1) for n in range(11))), at(30, 1), [run(30, 1)], [part(30, 1)]),
        (BROKEN, chunk(2), [run(2)], [part(2), sealed(8, 2)]),
    ],
)
def test_what_is_recorded(past: Past, cmd: Store, runs: list[Any], recorded: list[AnyEvent]) -> None:
    assert accept(upload_of(*past), cmd, runs, LIMITS) == recorded


def test_a_short_chunk_ends_the_file_also_where_its_bytes_lie_already() -> None:
    upload = upload_of(SIZED, part(0, 3))
    assert accept(upload, chunk(1, 3), [], LIMITS, size=3) == [length(3)]
    with pytest.raises(LengthConflict):
        accept(upload_of(SIZED, part(0, 3), part(4)), chunk(1, 3), [], LIMITS, size=3)


def test_a_full_chunk_whose_bytes_lie_there_partly_ends_nothing() -> None:
    events = accept(upload_of(SIZED, part(0, 3)), chunk(1), [run(3, 1)], LIMITS, size=4)
    assert events == [part(3, 1)]


def test_how_finely_a_file_may_be_chopped_grows_with_it() -> None:
    mib = 1 << 20
    limits = Limits(max_size=1 << 40, max_chunk=64 * mib, max_chunks=2)
    many = (FLAT, Stored(key=0, size=3 * mib, digest=sha256(b"")), part(4 * mib))
    assert accept(upload_of(*many), at(5 * mib), [run(5 * mib)], limits)
    with pytest.raises(TooManyChunks):
        accept(upload_of(*many, part(5 * mib)), at(6 * mib), [run(6 * mib)], limits)


# -- damage ----------------------------------------------------------------------------------------


def test_a_seal_is_set_again_only_when_nothing_lacks() -> None:
    seal = sealed(12, 3)
    broken: Past = (NUMBERED, part(1), part(2), part(3), seal, damaged(1, 3))
    assert accept(upload_of(*broken), chunk(3), [run(3)], LIMITS) == [part(3)]
    assert accept(upload_of(*broken, part(3)), chunk(1), [run(1)], LIMITS) == [part(1), seal]
    flat: Past = (SIZED, part(0), part(4), part(8, 2), sealed(10, 3), damaged(4, 8, size=3))
    assert accept(upload_of(*flat), chunk(2), [run(4)], LIMITS) == [part(4)]
    both = accept(upload_of(*flat), at(4, 6), [run(4), run(8, 2)], LIMITS)
    assert isinstance(both[-1], Sealed)


def test_a_conflict_names_the_place_and_what_is_there() -> None:
    with pytest.raises(PartConflict) as caught:
        accept(upload_of(NUMBERED, part(3)), chunk(3), [run(3, variant=1)], LIMITS)
    assert caught.value.facts == {"chunk": 3, "stored": part(3).digest.value.hex()}
    with pytest.raises(PartConflict) as caught:
        accept(upload_of(FLAT, part(4)), at(2), [run(2)], LIMITS)
    assert caught.value.facts == {"offset": 2}
