"""``Upload-Metadata``: pairs of a key and a base64 value, as tus writes them."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final

from onward.errors import BadField

FIELD: Final = "Upload-Metadata"
MAX_FIELD: Final = 8 * 1024
"""Most bytes of the field."""
MAX_KEYS: Final = 64

# Visible, without the comma: what a field value may carry as bytes, those of UTF-8 included.
_KEY: Final = re.compile(r"[!-+\--~\x80-\xff]+")
_BINARY: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def decode(text: str) -> dict[str, str]:
    """What the field says in text. A value that is no text is left out, a field without a pair is empty.

    Strict: raises ``BadField`` for an empty or repeated key, for anything but one space between
    key and value, and for base64 that is not padded and of the standard alphabet.
    """
    if not text.strip(" \t"):
        return {}
    if len(text) > MAX_FIELD:
        raise _bad(f"of at most {MAX_FIELD} bytes")
    pairs = [piece.strip(" \t") for piece in text.split(",")]
    if len(pairs) > MAX_KEYS:
        raise _bad(f"of at most {MAX_KEYS} pairs")
    seen: set[str] = set()
    found: dict[str, str] = {}
    for pair in pairs:
        key, _, encoded = pair.partition(" ")
        if _KEY.fullmatch(key) is None:
            raise _bad("of pairs whose key has no space, comma or control character")
        if key in seen:
            raise _bad("of pairs each with a key of its own")
        seen.add(key)
        name, value = _text(key.encode("latin-1")), _text(_value(encoded))
        if name is not None and value is not None:
            found[name] = value
    return found


def encode(metadata: Mapping[str, str]) -> str:
    """The field that says this; a key that has no form there is left out."""
    pairs = []
    for name, value in metadata.items():
        key = name.encode("utf-8").decode("latin-1")
        if _KEY.fullmatch(key) is not None:
            encoded = base64.b64encode(value.encode("utf-8")).decode("ascii")
            pairs.append(f"{key} {encoded}".rstrip(" "))
    return ",".join(pairs)


def _value(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _bad("of pairs whose value is padded base64, one space after the key") from None


def _text(raw: bytes) -> str | None:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _BINARY.search(text) else text


def _bad(allowed: str) -> BadField:
    return BadField(f"{FIELD} must be a list {allowed}", field=FIELD, allowed=f"a list {allowed}")
