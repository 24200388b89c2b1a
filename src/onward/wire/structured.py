"""Structured fields (RFC 9651): whole numbers, booleans and dictionaries, as the drafts send them.

A field that cannot be read, or is of another type, counts as not sent: nothing here raises.
Parameters are checked for their form and passed over.
"""

from __future__ import annotations

import re
from typing import Final

MAX_INTEGER: Final = 10**15 - 1
"""The greatest number that an Integer can be."""

_KEY: Final = r"[a-z*][a-z0-9_\-.*]*"
_BARE: Final = (
    r"(?:"
    r"@?-?[0-9]{1,15}(?![0-9.])"  # Integer, Date
    r"|-?[0-9]{1,12}\.[0-9]{1,3}(?![0-9.])"  # Decimal
    r'|"(?:[ !#-\[\]-~]|\\["\\])*"'  # String
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~:/0-9A-Za-z]*"  # Token
    r"|:[A-Za-z0-9+/=]*:"  # Byte Sequence
    r"|\?[01]"  # Boolean
    r'|%"(?:[ !#$&-~]|%[0-9a-f]{2})*"'  # Display String
    r")"
)
_PARAMETERS: Final = rf"(?:; *{_KEY}(?:={_BARE})?)*"
_INNER_LIST: Final = rf"\((?: *{_BARE}{_PARAMETERS}(?=[ )]))* *\)"

_INTEGER: Final = re.compile(rf" *(-?[0-9]{{1,15}})(?![0-9.]){_PARAMETERS} *", re.ASCII)
_BOOLEAN: Final = re.compile(rf" *\?([01]){_PARAMETERS} *", re.ASCII)
_MEMBER: Final = re.compile(rf"({_KEY})(?:=({_BARE}|{_INNER_LIST}))?{_PARAMETERS}", re.ASCII)
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")
_TRUE: Final = "?1"


def whole(text: str | None) -> int | None:
    """The number that an Item of type Integer is, if it is not negative."""
    match = None if text is None else _INTEGER.fullmatch(text)
    value = -1 if match is None else int(match[1])
    return value if value >= 0 else None


def boolean(text: str | None) -> bool | None:
    """The truth that an Item of type Boolean is."""
    match = None if text is None else _BOOLEAN.fullmatch(text)
    return None if match is None else match[1] == "1"


def members(text: str | None) -> dict[str, str]:
    """The members of a Dictionary, each value as it is written but for its parameters.

    Of a key that is there twice the last value counts. Empty if any part cannot be read.
    """
    text = (text or "").lstrip(" ").rstrip(" \t")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _MEMBER.match(text, at)
        if match is None:
            return {}
        found[match[1]] = match[2] or _TRUE
        comma = _COMMA.match(text, match.end())
        at = match.end() if comma is None else comma.end()
        if (comma is None) != (at == len(text)):
            return {}
    return found


def weights(text: str | None) -> dict[str, int]:
    """The members of a Dictionary that are Integers from 0 to 10, as preferences are written."""
    read = {key: whole(value) for key, value in members(text).items()}
    return {key: value for key, value in read.items() if value is not None and value <= 10}
