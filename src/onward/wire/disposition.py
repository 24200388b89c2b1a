"""The file name in a ``Content-Disposition`` (RFC 6266, RFC 8187)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_to_bytes

_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE: Final = re.compile(rf"[ \t]*{_WORD}", re.ASCII)
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*(?:({_WORD})[ \t]*=[ \t]*(?:({_WORD})"
    r'|"((?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*)"))?',
    re.ASCII,
)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_EXTENDED: Final = re.compile(
    r"(utf-8|iso-8859-1)'[A-Za-z0-9-]*'((?:%[0-9a-f]{2}|[!#$&+\-.^_`|~0-9a-z])*)", re.IGNORECASE | re.ASCII
)


def filename(text: str | None) -> str | None:
    """The name that the field gives to the file, not cleaned of anything; ``filename*`` before ``filename``.

    ``None`` if there is none, or the field cannot be read, or a parameter is there twice.
    """
    parameters = _parameters(text or "")
    extended = _extended(parameters.get("filename*", ""))
    plain = parameters.get("filename", "")
    return extended or _as_utf8(plain) or None


def _parameters(text: str) -> dict[str, str]:
    start = _TYPE.match(text)
    found: dict[str, str] = {}
    text = text.rstrip(" \t")
    at = 0 if start is None else start.end()
    while start is not None and at < len(text):
        match = _PARAMETER.match(text, at)
        if match is None or (match[1] or "").lower() in found:
            return {}
        if match[1]:
            found[match[1].lower()] = match[2] if match[3] is None else _ESCAPED.sub(r"\1", match[3])
        at = match.end()
    return found


def _extended(text: str) -> str:
    match = _EXTENDED.fullmatch(text)
    if match is None:
        return ""
    try:
        return unquote_to_bytes(match[2]).decode(match[1].lower())
    except UnicodeDecodeError:
        return ""


def _as_utf8(text: str) -> str:
    """Many clients write UTF-8 where the standard has Latin-1, which header values are read as."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
