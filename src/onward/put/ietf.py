"""The words of the IETF draft "Resumable Uploads for HTTP", for a client."""

from __future__ import annotations

import base64
import re
from typing import ClassVar, Final
from urllib.parse import quote

import httpx

from onward.put.asking import Headers
from onward.put.sequential import Limits, Place
from onward.put.source import Chunk

STAMP: Final = {"Upload-Draft-Interop-Version": "8"}

_MEMBER: Final = re.compile(r"(?:^|,)[ \t]*([a-z-]+)=(\d{1,15})(?![\d.])", re.ASCII)


class Draft:
    """The draft in interop version 8. Fulfils ``Words``.

    The server tells on the way, by interim responses (104), how much it has. Every request is
    small enough to be repeated, so nothing depends on them: the connection passes over them.
    """

    what: ClassVar[str] = "the IETF draft"

    def discover(self) -> Headers:
        return STAMP

    def discovered(self, response: httpx.Response) -> Limits:
        return _limits(response) or Limits()

    def begin(self, name: str, size: int) -> Headers:
        return {
            **STAMP,
            "Upload-Complete": "?0",
            "Upload-Length": str(size),
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        }

    def look(self) -> Headers:
        return STAMP

    def append(self, offset: int, chunk: Chunk, whole: bytes | None) -> Headers:
        headers = {
            **STAMP,
            "Upload-Complete": "?0" if whole is None else "?1",
            "Upload-Offset": str(offset),
            "Content-Type": "application/partial-upload",
        }
        if chunk.data:
            headers["Content-Digest"] = _digest(chunk.sha256)
        if whole is not None:
            headers["Repr-Digest"] = _digest(whole)
        return headers

    def place(self, response: httpx.Response, size: int) -> Place:
        text = response.headers.get("upload-offset", "")
        return Place(
            offset=int(text) if text.isascii() and text.isdigit() else None,
            complete=response.headers.get("upload-complete") == "?1",
            url=response.headers.get("location"),
            monitor=response.links.get("monitor", {}).get("url"),
            limits=_limits(response),
        )


def _limits(response: httpx.Response) -> Limits | None:
    text = response.headers.get("upload-limit")
    if text is None:
        return None
    found = {name: int(number) for name, number in _MEMBER.findall(text)}
    return Limits(found.get("max-size"), found.get("max-append-size"), found.get("min-append-size", 0))


def _digest(sha256: bytes) -> str:
    return f"sha-256=:{base64.b64encode(sha256).decode()}:"
