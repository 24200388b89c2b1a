"""``Upload-Concat``: whether an upload is a piece of a whole, or the whole made of such pieces."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from onward.core.types import UploadId, is_id
from onward.errors import BadField, NotFound
from onward.wire.message import Head

FIELD: Final = "Upload-Concat"

_VISIBLE: Final = re.compile(r"[!-~]+", re.ASCII)
_ORIGIN: Final = re.compile(r"^https?://[^/]+", re.ASCII | re.IGNORECASE)


class Concat(msgspec.Struct, frozen=True, kw_only=True):
    """What the field says; neither, if it was not sent."""

    partial: bool = False
    sources: tuple[UploadId, ...] = ()


def decode(text: str | None, head: Head, files: str) -> Concat:
    """Read the field of a creation whose upload resources lie below ``files``.

    Raises ``BadField`` for what is outside the grammar, and ``NotFound`` for the URL of anything
    but an upload resource of this server.
    """
    if text is None:
        return Concat()
    if text == "partial":
        return Concat(partial=True)
    kind, _, urls = text.partition(";")
    listed = [url for url in urls.split(" ") if url]
    if kind != "final" or not listed:
        allowed = "partial, or final; and the URLs of uploads with a space between"
        raise BadField(f"{FIELD} must be {allowed}", field=FIELD, allowed=allowed)
    return Concat(sources=tuple(_id(url, head, files) for url in listed))


def _id(url: str, head: Head, files: str) -> UploadId:
    if _VISIBLE.fullmatch(url) is None:
        allowed = "absolute or relative URLs in visible ASCII"
        raise BadField(f"{FIELD} must list {allowed}", field=FIELD, allowed=allowed)
    place, slash, id = url.rpartition("/")
    if not is_id(id) or (slash and _with_plain_host(place) not in _places(head, files)):
        raise NotFound(f"{FIELD} names something that is no upload of this server")
    return UploadId(id)


def _places(head: Head, files: str) -> set[str]:
    """What may stand before an id: as links of ours have it, as the client reached us, or relative."""
    host = head.headers.get("host", "")
    root = _ORIGIN.sub("", head.base)
    paths = {files, f"{root}{files}"}
    origins = {_ORIGIN.match(head.base), _ORIGIN.match(f"http://{host}"), _ORIGIN.match(f"https://{host}")}
    absolute = {f"{origin[0].lower()}{path}" for origin in origins if origin for path in paths}
    return {files.lstrip("/"), *paths, *absolute}


def _with_plain_host(place: str) -> str:
    return _ORIGIN.sub(lambda origin: origin[0].lower(), place)
