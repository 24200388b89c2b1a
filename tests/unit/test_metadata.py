"""The pairs of ``Upload-Metadata``."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.errors import BadField, OnwardError
from onward.wire.metadata import MAX_FIELD, MAX_KEYS, decode, encode

HELLO = base64.b64encode(b"hello").decode()

READ: Sequence[tuple[str, str, Mapping[str, str]]] = [
    ("T-META-01 one pair", f"filename {HELLO}", {"filename": "hello"}),
    ("T-META-01 several pairs", f"foo {HELLO},bar d29ybGQ=", {"foo": "hello", "bar": "world"}),
    ("T-META-03 a space after the comma", f"foo {HELLO}, bar d29ybGQ=", {"foo": "hello", "bar": "world"}),
    ("T-META-01 no value, no space", f"a,b {HELLO}", {"a": "", "b": "hello"}),
    ("T-META-01 no value, the space last", "a,b ", {"a": "", "b": ""}),
    ("T-META-01 no value, the space before the comma", "a ,b", {"a": "", "b": ""}),
    ("no pair", "", {}),
    ("no pair but spaces", " \t", {}),
    ("T-META-01 keys differ in case", f"a {HELLO},A", {"a": "hello", "A": ""}),
    ("T-META-01 a key in UTF-8", "caf\u00c3\u00a9 YQ==", {"caf\u00e9": "a"}),
    ("T-META-04 a value that is no UTF-8", "a /w==,b YQ==", {"b": "a"}),
    ("T-META-04 a value with a NUL", "a AGE=,b YQ==", {"b": "a"}),
    ("T-META-04 a value of two lines", "a YQ1iCg==", {"a": "a\rb\n"}),
    ("T-META-04 a key that is no UTF-8", "\u00ff YQ==,b YQ==", {"b": "a"}),
    ("T-META-04 two steps up", "filename Li4vLi4vYQ==", {"filename": "../../a"}),
    ("the most pairs", ",".join(f"k{n}" for n in range(MAX_KEYS)), {f"k{n}": "" for n in range(MAX_KEYS)}),
    ("the most bytes", "a" * MAX_FIELD, {"a" * MAX_FIELD: ""}),
]

REFUSED: Sequence[tuple[str, str]] = [
    ("T-META-03 no base64", "a !!!!"),
    ("T-META-05 no padding", "a YQ"),
    ("T-META-05 padding in the middle", "a YQ==YQ=="),
    ("T-META-05 the other alphabet", "a -_-_"),
    ("T-META-05 a value beyond ASCII", "a \u00e4\u00e4\u00e4\u00e4"),
    ("T-META-03 a key twice", f"a {HELLO},a"),
    ("T-META-03 a key twice, neither of them text", "\u00ff YQ==,\u00ff YQ=="),
    ("T-META-03 an empty key", f"a {HELLO},,b"),
    ("T-META-03 a comma at the end", f"a {HELLO},"),
    ("T-META-03 three words", f"a {HELLO} {HELLO}"),
    ("T-META-03 two spaces", f"a  {HELLO}"),
    ("T-META-01 a tab for the space", f"a\t{HELLO}"),
    ("T-META-04 a line's end in a key", "a\r\nb YQ=="),
    ("T-META-04 a NUL in a key", "a\0b YQ=="),
    ("a key that is no field value", "\u20ac YQ=="),
    ("more pairs than are taken", ",".join(f"k{n}" for n in range(MAX_KEYS + 1))),
    ("T-META-05 more bytes than are taken", "a" * (MAX_FIELD + 1)),
]


@pytest.mark.parametrize(("row", "text", "found"), READ, ids=[row[0] for row in READ])
def test_pairs_are_read(row: str, text: str, found: Mapping[str, str]) -> None:
    assert decode(text) == found


@pytest.mark.parametrize(("row", "text"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_no_list_of_pairs_is_refused(row: str, text: str) -> None:
    with pytest.raises(BadField) as caught:
        decode(text)
    assert caught.value.facts["field"] == "Upload-Metadata"


_KEYS = st.text(st.characters(codec="utf-8", exclude_characters=" ,", exclude_categories=["C"]), min_size=1, max_size=9)
_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@given(st.dictionaries(_KEYS, _VALUES, max_size=9))
def test_what_is_written_is_read_again(said: dict[str, str]) -> None:
    assert decode(encode(said)) == said


def test_a_key_without_a_form_is_left_out() -> None:
    assert encode({"a b": "1", "c,d": "2", "": "3", "e": "hello", "f": ""}) == f"e {HELLO},f"


_PIECES = st.sampled_from(
    [" ", ",", "a", "b", "\t", "=", "==", "YQ==", HELLO, "\u00ff", "\u20ac", "\0", "\r\n", "/w=="]
)


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_whatever_comes_nothing_but_our_own_error_is_raised(text: str) -> None:
    with contextlib.suppress(OnwardError):
        found = decode(text)
        assert decode(encode(found)) == found
