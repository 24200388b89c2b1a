"""Refusals in the draft's words: its problem types, those of RFC 9530's digests, and what goes on after each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from onward.core.types import Digest
from onward.errors import (
    AlreadyComplete,
    AppendTooSmall,
    DigestInvalid,
    DigestMismatch,
    DigestUnsupported,
    Incomplete,
    LengthConflict,
    Locked,
    OffsetMismatch,
    OnwardError,
    Refused,
    Unauthorized,
    UnsupportedEncoding,
    UnsupportedMedia,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
)
from onward.wire import fields, structured
from onward.wire.draft_versions import PARTIAL, Version
from onward.wire.message import Head, Reply
from onward.wire.problem import problem

TYPES: Final = "https://iana.org/assignments/http-problem-types#"
"""What the ``type`` of a registered problem begins with."""

Members = dict[str, Any]

_CARRYING: Final = frozenset({"POST", "PUT", "PATCH"})
_ASKING: Final = frozenset({"HEAD", "GET"})
# No resending helps against these; what was refused at its creation is not there to be resumed.
_FINAL: Final = (Unauthorized, Refused, UnsupportedMedia, UnsupportedEncoding, UploadTooLarge)


def breaks_limit(error: OnwardError) -> bool:
    """True if the request was refused over a limit that ``Upload-Limit`` tells."""
    return error.status_hint == 413 or isinstance(error, AppendTooSmall)


def refusal(error: OnwardError, head: Head | None, version: Version) -> Reply:
    """The refusal that ``error`` stands for, with the version's headers but for ``Upload-Limit``."""
    plain = problem(error, head)
    status = _status(error, head, version, plain.status)
    headers = {**plain.headers, **version.echo(), **_state(error)}
    complete = _complete(error, head)
    if complete is not None:
        headers |= version.complete(complete=complete)
    if isinstance(error, UnsupportedMedia) and head is not None and head.method == "PATCH" and head.segment:
        headers["Accept-Patch"] = PARTIAL
    body = plain.body
    if body:
        members: Members = msgspec.json.decode(body)
        members |= {"status": status, **_members(error, head, version)}
        if isinstance(error, DigestMismatch):
            # What the server computed would help whoever guesses at bytes that are not theirs.
            members = {name: value for name, value in members.items() if name not in {"computed", "expected"}}
        body = msgspec.json.encode(members)
    return Reply(status=status, headers=headers, body=body, media_type=plain.media_type)


def is_of_the_whole(error: OnwardError) -> bool:
    """True for a digest of the whole representation that did not match: nothing sent again can mend it."""
    return isinstance(error, DigestMismatch) and error.facts.get("field") == "Repr-Digest"


def _status(error: OnwardError, head: Head | None, version: Version, plain: int) -> int:
    match error:
        case LengthConflict() | Incomplete() | AlreadyComplete() | DigestMismatch():
            return 400
        case UploadFailed() | UploadOver():
            return 410
        case Locked() if head is None or head.method not in _ASKING:
            return version.busy  # to a mere question it is never a fault of the server
        case _:
            return plain


def _state(error: OnwardError) -> dict[str, str]:
    reason = str(error.facts.get("reason", ""))
    match error:
        case UploadFailed():
            return {"Upload-State": fields.word_with_reason("failed", reason)}
        case UploadOver():
            return {"Upload-State": reason}
        case _:
            return {}


def _complete(error: OnwardError, head: Head | None) -> bool | None:
    """What the refusal says of completeness: true where resuming cannot help; ``None``: nothing is said."""
    if isinstance(error, UploadFailed) or is_of_the_whole(error):
        return True
    if head is None or head.method not in _CARRYING:
        return None
    return not head.segment and isinstance(error, _FINAL)


def _members(error: OnwardError, head: Head | None, version: Version) -> Members:
    match error:
        case OffsetMismatch():
            return {
                "type": f"{TYPES}mismatching-upload-offset",
                "expected-offset": error.facts.get("expected"),
                "provided-offset": error.facts.get("provided"),
            }
        case LengthConflict() | Incomplete():
            return {"type": f"{TYPES}inconsistent-upload-length"}
        case AlreadyComplete() if version.completed_type:
            return {"type": f"{TYPES}completed-upload"}
        case DigestMismatch():
            return {"type": f"{TYPES}digest-mismatched-values", "mismatched_digests": [_mismatched(error)]}
        case DigestUnsupported():
            field, sent = _sent(error, head)
            return {
                "type": f"{TYPES}digest-unsupported-algorithms",
                "unsupported_algorithms": [{"algorithm": name, "header": field} for name in sent],
            }
        case DigestInvalid():
            field, sent = _sent(error, head)
            invalid = list(_invalid(field, sent)) or [{"header": field, "reason": error.facts.get("reason")}]
            return {"type": f"{TYPES}digest-invalid-values", "invalid_digests": invalid}
        case _:
            return {}


def _mismatched(error: DigestMismatch) -> Members:
    algorithm, expected = str(error.facts.get("algorithm", "")), str(error.facts.get("expected", ""))
    return {
        "algorithm": algorithm,
        "provided_digest": fields.digest_field([Digest(algorithm, bytes.fromhex(expected))]).partition("=")[2],
        "header": error.facts.get("field", "Content-Digest"),
    }


def _sent(error: OnwardError, head: Head | None) -> tuple[str, Mapping[str, str]]:
    field = str(error.facts.get("field", ""))
    return field, {} if head is None else structured.members(head.headers.get(field.lower()))


def _invalid(field: str, sent: Mapping[str, str]) -> Iterator[Members]:
    """Every digest of a field that cannot be used, one by one."""
    for name, value in sent.items():
        try:
            fields.digests(field, f"{name}={value}")
        except DigestInvalid as error:
            yield {"algorithm": name, "header": field, "reason": error.facts["reason"]}
        except DigestUnsupported:
            continue  # passed over where a known one stands beside it
