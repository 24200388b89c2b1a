"""Forms that bring a file and what is to be done with it: the fields first, then the file as it streams."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from onward.core.types import Buffer
from onward.errors import BadBody
from onward.web.body import RawBody, soon
from onward.web.forms import Form
from onward.wire.compat.front import Sent

MOST_FIELDS: Final = 32
MOST_WORDS: Final = 256 << 10
"""Most bytes of all fields before the file."""


class FileForm:
    """The body of a request whose form has one file, whatever the file's field is called.

    ``known`` are the fields that say what is to be done, as far as the query does not: they may
    not come twice, nor behind the file. Any other field there is read and dropped.
    """

    __slots__ = ("_form", "_idle", "_known")

    def __init__(self, body: RawBody, boundary: str, known: Container[str], *, idle: float) -> None:
        self._form = Form(body, boundary, files=True, most=MOST_FIELDS)
        self._known = known
        self._idle = idle

    async def open(self) -> Sent:
        """All fields up to the file. Nothing of the file is read.

        Raises ``BadBody`` for more than 256 KiB of them, for text that is not UTF-8, and if one
        of the known fields comes twice; of any other the first value stands.
        """
        found: dict[str, bytearray] = {}
        size = 0
        extra = False
        while (piece := await soon(self._form.next, self._idle)) is not None:
            size += len(piece.data)
            if piece.filename is not None:
                return Sent(fields=_texts(found), filename=piece.filename, brings_file=True)
            if size > MOST_WORDS:
                raise BadBody(f"the fields before the file may have {MOST_WORDS} bytes", limit=MOST_WORDS)
            if piece.data:
                if not extra:
                    found[piece.field] += piece.data
            else:
                extra = piece.field in found
                if extra and piece.field in self._known:
                    raise BadBody(f"the form has more than one field {piece.field[:100]!r}")
                found.setdefault(piece.field, bytearray())
        return Sent(fields=_texts(found), brings_file=False)

    async def next(self) -> Buffer | None:
        """The next bytes of the file. Raises ``BadBody`` if another file or a known field follows."""
        file = True
        while (piece := await self._form.next()) is not None:
            if piece.data:
                if file:
                    return piece.data
            elif piece.filename is not None:
                raise BadBody("the form has more than one file; send each in a request of its own")
            elif piece.field in self._known:
                raise BadBody(f"the field {piece.field!r} comes behind the file; it must come before, or in the query")
            else:
                file = False
        return None


def _texts(found: dict[str, bytearray]) -> dict[str, str]:
    try:
        return {name: value.decode("utf-8") for name, value in found.items()}
    except UnicodeDecodeError:
        raise BadBody("a field of the form is not UTF-8 text") from None
