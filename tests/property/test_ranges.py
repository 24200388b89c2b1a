"""ByteRanges against a plain set of numbers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from onward.core.ranges import ByteRanges

SPAN = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda p: (min(p), max(p)))
STEPS = st.lists(st.tuples(st.booleans(), SPAN), max_size=30)


def build(steps: list[tuple[bool, tuple[int, int]]]) -> tuple[ByteRanges, set[int]]:
    ranges, model = ByteRanges(), set[int]()
    for add, (start, end) in steps:
        numbers = set(range(start, end))
        if add:
            ranges.add(start, end)
            model |= numbers
        else:
            ranges.remove(start, end)
            model -= numbers
    return ranges, model


@given(STEPS)
def test_holds_what_a_set_holds(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    ranges, model = build(steps)
    assert {n for a, b in ranges for n in range(a, b)} == model
    assert ranges.total == len(model)
    assert ranges.end == max(model, default=-1) + 1


@given(STEPS)
def test_ranges_are_sorted_and_never_touch(steps: list[tuple[bool, tuple[int, int]]]) -> None:
    ranges, _ = build(steps)
    pairs = list(ranges)
    assert all(a < b for a, b in pairs)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(pairs))
    assert len(ranges) == len(pairs)


@given(STEPS, SPAN)
def test_holes_are_what_lacks(steps: list[tuple[bool, tuple[int, int]]], window: tuple[int, int]) -> None:
    ranges, model = build(steps)
    start, end = window
    holes = list(ranges.holes(start, end))
    assert {n for a, b in holes for n in range(a, b)} == set(range(start, end)) - model
    assert all(a < b for a, b in holes)
    assert ranges.overlaps(start, end) == bool(set(range(start, end)) & model)


@given(STEPS, st.integers(0, 40))
def test_prefix_is_the_unbroken_run(steps: list[tuple[bool, tuple[int, int]]], origin: int) -> None:
    ranges, model = build(steps)
    end = origin
    while end in model:
        end += 1
    assert ranges.prefix(origin) == end


@given(STEPS, SPAN, st.integers(1, 12))
def test_parts_are_as_full_as_the_set_is_there(
    steps: list[tuple[bool, tuple[int, int]]], window: tuple[int, int], cells: int
) -> None:
    ranges, model = build(steps)
    start, end = window
    filled = ranges.filled(start, end, cells)
    at = start
    for here, size in filled:
        assert here == len(model & set(range(at, at + size)))
        at += size
    assert (len(filled), at) == (cells, end)
    assert max(size for _, size in filled) - min(size for _, size in filled) <= 1
