"""A file in a form: what is said before it, and its bytes however they are cut."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.errors import BadBody, Stalled
from onward.web.body import RawBody
from onward.web.form_files import MOST_FIELDS, MOST_WORDS, FileForm
from onward.wire.compat.front import Sent
from tests.unit.test_web_forms import BOUNDARY, END, NASTY, SIZES, cut, field, raw

KNOWN = frozenset({"number"})


def file(data: bytes, filename: str = "f.bin", name: str = "file") -> bytes:
    head = f'--b0undary\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n\r\n'
    return head.encode() + data + b"\r\n"


def taken(pieces: Sequence[bytes]) -> tuple[Sent, bytes]:
    async def go() -> tuple[Sent, bytes]:
        form = FileForm(raw(pieces), BOUNDARY, KNOWN, idle=5)
        sent, found = await form.open(), b""
        while (piece := await form.next()) is not None:
            found += bytes(piece)
        return sent, found

    return anyio.run(go)


@given(data=NASTY, sizes=SIZES, behind=st.booleans())
def test_fields_and_file_however_they_are_cut(data: bytes, sizes: list[int], behind: bool) -> None:
    before = field("number", b"7") + field("empty", b"") + field("word", "\u00e4 b".encode())
    form = before + file(data, "n\u00e4m %22e.bin") + (field("x", b"y" * 99) * 2 if behind else b"") + END
    sent, found = taken(cut(form, sizes))
    assert sent.fields == {"number": "7", "empty": "", "word": "\u00e4 b"}
    assert (sent.filename, sent.brings_file, found) == ('n\u00e4m "e.bin', True, data)


def test_a_form_may_have_no_file() -> None:
    sent, found = taken([field("number", b"7") + END])
    assert (dict(sent.fields), sent.filename, sent.brings_file, found) == ({"number": "7"}, None, False, b"")
    assert not taken([END])[0].brings_file


def test_of_other_fields_the_first_value_stands() -> None:
    sent, found = taken([field("tag", b"a") + field("tag", b"b") + field("number", b"7") + file(b"x") + END])
    assert (dict(sent.fields), found) == ({"tag": "a", "number": "7"}, b"x")


BIG = b"w" * (MOST_WORDS // 5)


def test_the_fields_before_the_file_may_fill_what_they_may_have() -> None:
    words = {f"w{n}": "w" * (MOST_WORDS // 8) for n in range(8)}
    fields = b"".join(field(name, value.encode()) for name, value in words.items())
    sent, found = taken([fields + file(b"x") + END])
    assert (sent.fields, found) == (words, b"x")
    with pytest.raises(BadBody):
        taken([field("w", b"w") + fields + file(b"x") + END])


@pytest.mark.parametrize(
    "form",
    [
        field("number", b"7") * 2 + file(b"x") + END,
        field("number", b"7") + file(b"x") + field("number", b"8") + END,
        file(b"x") + file(b"") + END,
        b"".join(field(f"w{n}", BIG) for n in range(6)) + file(b"x") + END,
        b"".join(field(f"w{n}", b"") for n in range(MOST_FIELDS)) + file(b"x") + END,
        field("word", b"\xff") + file(b"x") + END,
        file(b"x") + END[:-2] + b"x",
        file(b"x"),
        b"",
    ],
)
def test_a_form_that_is_not_taken(form: bytes) -> None:
    with pytest.raises(BadBody):
        taken([form])


def test_a_form_that_stops_before_its_file_is_given_up() -> None:
    async def go() -> None:
        async def receive() -> object:
            await anyio.sleep_forever()
            raise AssertionError

        body = RawBody(receive, {"content-length": "100"})  # type: ignore[arg-type]  # it never returns
        await FileForm(body, BOUNDARY, KNOWN, idle=0.01).open()

    with pytest.raises(Stalled):
        anyio.run(go)
