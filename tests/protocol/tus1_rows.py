"""What the tables of tus 1.0.0 are written in: requests, uploads folded from events."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from onward.core.types import Created, Digest, Event, Limits, Record, Spec, UploadId
from onward.core.upload import Upload
from onward.wire.message import Head, Hrefs
from onward.wire.tus1 import OFFSET_TYPE, WHOLE, Tus1

ID = UploadId("0123456789abcdef0123456789abcdef")
OTHER = UploadId("fedcba9876543210fedcba9876543210")
MAX_SIZE = 1000
LIMITS = Limits(max_size=MAX_SIZE)
TUS = Tus1(LIMITS)
HREFS = Hrefs(base="https://example.org")
FILE_URL = f"https://example.org/files/{ID}"


def head(method: str, segment: str = "", /, *, base: str | None = None, **headers: str | None) -> Head:
    """A request with these headers, ``_`` in their names for ``-``; ``None`` leaves one out."""
    sent = {"tus_resumable": "1.0.0", **headers}
    return Head(
        method=method,
        segment=segment,
        headers={name.replace("_", "-"): value for name, value in sent.items() if value is not None},
        owner="ada",
        base="https://example.org" if base is None else base,
    )


def post(**headers: str | None) -> Head:
    """A creation of 10 bytes."""
    return head("POST", **{"upload_length": "10", **headers})


def patch(**headers: str | None) -> Head:
    """Three bytes at the start."""
    sent = {"content_type": OFFSET_TYPE, "upload_offset": "0", "content_length": "3"}
    return head("PATCH", ID, **{**sent, **headers})


def digest(algorithm: str, data: bytes = b"abc") -> Digest:
    name = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5", "sha": "sha1"}[algorithm]
    return Digest(algorithm, hashlib.new(name, data).digest())


def b64(digest: Digest) -> str:
    return base64.b64encode(digest.value).decode()


def upload(*events: Event, policy: Any = WHOLE, **spec: Any) -> Upload:
    """An upload created with that, after those events."""
    made = Created(id=ID, spec=Spec(owner="ada", **spec), policy=policy)
    return Upload.fold(ID, [Record(n, 100.0 + n, event) for n, event in enumerate((made, *events), 1)])
