"""Multipart forms, read as they stream: one field's bytes go straight through, nothing is spooled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from onward.core.types import Buffer
from onward.errors import BadBody
from onward.web.body import RawBody, soon
from onward.web.boundary import Boundary

DATA: Final = "data"
"""The field that holds a chunk."""

MAX_FIELDS: Final = 16
MAX_HEADER: Final = 8 << 10
MAX_FIELD: Final = 64 << 10
_MAX_HEADER_LINES: Final = 8
_PLAIN: Final = frozenset({"", "binary", "8bit", "7bit"})


class Piece(NamedTuple):
    """Bytes of one field; an empty piece says that the field begins."""

    field: str
    data: Buffer
    """Of the field that is streamed it may be a view, as the body gives them."""
    filename: str | None = None
    """Given where the field begins, if it is a file."""


class Form:
    """The fields of a form in the order they come.

    At most ``most`` fields, 8 KiB of headers to a field, 64 KiB to a field other than the one to
    stream: the field named ``stream`` or, with ``files``, any that is a file. No bytes before the
    first boundary and nothing but a line end after the last. Raises ``BadBody`` for anything
    else, and what the body raises.
    """

    __slots__ = (
        *("_body", "_boundary", "_end", "_epilogue", "_events", "_field", "_files", "_holds_back", "_is_clear"),
        *("_is_counted", "_parser", "_received", "_rest", "_size", "_stream", "_streams", "_tail"),
    )

    def __init__(
        self, body: RawBody, boundary: str, *, stream: str | None = None, files: bool = False, most: int = MAX_FIELDS
    ) -> None:
        self._body = body
        self._stream = stream
        self._files = files
        self._streams = False
        self._parser = PushMultipartParser(
            boundary,
            max_header_size=MAX_HEADER,
            max_header_count=_MAX_HEADER_LINES,
            max_segment_count=most,
            strict=True,
        )
        self._boundary = Boundary(boundary)
        self._holds_back = self._is_counted = False
        self._is_clear = False
        """Whether the parser is inside the streamed field and holds nothing back: what has no boundary is all data."""
        self._events: Iterator[MultipartSegment | bytes | bytearray | None] = iter(())
        self._end = b"\r\n--" + boundary.encode("ascii") + b"--"
        self._received = self._rest = b""
        self._tail = b"\r\n"
        self._epilogue: bytes | None = None
        self._field: str | None = None
        self._size = 0

    async def next(self) -> Piece | None:
        """The next piece of a field, or ``None`` when the form has ended and is whole."""
        while (piece := self._parsed()) is None:
            if self._rest:
                self._feed(self._rest)
                continue
            received = await self._body.next()
            if received is None:
                if self._epilogue is None:
                    raise BadBody("the form ends before its last boundary")
                return None
            if self._is_clear and (size := self._boundary.before(received)):
                self._rest = bytes(memoryview(received)[size:])
                self._tail = b""
                return Piece(self._field or "", memoryview(received)[:size])
            self._feed(bytes(received))
        return piece

    def _feed(self, received: bytes) -> None:
        self._received, self._rest = received, b""
        # What is too short to tell counts as the beginning of a boundary.
        self._holds_back = len(received) < len(self._end) or self._boundary.before(received) < len(received)
        if self._epilogue is None:
            self._events = self._parser.parse(received)

    def _parsed(self) -> Piece | None:
        try:
            for event in self._events:
                if event is None:
                    self._field = None
                elif isinstance(event, MultipartSegment):
                    return self._begin(event)
                else:
                    return self._more(bytes(event))
        except MultipartError as error:
            raise BadBody(f"the form cannot be read: {_reason(error)}") from None
        self._events = iter(())
        self._look_for_end()
        self._is_clear = self._streams and self._field is not None and not self._holds_back and not self._is_counted
        return None

    def _begin(self, segment: MultipartSegment) -> Piece:
        if sum(len(name) + len(value) + 4 for name, value in segment.headerlist) > MAX_HEADER:
            raise BadBody(f"the headers of a field may have {MAX_HEADER} bytes")
        encoding = segment.header("Content-Transfer-Encoding", "") or ""
        if encoding.lower() not in _PLAIN:
            raise BadBody("a field with a Content-Transfer-Encoding is not read; send its bytes as they are")
        self._field = segment.name or ""
        self._size = 0
        is_file = segment.filename is not None
        self._streams = (self._files and is_file) or self._field == self._stream
        # A field that says its own length has its bytes counted by the parser, which must see them.
        self._is_counted = segment.header("Content-Length") is not None
        return Piece(self._field, b"", segment.filename)

    def _more(self, data: bytes) -> Piece:
        field = self._field or ""
        self._size += len(data)
        if not self._streams and self._size > MAX_FIELD:
            raise BadBody(f"a field other than the file may have {MAX_FIELD} bytes", limit=MAX_FIELD)
        return Piece(field, data)

    def _look_for_end(self) -> None:
        """See whether the last boundary has come: the parser does not tell, and takes what follows it in silence."""
        received, self._received = self._received, b""
        if self._epilogue is not None:
            self._epilogue += received
        elif self._field is None and (at := (window := self._tail + received).find(self._end)) >= 0:
            self._epilogue = window[at + len(self._end) :]
        else:
            keep = len(self._end) - 1
            self._tail = received[-keep:] if len(received) >= keep else (self._tail + received)[-keep:]
        if self._epilogue is not None and not b"\r\n".startswith(self._epilogue):
            raise BadBody("there are bytes after the end of the form")


class FormData:
    """The body of a chunk that comes as the field ``data`` of a form; other fields are passed over."""

    __slots__ = ("_form", "_found")

    def __init__(self, body: RawBody, boundary: str) -> None:
        self._form = Form(body, boundary, stream=DATA)
        self._found = False

    async def next(self) -> Buffer | None:
        """The next bytes of the field. Raises ``BadBody`` at the end if there is none, or more than one."""
        while (piece := await self._form.next()) is not None:
            if piece.field != DATA:
                continue
            if piece.data:
                return piece.data
            if self._found:
                raise BadBody("the form has more than one field 'data'")
            self._found = True
        if not self._found:
            raise BadBody("the form has no field 'data'")
        return None


async def gather_fields(body: RawBody, boundary: str, *, idle: float) -> dict[str, str]:
    """The fields of a small form by name. Raises ``BadBody`` for a name that comes twice or text that is not UTF-8."""
    form = Form(body, boundary)
    fields: dict[str, bytearray] = {}
    while (piece := await soon(form.next, idle)) is not None:
        if piece.data:
            fields[piece.field] += piece.data
        elif piece.field in fields:
            raise BadBody(f"the form has more than one field {piece.field[:100]!r}")
        else:
            fields[piece.field] = bytearray()
    try:
        return {name: value.decode("utf-8") for name, value in fields.items()}
    except UnicodeDecodeError:
        raise BadBody("a field of the form is not UTF-8 text") from None


def _reason(error: MultipartError) -> str:
    return str(error.args[0]).rstrip(".").lower() if error.args else "it is broken"
