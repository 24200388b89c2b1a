"""tus 1.0.0: one sequential upload per URL, with the extensions that a server of files needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import msgspec

from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Cancel,
    Command,
    Completes,
    Create,
    Declaration,
    Digest,
    First,
    Limits,
    Overrun,
    Policy,
    Spec,
    State,
    Status,
    Store,
    UploadId,
    is_id,
)
from onward.core.upload import Upload
from onward.errors import (
    BadField,
    LengthConflict,
    MethodNotAllowed,
    NotFound,
    OnwardError,
    Refused,
    UploadTooLarge,
    VersionUnsupported,
)
from onward.wire import checksum, concatenation, fields, metadata
from onward.wire import tus1_replies as replies
from onward.wire.bodies import unsupported
from onward.wire.message import Head, Hrefs, Reply, Work
from onward.wire.tus1_replies import STAMP, VERSION

OFFSET_TYPE: Final = "application/offset+octet-stream"

EXTENSIONS: Final = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
    "concatenation-unfinished",
)
"""Every extension there is here, in the order in which they are told."""

ACCEPTED: Final = (
    "Content-Digest",
    "Content-Type",
    "Idempotency-Key",
    "Repr-Digest",
    "Tus-Resumable",
    "Upload-Checksum",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "X-HTTP-Method-Override",
    "X-Requested-With",
)
"""Headers of requests that a browser's script must be allowed to send."""

EXPOSED: Final = (
    "Link",
    "Location",
    "Retry-After",
    "Tus-Checksum-Algorithm",
    "Tus-Extension",
    "Tus-Max-Size",
    "Tus-Resumable",
    "Tus-Version",
    "Upload-Concat",
    "Upload-Defer-Length",
    "Upload-Expires",
    "Upload-Length",
    "Upload-Metadata",
    "Upload-Offset",
    "Upload-State",
)
"""Headers of replies that a browser's script must be allowed to read."""

WHOLE: Final = Policy(dialect="tus", completes=Completes.WHEN_FULL, overrun=Overrun.CUT, reopens=False)
PARTIAL: Final = msgspec.structs.replace(WHOLE, completes=Completes.EXPLICIT)

_OVERRIDE: Final = "X-HTTP-Method-Override"
_OVERRIDES: Final = ("PATCH", "DELETE", "HEAD")


def method_of(method: str, headers: Mapping[str, str]) -> str:
    """The method that is meant: a ``POST`` may stand for ``PATCH``, ``DELETE`` or ``HEAD``.

    To be asked before anything depends on the method. Raises ``BadField`` for another override.
    """
    text = headers.get(_OVERRIDE.lower())
    if method != "POST" or text is None or text == method:
        return method
    if text not in _OVERRIDES:
        allowed = ", ".join(_OVERRIDES)
        raise BadField(f"{_OVERRIDE} must be one of {allowed}", field=_OVERRIDE, allowed=allowed)
    return text


def check_version(head: Head) -> None:
    """Raises ``VersionUnsupported`` unless the request names the one version that is spoken here."""
    sent = head.headers.get("tus-resumable")
    if sent != VERSION:
        detail = "the request lacks Tus-Resumable" if sent is None else "this version of tus is not spoken here"
        raise VersionUnsupported(
            f"{detail}; send Tus-Resumable: {VERSION}", provided=(sent or "")[:100], allowed=[VERSION]
        )


class Tus1:
    """The dialect of ``/files`` for requests with ``Tus-Resumable``. Fulfils ``Dialect``.

    ``files`` is the path below which uploads have their URLs. Only ``extensions`` are announced,
    and what belongs to another one is refused. Raises ``ValueError`` for extensions that do not
    exist or do not fit together.
    """

    def __init__(self, limits: Limits, *, extensions: Collection[str] = EXTENSIONS, files: str = "/files") -> None:
        if unknown := set(extensions) - set(EXTENSIONS):
            raise ValueError(f"no extensions of tus here: {', '.join(sorted(unknown))}")
        needing = set(extensions) - {"expiration", "checksum", "termination"}
        if needing and "creation" not in extensions:
            raise ValueError(f"without creation there is no {', '.join(sorted(needing))}")
        if "concatenation-unfinished" in extensions and "concatenation" not in extensions:
            raise ValueError("without concatenation there is no concatenation-unfinished")
        self.limits = limits
        self.extensions = tuple(name for name in EXTENSIONS if name in extensions)
        self._files = files.rstrip("/")

    # -- requests ---------------------------------------------------------------------------------

    def parse(self, head: Head, body: bytes | Mapping[str, str] = b"") -> Command:
        """The command that a request on ``/files`` or ``/files/{id}`` stands for. The body is never asked for.

        The version is checked before all else, but not of ``GET``, which tus leaves to others.
        """
        if head.method != "GET":
            check_version(head)
        if not head.segment:
            methods = ["POST"] if "creation" in self.extensions else []
            if head.method not in methods:
                raise MethodNotAllowed("uploads are created here, with POST", allowed=["OPTIONS", *methods])
            return self.parse_create(head)
        methods = ["HEAD", "PATCH", *(["DELETE"] if "termination" in self.extensions else [])]
        if head.method not in methods:
            raise MethodNotAllowed("this is the URL of one upload", allowed=["OPTIONS", "GET", *methods])
        if not is_id(head.segment):
            raise NotFound
        target = UploadId(head.segment)
        match head.method:
            case "PATCH":
                return self.parse_store(head, target)
            case "DELETE":
                return Cancel(target=target)
            case _:
                return Status(target=target, takes_over=True)

    def parse_create(self, head: Head) -> Create:
        """``POST`` on the collection: an upload, a piece of a concatenation, or the whole of such pieces."""
        headers = head.headers
        fields.refuse_encoded(headers.get("content-encoding", ""))
        concat = concatenation.decode(self._sent(headers, "Upload-Concat", "concatenation"), head, self._files)
        length = self._length_of_new(headers, final=bool(concat.sources))
        if concat.sources and _has_body(headers):
            raise Refused("an upload that is made of others takes no bytes of its own")
        first = self._first(headers, length)
        described = headers.get("upload-metadata", "")
        raw = {"Upload-Metadata": described} if described.strip(" \t") else {}
        if concat.partial or concat.sources:
            raw["Upload-Concat"] = headers["upload-concat"]
        return Create(
            spec=Spec(
                declared=Declaration(length=length, digest=_digest_of_whole(headers)),
                metadata=metadata.decode(described),
                owner=head.owner,
                raw=raw,
                partial=concat.partial,
                sources=concat.sources,
            ),
            policy=PARTIAL if concat.partial else WHOLE,
            idempotency_key=fields.idempotency_key(headers),
            first=None if concat.sources else first,
        )

    def parse_store(self, head: Head, target: UploadId) -> Store:
        """``PATCH`` of an upload: the bytes at its end, and the length if it becomes known."""
        headers = head.headers
        fields.refuse_encoded(headers.get("content-encoding", ""))
        kind = headers.get("content-type", "")
        if not _is_bytes(kind):
            raise unsupported(kind, [OFFSET_TYPE])
        offset = _number(headers, "Upload-Offset")
        if offset is None:
            allowed = "how many bytes the upload has, as HEAD tells"
            raise BadField("Upload-Offset is missing", field="Upload-Offset", allowed=allowed)
        length = _number(headers, "Upload-Length")
        self._check_length(length)
        return Store(
            target=target,
            at=Append(offset),
            size=_number(headers, "Content-Length"),
            digests=self._digests(headers),
            declared=Declaration(length=length, digest=_digest_of_whole(headers)),
        )

    def _length_of_new(self, headers: Mapping[str, str], *, final: bool) -> int | None:
        length = _number(headers, "Upload-Length")
        deferred = self._sent(headers, "Upload-Defer-Length", "creation-defer-length")
        if deferred not in {None, "1"}:
            raise BadField("Upload-Defer-Length must be 1", field="Upload-Defer-Length", allowed="1")
        said = (length is not None) + (deferred is not None)
        if final and said:
            allowed = "no length: it is the sum of the lengths of the uploads listed"
            raise BadField(f"Upload-Concat: final takes {allowed}", field="Upload-Length", allowed=allowed)
        if not final and said != 1:
            allowed = "either Upload-Length or Upload-Defer-Length: 1"
            raise BadField(f"the request must have {allowed}", field="Upload-Length", allowed=allowed)
        self._check_length(length)
        return length

    def _check_length(self, length: int | None) -> None:
        if length is not None and length > self.limits.max_size:
            raise UploadTooLarge(
                f"a file may have {self.limits.max_size} bytes, not {length}",
                limit=self.limits.max_size,
                provided=length,
            )

    def _first(self, headers: Mapping[str, str], length: int | None) -> First | None:
        kind = headers.get("content-type", "")
        if not _is_bytes(kind) or "creation-with-upload" not in self.extensions:
            if _has_body(headers):
                raise unsupported(kind, [OFFSET_TYPE])
            return None
        size = _number(headers, "Content-Length")
        if size is not None and length is not None and size > length:
            raise LengthConflict(f"the body has {size} bytes, the file only {length}", limit=length, provided=size)
        return First(size=size, digests=self._digests(headers))

    def _digests(self, headers: Mapping[str, str]) -> tuple[Digest, ...]:
        text = self._sent(headers, "Upload-Checksum", "checksum")
        one = () if text is None else (checksum.decode(text),)
        return one + fields.digests("Content-Digest", headers.get("content-digest", ""))

    def _sent(self, headers: Mapping[str, str], field: str, extension: str) -> str | None:
        text = headers.get(field.lower())
        if text is not None and extension not in self.extensions:
            allowed = f"no {field}, since {extension} is not among the extensions offered"
            raise BadField(f"the request may have {allowed}", field=field, allowed=allowed)
        return text

    # -- replies ----------------------------------------------------------------------------------

    def options(self) -> Reply:
        """The answer to ``OPTIONS``, whatever version the request names."""
        headers = {**STAMP, "Tus-Version": VERSION, "Tus-Max-Size": str(self.limits.max_size)}
        if self.extensions:
            headers["Tus-Extension"] = ",".join(self.extensions)
        if "checksum" in self.extensions:
            headers["Tus-Checksum-Algorithm"] = ",".join(checksum.ALGORITHMS)
        return Reply(status=200, headers=headers)

    def reply(
        self,
        command: Command,
        outcome: Outcome,
        hrefs: Hrefs,
        head: Head | None = None,
        *,
        work: Work | None = None,
        expires_at: float | None = None,
    ) -> Reply:
        upload = outcome.upload
        if isinstance(command, Cancel):
            return Reply(status=204, headers=STAMP)
        if upload.state in {State.FAILED, State.GONE}:
            asked = head or Head(method="HEAD" if isinstance(command, Status) else "PATCH")
            return replies.refusal(replies.over(upload), asked)
        headers = {**STAMP, **replies.offset(command, outcome), **replies.deadline(upload, expires_at)}
        if isinstance(command, Status):
            return Reply(status=200, headers={**headers, **replies.described(upload), "Cache-Control": "no-store"})
        if upload.state is not State.OPEN:
            headers["Link"] = f'<{hrefs.status_of(upload.id)}>; rel="monitor"'
        if isinstance(command, Create):
            return Reply(status=201, headers={**headers, "Location": hrefs.file_of(upload.id)})
        return Reply(status=204, headers=headers)

    def refuse(
        self,
        error: OnwardError,
        head: Head | None,
        hrefs: Hrefs | None = None,
        upload: Upload | None = None,
        *,
        expires_at: float | None = None,
    ) -> Reply:
        """What to say of a command that was not carried out.

        With ``upload`` and ``expires_at``, where they are known, an unfinished upload tells its
        deadline here, too.
        """
        return replies.refusal(error, head, upload, expires_at)


def _number(headers: Mapping[str, str], field: str) -> int | None:
    text = headers.get(field.lower())
    return None if text is None else fields.integer(field, text)


def _is_bytes(media_type: str) -> bool:
    """The type stands alone: tus gives it no parameters."""
    return media_type.strip(" \t").lower() == OFFSET_TYPE


def _has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or bool(_number(headers, "Content-Length"))


def _digest_of_whole(headers: Mapping[str, str]) -> Digest | None:
    return fields.strongest(fields.digests("Repr-Digest", headers.get("repr-digest", "")))
