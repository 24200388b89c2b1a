"""FilePond: a small file at once, or with ``chunkUploads`` an id first and then the bytes in order."""

from __future__ import annotations

from typing import Final

from onward.core.outcome import Outcome
from onward.core.types import (
    Append,
    Cancel,
    Command,
    Completes,
    Create,
    Declaration,
    Limits,
    Offset,
    Policy,
    Spec,
    State,
    Status,
    Store,
    UploadId,
    is_id,
)
from onward.core.upload import Upload
from onward.errors import BadField, NotFound, OnwardError, UploadFailed, UploadOver
from onward.wire import fields, views
from onward.wire.bodies import unsupported
from onward.wire.compat.front import NOT_CACHED, Sent, file_name, need_file, whole_file
from onward.wire.message import Head, Hrefs, Reply
from onward.wire.problem import problem

BYTES: Final = ("application/offset+octet-stream", "application/octet-stream")
_TEXT: Final = "text/plain"


class FilePond:
    """Fulfils ``Front``. ``POST`` is answered with the id as plain text; all else has it in ``?patch=`` or the path."""

    name = "filepond"
    known: frozenset[str] = frozenset()

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def parse(self, head: Head, sent: Sent) -> Command:
        match head.method:
            case "POST":
                return self._create(head, sent)
            case "PATCH":
                return self._store(head)
            case "HEAD":
                return Status(target=_id(head))
            case _:
                return Cancel(target=_id(head))

    def parse_revert(self, head: Head, body: bytes) -> Cancel:
        """``DELETE`` with the id as its body: the user takes the file back."""
        text = body.decode("ascii", "replace").strip()
        return Cancel(target=_known(text) if text else _id(head))

    def reply(self, command: Command, outcome: Outcome, hrefs: Hrefs, head: Head) -> Reply:
        upload = outcome.upload
        match command:
            case Create():
                # The script reads the body to its last byte: an id and no line end.
                return Reply(status=201, headers=_standing(upload), body=upload.id.encode(), media_type=_TEXT)
            case Status() if upload.state is State.FAILED:
                error = UploadFailed(f"the upload failed: {upload.reason}", reason=upload.reason)
                return problem(error, head, status=410)
            case Status() if upload.state is State.GONE:
                return problem(UploadOver(f"the upload is {upload.reason}", reason=upload.reason), head, status=410)
            case Status():
                return Reply(status=200, headers={**_standing(upload), **NOT_CACHED})
            case Cancel():
                return Reply(status=204)
            case _:
                return Reply(status=204, headers=_standing(upload))

    def refuse(self, error: OnwardError, head: Head, hrefs: Hrefs, upload: Upload | None = None) -> Reply:
        refusal = problem(error, head)
        if upload is None:
            return refusal
        headers = {**_standing(upload), **refusal.headers}
        return Reply(status=refusal.status, headers=headers, body=refusal.body, media_type=refusal.media_type)

    def _create(self, head: Head, sent: Sent) -> Create:
        length = _number(head, "Upload-Length")
        if sent.brings_file and sent.filename is not None:
            return whole_file(self.name, head, file_name(sent.filename))
        if length is None:
            need_file(sent)
            raise BadField("Upload-Length is missing", field="Upload-Length", allowed="the size of the file")
        # Of an empty file the name is still to come, with an empty PATCH: that ends it.
        completes = Completes.WHEN_FULL if length else Completes.EXPLICIT
        return Create(
            spec=Spec(declared=Declaration(length=length, filename=_file_name(head)), owner=head.owner),
            policy=Policy(dialect=self.name, completes=completes, reopens=False),
        )

    def _store(self, head: Head) -> Store:
        kind = head.headers.get("content-type", "")
        if fields.content_type(kind).essence not in BYTES:
            raise unsupported(kind, [*BYTES])
        offset = _number(head, "Upload-Offset")
        if offset is None:
            raise BadField("Upload-Offset is missing", field="Upload-Offset", allowed="where these bytes belong")
        size = _number(head, "Content-Length")
        # A last chunk without a byte is sent where the size is a multiple of a chunk's, when all is sealed already.
        empty = size == 0 and "transfer-encoding" not in head.headers
        return Store(
            target=_id(head),
            at=Append(offset) if empty else Offset(offset),
            size=size,
            # FilePond takes a chunk for stored if the offset is anywhere behind its first byte.
            whole=True,
            ends_if_full=True,
            declared=Declaration(length=_number(head, "Upload-Length"), filename=_file_name(head)),
        )


def _id(head: Head) -> UploadId:
    text = head.segment or head.query.get("patch", "")
    if not text:
        raise BadField("the upload's id is missing", field="patch", allowed="?patch= and the id that POST answered")
    return _known(text)


def _known(text: str) -> UploadId:
    if not is_id(text):
        raise NotFound
    return UploadId(text)


def _number(head: Head, field: str) -> int | None:
    text = head.headers.get(field.lower())
    return None if text is None else fields.integer(field, text)


def _file_name(head: Head) -> str | None:
    """``Upload-Name``, whose bytes are UTF-8: header values are read as Latin-1."""
    text = head.headers.get("upload-name")
    if text is None:
        return None
    try:
        return file_name(text.encode("latin-1").decode("utf-8"))
    except UnicodeError:
        raise BadField("Upload-Name is not UTF-8", field="Upload-Name", allowed="the file's name in UTF-8") from None


def _standing(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(views.offset_of(upload))}
    if upload.length is not None:
        headers["Upload-Length"] = str(upload.length)
    return headers
