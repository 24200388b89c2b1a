"""What clients say of the whole, joined in every order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.declaration import difference, join, parts_of
from onward.core.digest import sha256
from onward.core.types import MAX_INT, Declaration, Digest, Layout, Limits
from onward.errors import (
    ChunkTooLarge,
    ClientFault,
    DigestConflict,
    LayoutConflict,
    LengthConflict,
    NameTaken,
    OnwardError,
    TooManyChunks,
    UploadTooLarge,
)
from tests.unit.folding import GOOD, LIMITS, OTHER

NUMBERED, FLAT = Layout.NUMBERED, Layout.FLAT
DIGESTS = tuple(sha256(bytes([n])).value for n in range(20))


def say(**words: Any) -> Declaration:
    return Declaration(**words)


@pytest.mark.parametrize(
    ("one", "other", "error"),
    [
        (say(layout=NUMBERED), say(layout=FLAT), LayoutConflict),
        (say(layout=NUMBERED), say(part_size=4), LayoutConflict),
        (say(part_size=4), say(part_size=5), LayoutConflict),
        (say(length=8), say(length=9), LengthConflict),
        (say(length=0), say(length=1), LengthConflict),
        (say(digest=GOOD), say(digest=OTHER), DigestConflict),
        (say(digest=GOOD), say(digest=Digest("sha-512", bytes(64))), DigestConflict),
        (say(part_digests=DIGESTS[:2]), say(part_digests=DIGESTS[1:3]), DigestConflict),
        (say(part_digests=DIGESTS[:2]), say(part_digests=DIGESTS[:1]), DigestConflict),
        (say(filename="a"), say(filename="b"), NameTaken),
        (say(part_size=1), say(length=13), TooManyChunks),
        (say(part_digests=DIGESTS[:2], part_size=4), say(length=9), LengthConflict),
        (say(part_digests=DIGESTS[:2], length=9), say(part_size=4), LengthConflict),
        (say(part_size=4, length=4), say(part_digests=DIGESTS[:2]), LengthConflict),
    ],
)
def test_words_that_contradict_are_refused_in_both_orders(
    one: Declaration, other: Declaration, error: type[OnwardError]
) -> None:
    for first, second in permutations((one, other)):
        known = join(Declaration(), first, LIMITS)
        with pytest.raises(error):
            join(known, second, LIMITS)


@pytest.mark.parametrize(
    ("said", "error", "limit"),
    [
        (say(part_size=17), ChunkTooLarge, 16),
        (say(length=65), UploadTooLarge, 64),
        (say(part_digests=DIGESTS[:13]), TooManyChunks, 12),
        (say(part_size=1, length=13), TooManyChunks, 12),
    ],
)
def test_a_limit_holds_from_its_first_byte_beyond(said: Declaration, error: type[OnwardError], limit: int) -> None:
    with pytest.raises(error) as caught:
        join(Declaration(), said, LIMITS)
    assert caught.value.facts["limit"] == limit


@pytest.mark.parametrize(
    "said",
    [say(part_size=16), say(length=64), say(part_digests=DIGESTS[:12]), say(part_size=1, length=12), say(length=0)],
)
def test_what_a_limit_allows_is_taken(said: Declaration) -> None:
    assert difference(Declaration(), join(Declaration(), said, LIMITS)) is not None


def test_no_length_is_taken_that_no_offset_could_reach() -> None:
    with pytest.raises(UploadTooLarge):
        join(Declaration(), say(length=MAX_INT + 1), Limits(max_size=2**70))


def test_a_chunk_size_alone_makes_it_flat() -> None:
    joined = join(Declaration(), say(part_size=4), LIMITS)
    assert joined.layout is FLAT
    assert join(join(Declaration(), say(layout=FLAT), LIMITS), say(part_size=4), LIMITS).part_size == 4


def test_saying_the_same_again_adds_nothing() -> None:
    all_of_it = say(part_size=4, length=8, digest=GOOD, part_digests=DIGESTS[:2])
    known = join(Declaration(), all_of_it, LIMITS)
    assert difference(known, join(known, all_of_it, LIMITS)) is None
    assert difference(known, join(known, Declaration(), LIMITS)) is None


def test_a_difference_holds_only_what_is_new() -> None:
    known = join(Declaration(), say(part_size=4), LIMITS)
    assert difference(known, join(known, say(length=8), LIMITS)) == say(length=8)


@pytest.mark.parametrize(("size", "parts"), [(0, 1), (1, 1), (4, 1), (5, 2), (8, 2), (9, 3)])
def test_how_many_chunks_a_file_has(size: int, parts: int) -> None:
    assert parts_of(size, 4) == parts


_WORDS = st.builds(
    Declaration,
    layout=st.none() | st.sampled_from(Layout),
    part_size=st.none() | st.integers(1, 5),
    length=st.none() | st.integers(0, 6),
    digest=st.none() | st.sampled_from([GOOD, OTHER]),
    part_digests=st.sampled_from([(), DIGESTS[:1], DIGESTS[:2]]),
)


@given(st.lists(_WORDS, min_size=1, max_size=3))
def test_the_order_of_words_does_not_matter(words: list[Declaration]) -> None:
    """Either every order gives the same whole, or every order is refused."""
    results: set[Declaration | None] = set()
    for order in permutations(words):
        known: Declaration | None = Declaration()
        try:
            for said in order:
                assert known is not None
                known = join(known, said, LIMITS)
        except ClientFault:
            known = None
        results.add(known)
    assert len(results) == 1
