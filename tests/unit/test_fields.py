"""Header fields and strict values: what is read, what is refused, and that nothing else escapes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onward.core.digest import ALGORITHMS, digest_size
from onward.core.types import MAX_INT, Digest
from onward.errors import BadField, DigestInvalid, DigestUnsupported, OnwardError, UnsupportedEncoding
from onward.wire import fields

SHA256 = hashlib.sha256(b"abc").digest()
SHA512 = hashlib.sha512(b"abc").digest()


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


# -- numbers --------------------------------------------------------------------------------------


@given(st.integers(0, MAX_INT))
def test_a_number_comes_back(value: int) -> None:
    assert fields.integer("Upload-Offset", str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "-0",
        "+5",
        "1_000",
        " 5",
        "5 ",
        "5\n",
        "00",
        "01",
        "1.0",
        "1e3",
        "0x10",
        "1,2",
        "5, 5",
        "\uff11\uff12",  # full-width digits, which int() takes
        "1\uff12",
        "\u0663",  # an Arabic-Indic digit, which int() takes
        "\u00b2",
        "9223372036854775808",
        "9999999999999999999",
        "12345678901234567890",
        "9" * 5000,
    ],
)
def test_a_number_has_one_way_to_be_written(text: str) -> None:
    with pytest.raises(BadField) as refused:
        fields.integer("Upload-Offset", text)
    assert refused.value.facts["field"] == "Upload-Offset"
    assert str(MAX_INT) in str(refused.value.facts["allowed"])


@pytest.mark.parametrize(("text", "least", "most"), [("0", 1, 9), ("10", 1, 9)])
def test_a_number_keeps_its_bounds(text: str, least: int, most: int) -> None:
    with pytest.raises(BadField):
        fields.integer("chunk", text, least=least, most=most)


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "a" * 63, "a" * 65, "\uff41" * 64, "a" * 64 + "\n"])
def test_a_sha256_has_64_hexadecimal_digits(text: str) -> None:
    with pytest.raises(BadField) as refused:
        fields.sha256_hex("sha256", text)
    assert refused.value.facts["field"] == "sha256"


def test_a_sha256_may_be_written_in_capitals() -> None:
    assert fields.sha256_hex("sha256", SHA256.hex().upper()) == SHA256


# -- digests --------------------------------------------------------------------------------------


@st.composite
def some_digests(draw: st.DrawFn) -> tuple[Digest, ...]:
    names = draw(st.lists(st.sampled_from(ALGORITHMS), unique=True))
    sizes = {name: digest_size(name) for name in names}
    return tuple(Digest(name, draw(st.binary(min_size=size, max_size=size))) for name, size in sizes.items())


@given(some_digests())
def test_digests_come_back(found: tuple[Digest, ...]) -> None:
    assert fields.digests("Content-Digest", fields.digest_field(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        f"sha-256=:{b64(SHA256)}:",
        f"  sha-256=:{b64(SHA256)}:  ",
        f"sha-256=:{b64(SHA256).rstrip('=')}:",
        f"sha-256=:{b64(SHA256)}:;note=1;x",
        f"crc32c=:AAAA:,\tsha-256=:{b64(SHA256)}:",
        f'sha-256=:{b64(SHA256)}: , unixsum=30637, other, s="a\\"b,c", t=token/x, f=-1.5, d=@1659578233, b=?0',
        f"sha-256=:AAAA:, sha-256=:{b64(SHA256)}:",
    ],
    ids=[
        "plain",
        "spaces",
        "no padding",
        "parameters",
        "unknown beside it",
        "any other item beside it",
        "the last of two counts",
    ],
)
def test_a_digest_is_read(text: str) -> None:
    assert fields.digests("Content-Digest", text) == (Digest("sha-256", SHA256),)


@pytest.mark.parametrize(
    "text",
    [
        "sha-256",
        "sha-256=",
        "sha-256=abc",
        'sha-256="abc"',
        "sha-256=:",
        "sha-256=::",
        "sha-256=:AAAA:",
        "sha-256=:A:",
        "sha-256=:====:",
        "sha-256=:AA=A:",
        f"sha-256=:{b64(SHA256)}",
        f"sha-256={b64(SHA256)}",
        f"sha-256=:{b64(SHA512)}:",
        f"SHA-256=:{b64(SHA256)}:",
        f"sha-256=:{b64(SHA256)}:,",
        f",sha-256=:{b64(SHA256)}:",
        f"sha-256=:{b64(SHA256)}: sha-512=:{b64(SHA512)}:",
        f"sha-256=:{b64(SHA256)}:x",
        f"sha-256=:{b64(SHA256)}:, sha-512=:AAAA:",
        f"sha-256=(:{b64(SHA256)}:)",
        "\u212a=:AAAA:",
    ],
)
def test_a_digest_that_cannot_be_read_is_never_half_trusted(text: str) -> None:
    with pytest.raises(DigestInvalid) as refused:
        fields.digests("Repr-Digest", text)
    assert refused.value.facts["field"] == "Repr-Digest"
    assert refused.value.facts["reason"]


@pytest.mark.parametrize("text", ["sha3-256=:AAAA:", "crc32c=:AAAA:, adler=:AAAA:", "unixsum=30637"])
def test_a_digest_of_no_known_algorithm_is_told_which_are_known(text: str) -> None:
    with pytest.raises(DigestUnsupported) as refused:
        fields.digests("Content-Digest", text)
    assert refused.value.facts["allowed"] == list(ALGORITHMS)


def test_an_empty_digest_field_is_no_digest() -> None:
    assert fields.digests("Content-Digest", "") == ()


def test_the_whole_is_held_against_sha256_first() -> None:
    weak, strong, usual = Digest("md5", b"m"), Digest("sha-512", SHA512), Digest("sha-256", SHA256)
    assert fields.strongest([weak, strong, usual]) == usual
    assert fields.strongest([weak, strong]) == strong
    assert fields.strongest([]) is None


# -- types, encodings, dates ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "essence", "parameters"),
    [
        ("", "", {}),
        ("Application/JSON", "application/json", {}),
        ("text/plain; charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        ("text/plain;", "text/plain", {}),
        ("text/plain ; ; a=1", "text/plain", {"a": "1"}),
        ('multipart/form-data; BOUNDARY="a \\"b\\";c"', "multipart/form-data", {"boundary": 'a "b";c'}),
    ],
)
def test_a_content_type_is_read(text: str, essence: str, parameters: dict[str, str]) -> None:
    assert fields.content_type(text) == fields.ContentType(essence, parameters)


@pytest.mark.parametrize(
    "text",
    [
        "text",
        "text/",
        "/plain",
        "a/b/c",
        ";a=1",
        "a b/c",
        "a/b; c",
        "a/b; c=",
        'a/b; c="d',
        "te\u212at/x",
        "a/b; c=1; C=2",
    ],
)
def test_a_content_type_outside_its_grammar_is_refused(text: str) -> None:
    with pytest.raises(BadField) as refused:
        fields.content_type(text)
    assert refused.value.facts["field"] == "Content-Type"


@pytest.mark.parametrize("boundary", ["x", "x" * 70, '"a b"'])
def test_a_boundary_is_read(boundary: str) -> None:
    kind = fields.content_type(f"multipart/form-data; boundary={boundary}")
    assert kind.boundary == boundary.strip('"')


@pytest.mark.parametrize("boundary", ["x" * 71, '"a "', '""', '"a\\"b"'])
def test_a_boundary_outside_its_grammar_is_refused(boundary: str) -> None:
    kind = fields.content_type(f"multipart/form-data; boundary={boundary}")
    with pytest.raises(BadField):
        _ = kind.boundary


def test_a_multipart_type_needs_a_boundary() -> None:
    kind = fields.content_type("multipart/form-data")
    with pytest.raises(BadField):
        _ = kind.boundary


@pytest.mark.parametrize("text", ["gzip", "br", "identity, gzip", "GZIP", "x"])
def test_encoded_bytes_are_refused(text: str) -> None:
    assert refuses(text)
    assert refuses(f" Identity ,identity,{text}")


@pytest.mark.parametrize("text", ["", "identity", " Identity ,identity"])
def test_bytes_as_they_are_are_taken(text: str) -> None:
    assert not refuses(text)


def refuses(coding: str) -> bool:
    try:
        fields.refuse_encoded(coding)
    except UnsupportedEncoding:
        return True
    return False


@given(st.integers(0, 253_402_300_799))
def test_a_date_comes_back(at: int) -> None:
    assert fields.parse_http_date(fields.http_date(at)) == at


def test_a_date_is_written_as_http_writes_it() -> None:
    assert fields.http_date(784_111_777.9) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    "text",
    [
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "",
    ],
)
def test_any_other_date_is_none(text: str) -> None:
    assert fields.parse_http_date(text) is None


# -- what is written ------------------------------------------------------------------------------


def test_ranges_have_both_ends_included() -> None:
    assert fields.ranges_field([(0, 100), (200, 300)]) == "0-99,200-299"
    assert fields.ranges_field([]) == ""


@given(st.lists(st.tuples(st.integers(0, MAX_INT - 1), st.integers(1, 1 << 40)), max_size=200))
def test_ranges_stay_small_and_say_when_there_are_more(pairs: list[tuple[int, int]]) -> None:
    ranges = [(start, start + size) for start, size in pairs]
    text = fields.ranges_field(ranges)
    assert len(text) <= fields.MAX_RANGES
    listed = text.removesuffix(";more")
    shown = [tuple(map(int, piece.split("-"))) for piece in listed.split(",") if piece]
    assert shown == [(a, b - 1) for a, b in ranges[: len(shown)]]
    assert text.endswith(";more") == (len(shown) < len(ranges))


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("", "failed"),
        ("digest-mismatch", "failed;reason=digest-mismatch"),
        ('says "no"\r\nX: y\\', 'failed;reason="says \\"no\\"??X: y\\\\"'),
        ("7up", 'failed;reason="7up"'),
    ],
)
def test_a_reason_stands_behind_its_word(reason: str, text: str) -> None:
    assert fields.word_with_reason("failed", reason) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ("a b.txt", 'attachment; filename="a b.txt"'),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("100%41.txt", "attachment; filename=\"100_41.txt\"; filename*=UTF-8''100%2541.txt"),
        ("naïve.txt", "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt"),
        ("a\r\nSet-Cookie: x", 'attachment; filename="aSet-Cookie: x"'),
        ("evil\u202etxt.exe", 'attachment; filename="eviltxt.exe"'),
        ("../../etc/passwd", 'attachment; filename=".._.._etc_passwd"'),
        ("..", 'attachment; filename="download"'),
        ("\x00", 'attachment; filename="download"'),
    ],
)
def test_a_download_is_named(name: str, text: str) -> None:
    assert fields.attachment(name) == text


@given(st.text())
def test_a_download_is_named_in_one_line_of_ascii(name: str) -> None:
    text = fields.attachment(name)
    assert text.isascii()
    assert text.isprintable()
    assert text.startswith('attachment; filename="')
    assert text.split("filename*=", maxsplit=1)[0].count('"') == 2


# -- any text at all ------------------------------------------------------------------------------


readers: list[Callable[[str], Any]] = [
    lambda text: fields.integer("f", text),
    lambda text: fields.sha256_hex("f", text),
    lambda text: fields.digests("f", text),
    lambda text: fields.content_type(text).boundary,
    fields.refuse_encoded,
    fields.parse_http_date,
]
near_misses = st.text(st.sampled_from('sha-256md5:=;,"\\ \tAZ019+/()@?*._mut/form-data') | st.characters())


@pytest.mark.parametrize("read", readers, ids=["integer", "sha256", "digests", "type", "encoding", "date"])
@given(text=st.text() | near_misses)
@example(text="9" * 5000)
@example(text='sha-256="' + "\\" * 5000)
@example(text="a/b" + ";a=b" * 5000 + '"')
@example(text="\ud800")
def test_no_text_raises_anything_but_our_own(read: Callable[[str], Any], text: str) -> None:
    with contextlib.suppress(OnwardError):
        read(text)
