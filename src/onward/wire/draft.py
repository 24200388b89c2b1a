"""The drafts of "Resumable Uploads for HTTP": one upload, its bytes one after the other, 104 as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

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
    Layout,
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
    AppendTooSmall,
    BadField,
    ChunkTooLarge,
    LengthConflict,
    MethodNotAllowed,
    NotFound,
    OnwardError,
)
from onward.wire import disposition, fields, metadata, structured
from onward.wire.bodies import MULTIPART, check_metadata, unsupported
from onward.wire.draft_final import WANT, digest_wanted, end_of, final
from onward.wire.draft_refusals import breaks_limit, refusal
from onward.wire.draft_versions import FIELD, PARTIAL, UNSAID, Missing, Version, is_partial, speaks, version_of
from onward.wire.message import Head, Hrefs, Reply, Work

POLICY: Final = Policy(dialect="ietf", completes=Completes.EXPLICIT, overrun=Overrun.FAIL, reopens=False)
"""Only the client's word ends an upload; one byte too many invalidates it; an offset told is never taken back."""

EXPOSED: Final = (
    "Accept-Patch",
    "Link",
    "Location",
    "Repr-Digest",
    "Retry-After",
    "Upload-Complete",
    FIELD,
    "Upload-Incomplete",
    "Upload-Length",
    "Upload-Limit",
    "Upload-Offset",
    "Upload-State",
    "Want-Content-Digest",
    "Want-Repr-Digest",
)
"""Headers of the replies that a browser's script must be allowed to read."""

_NOT_CACHED: Final = {"Cache-Control": "no-store"}
_KEPT: Final = (WANT, metadata.FIELD)
_COLLECTION: Final = ("POST", "PUT", "PATCH", "OPTIONS")
_RESOURCE: Final = ("HEAD", "GET", "PATCH", "DELETE", "OPTIONS")


class Draft:
    """The dialect of ``/files`` for clients of the draft, in every interop version. Fulfils ``Dialect``."""

    def __init__(
        self,
        limits: Limits,
        *,
        expire_after: float | None = None,
        min_append: int = 0,
        max_append: int | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits
        """Told to clients; the core holds everybody to them."""
        self.expire_after = expire_after
        """Seconds without a byte that an unfinished upload lives; told as its remaining time."""
        self.min_append = min_append
        """Fewest bytes of a body that is not the last; only of use where storage has such a rule."""
        self.max_append = limits.max_size if max_append is None else max_append
        self._now = now

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """True if a request with these headers is one of the draft's."""
        return speaks(headers)

    def version_of(self, headers: Mapping[str, str]) -> Version:
        """The interop version that the request is read and answered in."""
        return version_of(headers)

    # -- requests ---------------------------------------------------------------------------------

    def parse(self, head: Head, body: bytes | Mapping[str, str] = b"") -> Command:
        """The command that a request on ``/files`` or ``/files/{segment}`` stands for. See also ``discover``."""
        match head.method, head.segment:
            case "POST" | "PUT" | "PATCH", "":
                return self.parse_creation(head)
            case "PATCH", _:
                return self.parse_append(head)
            case "HEAD" | "GET", segment if segment:
                _refuse_upload_fields(head)
                return Status(target=_target(head), takes_over=True)
            case "DELETE", segment if segment:
                _refuse_upload_fields(head)
                return Cancel(target=_target(head))
        allowed = list(_RESOURCE if head.segment else _COLLECTION)
        raise MethodNotAllowed("this method has no meaning here", allowed=allowed)

    def parse_creation(self, head: Head) -> Create:
        """A request with content on the collection. Without a word of completeness it is an ordinary upload: whole."""
        headers = head.headers
        version = version_of(headers)
        fields.refuse_encoded(headers.get("content-encoding", ""))
        if headers.get("content-type", "").lstrip(" \t").lower().startswith(MULTIPART):
            raise unsupported(MULTIPART, ["the file as it is, not in a form"])
        if structured.whole(headers.get("upload-offset")):
            raise BadField("an upload begins at 0", field="Upload-Offset", allowed="nothing, or 0")
        ends = version.says_complete(headers) is not False
        size = _size(head)
        length = _length(head, 0, size, ends=ends)
        self._check_body(size, ends=ends or size == 0)
        spec = Spec(
            declared=Declaration(layout=Layout.FLAT, length=length, digest=_whole_digest(head)),
            metadata=_metadata(headers),
            owner=head.owner,
            raw={name: headers[name.lower()] for name in _KEPT if name.lower() in headers},
        )
        first = First(size=size, digests=_body_digests(head), ends=ends or (version.empty_completes and length == 0))
        key = fields.idempotency_key(headers)
        return Create(spec=spec, policy=POLICY, idempotency_key=key, first=first)

    def parse_append(self, head: Head) -> Store:
        """``PATCH`` of an upload resource: bytes for its end."""
        headers = head.headers
        version = version_of(headers)
        target = _target(head)
        if version.partial_upload and not is_partial(headers):
            raise unsupported(headers.get("content-type", ""), [PARTIAL])
        fields.refuse_encoded(headers.get("content-encoding", ""))
        offset = structured.whole(headers.get("upload-offset"))
        if offset is None:
            allowed = "the offset that the upload stands at, as a whole number of at most 15 digits"
            raise BadField(f"Upload-Offset must be {allowed}", field="Upload-Offset", allowed=allowed)
        size = _size(head)
        ends = _ends(version, head, offset, size)
        length = _length(head, offset, size, ends=ends)
        self._check_body(size, ends=ends)
        return Store(
            target=target,
            at=Append(offset),
            size=size,
            ends=ends,
            ends_if_full=version.says_complete(headers) is None and version.missing is Missing.GOES_ON,
            digests=_body_digests(head),
            declared=Declaration(length=length, digest=_whole_digest(head)),
        )

    def _check_body(self, size: int | None, *, ends: bool) -> None:
        if size is None:
            return
        if size > self.max_append:
            raise ChunkTooLarge(f"one request may bring {self.max_append} bytes", limit=self.max_append, provided=size)
        if size < self.min_append and not ends:
            raise AppendTooSmall(
                f"a request that is not the last must bring {self.min_append} bytes",
                limit=self.min_append,
                provided=size,
            )

    # -- replies ----------------------------------------------------------------------------------

    def discover(self, head: Head) -> Reply:
        """The answer to ``OPTIONS``: that uploads can be begun here, and their limits."""
        version = version_of(head.headers)
        allowed = _RESOURCE if head.segment else _COLLECTION
        headers = {
            "Allow": ", ".join(allowed),
            "Accept-Patch": PARTIAL,
            "Upload-Limit": self._limits(version, self.expire_after),
            **version.echo(),
        }
        return Reply(status=200, headers=headers)

    def interim(self, upload: Upload, head: Head, hrefs: Hrefs, *, offset: int | None = None) -> dict[str, str] | None:
        """Headers of a 104 while the body of ``head`` comes; ``None`` where the client must not be sent one.

        Without ``offset``: that the upload was created, and where. With it: how far it is.
        """
        version = version_of(head.headers)
        if version.number is None or (version.says_complete(head.headers) is None and not head.segment):
            return None
        if offset is not None:
            return {"Upload-Offset": str(offset), **version.echo()} if version.progress else None
        if head.segment:
            return None
        return {"Location": hrefs.file_of(upload.id), **self._limit(version, upload, None), **version.echo()}

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
        version = UNSAID if head is None else version_of(head.headers)
        if isinstance(command, Cancel):
            return Reply(status=204, headers=version.echo())
        if upload.state in {State.FAILED, State.GONE}:
            return self.refuse(end_of(upload, command), head, hrefs)
        complete = upload.state in {State.SEALED, State.DONE}
        headers = {
            "Upload-Offset": str(upload.offset),
            **version.complete(complete=complete),
            **self._limit(version, upload, expires_at),
            **version.echo(),
        }
        match command:
            case Status():
                if upload.length is not None:
                    headers["Upload-Length"] = str(upload.length)
                return Reply(status=204, headers=headers | digest_wanted(upload, head) | _NOT_CACHED)
            case Create():
                headers["Location"] = hrefs.file_of(upload.id)
            case _:
                pass
        if not complete:
            return Reply(status=201 if isinstance(command, Create) else version.appended, headers=headers)
        return final(version, upload, hrefs, head, headers, work)

    def refuse(self, error: OnwardError, head: Head | None, hrefs: Hrefs, *, upload: Upload | None = None) -> Reply:
        """What to say of a command that was not carried out; ``upload``, if it is known, gives the offset too."""
        version = UNSAID if head is None else version_of(head.headers)
        reply = refusal(error, head, version)
        headers = dict(reply.headers)
        if breaks_limit(error):
            headers |= self._limit(version, upload, None)
        if upload is not None and upload.state is State.OPEN:
            headers.setdefault("Upload-Offset", str(upload.offset))
        return replace(reply, headers=headers)

    def _limit(self, version: Version, upload: Upload | None, expires_at: float | None) -> dict[str, str]:
        if not version.limits:
            return {}
        if upload is None:
            return {"Upload-Limit": self._limits(version, self.expire_after)}
        if expires_at is None and self.expire_after is not None:
            expires_at = upload.active_at + self.expire_after
        known = expires_at is not None and upload.state is State.OPEN
        return {"Upload-Limit": self._limits(version, expires_at - self._now() if known and expires_at else None)}

    def _limits(self, version: Version, age: float | None) -> str:
        sizes = {
            "max-size": self.limits.max_size,
            "min-size": 0,
            "max-append-size": self.max_append,
            "min-append-size": self.min_append,
        }
        if age is not None:
            sizes[version.age] = max(0, int(age))
        return ", ".join(f"{name}={min(size, structured.MAX_INTEGER)}" for name, size in sizes.items())


def _target(head: Head) -> UploadId:
    if not is_id(head.segment):
        raise NotFound("there is no such upload")
    return UploadId(head.segment)


def _size(head: Head) -> int | None:
    text = head.headers.get("content-length")
    return None if text is None else fields.integer("Content-Length", text)


def _length(head: Head, start: int, size: int | None, *, ends: bool) -> int | None:
    """The length of the whole, as far as this request tells it."""
    said = structured.whole(head.headers.get("upload-length"))
    end = None if size is None else start + size
    if said is None:
        return end if ends else None
    if end is not None and (end > said or (ends and end != said)):
        raise LengthConflict(
            f"Upload-Length says {said} bytes, the body would end at {end}", expected=said, provided=end
        )
    return said


def _ends(version: Version, head: Head, offset: int, size: int | None) -> bool:
    said = version.says_complete(head.headers)
    if said is not None:
        return said
    if version.missing is Missing.REFUSED:
        allowed = "?1 with the last byte, ?0 before"
        raise BadField(f"{version.completeness} must be {allowed}", field=version.completeness, allowed=allowed)
    if version.missing is Missing.COMPLETES:
        return True
    return structured.whole(head.headers.get("upload-length")) == offset + (size or 0)


def _refuse_upload_fields(head: Head) -> None:
    headers = head.headers
    said = {
        "Upload-Offset": structured.whole(headers.get("upload-offset")),
        "Upload-Length": structured.whole(headers.get("upload-length")),
        "Upload-Complete": structured.boolean(headers.get("upload-complete")),
        "Upload-Incomplete": structured.boolean(headers.get("upload-incomplete")),
    }
    for field, value in said.items():
        if value is not None:
            allowed = "only with a request that brings bytes"
            raise BadField(f"{field} is taken {allowed}", field=field, allowed=allowed)


def _body_digests(head: Head) -> tuple[Digest, ...]:
    return fields.digests("Content-Digest", head.headers.get("content-digest", ""))


def _whole_digest(head: Head) -> Digest | None:
    return fields.strongest(fields.digests("Repr-Digest", head.headers.get("repr-digest", "")))


def _metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """What the file is called, and of which type. A client of the drafts that comes from tus says both its old way."""
    told = metadata.decode(headers.get(metadata.FIELD.lower(), ""))
    found = {
        "filename": disposition.filename(headers.get("content-disposition")),
        # Some send the type of a part with the first one too; it is not the file's.
        "filetype": None if is_partial(headers) else headers.get("content-type", "").strip(" \t"),
    }
    told |= {name: value for name, value in found.items() if value}
    check_metadata(told)
    return told
