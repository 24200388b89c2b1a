"""Names that clients choose: what is taken, and how a chunk's name is read.

A name is one path segment. It is compared and stored in Unicode NFC, so that one file sent from
two systems stays one file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final
from urllib.parse import quote

from onward.core.types import MAX_INT
from onward.errors import BadName

MAX_NAME_BYTES: Final = 255
RESERVED: Final = frozenset({"complete", ".", ".."})
"""Names that the routes or the file system have another use for."""

_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean(name: str) -> str:
    """The NFC form of a name that may be used. Raises ``BadName`` for any other."""
    name = unicodedata.normalize("NFC", name)
    if not name:
        raise BadName("the name is empty")
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > MAX_NAME_BYTES:
        raise BadName(f"the name has {size} bytes; {MAX_NAME_BYTES} are allowed", limit=MAX_NAME_BYTES, provided=size)
    if "/" in name or "\\" in name:
        raise BadName("the name has a path separator in it", name=_shown(name))
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp", "Cn"} or c in _BIDI for c in name):
        raise BadName("the name has a control character in it", name=_shown(name))
    if name.lower() in RESERVED:
        raise BadName(f"the name {name!r} is reserved", name=name)
    return name


def split_chunk(segment: str) -> tuple[str, int]:
    """The file name and the chunk number, from 1, that ``name-N`` stands for.

    Split at the last ``-``. Raises ``BadName`` if there is no number, or it is written in
    another way than ``[1-9][0-9]*``, or the name before it may not be used.
    """
    name, dash, number = segment.rpartition("-")
    if not dash:
        raise BadName("a chunk is named after its file and its number, as in file.txt-1", name=_shown(segment))
    if _NUMBER.fullmatch(number) is None or int(number) > MAX_INT:
        raise BadName(
            "the chunk number after the last '-' counts from 1 and has no sign, no leading zero and digits 0-9 only",
            name=_shown(segment),
        )
    return clean(name), int(number)


def segment(text: str) -> str:
    """A path segment that stands for ``text`` alone: safe characters as they are, all others as ``%XX``."""
    quoted = quote(text, safe="@+=,~").replace(".", "%2E") if text.startswith(".") else quote(text, safe="@+=,~")
    return quoted if len(quoted) <= MAX_NAME_BYTES else hashlib.sha256(text.encode()).hexdigest()


def looks_like_chunk(segment: str) -> bool:
    """True if ``segment`` could be ``name-N``."""
    name, dash, number = segment.rpartition("-")
    return bool(name and dash) and _NUMBER.fullmatch(number) is not None


def _shown(name: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in name[:100])
