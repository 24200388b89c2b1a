"""What bad input is answered with: one table for the test and for the page of the reference."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from onward.config import Settings

NAME: Final = "f.bin"
CHUNKS: Final = (b"aaaa", b"bbbb", b"cc")
WHOLE: Final = b"".join(CHUNKS)
SIZED: Final = {"Upload-Chunk-Size": "4"}
SETTINGS: Final = Settings(max_chunk=64, max_size=1 << 20, max_chunks=20)

_BOUNDARY: Final = "b0undary"
FORM: Final = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
_JSON: Final = {"Content-Type": "application/json"}


class Request(NamedTuple):
    """One request. ``gone``: the client leaves before the body is whole."""

    method: str
    path: str
    body: bytes | Sequence[bytes] = b""
    headers: Mapping[str, str] = {}
    gone: bool = False


class Row(NamedTuple):
    """A request, what comes before it, and the refusal. ``status`` 0: nobody is there to be answered."""

    case: str
    request: Request
    status: int
    code: str
    before: Sequence[Request] = ()


def chunk(number: int | str, data: bytes, headers: Mapping[str, str] | None = None) -> Request:
    """A chunk of the file that all rows are about."""
    return Request("POST", f"/upload/{NAME}-{number}", data, {**SIZED, **(headers or {})})


def complete(headers: Mapping[str, str] | None = None, **said: Any) -> Request:
    """A completion in JSON."""
    body = msgspec.json.encode({"file_unique_name": NAME, **said})
    return Request("POST", "/upload/complete", body, headers or _JSON)


def digest(data: bytes) -> str:
    """``Content-Digest`` of some bytes."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def field(name: str, data: bytes, extra: bytes = b"") -> bytes:
    """One field of a form."""
    head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n'.encode()
    return head + extra + b"\r\n" + data + b"\r\n"


END: Final = f"--{_BOUNDARY}--\r\n".encode()


def _form(body: bytes) -> Request:
    return chunk(3, body, FORM)


def _raw(path: str) -> Request:
    return Request("POST", path, b"cc", SIZED)


LAST: Final = chunk(3, CHUNKS[2])
FOURTH: Final = (chunk(4, b"dd"),)
DONE: Final = (LAST, complete(total_chunks=3, size=10))

_NAMES: Final = (
    Row("chunk number 0", _raw(f"/upload/{NAME}-0"), 400, "bad-name"),
    Row("no name before the number: `-1`", _raw("/upload/-1"), 400, "bad-name"),
    Row("leading zero: `01`", _raw(f"/upload/{NAME}-01"), 400, "bad-name"),
    Row("digits other than 0-9", _raw(f"/upload/{NAME}-%EF%BC%91"), 400, "bad-name"),
    Row("a sign before the number", _raw(f"/upload/{NAME}-%2B1"), 400, "bad-name"),
    Row("no chunk number", _raw(f"/upload/{NAME}"), 400, "bad-name"),
    Row("a chunk number of 20 digits", _raw(f"/upload/{NAME}-12345678901234567890"), 400, "bad-name"),
    Row("the name `..`", _raw("/upload/..-1"), 400, "bad-name"),
    Row("the name `..`, percent-encoded", _raw("/upload/%2e%2e-1"), 400, "bad-name"),
    Row("a name with a slash", _raw("/upload/a/b-1"), 400, "bad-name"),
    Row("a name with a slash, percent-encoded", _raw("/upload/a%2Fb-1"), 400, "bad-name"),
    Row("a name with an empty segment before it", _raw(f"/upload//{NAME}-3"), 400, "bad-name"),
    Row("the prefix written with an encoded slash", _raw("/upload%2Fa/b-1"), 400, "bad-name"),
    Row("a name with a NUL", _raw("/upload/a%00-1"), 400, "bad-name"),
    Row("a name that is not UTF-8", _raw("/upload/%ff-1"), 400, "bad-name"),
    Row("a name that is encoded twice is not decoded twice", Request("GET", "/upload/%252e%252e"), 404, "not-found"),
    Row("a name of 300 bytes", _raw(f"/upload/{'n' * 300}-1"), 400, "bad-name"),
    Row("the reserved name `complete`", _raw("/upload/complete-1"), 400, "bad-name"),
)

_BODIES: Final = (
    Row("an empty chunk", chunk(3, b""), 400, "empty-chunk"),
    Row("a chunk larger than the chunk size", chunk(3, b"ccccc"), 413, "chunk-too-large"),
    Row("a chunk larger than the server takes", chunk(3, b"c" * 65), 413, "chunk-too-large"),
    Row("more chunks than the server takes", chunk(21, b"cc"), 413, "too-many-chunks"),
    Row("other bytes for a stored chunk", chunk(2, b"xxxx"), 409, "part-conflict"),
    Row("another chunk size", chunk(3, b"cc", {"Upload-Chunk-Size": "5"}), 409, "layout-conflict"),
    Row("a chunk size that is no number", chunk(3, b"cc", {"Upload-Chunk-Size": "4x"}), 400, "bad-field"),
    Row("bytes with another digest", chunk(3, b"cc", {"Content-Digest": digest(b"xx")}), 422, "digest-mismatch"),
    Row("an unknown digest algorithm", chunk(3, b"cc", {"Content-Digest": "crc=:AAAA:"}), 400, "digest-unsupported"),
    Row("a digest that cannot be read", chunk(3, b"cc", {"Content-Digest": "sha-256=zz"}), 400, "digest-invalid"),
    Row("a digest of the wrong size", chunk(3, b"cc", {"Content-Digest": "sha-256=:AAAA:"}), 400, "digest-invalid"),
    Row("a body shorter than `Content-Length`", chunk(3, b"c", {"Content-Length": "2"}), 400, "body-incomplete"),
    Row("a client that leaves in the middle", chunk(3, b"c")._replace(gone=True), 0, "body-incomplete"),
    Row("`Content-Encoding: gzip`", chunk(3, b"cc", {"Content-Encoding": "gzip"}), 415, "unsupported-content-encoding"),
    Row("`Upload-Offset` with `POST`", chunk(3, b"cc", {"Upload-Offset": "8"}), 400, "bad-field"),
    Row("a chunk beyond the end, after completion", chunk(4, b"cc"), 409, "length-conflict", DONE),
    Row("other bytes after completion", chunk(1, b"xxxx"), 409, "part-conflict", DONE),
)

_FORMS: Final = (
    Row("a form without `data`", _form(field("x", b"cc") + END), 400, "bad-body"),
    Row("a form with two `data`", _form(field("data", b"cc") + field("data", b"cc") + END), 400, "bad-body"),
    Row(
        "a form of 10 000 fields",
        _form(b"".join(field(f"x{n}", b"") for n in range(10_000)) + field("data", b"cc") + END),
        400,
        "bad-body",
    ),
    Row("an endless header", _form(field("data", b"cc", b"X-A: " + b"a" * 200_000 + b"\r\n") + END), 400, "bad-body"),
    Row("endless headers", _form(field("data", b"cc", b"X-A: a\r\n" * 10_000) + END), 400, "bad-body"),
    Row(
        "another field of more than 64 KiB",
        _form(field("x", b"x" * 65_537) + field("data", b"cc") + END),
        400,
        "bad-body",
    ),
    Row("bytes before the first boundary", _form(b"x" * 100 + field("data", b"cc") + END), 400, "bad-body"),
    Row("bytes after the last boundary", _form(field("data", b"cc") + END + b"more"), 400, "bad-body"),
    Row("a form without its last boundary", _form(field("data", b"cc")), 400, "bad-body"),
    Row(
        "a field with a transfer encoding",
        _form(field("data", b"Y2M=", b"Content-Transfer-Encoding: base64\r\n") + END),
        400,
        "bad-body",
    ),
    Row("a form without a boundary", chunk(3, b"cc", {"Content-Type": "multipart/form-data"}), 400, "bad-field"),
    Row(
        "multipart other than form-data",
        chunk(3, b"", {"Content-Type": "multipart/mixed"}),
        415,
        "unsupported-media-type",
    ),
    Row(
        "a form that the client leaves in the middle of",
        _form(field("data", b"cc"))._replace(gone=True),
        0,
        "body-incomplete",
    ),
)

_WORDS: Final = (
    Row("completion with a hole", complete(total_chunks=4), 409, "incomplete", FOURTH),
    Row("completion without the end", complete(total_chunks=3), 409, "incomplete"),
    Row("completion of an unknown name", complete(file_unique_name="other"), 404, "not-found"),
    Row("completion of a chunk's name", complete(file_unique_name=f"{NAME}-1"), 404, "not-found"),
    Row("a total that contradicts", complete(total_chunks=2), 409, "length-conflict", (LAST,)),
    Row("a size that contradicts", complete(size=9), 409, "length-conflict", (LAST,)),
    Row("an unknown JSON field", complete(chunks=3), 400, "bad-field"),
    Row("a field of the wrong type", complete(total_chunks="3"), 400, "bad-field"),
    Row("deeply nested JSON", Request("POST", "/upload/complete", b"[" * 100_000, _JSON), 400, "bad-body"),
    Row("JSON cut short", Request("POST", "/upload/complete", b'{"file_unique_name": "f', _JSON), 400, "bad-body"),
    Row(
        "JSON of more than 2 MiB",
        Request("POST", "/upload/complete", b" " * (2 << 20) + b"{}", _JSON),
        413,
        "body-too-large",
    ),
    Row(
        "JSON of more than 2 MiB, of unknown length",
        Request("POST", "/upload/complete", [b" " * (1 << 20)] * 3, {**_JSON, "Transfer-Encoding": "chunked"}),
        413,
        "body-too-large",
    ),
    Row("a completion of another type", complete({"Content-Type": "text/plain"}), 415, "unsupported-media-type"),
    Row("an encoded completion", complete({**_JSON, "Content-Encoding": "gzip"}), 415, "unsupported-content-encoding"),
    Row(
        "a form field twice", Request("POST", "/upload/complete", field("size", b"1") * 2 + END, FORM), 400, "bad-body"
    ),
    Row("another method on `complete`", Request("GET", "/upload/complete"), 405, "method-not-allowed"),
    Row("another method on a chunk", Request("PATCH", f"/upload/{NAME}-3", b"cc"), 405, "method-not-allowed"),
    Row("a `chunk` query that is no number", Request("GET", f"/upload/{NAME}?chunk=x"), 400, "bad-field"),
    Row("a query that is not UTF-8", Request("GET", f"/upload/{NAME}?chunk=%ff"), 400, "bad-field"),
)

ROWS: Final = (*_NAMES, *_BODIES, *_FORMS, *_WORDS)

PAGE: Final = """\
# Bad input

What is sent wrongly is refused and changes nothing: what was stored before stays stored, and the upload can go on.
The answer is `application/problem+json`; the [codes](errors.md) are stable. Every row is a test.

| sent | status | code |
|---|---|---|
{rows}

*Where the client has left, nobody reads the answer; the chunk was not stored.*
"""


def page() -> str:
    """``docs/reference/bad-input.md``."""
    lines = [f"| {row.case} | {row.status or 'none'} | `{row.code}` |" for row in ROWS]
    return PAGE.format(rows="\n".join(lines))
