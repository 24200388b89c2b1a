"""By a protocol that gives an upload a URL and takes its bytes there, one piece after the other."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import ClassVar, Final, Protocol

import httpx
import msgspec
from msgspec.structs import replace

from onward.put.answers import Standing
from onward.put.asking import Headers, Refused, Trouble, linked, not_the, read
from onward.put.errand import ROUNDS, Errand, Sent
from onward.put.faults import NotTaken
from onward.put.proof import content_of, over, verified
from onward.put.source import Chunk, Source

_UNKNOWN_METHOD: Final = frozenset({405, 501})
_OTHER: Final = (
    "the server has other bytes than this file: it changed since an earlier try, but not its size and time. "
    "Send it under another name with --name."
)


class Limits(msgspec.Struct, frozen=True):
    """What a server takes, in bytes; ``None``: it does not say."""

    most: int | None = None
    """Of a file."""
    piece_most: int | None = None
    """Of one request."""
    piece_least: int = 0
    """Of one request that is not the last."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer says of an upload. Links are as the server gives them."""

    offset: int | None
    complete: bool = False
    url: str | None = None
    monitor: str | None = None
    """Where its verification can be followed."""
    limits: Limits | None = None


class Words(Protocol):
    """One such protocol: the headers of its requests, and what the headers of answers mean."""

    what: ClassVar[str]

    def discover(self) -> Headers:
        """For the question what the server can do."""

    def discovered(self, response: httpx.Response) -> Limits:
        """What the answer to that says. Raises ``NotTaken`` if no upload can go there."""

    def begin(self, name: str, size: int) -> Headers:
        """For the creation of an upload of ``size`` bytes, of which none comes with it."""

    def look(self) -> Headers:
        """For the question where an upload stands."""

    def append(self, offset: int, chunk: Chunk, whole: bytes | None) -> Headers:
        """For bytes at ``offset``; ``whole`` is the SHA-256 of the file if they are its last."""

    def place(self, response: httpx.Response, size: int) -> Place:
        """What any other answer says."""


class Sequential:
    """The upload of one file in one protocol's words. Fulfils ``Way``.

    Nothing is remembered on this side: the creation carries a key made of what the file is, by
    which the server finds the upload that an earlier try began.
    """

    def __init__(self, words: Callable[[], Words], errand: Errand) -> None:
        self._words = words()
        self._errand = errand
        self._asker = errand.asker
        self._track = errand.track
        self._piece = errand.chunk_size
        self._url = ""

    async def run(self) -> Sent:
        """Send the file. Raises ``Ended``."""
        source = await asyncio.to_thread(Source, self._errand.path)
        try:
            self._track.size = source.size
            self._heed(await self._discover())
            place = await self._send(source, await self._begin(source))
            await self._catch_up(source, source.size)
            sha256 = await asyncio.to_thread(source.sha256)
        finally:
            await asyncio.to_thread(source.close)
        sent = Sent(
            id=self._url.rpartition("/")[2],
            size=source.size,
            sha256=sha256.hex(),
            chunk_size=self._piece,
            content=None,
        )
        if not self._errand.wait:
            return sent
        standing = await self._verified(place, source.size, sha256)
        return replace(sent, id=standing.id, content=content_of(standing, source.size, sha256, other=_OTHER))

    # -- the beginning ------------------------------------------------------------------------------

    async def _discover(self) -> Limits:
        try:
            response = await self._asker.ask("OPTIONS", self._errand.base, self._words.discover())
        except Refused as refused:
            if refused.status in _UNKNOWN_METHOD:
                return Limits()  # the answer to the creation will tell
            raise
        return self._words.discovered(response)

    def _heed(self, limits: Limits) -> None:
        size = self._track.size
        if limits.most is not None and size > limits.most:
            raise NotTaken(f"a file may have {limits.most} bytes, not {size}", code="upload-too-large")
        self._piece = max(self._piece, limits.piece_least, 1)
        if limits.piece_most:
            self._piece = min(self._piece, limits.piece_most)

    async def _begin(self, source: Source) -> Place:
        """The upload of this very file: as an earlier try left it, or a new one."""
        identity = await asyncio.to_thread(source.identity)
        for attempt in range(ROUNDS):
            told = f"{self._words.what} {attempt} {self._errand.name} ".encode() + identity
            place = await self._created(f"put-{hashlib.sha256(told).hexdigest()}")
            if place is not None:
                return place if place.offset is not None else await self._look()
        raise NotTaken(
            f"{ROUNDS} uploads of this file have failed or were cancelled; send it under another name with --name",
            code="upload-failed",
        )

    async def _created(self, key: str) -> Place | None:
        """Where the upload with this key is; ``None`` if it has come to nothing."""
        headers = {**self._words.begin(self._errand.name, self._track.size), "Idempotency-Key": key}
        tries = self._asker.tries()
        while True:
            try:
                response = await self._asker.once("POST", self._errand.base, headers, data=b"")
            except Refused as refused:
                if refused.status == 410:
                    return None
                raise
            except Trouble as trouble:
                if trouble.code == "digest-mismatch":  # of the file that was sent: no byte comes with this
                    return None
                await tries.wait_after(trouble)
                continue
            place = self._words.place(response, self._track.size)
            if place.url is None:
                raise not_the(self._words.what, response)
            self._url = linked(self._errand.base, place.url)
            if place.limits is not None:
                self._heed(place.limits)
            return place

    async def _look(self) -> Place:
        response = await self._asker.ask("HEAD", self._url, self._words.look())
        place = self._words.place(response, self._track.size)
        if place.offset is None:
            raise not_the(self._words.what, response)
        return place

    # -- the bytes ----------------------------------------------------------------------------------

    async def _send(self, source: Source, place: Place) -> Place:
        """Send what lacks. Pieces are read as they are needed: only one is in memory."""
        at, vain = place.offset or 0, 0
        self._track.found(at)
        while not place.complete:
            await self._catch_up(source, at)
            size = min(self._piece, source.size - at)
            chunk = await asyncio.to_thread(source.at, at // self._piece + 1, at, size)
            whole = await asyncio.to_thread(source.sha256) if at + size == source.size else None
            async with self._errand.lanes.requests:
                place = await self._append(at, chunk, whole)
            now = place.offset or 0
            if now > source.size:
                raise NotTaken(_OTHER, code="different-file")
            if now > at or place.complete:
                self._asker.patience.renew()
                self._track.stored(now - at)
            else:
                self._track.lost(at - now)
                vain += 1
            if vain >= ROUNDS:
                raise NotTaken("the server does not keep what it acknowledges", code="damaged")
            at = now
        return place

    async def _catch_up(self, source: Source, end: int) -> None:
        """Hash the bytes before ``end`` that need not be sent."""
        while source.read < end:
            size = min(self._errand.chunk_size, end - source.read)
            await asyncio.to_thread(source.next, 1, size)

    async def _append(self, at: int, chunk: Chunk, whole: bytes | None) -> Place:
        """Where the upload stands after these bytes were sent; that may be anywhere."""
        headers = self._words.append(at, chunk, whole)
        size = len(chunk.data)
        tries = self._asker.tries()
        while True:
            try:
                response = await self._asker.once("PATCH", self._url, headers, data=chunk.data)
            except Refused as refused:
                if self._is_too_large(refused, size):
                    return Place(offset=at)
                if not _stands_elsewhere(refused):
                    raise
                trouble = Trouble(refused.detail)
            except Trouble as met:
                trouble = met
            else:
                place = self._words.place(response, self._track.size)
                # All was taken, whether the answer says it again or not.
                ended = place.complete or whole is not None
                return replace(place, offset=at + size if place.offset is None else place.offset, complete=ended)
            await tries.wait_after(trouble)
            place = await self._look()
            if place.offset != at or place.complete:
                return place

    def _is_too_large(self, refused: Refused, size: int) -> bool:
        """Whether a smaller piece helps; the next ones then are."""
        limit = refused.facts.get("limit")
        if refused.code != "chunk-too-large" or not isinstance(limit, int) or not 0 < limit < size:
            return False
        self._piece = limit
        return True

    # -- the end ------------------------------------------------------------------------------------

    async def _verified(self, place: Place, size: int, sha256: bytes) -> Standing:
        """The upload once the worker is through with it, published or not."""
        if place.monitor is None:
            # The answer to the last bytes was lost. Asked again, without a byte, it is the same.
            nothing = Chunk(0, b"", hashlib.sha256().digest())
            place = await self._append(size, nothing, sha256)
        if place.monitor is None:
            raise NotTaken(
                "every byte is stored, but this server does not tell whether it has verified them; "
                "--no-wait is content with that",
                code="no-proof",
            )
        monitor = linked(self._errand.base, place.monitor)

        async def look() -> Standing:
            return read(Standing, await self._asker.ask("GET", monitor), "the status of an upload")

        standing = await verified(look, self._asker, self._track)
        if standing.state != "done":
            raise over(standing)
        return standing


def _stands_elsewhere(refused: Refused) -> bool:
    """Whether the server has more or fewer bytes than we think. Some say nothing but the status."""
    return refused.status == 409 and refused.code in {"", "offset-mismatch"}
