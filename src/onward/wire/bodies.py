"""Request bodies that carry words, not bytes to store: strict JSON objects and forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from onward.core.types import MAX_INT
from onward.errors import BadBody, BadField, UnsupportedMedia
from onward.wire.fields import content_type, integer

JSON: Final = "application/json"
URLENCODED: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"

MAX_FORM_FIELDS: Final = 16
MAX_METADATA_KEYS: Final = 64
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 1024
MAX_METADATA: Final = 8 * 1024

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_LACKING: Final = re.compile(r"Object missing required field `(.*)`", re.DOTALL)

_WORDS: Final = {
    "int": "a whole number",
    "float": "a number with a fraction",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT)]
ChunkSize = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT)]


class DeclaredChunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``POST /upload`` says of one chunk."""

    sha256: str


class Declare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /upload``.

    No field takes a value of any depth, and unknown ones are refused, not skipped: so however
    deep a body is nested, the decoder stops at the first level that is wrong.
    """

    name: str
    size: Size | None = None
    chunk_size: ChunkSize | None = None
    sha256: str | None = None
    chunks: tuple[DeclaredChunk, ...] = ()
    metadata: dict[str, str] = {}


class Complete(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /upload/complete``, whatever it was written in."""

    file_unique_name: str
    total_chunks: Size | None = None
    size: Size | None = None
    sha256: str | None = None


_Body = TypeVar("_Body", Declare, Complete)


def read_json(kind: type[_Body], media_type: str, body: bytes) -> _Body:
    """The body as ``kind``. Raises ``UnsupportedMedia``, ``BadBody`` or, with the field's path, ``BadField``."""
    if content_type(media_type).essence != JSON:
        raise unsupported(media_type, [JSON])
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _bad_field(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadBody("the body is not JSON") from None


def read_complete(media_type: str, body: bytes | Mapping[str, str]) -> Complete:
    """The body of a completion: JSON, an urlencoded form, or the fields of a multipart form.

    Raises ``UnsupportedMedia``, ``BadBody`` or ``BadField``.
    """
    if isinstance(body, Mapping):
        return _complete_of(body.items())
    essence = content_type(media_type).essence
    if essence == JSON:
        return read_json(Complete, media_type, body)
    if essence != URLENCODED:
        raise unsupported(media_type, [JSON, URLENCODED, MULTIPART])
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MAX_FORM_FIELDS,
        )
    except ValueError:
        raise BadBody(f"the body is not an urlencoded form of at most {MAX_FORM_FIELDS} fields") from None
    return _complete_of(pairs)


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raises ``BadField`` for more metadata than an upload may carry."""
    total = 0
    if len(metadata) > MAX_METADATA_KEYS:
        raise _metadata(f"at most {MAX_METADATA_KEYS} entries")
    for key, value in metadata.items():
        key_size, size = len(key.encode()), len(value.encode())
        if not 1 <= key_size <= MAX_METADATA_KEY:
            raise _metadata(f"keys of 1 to {MAX_METADATA_KEY} bytes")
        if size > MAX_METADATA_VALUE:
            raise _metadata(f"values of at most {MAX_METADATA_VALUE} bytes")
        total += key_size + size
    if total > MAX_METADATA:
        raise _metadata(f"at most {MAX_METADATA} bytes in all")


def unsupported(media_type: str, allowed: list[str]) -> UnsupportedMedia:
    """The error for a body of that type where only ``allowed`` ones are read."""
    return UnsupportedMedia(
        f"the body must be {' or '.join(allowed)}", provided=media_type[:100] or "nothing", allowed=allowed
    )


def _complete_of(pairs: Iterable[tuple[str, str]]) -> Complete:
    found: dict[str, str] = {}
    for name, value in pairs:
        if name not in Complete.__struct_fields__:
            raise _field(name, "is not known here", "no field of this name")
        if name in found:
            raise _field(name, "was sent twice", "one value")
        found[name] = value
    if "file_unique_name" not in found:
        raise _field("file_unique_name", "is missing", "the name of the file")
    numbers = {name: integer(name, found[name]) for name in ("total_chunks", "size") if name in found}
    return Complete(
        file_unique_name=found["file_unique_name"],
        total_chunks=numbers.get("total_chunks"),
        size=numbers.get("size"),
        sha256=found.get("sha256"),
    )


def _bad_field(message: str) -> BadField | BadBody:
    """What the decoder found, in words that name the field by its path from the root."""
    what, _, where = message.rpartition(" - at `$")
    if not what:
        what, where = message, ""
    path = where.removesuffix("`").removeprefix(".")
    if unknown := _UNKNOWN.fullmatch(what):
        return _field(_below(path, unknown[1]), "is not known here", "no field of this name")
    if lacking := _LACKING.fullmatch(what):
        return _field(_below(path, lacking[1]), "is missing", "a value")
    if not path:
        return BadBody("the body must be a JSON object")
    expected, _, got = what.replace("`", "").partition(", got ")
    if not expected.startswith("Expected "):
        return _field(path, "is out of range", f"a whole number from 0 to {MAX_INT}")
    allowed = _plain(expected.removeprefix("Expected "))
    got = _plain(got)
    return _field(path, f"must be {allowed}" + (f", not {got}" if got else ""), allowed)


def _plain(types: str) -> str:
    """What the decoder calls types, in words for people; null is what may be left away, so it is not told."""
    words = [word for word in types.split(" | ") if word != "null"] or [types]
    return " or ".join(_WORDS.get(word, word) for word in words)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _field(path: str, fault: str, allowed: str) -> BadField:
    shown = "".join(c if c.isprintable() else "\ufffd" for c in path[:100])
    return BadField(f"{shown} {fault}", field=shown, allowed=allowed)


def _metadata(allowed: str) -> BadField:
    return BadField(f"metadata may have {allowed}", field="metadata", allowed=allowed)
