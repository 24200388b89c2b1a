"""What the tables of the draft are written in: uploads folded from events, requests, replies."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec

from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Create,
    Created,
    Declaration,
    Digest,
    Event,
    Failed,
    Layout,
    Limits,
    Published,
    Record,
    Removed,
    Sealed,
    Spec,
    Status,
    Store,
    Stored,
    UploadId,
)
from onward.core.upload import Upload
from onward.wire.draft import EXPOSED, POLICY, Draft
from onward.wire.draft_versions import VERSIONS
from onward.wire.message import Head, Hrefs, Reply

ID = UploadId("0123456789abcdef0123456789abcdef")
HREFS = Hrefs(base="https://example.org")
FILE_URL = f"https://example.org/files/{ID}"
STATUS_URL = f"https://example.org/uploads/{ID}"
CLOCK = 1000.0
DRAFT = Draft(Limits(max_size=1 << 40), expire_after=600.0, now=lambda: CLOCK)
PARTIAL = "application/partial-upload"
IANA = "https://iana.org/assignments/http-problem-types#"
ALL = (*sorted(VERSIONS), None)
"""Every version, and none."""


def sha256(data: bytes) -> Digest:
    return Digest("sha-256", hashlib.sha256(data).digest())


def digest_field(data: bytes = b"abc") -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


def ends(version: int | None, yes: bool | None) -> dict[str, str]:
    """Headers that say, in the words of a version, whether the upload ends."""
    if yes is None:
        return {}
    return {"upload-incomplete": f"?{int(not yes)}"} if version == 3 else {"upload-complete": f"?{int(yes)}"}


def asked(
    method: str, segment: str = "", version: int | None = 10, *, complete: bool | None = None, **headers: str
) -> Head:
    """A request of that interop version (``None``: it names none), ``_`` in names of headers for ``-``."""
    named = {} if version is None else {"upload-draft-interop-version": str(version)}
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return Head(method=method, segment=segment, headers=named | ends(version, complete) | more)


def creation(version: int | None = 10, *, complete: bool | None = False, method: str = "POST", **headers: str) -> Head:
    return asked(method, "", version, complete=complete, **headers)


def append(version: int | None = 10, *, complete: bool | None = False, **headers: str) -> Head:
    """A well-formed append at 3; a header that is given as empty is left out."""
    headers = {"upload_offset": "3", "content_type": PARTIAL} | headers
    return asked("PATCH", ID, version, complete=complete, **{name: value for name, value in headers.items() if value})


def upload(*events: Event, raw: dict[str, str] | None = None, **declared: Any) -> Upload:
    """An upload begun at 100, after those events, one a second."""
    spec = Spec(declared=Declaration(layout=Layout.FLAT, **declared), metadata={"filename": "f.txt"}, raw=raw or {})
    made = Created(id=ID, spec=spec, policy=POLICY)
    return Upload.fold(ID, [Record(n, 600.0 + n, event) for n, event in enumerate((made, *events))])


def part(key: int, data: bytes) -> Stored:
    return Stored(key=key, size=len(data), digest=sha256(data))


OPEN = upload(part(0, b"abc"))
SEAL = Sealed(length=6, parts=2)
SEALED = upload(part(0, b"abc"), part(3, b"def"), SEAL)
DONE = upload(part(0, b"abc"), part(3, b"def"), SEAL, Published(ref="f.txt", size=6, digest=sha256(b"abcdef")))
FAILED = upload(part(0, b"abc"), Failed(code="damaged"))
EXPIRED = upload(part(0, b"abc"), Removed(reason="expired"))
CANCELLED = upload(Removed(reason="cancelled"))

CREATE = Create(spec=Spec(), policy=POLICY)
STORE = Store(target=ID, at=Append(3))
STATUS = Status(target=ID, takes_over=True)


def reply(command: Any, found: Upload, head: Head, **more: Any) -> Reply:
    """The reply; of its headers a browser's script may read all that are not readable anyway."""
    told = DRAFT.reply(command, Outcome(upload=found), HREFS, head, **more)
    assert set(told.headers) - {"Cache-Control"} <= set(EXPOSED)
    return told


def shown(told: Reply) -> dict[str, Any]:
    decoded = msgspec.json.decode(told.body)
    assert isinstance(decoded, dict)
    return decoded


def complete_field(version: int | None, *, yes: bool) -> tuple[str, str]:
    """Name and value of the header that says whether an upload is complete."""
    return ("Upload-Incomplete", f"?{int(not yes)}") if version == 3 else ("Upload-Complete", f"?{int(yes)}")
