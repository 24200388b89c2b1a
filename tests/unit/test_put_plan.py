"""Which bytes are which chunk, and which chunk size is tried next."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.declaration import join
from onward.core.types import Declaration, Limits
from onward.errors import OnwardError
from onward.put.plan import MIB, Cut, other_chunk_size, parse_size

CUTS = st.builds(Cut, st.integers(0, 10_000), st.integers(1, 3000))


@given(CUTS)
def test_the_chunks_are_the_file_in_order(cut: Cut) -> None:
    end = 0
    for number in range(1, cut.count + 1):
        start, size = cut.span(number)
        assert start == end
        assert size <= cut.chunk_size
        assert size > 0 or cut.size == 0
        end = start + size
    assert end == cut.size


def test_an_empty_file_has_one_empty_chunk() -> None:
    assert (Cut(0, 5).count, Cut(0, 5).span(1)) == (1, (0, 0))


def test_numbers_beyond_the_file_are_left_out() -> None:
    assert list(Cut(10, 4).numbers([(0, 1), (3, 99), (50, 60)])) == [1, 3]


@given(st.data(), CUTS)
def test_a_chunk_is_known_by_where_it_lies(data: st.DataObject, cut: Cut) -> None:
    whole = [(*cut.span(number), f"{number}") for number in range(1, cut.count + 1)]
    held = data.draw(st.lists(st.sampled_from(whole), unique=True))
    strange = data.draw(
        st.lists(st.tuples(st.none() | st.integers(-3000, 20_000), st.integers(0, 4000), st.just("strange")))
    )
    places = {(start, size) for start, size, _ in whole}
    known = cut.known([*held, *(part for part in strange if part[:2] not in places)])
    assert known == {int(digest): digest for _, _, digest in held}


@pytest.mark.parametrize(
    ("code", "facts", "size"),
    [
        ("layout-conflict", {"expected": 7, "provided": 10}, 7),
        ("layout-conflict", {"expected": "numbered"}, None),
        ("chunk-too-large", {"limit": 9}, 9),
        ("chunk-too-large", {"limit": 10}, None),
        ("chunk-too-large", {"limit": 0}, None),
        ("too-many-chunks", {"limit": 10}, MIB),
        ("too-many-chunks", {"limit": 2_000_000}, None),
        ("too-many-chunks", {}, None),
        ("upload-too-large", {"limit": 5}, None),
        ("length-conflict", {"expected": 5}, None),
    ],
)
def test_which_chunk_size_is_tried_after_a_refusal(code: str, facts: dict[str, object], size: int | None) -> None:
    assert other_chunk_size(Cut(1_000_000, 10), code, facts) == size


@given(
    size=st.integers(0, 1 << 40),
    wanted=st.integers(1, 1 << 30),
    limits=st.builds(
        Limits, max_size=st.just(1 << 40), max_chunk=st.integers(1, 1 << 30), max_chunks=st.integers(1, 10_000)
    ),
)
def test_a_chunk_size_is_found_whenever_there_is_one(size: int, wanted: int, limits: Limits) -> None:
    """The server's own rules answer, until they agree or no other size is left to try."""
    from_server = _server(limits)
    cut: Cut | None = Cut(size, wanted)
    for _ in range(5):
        assert cut is not None
        refusal = from_server(cut)
        if refusal is None:
            break
        other = other_chunk_size(cut, refusal.code, refusal.facts)
        cut = None if other is None else Cut(size, other)
        if cut is None:
            break
    possible = size <= limits.max_chunk * limits.max_chunks
    assert (cut is not None and from_server(cut) is None) == possible


def _server(limits: Limits) -> Callable[[Cut], OnwardError | None]:
    def answer(cut: Cut) -> OnwardError | None:
        try:
            join(Declaration(), Declaration(part_size=cut.chunk_size, length=cut.size), limits)
        except OnwardError as error:
            return error
        return None

    return answer


@pytest.mark.parametrize(
    ("text", "size"), [("8MiB", 8 * MIB), ("8m", 8 * MIB), ("16 KiB", 16384), ("1g", 1 << 30), ("5", 5), ("5b", 5)]
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "1.5m", "8x", "٣", "8 m i b", "1e3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)
