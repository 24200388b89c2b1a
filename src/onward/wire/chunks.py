"""The chunk API: any chunk, in any order, in parallel, as often as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from onward.core.digest import SHA256
from onward.core.names import clean, split_chunk
from onward.core.outcome import Outcome
from onward.core.types import (
    Cancel,
    ClientName,
    Command,
    Create,
    Declaration,
    Digest,
    Layout,
    Limits,
    Number,
    Offset,
    Seal,
    Spec,
    State,
    Status,
    Store,
)
from onward.core.upload import Upload
from onward.errors import BadField, OnwardError
from onward.wire import fields, views
from onward.wire.bodies import MULTIPART, Declare, check_metadata, read_complete, read_json, unsupported
from onward.wire.message import Head, Hrefs, Reply, Work
from onward.wire.problem import problem

EXPOSED: Final = (
    "Location",
    "Retry-After",
    "Upload-Chunk-Size",
    "Upload-Complete",
    "Upload-Length",
    "Upload-Offset",
    "Upload-Ranges",
    "Upload-State",
    "Want-Content-Digest",
    "Want-Repr-Digest",
)
"""Headers of the replies that a browser's script must be allowed to read."""

_JSON: Final = "application/json"
_NOT_CACHED: Final = {"Cache-Control": "no-store"}


class Chunks:
    """The dialect of ``/upload``. Fulfils ``Dialect``; each kind of request has a method of its own too."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        """Told to clients that declare an upload; the core holds everybody to them."""

    def parse(self, head: Head, body: bytes | Mapping[str, str] = b"") -> Command:
        """The command that a request on ``/upload`` or ``/upload/{segment}`` stands for."""
        match head.method, head.segment:
            case "POST", "":
                return self.parse_declare(head, body)
            case "POST", "complete":
                return self.parse_complete(head, body)
            case "POST" | "PUT", _:
                return self.parse_store(head)
            case "HEAD" | "GET", _:
                return self.parse_status(head)
            case "DELETE", _:
                return self.parse_cancel(head)
        allowed = ["POST", "PUT", "HEAD", "GET", "DELETE"]
        raise BadField("this method has no meaning here", field="method", allowed=allowed)

    def parse_store(self, head: Head) -> Store:
        """``POST`` or ``PUT`` of ``name-N``: chunk N. ``PUT`` of a name with ``Upload-Offset``: a run of bytes.

        The digests are those of the bytes to store; in a multipart body that is the field ``data``.
        """
        headers = head.headers
        fields.refuse_encoded(headers.get("content-encoding", ""))
        kind = fields.content_type(headers.get("content-type", "")).essence
        if kind.startswith("multipart/") and kind != MULTIPART:
            raise unsupported(kind, [MULTIPART, "any type that is not multipart"])
        name, at = _place(head)
        whole = fields.strongest(fields.digests("Repr-Digest", headers.get("repr-digest", "")))
        length = _number(head, "Content-Length")
        return Store(
            target=ClientName(head.owner, name),
            at=at,
            size=None if kind == MULTIPART else length,
            digests=fields.digests("Content-Digest", headers.get("content-digest", "")),
            declared=Declaration(
                part_size=_number(head, "Upload-Chunk-Size", least=1),
                length=_number(head, "Upload-Length"),
                digest=whole,
            ),
        )

    def parse_declare(self, head: Head, body: bytes | Mapping[str, str]) -> Create:
        """``POST /upload`` with a JSON object: what the client knows of the file beforehand."""
        fields.refuse_encoded(head.headers.get("content-encoding", ""))
        media_type = head.headers.get("content-type", "")
        if not isinstance(body, bytes):
            raise unsupported(MULTIPART, [_JSON])
        said = read_json(Declare, media_type, body)
        check_metadata(said.metadata)
        declared = Declaration(
            layout=None if said.chunk_size is None else Layout.FLAT,
            part_size=said.chunk_size,
            length=said.size,
            digest=_sha256(said.sha256),
            part_digests=tuple(
                fields.sha256_hex(f"chunks[{index}].sha256", chunk.sha256) for index, chunk in enumerate(said.chunks)
            ),
        )
        name = ClientName(head.owner, clean(said.name))
        spec = Spec(name=name, declared=declared, metadata=said.metadata, owner=head.owner)
        return Create(spec=spec, idempotency_key=fields.idempotency_key(head.headers))

    def parse_complete(self, head: Head, body: bytes | Mapping[str, str]) -> Seal:
        """``POST /upload/complete`` with JSON, an urlencoded form, or the fields of a multipart form."""
        fields.refuse_encoded(head.headers.get("content-encoding", ""))
        said = read_complete(head.headers.get("content-type", ""), body)
        return Seal(
            target=ClientName(head.owner, clean(said.file_unique_name)),
            parts=said.total_chunks,
            length=said.size,
            digest=_sha256(said.sha256),
        )

    def parse_status(self, head: Head) -> Status:
        """``HEAD`` or ``GET`` of a name, with ``?chunk=N`` about one chunk only."""
        number = head.query.get("chunk")
        return Status(
            target=ClientName(head.owner, clean(head.segment)),
            number=None if number is None else fields.integer("chunk", number, least=1),
        )

    def parse_cancel(self, head: Head) -> Cancel:
        """``DELETE`` of a name."""
        return Cancel(target=ClientName(head.owner, clean(head.segment)))

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
        match command:
            case Store():
                return _stored(command, outcome, hrefs)
            case Create():
                return self._declared(outcome, hrefs)
            case Seal():
                return _sealed(outcome.upload, hrefs, work)
            case Status():
                bare = head is not None and head.method == "HEAD"
                if command.number is not None:
                    return _about_chunk(outcome, command.number, bare=bare)
                if bare:
                    return _head(outcome.upload, work)
                shown = views.manifest(outcome.upload, hrefs, work, expires_at)
                return _json(200, shown, _standing(outcome.upload) | _NOT_CACHED)
            case Cancel():
                return Reply(status=204)

    def refuse(self, error: OnwardError, head: Head | None, hrefs: Hrefs) -> Reply:
        return problem(error, head)

    def _declared(self, outcome: Outcome, hrefs: Hrefs) -> Reply:
        upload = outcome.upload
        shown = views.DeclaredView(
            id=upload.id,
            name=views.name_of(upload) or upload.id,
            state=views.word(upload),
            limits=self.limits,
            chunk_size=upload.part_size,
            size=upload.length,
            offset=views.offset_of(upload),
            received=views.received(upload),
            missing=views.missing(upload),
            holes=views.holes(upload),
            urls=views.Urls(
                upload=hrefs.upload_of(_key(upload)),
                complete=hrefs.complete(),
                status=hrefs.status_of(upload.id),
                events=hrefs.events_of(upload.id),
            ),
        )
        headers = {"Location": hrefs.upload_of(_key(upload)), **_standing(upload)}
        return _json(201 if outcome.created else 200, shown, headers)


def _place(head: Head) -> tuple[str, Number | Offset]:
    offset = _number(head, "Upload-Offset")
    if offset is None:
        name, number = split_chunk(head.segment)
        return name, Number(number)
    if head.method != "PUT":
        allowed = "only with PUT, whose path is then the name without a chunk number"
        raise BadField(f"Upload-Offset is taken {allowed}", field="Upload-Offset", allowed=allowed)
    return clean(head.segment), Offset(offset)


def _number(head: Head, field: str, *, least: int = 0) -> int | None:
    text = head.headers.get(field.lower())
    return None if text is None else fields.integer(field, text, least=least)


def _sha256(text: str | None) -> Digest | None:
    return None if text is None else Digest(SHA256, fields.sha256_hex("sha256", text))


def _stored(command: Store, outcome: Outcome, hrefs: Hrefs) -> Reply:
    upload = outcome.upload
    at = command.at
    shown = views.StoredView(
        id=upload.id,
        name=views.name_of(upload),
        state=views.word(upload),
        chunk=at.number if isinstance(at, Number) else msgspec.UNSET,
        start=at.offset if isinstance(at, Offset) else msgspec.UNSET,
        size=outcome.size,
        sha256=views.hex_of(outcome.part),
        offset=views.offset_of(upload),
        length=upload.length,
        received=views.received(upload),
        status=hrefs.status_of(upload.id),
    )
    headers = _standing(upload)
    if outcome.fresh:
        headers["Location"] = hrefs.upload_of(_key(upload))
    return _json(201 if outcome.fresh else 200, shown, headers)


def _key(upload: Upload) -> str:
    """What the upload is asked for by: not every file's name is one that leads to it."""
    return upload.spec.name.name if upload.spec.name else upload.id


def _sealed(upload: Upload, hrefs: Hrefs, work: Work | None) -> Reply:
    status = hrefs.status_of(upload.id)
    seal = upload.sealed
    shown = views.SealedView(
        id=upload.id,
        name=views.name_of(upload),
        state=views.word(upload, work),
        chunks=len(upload.stored) if seal is None else seal.parts,
        bytes=upload.received_bytes if seal is None else seal.length,
        total_known=seal is not None and seal.total_known,
        status=status,
        result=views.result(upload, hrefs),
    )
    return _json(200 if upload.state is State.DONE else 202, shown, {"Location": status, **_standing(upload)})


def _about_chunk(outcome: Outcome, number: int, *, bare: bool) -> Reply:
    if not outcome.has or outcome.upload.state is State.GONE:
        return Reply(status=204, headers=_NOT_CACHED)
    if bare:
        return Reply(status=200, headers=_NOT_CACHED)
    return _json(200, views.one_chunk(outcome.upload, number), _NOT_CACHED)


def _head(upload: Upload, work: Work | None) -> Reply:
    whole = upload.state in {State.SEALED, State.DONE}
    reason = upload.reason if upload.state is State.FAILED else ""
    headers = {
        **_standing(upload),
        "Upload-Complete": "?1" if whole else "?0",
        "Upload-State": fields.word_with_reason(views.word(upload, work), reason),
        **_NOT_CACHED,
    }
    return Reply(status=200, headers=headers)


def _standing(upload: Upload) -> dict[str, str]:
    """Where the upload stands, in headers."""
    headers = {"Upload-Offset": str(views.offset_of(upload))}
    if upload.length is not None:
        headers["Upload-Length"] = str(upload.length)
    if upload.part_size is not None:
        headers["Upload-Chunk-Size"] = str(upload.part_size)
    if ranges := fields.ranges_field(views.ranges_of(upload)):
        headers["Upload-Ranges"] = ranges
    return headers


def _json(status: int, shown: msgspec.Struct, headers: Mapping[str, str]) -> Reply:
    return Reply(status=status, headers=headers, body=msgspec.json.encode(shown), media_type=_JSON)
