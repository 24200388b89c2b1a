"""The path of a request, decoded exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from litestar.types import HTTPScope

from onward.errors import BadField, BadName


def segment_of(scope: HTTPScope, routed: str) -> str:
    """The text behind a route's prefix, percent-decoded once; it may have a ``/`` in it.

    ``routed`` is the same text as the router saw it. Raises ``BadName`` if it is not UTF-8, or
    if the prefix itself was written with an encoded ``/``.
    """
    decoded = scope["path"].strip("/").split("/")
    # Litestar hands over both as normalised: without empty segments and the slash at the end.
    depth = len([s for s in decoded if s]) - len([s for s in routed.split("/") if s])
    raw = cast("bytes | None", scope.get("raw_path")) or quote(scope["path"]).encode("ascii")
    rest = raw.split(b"?", 1)[0].lstrip(b"/")
    prefix: list[bytes] = []
    for _ in range(depth):
        head, _, rest = rest.partition(b"/")
        prefix.append(head)
    if [_text(part) for part in prefix] != [s for s in decoded if s][:depth]:
        raise BadName("the path before the name is written in another way than the route")
    return _text(rest)


def query_of(scope: HTTPScope) -> list[tuple[str, str]]:
    """The fields of the query in order. Raises ``BadField`` if they are not UTF-8 or too many."""
    if not scope["query_string"]:
        return []
    try:
        text = scope["query_string"].decode("ascii")
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=64)
    except ValueError:
        raise BadField("the query cannot be read", field="query", allowed="at most 64 fields in UTF-8") from None


def headers_of(scope: HTTPScope) -> Mapping[str, str]:
    """The headers as they are now, by lower-case name; one sent several times is joined with ``, ``.

    A copy: some servers add trailers to the list while the body comes.
    """
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("the name is not percent-encoded UTF-8") from None
