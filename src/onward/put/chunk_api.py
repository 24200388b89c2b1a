"""The requests of the chunk API about one file."""

from __future__ import annotations

import base64
from urllib.parse import quote

from onward.put.answers import Accepted, Begun, Standing
from onward.put.asking import Asker, read
from onward.put.plan import Cut
from onward.put.source import Chunk

WHAT = "the chunk API"


class ChunkApi:
    """The chunk API at ``base``, for the file that is called ``name`` there.

    Every method raises ``NotTaken`` for a refusal that stays one and ``OutOfPatience`` when
    nothing went forward for too long.
    """

    def __init__(self, asker: Asker, base: str, name: str) -> None:
        self._asker = asker
        self._base = base
        self._name = name

    async def declare(self, cut: Cut) -> Begun:
        """Begin the upload, or find it begun."""
        said = {"name": self._name, "size": cut.size, "chunk_size": cut.chunk_size}
        return read(Begun, await self._asker.ask("POST", self._base, json=said), WHAT)

    async def standing(self) -> Standing:
        """All that is known of the upload."""
        return read(Standing, await self._asker.ask("GET", self._url(self._name)), WHAT)

    async def store(self, chunk: Chunk, cut: Cut) -> Accepted:
        """Store one chunk; it is durable when this returns."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Digest": f"sha-256=:{base64.b64encode(chunk.sha256).decode()}:",
            "Upload-Chunk-Size": str(cut.chunk_size),
            "Upload-Length": str(cut.size),
        }
        url = self._url(f"{self._name}-{chunk.number}")
        return read(Accepted, await self._asker.ask("PUT", url, headers, data=chunk.data), WHAT)

    async def complete(self, cut: Cut, sha256: bytes) -> Accepted:
        """Say that all is there, and what it must be."""
        said = {"file_unique_name": self._name, "total_chunks": cut.count, "size": cut.size, "sha256": sha256.hex()}
        return read(Accepted, await self._asker.ask("POST", f"{self._base}/complete", json=said), WHAT)

    def _url(self, segment: str) -> str:
        return f"{self._base}/{quote(segment, safe='')}"
