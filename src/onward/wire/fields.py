"""Header fields and strict values, read and written.

Whatever text comes in, nothing but an ``OnwardError`` comes out as an exception.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import re
import unicodedata
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import msgspec

from onward.core.digest import ALGORITHMS, digest_size
from onward.core.types import MAX_INT, Digest
from onward.errors import BadField, DigestInvalid, DigestUnsupported, UnsupportedEncoding

_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HEX256: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[ -~]{1,255}", re.ASCII)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", re.ASCII)

# RFC 9651: a member of a dictionary, whose value is one item; inner lists have no use in the fields read here.
_KEY: Final = r"[a-z*][a-z0-9_\-.*]*"
_BARE: Final = (
    r":[A-Za-z0-9+/=]*:"
    r'|"(?:[ !#-\[\]-~]|\\["\\])*"'
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*"
    r"|@?-?[0-9]{1,15}(?:\.[0-9]{1,3})?"
    r"|\?[01]"
)
_MEMBER: Final = re.compile(rf"({_KEY})(?:=({_BARE}))?(?:; *{_KEY}(?:=(?:{_BARE}))?)*", re.ASCII)
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")

_PARAMETER: Final = re.compile(
    r"[ \t]*;[ \t]*(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r'|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"))?',
    re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]", re.ASCII)

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DATE: Final = re.compile(
    rf"({'|'.join(_DAYS)}), ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT",
    re.ASCII,
)

MAX_RANGES: Final = 2048
"""Most characters of an ``Upload-Ranges`` field."""


def integer(field: str, text: str, *, least: int = 0, most: int = MAX_INT) -> int:
    """The number that ``text`` writes in its one canonical way. Raises ``BadField`` naming ``field``."""
    if _INTEGER.fullmatch(text) is not None and least <= (value := int(text)) <= most:
        return value
    allowed = f"a whole number from {least} to {most}, in digits 0-9 without sign, space or leading zero"
    raise BadField(f"{field} must be {allowed}", field=field, allowed=allowed)


def sha256_hex(field: str, text: str) -> bytes:
    """The SHA-256 written as 64 hexadecimal digits. Raises ``BadField`` naming ``field``."""
    if _HEX256.fullmatch(text) is None:
        raise BadField(f"{field} must be 64 hexadecimal digits", field=field, allowed="64 hexadecimal digits")
    return bytes.fromhex(text)


# -- digests --------------------------------------------------------------------------------------


def digests(field: str, text: str) -> tuple[Digest, ...]:
    """The digests in a ``Content-Digest`` or ``Repr-Digest`` whose algorithms are computed here.

    In the order sent; other algorithms beside them are passed over. Empty if the field is
    empty. Raises ``DigestInvalid``, or ``DigestUnsupported`` where no algorithm is known.
    """
    members = _dictionary(field, text)
    found = tuple(
        Digest(name, _digest_value(field, name, value)) for name, value in members.items() if name in ALGORITHMS
    )
    if members and not found:
        raise DigestUnsupported(
            f"{field} names no algorithm that is computed here; use one of {', '.join(ALGORITHMS)}",
            field=field,
            allowed=list(ALGORITHMS),
        )
    return found


def strongest(found: Iterable[Digest]) -> Digest | None:
    """The one to hold the whole against: sha-256 if it is there, since that one is computed anyway."""
    return min(found, key=lambda digest: ALGORITHMS.index(digest.algorithm), default=None)


def digest_field(found: Iterable[Digest]) -> str:
    """Digests as the value of a ``Content-Digest`` or ``Repr-Digest``."""
    return ", ".join(f"{d.algorithm}=:{base64.b64encode(d.value).decode('ascii')}:" for d in found)


def _dictionary(field: str, text: str) -> dict[str, str]:
    text = text.strip(" ")
    members: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _MEMBER.match(text, at)
        if match is None:
            raise _unreadable(field, "it is not a list of algorithm=:base64:")
        members[match[1]] = match[2] or ""
        comma = _COMMA.match(text, match.end())
        at = match.end() if comma is None else comma.end()
        if (comma is None) != (at == len(text)):
            raise _unreadable(field, "it is not a list of algorithm=:base64:")
    return members


def _digest_value(field: str, algorithm: str, text: str) -> bytes:
    if not text.startswith(":"):
        raise _unreadable(field, f"the value of {algorithm} is not written as :base64:")
    encoded = text[1:-1]
    if "=" not in encoded:  # RFC 9651 asks parsers to do without the padding
        encoded += "=" * (-len(encoded) % 4)
    try:
        value = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise _unreadable(field, f"the value of {algorithm} is not base64") from None
    size = digest_size(algorithm)
    if len(value) != size:
        raise _unreadable(field, f"a {algorithm} has {size} bytes, not {len(value)}")
    return value


def _unreadable(field: str, reason: str) -> DigestInvalid:
    return DigestInvalid(f"{field} cannot be read: {reason}", field=field, reason=reason)


# -- what else is read ----------------------------------------------------------------------------


class ContentType(msgspec.Struct, frozen=True):
    """The type of a body: its essence in lower case, as ``text/plain``, and its parameters."""

    essence: str = ""
    parameters: Mapping[str, str] = {}

    @property
    def boundary(self) -> str:
        """What parts a multipart body. Raises ``BadField`` if it is missing or is none."""
        text = self.parameters.get("boundary", "")
        if _BOUNDARY.fullmatch(text) is None:
            allowed = "multipart/form-data with a boundary of 1 to 70 characters"
            raise BadField(f"Content-Type must be {allowed}", field="Content-Type", allowed=allowed)
        return text


def content_type(text: str) -> ContentType:
    """Read a ``Content-Type``; an empty text is an empty type. Raises ``BadField``."""
    head, semicolon, rest = text.strip(" \t").partition(";")
    if not head and not semicolon:
        return ContentType()
    essence = head.rstrip(" \t")
    kind, slash, sub = essence.partition("/")
    if not slash or _TOKEN.fullmatch(kind) is None or _TOKEN.fullmatch(sub) is None:
        raise _bad_type()
    parameters: dict[str, str] = {}
    text = semicolon + rest
    at = 0
    while at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None:
            raise _bad_type()
        at = match.end()
        if match[1]:
            value = match[2] if match[3] is None else _ESCAPED.sub(r"\1", match[3])
            if parameters.setdefault(match[1].lower(), value) != value:
                raise _bad_type()
    return ContentType(essence.lower(), parameters)


def _bad_type() -> BadField:
    allowed = "a media type, as in application/json"
    return BadField(f"Content-Type must be {allowed}", field="Content-Type", allowed=allowed)


def refuse_encoded(text: str) -> None:
    """Raises ``UnsupportedEncoding`` for any ``Content-Encoding`` but ``identity``."""
    codings = [coding.strip(" \t").lower() for coding in text.split(",")]
    if any(coding not in {"", "identity"} for coding in codings):
        raise UnsupportedEncoding("bytes are kept as they come; send them without Content-Encoding", allowed="identity")


def idempotency_key(headers: Mapping[str, str]) -> str | None:
    """The ``Idempotency-Key`` of a request, if it has one. Raises ``BadField``."""
    key = headers.get("idempotency-key")
    if key is not None and _PRINTABLE.fullmatch(key) is None:
        allowed = "1 to 255 printable ASCII characters"
        raise BadField(f"Idempotency-Key must be {allowed}", field="Idempotency-Key", allowed=allowed)
    return key


def parse_http_date(text: str) -> int | None:
    """Seconds since the epoch of a date as HTTP writes it today; ``None`` for any other text."""
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    month = _MONTHS.index(match[3]) + 1
    day, year, hour, minute, second = (int(match[i]) for i in (2, 4, 5, 6, 7))
    if year < 1970 or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    if match[1] != _DAYS[calendar.weekday(year, month, day)]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


# -- what is written ------------------------------------------------------------------------------


def http_date(at: float) -> str:
    """Seconds since the epoch as HTTP writes a date."""
    return _date_of(int(at))


@lru_cache(maxsize=256)
def _date_of(second: int) -> str:
    return formatdate(second, usegmt=True)


def ranges_field(ranges: Iterable[tuple[int, int]]) -> str:
    """Half-open ranges as ``0-99,200-299``: the first ones, then ``;more`` where they are too many."""
    more = ";more"
    pieces: list[str] = []
    room = MAX_RANGES - len(more)
    for start, end in ranges:
        piece = f"{start}-{end - 1}"
        room -= len(piece) + 1
        if room < 0:
            return ",".join(pieces) + more
        pieces.append(piece)
    return ",".join(pieces)


def word_with_reason(word: str, reason: str) -> str:
    """``failed;reason=damaged``; a reason that is no token is quoted, without what cannot be quoted."""
    if not reason:
        return word
    if _TOKEN.fullmatch(reason) is not None and reason[0].isalpha():
        return f"{word};reason={reason}"
    plain = "".join(c if " " <= c <= "~" else "?" for c in reason[:200])
    quoted = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'{word};reason="{quoted}"'


def attachment(filename: str) -> str:
    """The ``Content-Disposition`` under which a browser saves a file of that name.

    Control and direction characters are left out, path separators are replaced.
    """
    kept = "".join(c for c in filename if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp", "Cn"})
    kept = kept.replace("/", "_").replace("\\", "_").strip()
    if not kept.strip("."):
        kept = "download"
    plain = "".join(c if " " <= c <= "~" and c not in '"%' else "_" for c in kept)
    if plain == kept:
        return f'attachment; filename="{plain}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(kept, safe='')}"
