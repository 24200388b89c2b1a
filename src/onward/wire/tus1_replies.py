"""What tus 1.0.0 answers: how an upload stands in its header fields, and its statuses for refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from onward.core.outcome import Outcome
from onward.core.types import Append, Command, State, Store
from onward.core.upload import Upload
from onward.errors import (
    AlreadyComplete,
    DigestMismatch,
    Incomplete,
    LengthConflict,
    Locked,
    NotReady,
    OnwardError,
    UploadFailed,
    UploadOver,
    VersionUnsupported,
)
from onward.wire import checksum, fields, metadata, views
from onward.wire.message import Head, Reply
from onward.wire.problem import problem

VERSION: Final = "1.0.0"
STAMP: Final[Mapping[str, str]] = {"Tus-Resumable": VERSION}
"""What every answer to a tus request carries, whoever gives it."""

_NO_UPLOAD: Final = frozenset({403, 404, 410})


def offset(command: Command, outcome: Outcome) -> dict[str, str]:
    """``Upload-Offset``: after a body, what came with it counts and nothing else.

    An upload that is made of others has none before its bytes are all known.
    """
    upload = outcome.upload
    at = views.offset_of(upload)
    if isinstance(command, Store) and isinstance(command.at, Append):
        # Bytes beyond may have come by another way; the client counts its own.
        at = command.at.offset + outcome.size
    elif upload.spec.sources:
        if upload.state is State.OPEN or upload.length is None:
            return {}
        at = upload.length
    return {"Upload-Offset": str(at)}


def described(upload: Upload) -> dict[str, str]:
    """What the client said of the upload, as it said it."""
    headers = {}
    if upload.length is not None:
        headers["Upload-Length"] = str(upload.length)
    elif not upload.spec.sources:
        headers["Upload-Defer-Length"] = "1"
    raw = upload.spec.raw
    if pairs := raw.get(metadata.FIELD) or metadata.encode(upload.spec.metadata):
        headers[metadata.FIELD] = pairs
    if "Upload-Concat" in raw:
        headers["Upload-Concat"] = raw["Upload-Concat"]
    return headers


def deadline(upload: Upload, expires_at: float | None) -> dict[str, str]:
    """``Upload-Expires`` of an upload that lacks bytes, if it expires."""
    unfinished = upload.state is State.OPEN and views.offset_of(upload) != upload.length
    return {"Upload-Expires": fields.http_date(expires_at)} if unfinished and expires_at is not None else {}


def over(upload: Upload) -> UploadFailed | UploadOver:
    """Why nothing can follow on this upload, which has failed or is gone."""
    if upload.state is State.FAILED:
        return UploadFailed(f"the upload failed: {upload.reason}", reason=upload.reason)
    return UploadOver(f"the upload is {upload.reason}", reason=upload.reason)


def refusal(
    error: OnwardError, head: Head | None, upload: Upload | None = None, expires_at: float | None = None
) -> Reply:
    """The error as a problem with the status and the fields that tus has for it."""
    status = _status(error, head)
    told = problem(error, head, status=status)
    headers = {**told.headers, **STAMP}
    if error.facts.get("field") == checksum.FIELD:
        headers.pop(f"Want-{checksum.FIELD}", None)  # tus has a field of its own for this
        headers["Tus-Checksum-Algorithm"] = ",".join(checksum.ALGORITHMS)
    match error:
        case VersionUnsupported():
            headers["Tus-Version"] = VERSION
        case Locked():
            headers.setdefault("Retry-After", "1")
        case UploadFailed() | UploadOver():
            headers["Upload-State"] = _state(error)
        case _:
            pass
    if status in _NO_UPLOAD:
        headers.pop("Upload-Offset", None)
    elif upload is not None:
        headers |= deadline(upload, expires_at)
    return msgspec.structs.replace(told, headers=headers)


def _state(error: UploadFailed | UploadOver) -> str:
    reason = str(error.facts.get("reason", ""))
    if isinstance(error, UploadFailed):
        return fields.word_with_reason(State.FAILED.value, reason)
    return reason or State.GONE.value


def _status(error: OnwardError, head: Head | None) -> int:
    method = "" if head is None else head.method
    match error:
        case DigestMismatch():
            return 460
        case UploadFailed() | UploadOver():
            return 410
        case LengthConflict():
            return 413 if "limit" in error.facts else 400
        case AlreadyComplete() if method == "PATCH":
            return 413
        case Incomplete() | NotReady() if method == "POST":
            return 400
        case _:
            return error.status_hint
