"""What the tables of the chunk dialect are written in: uploads folded from events, requests, rows."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, NamedTuple

import msgspec

from onward.core.outcome import Outcome
from onward.core.types import (
    ClientName,
    Command,
    Create,
    Created,
    Declaration,
    Digest,
    Event,
    Layout,
    Limits,
    Number,
    Policy,
    Published,
    Record,
    Sealed,
    Spec,
    Store,
    Stored,
    UploadId,
)
from onward.core.upload import Upload
from onward.ports import WorkDone
from onward.wire.chunks import EXPOSED, Chunks
from onward.wire.message import Head, Hrefs

ID = UploadId("0123456789abcdef0123456789abcdef")
NAME = ClientName(None, "f.txt")
CHUNKS = Chunks(Limits(max_size=1 << 40, max_chunk=64 << 20, max_chunks=10_000))
HREFS = Hrefs(base="https://example.org")
UPLOAD_URL = "https://example.org/upload/f.txt"
NOT_CACHED = {"Cache-Control": "no-store"}
STATUS_URL = f"https://example.org/uploads/{ID}"
HEX = hashlib.sha256(b"abc").hexdigest()


def sha256(data: bytes) -> Digest:
    return Digest("sha-256", hashlib.sha256(data).digest())


def field(algorithm: str, data: bytes = b"abc") -> str:
    name = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5", "sha": "sha1"}[algorithm]
    return f"{algorithm}=:{base64.b64encode(hashlib.new(name, data).digest()).decode()}:"


def head(method: str, segment: str = "", /, **headers: str) -> Head:
    """A request with these headers, ``_`` in their names for ``-``."""
    return Head(
        method=method, segment=segment, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )


def about(number: str, method: str = "GET") -> Head:
    """A question about one chunk of ``f.txt``."""
    return Head(method=method, segment="f.txt", query={"chunk": number})


def posted(segment: str = "", /, *, content_type: str = "application/json", **headers: str) -> Head:
    return head("POST", segment, content_type=content_type, **headers)


def store(number: int = 1, **more: Any) -> Store:
    return Store(target=NAME, at=Number(number), **more)


def create(metadata: dict[str, str] | None = None, **declared: Any) -> Create:
    return Create(spec=Spec(name=NAME, declared=Declaration(**declared), metadata=metadata or {}))


def upload(*events: Event, **declared: Any) -> Upload:
    """An upload of ``f.txt`` with that declaration, after those events."""
    spec = Spec(name=NAME, declared=Declaration(**declared))
    made = Created(id=ID, spec=spec, policy=Policy())
    return Upload.fold(ID, [Record(n, 100.0 + n, event) for n, event in enumerate((made, *events))])


def part(key: int, data: bytes) -> Stored:
    return Stored(key=key, size=len(data), digest=sha256(data))


def numbered(*events: Event, **declared: Any) -> Upload:
    return upload(*events, layout=Layout.NUMBERED, **declared)


def flat(*events: Event, **declared: Any) -> Upload:
    return upload(*events, layout=Layout.FLAT, **declared)


def after(events: int) -> float:
    """The time of the last of that many events after the first."""
    return 100.0 + events


WHOLE = sha256(b"abcdef")
SEAL = Sealed(length=6, parts=2, digest=WHOLE)
BOTH = (part(1, b"abc"), part(2, b"def"))
DONE = numbered(*BOTH, SEAL, Published(ref="f.txt", size=6, digest=WHOLE))
RESULT = {
    "ref": "f.txt",
    "size": 6,
    "sha256": WHOLE.value.hex(),
    "content": f"https://example.org/files/{ID}/content",
}


class Told(NamedTuple):
    row: str
    command: Command
    outcome: Outcome
    status: int
    headers: dict[str, str]
    shown: dict[str, Any] | None
    method: str = "PUT"
    work: WorkDone | None = None
    expires_at: float | None = None


def stored(at: Upload, number: int, *, fresh: bool = True, size: int = 3, created: bool = False) -> Outcome:
    return Outcome(upload=at, part=at.chunk(number), size=size, fresh=fresh, created=created)


def answer(**more: Any) -> dict[str, Any]:
    return {"id": ID, "name": "f.txt", "state": "receiving", "status": STATUS_URL, "length": None} | more


def check(told: Told) -> None:
    """The reply of this row is the one that is given."""
    asked = Head(method=told.method, segment="f.txt")
    reply = CHUNKS.reply(told.command, told.outcome, HREFS, asked, work=told.work, expires_at=told.expires_at)
    assert reply.status == told.status
    assert reply.headers == told.headers
    # Of the headers that replies carry, a browser's script reads this one without leave.
    assert set(reply.headers) - {"Cache-Control"} <= set(EXPOSED)
    if told.shown is None:
        assert (reply.body, reply.media_type) == (b"", "")
    else:
        assert msgspec.json.decode(reply.body) == told.shown
        assert reply.media_type == "application/json"
