"""Where a boundary of a form is in a piece of it, found without a copy of the piece."""

from __future__ import annotations

import ctypes
from typing import Final

from onward.core.types import Buffer

_memmem: Final = ctypes.CDLL(None).memmem
_memmem.restype = ctypes.c_void_p
_memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)


class Boundary:
    """The line that separates the fields of a form."""

    __slots__ = ("_line",)

    def __init__(self, boundary: str) -> None:
        self._line = b"\r\n--" + boundary.encode("ascii")

    def before(self, piece: Buffer) -> int:
        """How many bytes of ``piece`` come before the line, or before its end if that may be where a line begins."""
        at = self._find(memoryview(piece))
        if at >= 0:
            return at
        tail = bytes(memoryview(piece)[1 - len(self._line) :])
        at = tail.rfind(b"\r")
        return len(piece) - len(tail) + at if at >= 0 and self._line.startswith(tail[at:]) else len(piece)

    def _find(self, view: memoryview) -> int:
        if view.readonly or len(view) < len(self._line):
            return bytes(view).find(self._line)
        # Of memory that changes hands there is no `find`; a copy of it would cost more than the search.
        start = ctypes.addressof(ctypes.c_char.from_buffer(view))
        found: int | None = _memmem(start, len(view), self._line, len(self._line))
        return -1 if found is None else found - start
