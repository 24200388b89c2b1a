"""The words of tus 1.0, for a client."""

from __future__ import annotations

import base64
from typing import ClassVar, Final

import httpx

from onward.put.asking import Headers, not_the
from onward.put.faults import NotTaken
from onward.put.sequential import Limits, Place
from onward.put.source import Chunk

STAMP: Final = {"Tus-Resumable": "1.0.0"}
ALGORITHM: Final = "sha256"


class Tus:
    """tus 1.0 with the extensions creation and, where the server has it, checksum. Fulfils ``Words``."""

    what: ClassVar[str] = "tus 1.0"

    def __init__(self) -> None:
        self._checks = False

    def discover(self) -> Headers:
        return {}  # the one request that must not name a version

    def discovered(self, response: httpx.Response) -> Limits:
        if "tus-version" not in response.headers:
            raise not_the(self.what, response)
        extensions = _list(response, "tus-extension")
        if "creation" not in extensions:
            raise NotTaken("uploads cannot be created at this server of tus", code="no-creation")
        self._checks = "checksum" in extensions and ALGORITHM in _list(response, "tus-checksum-algorithm")
        return Limits(most=_number(response, "tus-max-size"))

    def begin(self, name: str, size: int) -> Headers:
        filename = base64.b64encode(name.encode()).decode()
        return {**STAMP, "Upload-Length": str(size), "Upload-Metadata": f"filename {filename}"}

    def look(self) -> Headers:
        return STAMP

    def append(self, offset: int, chunk: Chunk, whole: bytes | None) -> Headers:
        headers = {**STAMP, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        if self._checks and chunk.data:
            headers["Upload-Checksum"] = f"{ALGORITHM} {base64.b64encode(chunk.sha256).decode()}"
        if whole is not None:
            # Of no meaning in tus, so whoever does not know it passes over it.
            headers["Repr-Digest"] = f"sha-256=:{base64.b64encode(whole).decode()}:"
        return headers

    def place(self, response: httpx.Response, size: int) -> Place:
        offset = _number(response, "upload-offset")
        return Place(
            offset=offset,
            complete=offset == size,
            url=response.headers.get("location"),
            monitor=response.links.get("monitor", {}).get("url"),
        )


def _list(response: httpx.Response, field: str) -> set[str]:
    return {word.strip() for word in response.headers.get(field, "").split(",")}


def _number(response: httpx.Response, field: str) -> int | None:
    text = response.headers.get(field, "")
    return int(text) if text.isascii() and text.isdigit() else None
