"""When an upload may be completed, and what its read-back means."""

from __future__ import annotations

from typing import Any

import pytest

from onward.core.completion import SHOWN, conclude, remove, seal
from onward.core.digest import SHA256, sha256
from onward.core.types import AnyEvent, Damaged, Declaration, Digest, Failed, Limits, Policy, Removed, Seal, Sealed
from onward.errors import (
    AlreadyComplete,
    DigestConflict,
    Incomplete,
    LengthConflict,
    OnwardError,
    Unreadable,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
)
from tests.unit.folding import (
    CANCELLED,
    FAILED,
    FLAT,
    GOOD,
    LIMITS,
    NAME,
    NUMBERED,
    OTHER,
    SIZED,
    UNKNOWN,
    damaged,
    data_for,
    length,
    part,
    published,
    sealed,
    upload_of,
)

Past = tuple[AnyEvent, ...]
TWO = tuple(sha256(data_for(n, 4)).value for n in (1, 2))
SEALED: Past = (NUMBERED, part(1), part(2), sealed(8, 2))
DONE: Past = (*SEALED, published(8))
BROKEN_END: Past = (NUMBERED, *(part(n) for n in (1, 2, 3, 4)), sealed(16, 4), damaged(3, 4))


def complete(**words: Any) -> Seal:
    return Seal(target=NAME, **words)


@pytest.mark.parametrize(
    ("past", "cmd", "error"),
    [
        ((UNKNOWN,), complete(), Unreadable),
        ((FAILED,), complete(), UploadFailed),
        ((CANCELLED,), complete(), UploadOver),
        # -- contradictions
        ((NUMBERED, part(1), length(4)), complete(length=5), LengthConflict),
        ((NUMBERED, part(1)), complete(length=65), UploadTooLarge),
        ((NUMBERED, part(1), part(2)), complete(parts=1), LengthConflict),
        ((NUMBERED, part(1)), complete(parts=0), LengthConflict),
        ((NUMBERED, part(1), part(2)), complete(parts=2, length=7), LengthConflict),
        ((NUMBERED, part(1), part(2)), complete(parts=2, length=9), LengthConflict),
        ((SIZED, part(0), part(4)), complete(length=7), LengthConflict),
        ((SIZED, part(0), length(4)), complete(parts=2), LengthConflict),
        ((SIZED, part(0), part(4)), complete(parts=1), LengthConflict),
        ((SIZED, part(0)), complete(parts=0), LengthConflict),
        ((FLAT, part(0)), complete(parts=0), LengthConflict),
        ((FLAT, part(0)), complete(parts=5), LengthConflict),
        ((length(0),), complete(parts=2), LengthConflict),
        # -- sealed and done: only what agrees
        (SEALED, complete(parts=3), LengthConflict),
        (SEALED, complete(length=9), LengthConflict),
        (DONE, complete(parts=1), LengthConflict),
        (SEALED, complete(digest=GOOD), AlreadyComplete),
        (DONE, complete(digest=OTHER), DigestConflict),
        (DONE, complete(digest=Digest("sha-512", bytes(64))), AlreadyComplete),
        ((*SEALED, FAILED), complete(), UploadFailed),
        # -- damage left a seal in mind
        (BROKEN_END, complete(parts=2), LengthConflict),
    ],
)
def test_what_contradicts_is_not_completed(past: Past, cmd: Seal, error: type[OnwardError]) -> None:
    with pytest.raises(error) as caught:
        seal(upload_of(*past), cmd, LIMITS)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("past", "cmd", "facts"),
    [
        ((), complete(), {"missing": [[1, 1]]}),
        ((FLAT,), complete(), {"missing": [[1, 1]]}),
        ((length(5),), complete(), {"holes": [[0, 4]]}),
        ((), complete(length=5), {"holes": [[0, 4]]}),
        ((NUMBERED, part(1), part(4)), complete(), {"missing": [[2, 3]]}),
        ((NUMBERED, part(2)), complete(parts=4), {"missing": [[1, 1], [3, 4]]}),
        ((NUMBERED, part(1), length(8)), complete(), {"missing": [[2, 2]]}),
        ((FLAT, part(4)), complete(), {"holes": [[0, 3]]}),
        ((FLAT, part(0), length(6)), complete(), {"holes": [[4, 5]]}),
        ((SIZED, part(4)), complete(), {"holes": [[0, 3]], "missing": [[1, 1]]}),
        ((SIZED, part(0), length(14)), complete(), {"holes": [[4, 13]], "missing": [[2, 4]]}),
        ((SIZED, part(1, 1), part(3, 2)), complete(length=8), {"holes": [[0, 0], [2, 2], [5, 7]], "missing": [[1, 2]]}),
        ((SIZED, part(0)), complete(parts=3), {"holes": [[4, 11]], "missing": [[2, 3]]}),
        ((SIZED, part(0)), complete(parts=5), {"holes": [[4, 19]], "missing": [[2, 5]]}),
        (BROKEN_END, complete(), {"missing": [[3, 4]]}),
    ],
)
def test_what_lacks_is_named(past: Past, cmd: Seal, facts: dict[str, Any]) -> None:
    with pytest.raises(Incomplete) as caught:
        seal(upload_of(*past), cmd, LIMITS)
    assert caught.value.facts == facts


def test_chunk_digests_say_how_many_chunks_there_are() -> None:
    declared = Declaration(part_digests=TWO)
    with pytest.raises(Incomplete) as caught:
        seal(upload_of(NUMBERED, part(1), declared=declared), complete(), LIMITS)
    assert caught.value.facts == {"missing": [[2, 2]]}
    whole = upload_of(NUMBERED, part(1), part(2), declared=declared)
    with pytest.raises(LengthConflict):
        seal(whole, complete(parts=3), LIMITS)
    assert seal(whole, complete(), LIMITS) == [Sealed(length=8, parts=2)]
    assert seal(whole, complete(parts=2), LIMITS) == [Sealed(length=8, parts=2)]


@pytest.mark.parametrize(
    ("past", "cmd", "event"),
    [
        ((NUMBERED, part(1), part(2)), complete(), Sealed(length=8, parts=2, total_known=False)),
        ((NUMBERED, part(1), part(2)), complete(parts=2), Sealed(length=8, parts=2)),
        ((NUMBERED, part(1), part(2)), complete(length=8), Sealed(length=8, parts=2)),
        (
            (NUMBERED, part(1), part(2)),
            complete(digest=GOOD),
            Sealed(length=8, parts=2, digest=GOOD, total_known=False),
        ),
        ((NUMBERED, part(1, 0)), complete(parts=1), Sealed(length=0, parts=1)),
        ((FLAT, part(0), part(4)), complete(), Sealed(length=8, parts=2, total_known=False)),
        ((FLAT, part(0), part(4)), complete(parts=3), Sealed(length=8, parts=3)),
        ((FLAT, part(0, 2)), complete(parts=1, length=2), Sealed(length=2, parts=1)),
        ((SIZED, part(0), part(4, 2), length(6)), complete(parts=2), Sealed(length=6, parts=2)),
        ((SIZED, part(0), part(4)), complete(), Sealed(length=8, parts=2, total_known=False)),
        # -- an empty file: by its declared length, by no chunks at all, by an empty chunk 1
        ((length(0),), complete(), Sealed(length=0, parts=0)),
        ((), complete(length=0, parts=1), Sealed(length=0, parts=1)),
        ((), complete(parts=0), Sealed(length=0, parts=0)),
        ((SIZED,), complete(parts=0), Sealed(length=0, parts=1)),
        ((SIZED, length(0), part(0, 0)), complete(parts=1), Sealed(length=0, parts=1)),
    ],
)
def test_what_is_sealed(past: Past, cmd: Seal, event: Sealed) -> None:
    assert seal(upload_of(*past), cmd, LIMITS) == [event]


@pytest.mark.parametrize("past", [SEALED, DONE])
def test_completing_again_adds_nothing(past: Past) -> None:
    for cmd in (complete(), complete(parts=2), complete(length=8, parts=2)):
        assert seal(upload_of(*past), cmd, LIMITS) == []


def test_a_digest_named_after_the_end_is_held_against_the_file() -> None:
    assert seal(upload_of(*DONE), complete(digest=GOOD), LIMITS) == []
    said_before = (NUMBERED, part(1), Sealed(length=4, parts=1, digest=GOOD))
    assert seal(upload_of(*said_before), complete(digest=GOOD), LIMITS) == []
    with pytest.raises(DigestConflict):
        seal(upload_of(*said_before), complete(digest=OTHER), LIMITS)


def test_an_error_does_not_list_holes_without_end() -> None:
    many = upload_of(FLAT, *(part(n * 2 + 1, 1) for n in range(SHOWN + 5)))
    with pytest.raises(Incomplete) as caught:
        seal(many, complete(), Limits())
    holes = caught.value.facts["holes"]
    assert isinstance(holes, list)
    assert len(holes) == SHOWN
    numbers = upload_of(NUMBERED, *(part(n * 2 + 2, 1) for n in range(SHOWN + 5)))
    with pytest.raises(Incomplete) as caught:
        seal(numbers, complete(), Limits())
    missing = caught.value.facts["missing"]
    assert isinstance(missing, list)
    assert len(missing) == SHOWN
    chunks = upload_of(SIZED, *(part(n * 8 + 4) for n in range(SHOWN + 5)))
    with pytest.raises(Incomplete) as caught:
        seal(chunks, complete(), Limits())
    assert [len(runs) for runs in caught.value.facts.values() if isinstance(runs, list)] == [SHOWN, SHOWN]


# -- the read-back ---------------------------------------------------------------------------------

STRICT = Policy(reopens=False)
WITH_DIGEST: Past = (NUMBERED, part(1), part(2), Sealed(length=8, parts=2, digest=GOOD))


@pytest.mark.parametrize(
    ("past", "policy", "bad", "found", "events"),
    [
        (SEALED, Policy(), [], OTHER, []),
        (SEALED, Policy(), [2], OTHER, [Damaged(keys=(2,), size=4)]),
        (SEALED, Policy(), [2, 1, 2], OTHER, [Damaged(keys=(1, 2), size=8)]),
        (SEALED, STRICT, [2], OTHER, [Failed(code="damaged", detail="1 stored parts no longer match their digests")]),
        (WITH_DIGEST, Policy(), [], GOOD, []),
        (WITH_DIGEST, Policy(), [1], OTHER, [Damaged(keys=(1,), size=4)]),
        (
            WITH_DIGEST,
            Policy(),
            [],
            OTHER,
            [Failed(code="digest-mismatch", detail="the file's sha-256 is not the one that was declared")],
        ),
        # -- whoever comes late finds nothing to say
        ((NUMBERED, part(1)), Policy(), [1], OTHER, []),
        (DONE, Policy(), [1], OTHER, []),
        ((*SEALED, CANCELLED), Policy(), [1], OTHER, []),
    ],
)
def test_what_the_read_back_means(
    past: Past, policy: Policy, bad: list[int], found: Digest, events: list[AnyEvent]
) -> None:
    assert conclude(upload_of(*past, policy=policy), bad, {SHA256: found}) == events


def test_the_declared_algorithm_is_the_one_compared() -> None:
    said = Digest("sha-512", bytes(64))
    upload = upload_of(NUMBERED, part(1), Sealed(length=4, parts=1, digest=said))
    assert conclude(upload, [], {SHA256: OTHER, "sha-512": said}) == []
    assert conclude(upload, [], {SHA256: OTHER, "sha-512": Digest("sha-512", bytes([1] * 64))})


@pytest.mark.parametrize("past", [(), SEALED, DONE, (FAILED,)])
def test_an_upload_is_removed_once(past: Past) -> None:
    assert remove(upload_of(*past), "expired") == [Removed(reason="expired")]
    assert remove(upload_of(*past, CANCELLED), "expired") == []


def test_what_cannot_be_read_is_not_removed() -> None:
    with pytest.raises(Unreadable):
        remove(upload_of(UNKNOWN), "cancelled")
