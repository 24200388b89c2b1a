"""The chunk dialect: which request is which command, and which is none.

Rows are named; where one stands for a requirement, its id is in the name.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward import errors
from onward.core.types import (
    Cancel,
    ClientName,
    Command,
    Create,
    Declaration,
    Digest,
    Layout,
    Number,
    Offset,
    Seal,
    Spec,
    Status,
    Store,
)
from onward.errors import OnwardError
from onward.wire import bodies
from onward.wire.message import Head
from tests.protocol.chunk_rows import CHUNKS, HEX, HREFS, NAME, about, create, field, head, posted, sha256, store


class Asked(NamedTuple):
    row: str
    head: Head
    command: Command
    body: bytes | dict[str, str] = b""


COMMANDS: Sequence[Asked] = [
    Asked("POST name-N is chunk N", head("POST", "f.txt-7", content_length="3"), store(7, size=3)),
    Asked("PUT is the same", head("PUT", "f.txt-7", content_length="3"), store(7, size=3)),
    Asked("a body without a length", head("PUT", "f.txt-1"), store()),
    Asked("C-09 an empty chunk", head("PUT", "f.txt-1", content_length="0"), store(size=0)),
    Asked(
        "C-07 the length of a form is not that of the chunk",
        head("POST", "f.txt-1", content_length="300", content_type="multipart/form-data; boundary=x"),
        store(),
    ),
    Asked(
        "a raw body of any type",
        head("POST", "f.txt-1", content_length="3", content_type="application/x-www-form-urlencoded"),
        store(size=3),
    ),
    Asked("identity is no encoding", head("PUT", "f.txt-1", content_encoding="identity"), store()),
    Asked(
        "D-01 digests of the body, all that are computed here",
        head("PUT", "f.txt-1", content_digest=f"{field('md5')}, crc32c=:AAAA:, {field('sha-256')}"),
        store(digests=(Digest("md5", hashlib.md5(b"abc").digest()), sha256(b"abc"))),
    ),
    Asked(
        "D-05 sha-256 of the whole before others",
        head("PUT", "f.txt-1", repr_digest=f"{field('sha-512')}, {field('sha-256')}"),
        store(declared=Declaration(digest=sha256(b"abc"))),
    ),
    Asked(
        "what is declared on the way",
        head("PUT", "f.txt-2", upload_length="10", upload_chunk_size="4"),
        store(2, declared=Declaration(length=10, part_size=4)),
    ),
    Asked(
        "PUT with an offset takes the whole segment as the name",
        head("PUT", "f.txt-7", upload_offset="40", content_length="3"),
        Store(target=ClientName(None, "f.txt-7"), at=Offset(40), size=3),
    ),
    Asked(
        "two systems, one name",
        head("PUT", "cafe\u0301-1"),
        Store(target=ClientName(None, "caf\u00e9"), at=Number(1)),
    ),
    Asked("declare a name alone", posted(), create(), b'{"name":"f.txt"}'),
    Asked(
        "declare everything",
        posted(idempotency_key="a key"),
        Create(
            spec=Spec(
                name=NAME,
                declared=Declaration(
                    layout=Layout.FLAT,
                    length=6,
                    part_size=3,
                    digest=sha256(b"abc"),
                    part_digests=(sha256(b"abc").value,) * 2,
                ),
                metadata={"k": "v"},
            ),
            idempotency_key="a key",
        ),
        msgspec.json.encode(
            {
                "name": "f.txt",
                "size": 6,
                "chunk_size": 3,
                "sha256": HEX.upper(),
                "chunks": [{"sha256": HEX}, {"sha256": HEX}],
                "metadata": {"k": "v"},
            }
        ),
    ),
    Asked("null is not said", posted(), create(), b'{"name":"f.txt","size":null,"chunk_size":null,"sha256":null}'),
    Asked("an empty file may be declared", posted(), create(length=0), b'{"name":"f.txt","size":0}'),
    Asked("complete", posted("complete"), Seal(target=NAME), b'{"file_unique_name":"f.txt"}'),
    Asked(
        "complete with what is known",
        posted("complete"),
        Seal(target=NAME, parts=64, length=9, digest=sha256(b"abc")),
        msgspec.json.encode({"file_unique_name": "f.txt", "total_chunks": 64, "size": 9, "sha256": HEX}),
    ),
    Asked(
        "complete by a form",
        posted("complete", content_type=bodies.URLENCODED),
        Seal(target=ClientName(None, "a b\u00fc"), parts=64, length=9, digest=sha256(b"abc")),
        f"file_unique_name=a+b%C3%BC&total_chunks=64&size=9&sha256={HEX}".encode(),
    ),
    Asked(
        "complete by a multipart form",
        posted("complete", content_type="multipart/form-data; boundary=x"),
        Seal(target=NAME, parts=64),
        {"file_unique_name": "f.txt", "total_chunks": "64"},
    ),
    Asked(
        "complete keeps a chunk's name for the engine to answer",
        posted("complete"),
        Seal(target=ClientName(None, "f-64")),
        b'{"file_unique_name":"f-64"}',
    ),
    Asked("HEAD asks how it stands", head("HEAD", "f.txt"), Status(target=NAME)),
    Asked("GET asks for the manifest", head("GET", "f.txt"), Status(target=NAME)),
    Asked("C-04 GET about one chunk", about("7"), Status(target=NAME, number=7)),
    Asked("DELETE cancels", head("DELETE", "f.txt"), Cancel(target=NAME)),
]


@pytest.mark.parametrize("asked", COMMANDS, ids=lambda asked: asked.row)
def test_a_request_is_a_command(asked: Asked) -> None:
    assert CHUNKS.parse(asked.head, asked.body) == asked.command


def test_c06_a_name_is_scoped_to_its_owner() -> None:
    mine = ClientName("me", "f.txt")
    for method, segment in (("PUT", "f.txt-1"), ("GET", "f.txt"), ("DELETE", "f.txt")):
        command = CHUNKS.parse(Head(method=method, segment=segment, owner="me"))
        assert not isinstance(command, Create)
        assert command.target == mine
    headers = {"content-type": "application/json"}
    made = CHUNKS.parse(Head(method="POST", headers=headers, owner="me"), b'{"name":"f.txt"}')
    assert isinstance(made, Create)
    assert (made.spec.name, made.spec.owner) == (mine, "me")
    sealed = CHUNKS.parse(
        Head(method="POST", segment="complete", headers=headers, owner="me"), b'{"file_unique_name":"f.txt"}'
    )
    assert isinstance(sealed, Seal)
    assert sealed.target == mine


class Bad(NamedTuple):
    row: str
    head: Head
    error: type[OnwardError]
    field: str | None = None
    body: bytes | dict[str, str] = b""


NAMED = b'{"name":"f"}'
DEEP = b'{"name":' + b"[" * 200_000
DECLARE: Sequence[tuple[str, bytes, type[OnwardError], str | None]] = [
    ("no JSON", b"name=f", errors.BadBody, None),
    ("nothing", b"", errors.BadBody, None),
    ("no UTF-8", b'{"name":"\xff"}', errors.BadBody, None),
    ("half a surrogate pair", b'{"name":"\\ud800"}', errors.BadBody, None),
    ("no object", b"[]", errors.BadBody, None),
    ("something behind it", b'{"name":"f"} x', errors.BadBody, None),
    ("deep JSON", DEEP, errors.BadField, "name"),
    ("deep JSON in a place for objects", b'{"name":"f","chunks":' + b"[" * 200_000, errors.BadField, "chunks[0]"),
    ("an unknown field", b'{"name":"f","nmae":1}', errors.BadField, "nmae"),
    ("a deep unknown field", b'{"name":"f","x":' + b"[" * 200_000, errors.BadField, "x"),
    ("an unknown field of a chunk", b'{"name":"f","chunks":[{"md5":""}]}', errors.BadField, "chunks[0].md5"),
    ("no name", b'{"size":1}', errors.BadField, "name"),
    ("a name that is a number", b'{"name":1}', errors.BadField, "name"),
    ("a reserved name", b'{"name":"complete"}', errors.BadName, None),
    ("a name out of its folder", b'{"name":".."}', errors.BadName, None),
    ("a long name", b'{"name":"' + b"x" * 300 + b'"}', errors.BadName, None),
    ("a negative size", b'{"name":"f","size":-1}', errors.BadField, "size"),
    ("a size with a point", b'{"name":"f","size":1.0}', errors.BadField, "size"),
    ("a size with an exponent", b'{"name":"f","size":1e3}', errors.BadField, "size"),
    ("a size that is a truth", b'{"name":"f","size":true}', errors.BadField, "size"),
    ("a size in quotes", b'{"name":"f","size":"1"}', errors.BadField, "size"),
    ("a size of 2^63", b'{"name":"f","size":9223372036854775808}', errors.BadField, "size"),
    ("a size of 5000 digits", b'{"name":"f","size":' + b"9" * 5000 + b"}", errors.BadField, "size"),
    ("a chunk size of 0", b'{"name":"f","chunk_size":0}', errors.BadField, "chunk_size"),
    ("a short digest", b'{"name":"f","sha256":"ab"}', errors.BadField, "sha256"),
    ("no digest of a chunk", b'{"name":"f","chunks":[{}]}', errors.BadField, "chunks[0].sha256"),
    (
        "a bad digest of the second chunk",
        msgspec.json.encode({"name": "f", "chunks": [{"sha256": HEX}, {"sha256": "z" * 64}]}),
        errors.BadField,
        "chunks[1].sha256",
    ),
    ("metadata that is no text", b'{"name":"f","metadata":{"k":1}}', errors.BadField, "metadata[...]"),
    *(
        (row, msgspec.json.encode({"name": "f", "metadata": metadata}), errors.BadField, "metadata")
        for row, metadata in (
            ("an empty key of metadata", {"": "v"}),
            ("a long key of metadata", {"\u00fc" * 33: "v"}),
            ("a long value of metadata", {"k": "\u00fc" * 513}),
            ("65 keys of metadata", {f"k{n}": "" for n in range(65)}),
            ("more than 8 KiB of metadata", {f"k{n}": "v" * 1000 for n in range(9)}),
        )
    ),
]
COMPLETE: Sequence[tuple[str, str, bytes | dict[str, str], type[OnwardError], str | None]] = [
    ("a body of another type", "text/plain", b"f.txt", errors.UnsupportedMedia, None),
    ("a body of no type", "", b'{"file_unique_name":"f"}', errors.UnsupportedMedia, None),
    ("a type that is none", "json", b"{}", errors.BadField, "Content-Type"),
    ("no name", "application/json", b"{}", errors.BadField, "file_unique_name"),
    ("no name in a form", bodies.URLENCODED, b"", errors.BadField, "file_unique_name"),
    ("no name in a multipart form", "multipart/form-data; boundary=x", {}, errors.BadField, "file_unique_name"),
    ("an unknown field", "application/json", b'{"file_unique_name":"f","chunks":1}', errors.BadField, "chunks"),
    ("an unknown field of a form", bodies.URLENCODED, b"file_unique_name=f&x=1", errors.BadField, "x"),
    ("a field sent twice", bodies.URLENCODED, b"file_unique_name=f&file_unique_name=g", errors.BadField, None),
    ("a form that is none", bodies.URLENCODED, b"file_unique_name", errors.BadBody, None),
    ("a form that is no UTF-8", bodies.URLENCODED, b"file_unique_name=%ff", errors.BadBody, None),
    ("a form of bytes", bodies.URLENCODED, b"file_unique_name=\xff", errors.BadBody, None),
    ("a form of many fields", bodies.URLENCODED, b"file_unique_name=f" + b"&x=1" * 16, errors.BadBody, None),
    ("a name with NUL in a form", bodies.URLENCODED, b"file_unique_name=a%00b", errors.BadName, None),
    *(
        (f"a total of {text!r}", bodies.URLENCODED, f"file_unique_name=f&total_chunks={text}".encode(), error, name)
        for text in ("", "%2B5", "+5", "1_000", "01", "1.0", "-1", "%EF%BC%91", "9" * 20)
        for error, name in [(errors.BadField, "total_chunks")]
    ),
    ("a size that is a truth", "application/json", b'{"file_unique_name":"f","size":true}', errors.BadField, "size"),
    ("a short digest", "application/json", b'{"file_unique_name":"f","sha256":"ab"}', errors.BadField, "sha256"),
    ("a short digest in a form", bodies.URLENCODED, b"file_unique_name=f&sha256=ab", errors.BadField, "sha256"),
    ("deep JSON", "application/json", b'{"file_unique_name":' + b"{" * 200_000, errors.BadField, "file_unique_name"),
]
REFUSED: Sequence[Bad] = [
    *(
        Bad(f"chunk {segment[:30]!r}", head("POST", segment), errors.BadName)
        for segment in (
            "f",
            "f-0",
            "f-01",
            "f-\uff11",
            "f-",
            "f-x",
            "-1",
            "f-12345678901234567890",
            "..-1",
            "complete-1",
            "a\x00b-1",
            "a/b-1",
            "x" * 300 + "-1",
        )
    ),
    *(
        Bad(f"{method} of {name[:30]!r}", head(method, name), errors.BadName)
        for method in ("GET", "HEAD", "DELETE")
        for name in ("..", "complete", "a\x00b", "a/b", "x" * 300, "")
    ),
    *(
        Bad(f"PUT with an offset of {name[:30]!r}", head("PUT", name, upload_offset="0"), errors.BadName)
        for name in ("..", "complete", "")
    ),
    Bad("POST with an offset", head("POST", "f-1", upload_offset="0"), errors.BadField, "Upload-Offset"),
    *(
        Bad(f"{name}: {text}", head("PUT", "f-1", **{name.lower().replace("-", "_"): text}), errors.BadField, name)
        for name in ("Upload-Offset", "Upload-Length", "Upload-Chunk-Size", "Content-Length")
        for text in ("-1", "1_000", "\u0663", "1, 1", "9223372036854775808")
    ),
    Bad("a chunk size of 0", head("PUT", "f-1", upload_chunk_size="0"), errors.BadField, "Upload-Chunk-Size"),
    Bad("D-01 a malformed digest", head("PUT", "f-1", content_digest="sha-256=abc"), errors.DigestInvalid),
    Bad("D-01 a digest of the wrong size", head("PUT", "f-1", content_digest="md5=:AAAA:"), errors.DigestInvalid),
    Bad("D-05 a malformed whole digest", head("PUT", "f-1", repr_digest="sha-256=::"), errors.DigestInvalid),
    Bad("D-02 no digest that is known", head("PUT", "f-1", content_digest="crc32c=:AAAA:"), errors.DigestUnsupported),
    Bad("an encoded chunk", head("PUT", "f-1", content_encoding="gzip"), errors.UnsupportedEncoding),
    Bad("an encoded declaration", posted(content_encoding="gzip"), errors.UnsupportedEncoding),
    Bad("an encoded completion", posted("complete", content_encoding="gzip"), errors.UnsupportedEncoding),
    Bad("multipart of another kind", head("POST", "f-1", content_type="multipart/mixed"), errors.UnsupportedMedia),
    Bad("a type that is none", head("POST", "f-1", content_type="x"), errors.BadField, "Content-Type"),
    *(Bad(f"?chunk={text}", about(text), errors.BadField, "chunk") for text in ("0", "", "01", "x", "\uff11")),
    *(
        Bad(
            f"Idempotency-Key {key[:5]!r}",
            posted(idempotency_key=key),
            errors.BadField,
            "Idempotency-Key",
            b'{"name":"f"}',
        )
        for key in ("", "x" * 256, "\u00fc", "a\tb")
    ),
    Bad("a declaration in a form", posted(content_type="text/json"), errors.UnsupportedMedia, None, b'{"name":"f"}'),
    Bad("a declaration in fields", posted(), errors.UnsupportedMedia, None, {"name": "f"}),
    Bad("a method without a meaning", head("PATCH", "f.txt"), errors.BadField, "method"),
    *(Bad(f"declare: {row}", posted(), error, name, body) for row, body, error, name in DECLARE),
    *(
        Bad(f"complete: {row}", posted("complete", content_type=kind), error, name, body)
        for row, kind, body, error, name in COMPLETE
    ),
]


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.row)
def test_a_request_outside_its_grammar_is_refused(bad: Bad) -> None:
    with pytest.raises(OnwardError) as refused:
        CHUNKS.parse(bad.head, bad.body)
    assert type(refused.value) is bad.error
    if bad.field is not None:
        assert refused.value.facts["field"] == bad.field
        assert refused.value.facts["allowed"]
    reply = CHUNKS.refuse(refused.value, None, HREFS)
    assert reply.status == bad.error.status_hint
    assert msgspec.json.decode(reply.body)["code"] == bad.error.code
    assert len(reply.body) < 2048


header_names = st.sampled_from(
    [
        "content-type",
        "content-length",
        "content-encoding",
        "content-digest",
        "repr-digest",
        "upload-offset",
        "upload-length",
        "upload-chunk-size",
        "idempotency-key",
    ]
)
types = st.sampled_from(["application/json", bodies.URLENCODED, "multipart/form-data; boundary=x"])


@given(
    method=st.sampled_from(["POST", "PUT", "HEAD", "GET", "DELETE"]),
    segment=st.sampled_from(["", "complete", "f-1", "f"]) | st.text(),
    headers=st.dictionaries(header_names, st.text() | types),
    query=st.dictionaries(st.just("chunk"), st.text()),
    body=st.binary() | st.text().map(str.encode) | st.dictionaries(st.text(), st.text()),
)
def test_no_request_raises_anything_but_our_own(
    method: str, segment: str, headers: dict[str, str], query: dict[str, str], body: bytes | dict[str, str]
) -> None:
    asked = Head(method=method, segment=segment, headers=headers, query=query)
    with contextlib.suppress(OnwardError):
        assert isinstance(CHUNKS.parse(asked, body), Command)
