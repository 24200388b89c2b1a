"""Names that clients choose."""

from __future__ import annotations

import contextlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.names import MAX_NAME_BYTES, RESERVED, clean, looks_like_chunk, split_chunk
from onward.core.types import MAX_INT
from onward.errors import BadName

USABLE = (
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="/\\"), min_size=1, max_size=60)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda name: name.lower() not in RESERVED and len(name.encode()) <= MAX_NAME_BYTES)
)


@given(USABLE, st.integers(1, MAX_INT))
def test_a_chunk_name_splits_into_what_it_was_made_of(name: str, number: int) -> None:
    assert clean(name) == name
    assert split_chunk(f"{name}-{number}") == (name, number)
    assert looks_like_chunk(f"{name}-{number}")


@given(st.text(max_size=120))
def test_a_clean_name_stays_as_it_is(name: str) -> None:
    with contextlib.suppress(BadName):
        name = clean(name)
        assert clean(name) == name
        assert unicodedata.is_normalized("NFC", name)
        assert 1 <= len(name.encode("utf-8")) <= MAX_NAME_BYTES
        assert "/" not in name
        assert not any(unicodedata.category(c).startswith("Cc") for c in name)


@given(st.text())
def test_no_segment_raises_anything_but_bad_name(segment: str) -> None:
    for read in (clean, split_chunk):
        with contextlib.suppress(BadName):
            read(segment)
    assert looks_like_chunk(segment) in {True, False}


def test_one_file_sent_from_two_systems_is_one_file() -> None:
    composed, decomposed = "caf\u00e9.txt", "cafe\u0301.txt"
    assert clean(decomposed) == composed
    assert split_chunk(f"{decomposed}-3") == (composed, 3)


@pytest.mark.parametrize(
    ("segment", "name", "number"),
    [
        ("f-1", "f", 1),
        ("big-file.tar.gz-64", "big-file.tar.gz", 64),
        ("2024-05-01-2", "2024-05-01", 2),
        ("a--2", "a-", 2),
        ("complete-1.txt-1", "complete-1.txt", 1),
        (f"f-{MAX_INT}", "f", MAX_INT),
        (".env-1", ".env", 1),
        ("x" * 255 + "-10000", "x" * 255, 10_000),
    ],
)
def test_a_chunk_name_is_split_at_its_last_dash(segment: str, name: str, number: int) -> None:
    assert split_chunk(segment) == (name, number)


@pytest.mark.parametrize(
    "segment",
    [
        "f",
        "f-",
        "-1",
        "f-0",
        "f--",
        "f-01",
        "f-+1",
        "f- 1",
        "f-1 ",
        "f-1\n",
        "f-1_0",
        "f-1.0",
        "f-\uff11",
        "f-\u0661",
        "f-9223372036854775808",
        "f-12345678901234567890",
        "f-" + "9" * 5000,
        "complete-1",
        "Complete-1",
        ".-1",
        "..-1",
        "a/b-1",
        "a\\b-1",
        "a\x00-1",
        "a\u202eb-1",
        "a\ud800-1",
        "x" * 256 + "-1",
        "",
        "-",
    ],
)
def test_a_chunk_name_that_is_none_is_refused(segment: str) -> None:
    with pytest.raises(BadName) as refused:
        split_chunk(segment)
    assert refused.value.detail.isprintable()


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "complete",
        "COMPLETE",
        "a/b",
        "a\\b",
        "\x00",
        "a\nb",
        "a\x7fb",
        "a\u2028b",
        "\u200eb",
        "x" * 300,
        "\u00e9" * 128,
    ],
)
def test_a_name_that_may_not_be_used_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        clean(name)


def test_a_minus_one_is_the_file_with_a_dash() -> None:
    # `f--1` splits at its last dash: the file `f-`, chunk 1. That is what a sign would be read as.
    assert split_chunk("f--1") == ("f-", 1)


@pytest.mark.parametrize("segment", ["f", "f-", "-1", "f-0", "f-01", "f-x"])
def test_what_does_not_look_like_a_chunk(segment: str) -> None:
    assert not looks_like_chunk(segment)
