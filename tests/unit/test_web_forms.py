from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onward.core.types import Buffer
from onward.errors import BadBody, BodyIncomplete, BodyTooLarge, ClientGone, OnwardError, Stalled
from onward.web.body import RawBody, gather
from onward.web.forms import MAX_FIELD, MAX_HEADER, FormData, gather_fields

BOUNDARY = "b0undary"
END = b"--b0undary--\r\n"


def field(name: str, data: bytes, extra: bytes = b"") -> bytes:
    return (
        b"--b0undary\r\n" + extra + f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + data + b"\r\n"
    )


class Server:
    """Hands out pieces as a server does, and counts how often it was asked."""

    def __init__(self, pieces: Sequence[Buffer], *, gone: bool = False) -> None:
        self.pieces = list(pieces)
        self.gone = gone
        self.asked = 0

    async def receive(self) -> Any:
        self.asked += 1
        if not self.pieces:
            return {"type": "http.disconnect"}
        piece = self.pieces.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.pieces) or self.gone}


def raw(pieces: Sequence[Buffer], *, gone: bool = False, **headers: str) -> RawBody:
    given = {name.replace("_", "-"): value for name, value in headers.items()} or {"transfer-encoding": "chunked"}
    return RawBody(Server(pieces, gone=gone).receive, given)


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def views(pieces: Sequence[bytes]) -> list[Buffer]:
    """The same in memory that others may write to, as the buffers of the server are."""
    return [memoryview(bytearray(piece)) for piece in pieces]


async def read(body: RawBody | FormData) -> bytes:
    found = b""
    while (piece := await body.next()) is not None:
        found += bytes(piece)
    return found


def run(body: RawBody | FormData) -> bytes:
    return anyio.run(read, body)


def refusal(body: RawBody | FormData) -> type[OnwardError]:
    with pytest.raises(OnwardError) as caught:
        run(body)
    return type(caught.value)


SIZES = st.lists(st.integers(0, 40), max_size=60)
NASTY = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"\r", b"\n", b"--", b"b0undary", b"\r\n--b0undar", b"x", b"-"]), max_size=20).map(
        b"".join
    ),
).filter(lambda data: b"\r\n--b0undary" not in b"\r\n" + data)


@given(data=NASTY, sizes=SIZES, around=st.booleans(), counts=st.booleans())
@example(data=b"\r\n--b0undarx" + bytes(30), sizes=[3] * 90, around=False, counts=False)
@example(data=b"\r\n--b0undarx" + bytes(30), sizes=[71, 3, 3, 3, 3, 3, 3, 20], around=False, counts=False)
def test_a_form_gives_its_data_however_it_is_cut(data: bytes, sizes: list[int], around: bool, counts: bool) -> None:
    other = field("x", b"y" * 100) if around else b""
    length = b"Content-Length: %d\r\n" % len(data) if counts else b""
    form = other + field("data", data, length) + other.replace(b'"x"', b'"z"') + END
    assert run(FormData(raw(cut(form, sizes)), BOUNDARY)) == data
    assert run(FormData(raw(views(cut(form, sizes))), BOUNDARY)) == data


@given(data=NASTY, size=st.integers(1, 60), off=st.integers(-9, 9).filter(bool))
def test_a_field_has_as_many_bytes_as_it_says(data: bytes, size: int, off: int) -> None:
    form = field("data", data, b"Content-Length: %d\r\n" % max(0, len(data) + off)) + END
    if len(data) + off >= 0:
        assert refusal(FormData(raw(views(cut(form, [size] * 20))), BOUNDARY)) is BadBody


@given(data=NASTY, sizes=st.lists(st.integers(12, 90), max_size=30))
def test_data_that_has_no_boundary_is_passed_on_as_it_came(data: bytes, sizes: list[int]) -> None:
    async def go() -> list[Buffer]:
        form, found = FormData(raw(pieces), BOUNDARY), []
        while (piece := await form.next()) is not None:
            found.append(piece)
        return found

    pieces = views([field("data", b"begins")[:-2], *cut(data + bytes(99), sizes), b"\r\n" + END])
    found = anyio.run(go)
    assert b"".join(bytes(piece) for piece in found) == b"begins" + data + bytes(99)
    its = {id(piece.obj) for piece in pieces if isinstance(piece, memoryview)}
    assert any(isinstance(piece, memoryview) and id(piece.obj) in its for piece in found)


@given(data=NASTY, sizes=SIZES, keep=st.integers(0, 10_000))
def test_a_form_cut_short_is_never_taken_for_whole(data: bytes, sizes: list[int], keep: int) -> None:
    form = field("data", data) + END[:-2]
    part = form[: keep % len(form)]
    assert refusal(FormData(raw(cut(part, sizes)), BOUNDARY)) is BadBody
    assert refusal(FormData(raw(cut(part, sizes), gone=True), BOUNDARY)) is ClientGone


@given(sizes=SIZES, junk=st.binary(min_size=1, max_size=30).filter(lambda j: not b"\r\n".startswith(j)))
def test_bytes_after_the_end_are_refused_however_they_are_cut(sizes: list[int], junk: bytes) -> None:
    form = field("data", b"cc") + END[:-2] + junk
    assert refusal(FormData(raw(cut(form, sizes)), BOUNDARY)) is BadBody


@given(noise=st.binary(max_size=300), sizes=SIZES)
def test_whatever_comes_only_our_errors_come_out(noise: bytes, sizes: list[int]) -> None:
    assert issubclass(refusal(FormData(raw(views(cut(noise, sizes))), BOUNDARY)), OnwardError)
    assert issubclass(refusal(FormData(raw(cut(noise, sizes)), BOUNDARY)), OnwardError)


@pytest.mark.parametrize(
    "form",
    [
        field("x", b"cc") + END,
        field("data", b"cc") * 2 + END,
        b"".join(field(f"x{n}", b"") for n in range(16)) + field("data", b"cc") + END,
        field("data", b"cc", b"X-A: " + b"a" * 8192 + b"\r\n") + END,
        field("data", b"cc", b"".join(b"X-%d: %s\r\n" % (n, b"a" * 1500) for n in range(6))) + END,
        field("x", b"x" * (MAX_FIELD + 1)) + field("data", b"cc") + END,
        field("data", b"Y2M=", b"Content-Transfer-Encoding: base64\r\n") + END,
        b"x" * 100 + field("data", b"cc") + END,
        END,
        b"",
    ],
)
@pytest.mark.parametrize("size", [1, 1 << 20])
def test_a_form_that_is_not_one_is_refused(form: bytes, size: int) -> None:
    pieces = [form[i : i + size] for i in range(0, len(form), size)] or [b""]
    assert refusal(FormData(raw(pieces), BOUNDARY)) is BadBody
    assert refusal(FormData(raw(views(pieces)), BOUNDARY)) is BadBody


def test_a_field_that_is_not_streamed_is_small_however_it_comes() -> None:
    pieces = views([field("x", b"x" * 100)[:-2], *[b"x" * 1000] * 99, b"\r\n" + field("data", b"cc") + END])
    assert refusal(FormData(raw(pieces), BOUNDARY)) is BadBody


def test_an_endless_header_is_not_gathered() -> None:
    server = Server([field("data", b"")[:-10] + b"X-A: ", *[b"a" * 1024] * 1000])
    assert refusal(FormData(RawBody(server.receive, {"transfer-encoding": "chunked"}), BOUNDARY)) is BadBody
    assert server.asked < 15


def test_the_headers_of_a_field_may_fill_what_they_may_have() -> None:
    said = len('Content-Dispositionform-data; name="data"') + 4 + len("X-A") + 4
    for over in (0, 1):
        form = field("data", b"abc").replace(
            b"\r\n\r\n", b"\r\nX-A: " + b"a" * (MAX_HEADER - said + over) + b"\r\n\r\n"
        )
        body = FormData(raw([form + END]), BOUNDARY)
        assert (refusal(body) if over else run(body)) == (BadBody if over else b"abc")


@pytest.mark.parametrize(("headers", "asked"), [({"content-length": "5"}, 0), ({"transfer-encoding": "chunked"}, 2)])
def test_a_body_in_memory_may_fill_what_it_may_have(headers: dict[str, str], asked: int) -> None:
    server = Server([b"ab", b"cde"])
    assert anyio.run(partial(gather, RawBody(server.receive, headers), idle=5, most=5)) == b"abcde"
    server = Server([b"ab", b"cde"])
    with pytest.raises(BodyTooLarge):
        anyio.run(partial(gather, RawBody(server.receive, headers), idle=5, most=4))
    assert server.asked == asked


def test_an_endless_preamble_is_not_read() -> None:
    server = Server([b"x" * 1024] * 1000)
    assert refusal(FormData(RawBody(server.receive, {"transfer-encoding": "chunked"}), BOUNDARY)) is BadBody
    assert server.asked < 5


def test_a_form_passes_bytes_on_before_it_has_ended() -> None:
    async def first() -> bytes:
        form = FormData(raw([field("data", b"a" * 100_000)[:-2]], gone=True), BOUNDARY)
        return bytes(await form.next() or b"")

    assert len(anyio.run(first)) > 90_000


def test_the_fields_of_a_small_form() -> None:
    async def fields(form: bytes) -> dict[str, str]:
        return await gather_fields(raw([form[:9], form[9:]]), BOUNDARY, idle=5)

    assert anyio.run(fields, field("a", "é".encode()) + field("b", b"") + END) == {"a": "é", "b": ""}
    for form in (field("a", b"1") * 2 + END, field("a", b"\xff") + END):
        with pytest.raises(BadBody):
            anyio.run(fields, form)


def test_a_body_without_a_length_is_no_body() -> None:
    server = Server([b"x"])
    body = RawBody(server.receive, {"host": "x"})
    assert run(body) == b""
    assert (server.asked, body.unread) == (0, False)


@pytest.mark.parametrize(
    ("pieces", "length", "error"),
    [
        ([b"abc"], "2", BadBody),
        ([b"ab", b"c"], "2", BadBody),
        ([b"ab"], "3", BodyIncomplete),
        ([b""], "1", BodyIncomplete),
    ],
)
def test_a_body_has_the_length_it_claims(pieces: list[bytes], length: str, error: type[OnwardError]) -> None:
    assert refusal(raw(pieces, content_length=length)) is error


def test_a_body_is_unread_until_its_end() -> None:
    async def go() -> list[bool]:
        body = raw([b"a", b"b"], content_length="2")
        seen = [body.unread]
        while await body.next() is not None:
            seen.append(body.unread)
        return seen

    assert anyio.run(go) == [True, True, False]


def test_a_small_body_is_gathered_up_to_its_limit() -> None:
    async def go(body: RawBody, most: int) -> bytes:
        return await gather(body, idle=5, most=most)

    assert anyio.run(go, raw([b"ab", b"", b"c"]), 3) == b"abc"
    for body in (raw([b"ab", b"cd"]), raw([b"abcd"], content_length="4")):
        with pytest.raises(BodyTooLarge):
            anyio.run(go, body, 3)


def test_a_small_body_that_stops_coming_is_given_up() -> None:
    async def go() -> bytes:
        async def receive() -> Any:
            await anyio.sleep_forever()

        return await gather(RawBody(receive, {"content-length": "3"}), idle=0.01)

    with pytest.raises(Stalled):
        anyio.run(go)
