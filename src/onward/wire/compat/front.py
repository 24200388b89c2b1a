"""What the front-ends have in common: what they send, how it is read, and what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from onward.core.names import clean, segment
from onward.core.outcome import Outcome
from onward.core.types import (
    ClientName,
    Command,
    Completes,
    Create,
    Declaration,
    First,
    Limits,
    Offset,
    Policy,
    Spec,
    State,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.errors import BadBody, BadField, OnwardError, TooManyChunks, UploadTooLarge
from onward.wire import fields, views
from onward.wire.message import Head, Hrefs, Reply

NOT_CACHED: Final = {"Cache-Control": "no-store"}
_JSON: Final = "application/json"
_MIB: Final = 1 << 20


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a form says before the bytes of its file; nothing, where the body is no form."""

    fields: Mapping[str, str] = {}
    filename: str | None = None
    brings_file: bool = True


class Front(Protocol):
    """One front-end, translated. Stateless; every method is a pure function."""

    @property
    def name(self) -> str:
        """Under which it is served."""

    @property
    def known(self) -> frozenset[str]:
        """The fields of a form that are read; none of them may come twice."""

    def parse(self, head: Head, sent: Sent) -> Command:
        """The command that a request stands for. Raises ``OnwardError``."""

    def reply(self, command: Command, outcome: Outcome, hrefs: Hrefs, head: Head) -> Reply:
        """What to say of a command that was carried out."""

    def refuse(self, error: OnwardError, head: Head, hrefs: Hrefs, upload: Upload | None = None) -> Reply:
        """What to say of a command that was not; ``upload`` as it stands, where it is known."""


class TakenView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to bytes that a front-end sent."""

    id: UploadId
    name: str | None
    state: str
    size: int
    """Bytes of this body that are stored."""
    offset: int
    length: int | None
    status: str
    """How the upload stands, and its events."""
    content: str
    """The file, once it is verified."""


class Params:
    """The named values of a request: of its form, else of its query."""

    def __init__(self, head: Head, sent: Sent) -> None:
        self._form = sent.fields
        self._query = head.query

    def text(self, name: str) -> str | None:
        """The value, if there is one and it is not empty."""
        return self._form.get(name) or self._query.get(name) or None

    def need(self, name: str) -> str:
        """The value. Raises ``BadField`` if there is none."""
        text = self.text(name)
        if text is None:
            raise BadField(f"{name} is missing", field=name, allowed="a field before the file, or one of the query")
        return text

    def number(self, name: str, *, least: int = 0) -> int | None:
        """The value as a whole number, if there is one."""
        text = self.text(name)
        return None if text is None else fields.integer(name, text, least=least)

    def need_number(self, name: str, *, least: int = 0) -> int:
        """The value as a whole number. Raises ``BadField``."""
        return fields.integer(name, self.need(name), least=least)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a file as a front-end names it."""

    key: str
    """What tells this upload from the caller's others; any text."""
    offset: int
    size: int
    length: int
    """Of the whole file."""
    filename: str | None


def store(front: str, head: Head, run: Run, *, reopens: bool, metadata: Mapping[str, str] | None = None) -> Store:
    """The command that keeps a piece: all of it or nothing, and the last one to come ends the upload."""
    return Store(
        target=ClientName(head.owner, segment(f"{front}~{run.key}")),
        at=Offset(run.offset),
        size=run.size,
        whole=True,
        ends_if_full=True,
        declared=Declaration(length=run.length, filename=run.filename),
        policy=Policy(dialect=front, completes=Completes.WHEN_FULL, reopens=reopens),
        metadata=metadata or {},
    )


def whole_file(front: str, head: Head, filename: str | None, *, length: int | None = None) -> Create:
    """The command that takes a small file, which front-ends send at once and without a word of chunks."""
    return Create(
        spec=Spec(declared=Declaration(length=length, filename=filename), owner=head.owner),
        policy=Policy(dialect=front, reopens=False),
        first=First(size=length, ends=True),
    )


def need_file(sent: Sent) -> None:
    """Raises ``BadBody`` for a form without a file."""
    if not sent.brings_file:
        raise BadBody("the form has no file; the bytes come as a field with a filename, behind all others")


def check_size(limits: Limits, length: int, chunks: int) -> None:
    """Raises ``UploadTooLarge`` or ``TooManyChunks`` with the first chunk, not with the last."""
    if length > limits.max_size:
        raise UploadTooLarge(
            f"a file may have {limits.max_size} bytes, not {length}", limit=limits.max_size, provided=length
        )
    most = max(limits.max_chunks, length // _MIB)
    if chunks > most:
        raise TooManyChunks(f"a file of this size may be sent in {most} chunks, not {chunks}", limit=most)


def file_name(text: str | None) -> str | None:
    """A file's name as it may be published. Raises ``BadName``."""
    return clean(text) if text else None


def wrong(field: str, provided: int, allowed: str) -> BadField:
    """What to say of a number that contradicts the others."""
    return BadField(f"{field} must be {allowed}, not {provided}", field=field, allowed=allowed)


def has(upload: Upload, run: Run) -> bool:
    """Whether every byte of this piece is stored, in an upload that can still become a file."""
    if upload.state in {State.FAILED, State.GONE} or upload.length != run.length:
        return False
    return next(upload.ranges.holes(run.offset, run.offset + run.size), None) is None


def taken(outcome: Outcome, hrefs: Hrefs) -> TakenView:
    """How the upload stands behind these bytes."""
    upload = outcome.upload
    return TakenView(
        id=upload.id,
        name=upload.called,
        state=views.word(upload),
        size=outcome.size,
        offset=views.offset_of(upload),
        length=upload.length,
        status=hrefs.status_of(upload.id),
        content=hrefs.content_of(upload.id),
    )


def stored(outcome: Outcome, shown: msgspec.Struct, headers: Mapping[str, str] | None = None) -> Reply:
    """201 where bytes were new, 200 where they were there: success to every front-end."""
    at = {"Upload-Offset": str(views.offset_of(outcome.upload)), **(headers or {})}
    status = 201 if outcome.fresh else 200
    return Reply(status=status, headers=at, body=msgspec.json.encode(shown), media_type=_JSON)
