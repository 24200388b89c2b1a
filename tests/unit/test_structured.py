"""Structured fields and file names: what is read, and that all else counts as not sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.wire import disposition, structured

ANY = st.text(alphabet=st.sampled_from("0159-+.;,= \t?@:\"%\\()*/aAzZé_kmxUTF-8'"), max_size=40)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("00", 0),
        ("042", 42),
        ("5", 5),
        ("  5  ", 5),
        ("999999999999999", 10**15 - 1),
        ("5;a", 5),
        ("5;a=1", 5),
        ('5;a=1; b="x;y";*c=:YQ==:', 5),
        ("5; a=?1;a=1.5;d=@-7", 5),
    ],
)
def test_r_10_a_whole_number_is_read(text: str, value: int) -> None:
    assert structured.whole(text) == value


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        " ",
        "abc",
        "-1",
        "--0",
        "+5",
        "- 5",
        '"5"',
        "5.0",
        "5.",
        "1000000000000000",
        "0000000000000001",
        "5, 5",
        "5,6",
        "5 6",
        "\t5",
        "5\t",
        "5\n",
        "5 ;a",
        "5;",
        "5;A=1",
        "5;a=",
        "5;a=(1)",
        "?1",
        "@5",
        "(5)",
        "\uff15",
        "\u0665",
        "1_0",
    ],
)
def test_r_10_anything_else_is_no_whole_number(text: str | None) -> None:
    assert structured.whole(text) is None


@pytest.mark.parametrize(
    ("text", "value"), [("?1", True), ("?0", False), (" ?1 ", True), ("?1;a=2", True), ("?0;why=never", False)]
)
def test_r_11_a_boolean_is_read(text: str, value: object) -> None:
    assert structured.boolean(text) is value


@pytest.mark.parametrize(
    "text", [None, "", "1", "0", "true", "yes", "?", "?2", "??1", "?T", "?-1", "?01", "? 1", "?1, ?1", "?1 ;a", '"?1"']
)
def test_r_11_anything_else_is_no_boolean(text: str | None) -> None:
    assert structured.boolean(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("a=1 \t,\t b=2 ", {"a": "1", "b": "2"}),
        ("a=1\t", {"a": "1"}),
        ("a", {"a": "?1"}),
        ("a;q=1, b", {"a": "?1", "b": "?1"}),
        ("a=1, a=2", {"a": "2"}),
        ("sha-256=:YWJj:, *x_y.z=tok/en", {"sha-256": ":YWJj:", "*x_y.z": "tok/en"}),
        ("a=(1 2;q  3 ), b=()", {"a": "(1 2;q  3 )", "b": "()"}),
        ('a="x, y", b=%"f%c3%bc"', {"a": '"x, y"', "b": '%"f%c3%bc"'}),
    ],
)
def test_r_13_a_dictionary_is_read(text: str, found: dict[str, str]) -> None:
    assert structured.members(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *(",", "a=1,", ",a=1", "a=1,,b=2", "a=1 b=2", "A=1", "1=a", "a=", "a= 1", "a =1", "a=1;", '"a"=1', "a=(1"),
        *("a=(1,2)", "a=1.", "a=1000000000000000", 'a="', "a=:YWJj", "a=?2", "\ta=1", 'a="é"'),
    ],
)
def test_r_13_a_part_that_cannot_be_read_spoils_the_whole_dictionary(text: str) -> None:
    assert structured.members(text) == {}


def test_d_06_preferences_are_integers_from_0_to_10() -> None:
    text = "sha-256=10, sha-512=0, md5=11, sha=-1, x=2.5, y, z=?0, w=3;q=1"
    assert structured.weights(text) == {"sha-256": 10, "sha-512": 0, "w": 3}
    assert structured.weights(None) == {}


@given(ANY)
def test_no_text_makes_the_readers_raise(text: str) -> None:
    number = structured.whole(text)
    assert number is None or 0 <= number <= structured.MAX_INTEGER
    assert structured.boolean(text) in {None, True, False}
    assert all(0 <= weight <= 10 for weight in structured.weights(text).values())
    assert disposition.filename(text) != ""


@given(st.integers(0, structured.MAX_INTEGER))
def test_every_number_that_can_be_written_comes_back(value: int) -> None:
    assert structured.whole(str(value)) == value


def test_a_long_field_is_read_in_a_time_that_grows_with_it() -> None:
    # Each of these makes a careless pattern try every way to split the text; a second is then not enough.
    for text in ("a=(" + " " * 20_000, "a=1" + ";b=1" * 20_000 + ";", '"' + "\\" * 40_001, "5" + " " * 40_000 + "x"):
        assert structured.members(text) == {}
        assert structured.whole(text) is None
    assert disposition.filename("inline" + "; " * 20_000 + "x") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('inline; filename="file name.jpg"', "file name.jpg"),
        ("attachment; filename=a.txt", "a.txt"),
        ("inline; FileName=a.txt", "a.txt"),
        ('form-data; name="file"; filename="a;b.txt"', "a;b.txt"),
        (r'inline; filename="say \"hi\".txt"', 'say "hi".txt'),
        ("inline; filename=\"x\"; filename*=UTF-8''na%C3%AFve%20name.txt", "naïve name.txt"),
        ("inline; filename*=utf-8'en'a.txt; filename=b", "a.txt"),
        ("inline; filename*=iso-8859-1''%FC.txt", "ü.txt"),
        ("inline; filename*=UTF-8''%FF; filename=plain", "plain"),
        ("inline; filename*=x''a; filename=plain", "plain"),
        ('inline ; filename = "a" ', "a"),
        ('inline; filename="ü.txt"'.encode().decode("latin-1"), "ü.txt"),
        ('inline; filename="\xfc.txt"', "ü.txt"),
    ],
)
def test_r_39_the_file_name_is_found(text: str, name: str) -> None:
    assert disposition.filename(text) == name


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "inline",
        "inline; name=x",
        'inline; filename=""',
        "inline; filename=a; filename=b",
        'inline; filename="a',
        "inline; filename=a b",
        "; filename=a",
        "inline filename=a",
    ],
)
def test_r_39_a_field_that_names_nothing(text: str | None) -> None:
    assert disposition.filename(text) is None
