"""Posts with ``Content-Range``: jQuery File Upload with ``maxChunkSize``, react-uploady's chunked sender."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote

import msgspec

from onward.core.names import segment
from onward.core.outcome import Outcome
from onward.core.types import MAX_INT, ClientName, Command, Limits, Status
from onward.core.upload import Upload
from onward.errors import BadField, NotFound, OnwardError
from onward.wire import disposition, fields, views
from onward.wire.bodies import MULTIPART
from onward.wire.compat.front import (
    NOT_CACHED,
    Params,
    Run,
    Sent,
    TakenView,
    file_name,
    need_file,
    store,
    stored,
    taken,
    whole_file,
)
from onward.wire.message import Head, Hrefs, Reply
from onward.wire.problem import problem

_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII)
_ALLOWED: Final = "bytes FIRST-LAST/SIZE, with FIRST <= LAST < SIZE"


class FileView(msgspec.Struct, frozen=True, kw_only=True):
    """A file as jQuery File Upload's own page lists it."""

    name: str | None
    size: int | None
    url: str
    """The file, once it is verified."""


class PostedView(TakenView, frozen=True, kw_only=True):
    """Answer to a post with ``Content-Range``."""

    files: Sequence[FileView]


class AskedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to the question where to go on: bytes that are there, or null if nothing is."""

    file: FileView | None


class ContentRange:
    """Fulfils ``Front``.

    Nothing in such a post tells two uploads apart but the file's name and size, so they are the
    key; a page that needs more adds ``?key=``. Any 2xx is success.
    """

    name = "content-range"
    known = frozenset({"key"})

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def parse(self, head: Head, sent: Sent) -> Command:
        """``GET``: how much is there? ``POST`` or ``PUT``: a run of bytes or, without a range, a whole file."""
        params = Params(head, sent)
        if head.method in {"GET", "HEAD"}:
            key = _key(params, file_name(params.need("file")) or "", params.need_number("size"))
            return Status(target=ClientName(head.owner, segment(f"{self.name}~{key}")))
        need_file(sent)
        name = file_name(_named(head) or sent.filename)
        if name is None:
            allowed = 'attachment; filename="…", or a form whose file has a name'
            raise BadField("the file has no name", field="Content-Disposition", allowed=allowed)
        text = head.headers.get("content-range")
        if text is None:
            is_form = fields.content_type(head.headers.get("content-type", "")).essence == MULTIPART
            return whole_file(self.name, head, name, length=None if is_form else _length(head))
        start, size, length = _range(text)
        run = Run(key=_key(params, name, length), offset=start, size=size, length=length, filename=name)
        return store(self.name, head, run, reopens=False)

    def reply(self, command: Command, outcome: Outcome, hrefs: Hrefs, head: Head) -> Reply:
        upload = outcome.upload
        if isinstance(command, Status):
            there = FileView(name=upload.called, size=views.offset_of(upload), url=hrefs.content_of(upload.id))
            return _asked(there, _so_far(upload))
        listed = FileView(name=upload.called, size=upload.length, url=hrefs.content_of(upload.id))
        shown = PostedView(**msgspec.structs.asdict(taken(outcome, hrefs)), files=[listed])
        return stored(outcome, shown, _so_far(upload))

    def refuse(self, error: OnwardError, head: Head, hrefs: Hrefs, upload: Upload | None = None) -> Reply:
        if isinstance(error, NotFound) and head.method in {"GET", "HEAD"}:
            return _asked(None, {})
        refusal = problem(error, head)
        if upload is None:
            return refusal
        headers = {"Upload-Offset": str(views.offset_of(upload)), **_so_far(upload), **refusal.headers}
        return Reply(status=refusal.status, headers=headers, body=refusal.body, media_type=refusal.media_type)


def _asked(there: FileView | None, headers: dict[str, str]) -> Reply:
    body = msgspec.json.encode(AskedView(file=there))
    return Reply(status=200, headers={**headers, **NOT_CACHED}, body=body, media_type="application/json")


def _so_far(upload: Upload) -> dict[str, str]:
    """``Range``: the script goes on behind it. Absent while there is no first byte."""
    offset = views.offset_of(upload)
    return {"Range": f"0-{offset - 1}"} if offset else {}


def _key(params: Params, name: str, length: int) -> str:
    return f"{params.text('key') or ''}/{length}/{name}"


def _named(head: Head) -> str | None:
    """The name in ``Content-Disposition``, which the script writes percent-encoded."""
    name = disposition.filename(head.headers.get("content-disposition"))
    return None if name is None else unquote(name)


def _length(head: Head) -> int | None:
    text = head.headers.get("content-length")
    return None if text is None else fields.integer("Content-Length", text)


def _range(text: str) -> tuple[int, int, int]:
    match = _RANGE.fullmatch(text)
    if match is not None:
        first, last, length = (int(one) for one in match.groups())
        if first <= last < length <= MAX_INT:
            return first, last - first + 1, length
    raise BadField(f"Content-Range must be {_ALLOWED}", field="Content-Range", allowed=_ALLOWED)
