"""How an upload of the draft ends: what is said with the last byte, and of one that has come to nothing."""

from __future__ import annotations

from typing import Final

import msgspec

from onward.core.digest import SHA256, sha256
from onward.core.types import Command, Create, Digest, State, Store, UploadId
from onward.core.upload import Upload
from onward.errors import DigestMismatch, OnwardError, UploadFailed, UploadOver
from onward.wire import fields, structured, views
from onward.wire.draft_versions import Version
from onward.wire.message import Head, Hrefs, Reply, Work

WANT: Final = "Want-Repr-Digest"
MISMATCH: Final = "digest-mismatch"
"""Why an upload failed whose whole has another digest than was announced."""


class FinalView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the last byte: it is stored; verifying and publishing are followed under ``status``."""

    id: UploadId
    name: str | None
    state: str
    length: int | None
    status: str
    events: str
    result: views.ResultView | None


def end_of(upload: Upload, command: Command) -> OnwardError:
    """Why there is nothing to go on with."""
    if upload.state is State.GONE:
        return UploadOver(f"the upload is {upload.word}", reason=upload.reason)
    digest = upload.declared.digest
    if upload.reason == MISMATCH and digest is not None and isinstance(command, Create | Store):
        return other_whole(digest)
    return UploadFailed(f"the upload has failed: {upload.reason}", reason=upload.reason)


def other_whole(digest: Digest) -> DigestMismatch:
    """The refusal of bytes that made the whole another one than ``digest`` announced."""
    return DigestMismatch(
        f"the whole has another {digest.algorithm} than was announced; the upload has failed",
        field="Repr-Digest",
        algorithm=digest.algorithm,
        expected=digest.value.hex(),
    )


def final(
    version: Version, upload: Upload, hrefs: Hrefs, head: Head | None, headers: dict[str, str], work: Work | None
) -> Reply:
    """The answer to the request that ended the upload, or that asks for it again."""
    status = hrefs.status_of(upload.id)
    shown = FinalView(
        id=upload.id,
        name=views.name_of(upload),
        state=views.word(upload, work),
        length=upload.length,
        status=status,
        events=hrefs.events_of(upload.id),
        result=views.result(upload, hrefs),
    )
    headers["Link"] = f'<{status}>; rel="monitor"'
    headers |= digest_wanted(upload, head)
    code = 200 if upload.state is State.DONE and version.completed == 202 else version.completed
    return Reply(status=code, headers=headers, body=msgspec.json.encode(shown), media_type="application/json")


def digest_wanted(upload: Upload, head: Head | None) -> dict[str, str]:
    """``Repr-Digest`` of the whole, for a client that wants it now or did when it began, as soon as it is known."""
    at_first = upload.spec.raw.get(WANT)
    wanted = at_first if head is None else head.headers.get(WANT.lower(), at_first)
    digest = _known_digest(upload) if upload.state in {State.SEALED, State.DONE} else None
    if digest is None or not structured.weights(wanted).get(digest.algorithm):
        return {}
    return {"Repr-Digest": fields.digest_field([digest])}


def _known_digest(upload: Upload) -> Digest | None:
    """The SHA-256 of the whole, where it was computed already: published, one part, or none at all."""
    if upload.published is not None:
        return upload.published.digest if upload.published.digest.algorithm == SHA256 else None
    if upload.length == 0:
        return sha256(b"")
    parts = upload.parts()
    return parts[0].digest if len(parts) == 1 and parts[0].size == upload.length else None
