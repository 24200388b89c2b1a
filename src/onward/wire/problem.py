"""Refusals as RFC 9457 problem details; every dialect that has no words of its own, and the web layer, use them."""

from __future__ import annotations

from typing import Final

import msgspec

from onward.core.digest import ALGORITHMS
from onward.errors import (
    DigestUnsupported,
    Fact,
    MethodNotAllowed,
    OffsetMismatch,
    OnwardError,
    PartConflict,
    RangeUnsatisfiable,
    ServerFault,
    Signal,
    Unauthorized,
    UnsupportedEncoding,
)
from onward.wire.message import Head, Reply

TYPE_PREFIX: Final = "urn:onward:problem:"
"""What the ``type`` of a problem begins with; its ``code`` follows."""

MEDIA_TYPE: Final = "application/problem+json"

_WANTED: Final = ", ".join(f"{name}={weight}" for name, weight in zip(ALGORITHMS, (10, 9), strict=False))


def problem(error: OnwardError, head: Head | None = None, *, status: int | None = None) -> Reply:
    """The refusal that an error stands for: its status, its sentence, its code and its facts as members.

    ``status`` is that of a dialect that prescribes another. Never cached; without a body for
    HEAD. What one part of Onward tells another is never shown: a ``Signal`` that comes this far
    is a fault of the server.
    """
    if isinstance(error, Signal):
        error = ServerFault()
    if status is None:
        status = error.status_hint
    members: dict[str, Fact] = {
        **error.facts,
        "type": TYPE_PREFIX + error.code,
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "code": error.code,
    }
    headers = {"Cache-Control": "no-store", **_headers(error)}
    if head is not None and head.method == "HEAD":
        return Reply(status=status, headers=headers)
    body = msgspec.json.encode({name: _writable(fact) for name, fact in members.items()})
    return Reply(status=status, headers=headers, body=body, media_type=MEDIA_TYPE)


def _headers(error: OnwardError) -> dict[str, str]:
    facts = error.facts
    headers: dict[str, str] = {}
    if "retry_after" in facts:
        headers["Retry-After"] = str(facts["retry_after"])
    offset = facts.get("expected" if isinstance(error, OffsetMismatch) else "offset")
    # A conflict over one place has an `offset` too, but that is the place, not where the upload stands.
    if isinstance(offset, int) and not isinstance(error, PartConflict):
        headers["Upload-Offset"] = str(offset)
    match error:
        case Unauthorized():
            headers["WWW-Authenticate"] = "Bearer"
        case MethodNotAllowed(facts={"allowed": list(allowed)}):
            headers["Allow"] = ", ".join(map(str, allowed))
        case RangeUnsatisfiable() if "size" in facts:
            headers["Content-Range"] = f"bytes */{facts['size']}"
        case UnsupportedEncoding():
            headers["Accept-Encoding"] = "identity"
        case DigestUnsupported() if "field" in facts:
            headers[f"Want-{facts['field']}"] = _WANTED
        case _:
            pass
    return headers


def _writable(fact: Fact) -> Fact:
    """Text as it can stand in UTF-8: half a surrogate pair out of somebody's name must not break the answer."""
    if isinstance(fact, str):
        return fact.encode("utf-8", "replace").decode("utf-8")
    if isinstance(fact, list) and fact and isinstance(fact[0], str):
        return [str(piece).encode("utf-8", "replace").decode("utf-8") for piece in fact]
    return fact
