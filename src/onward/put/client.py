"""The requests of the chunk API, each tried until it is answered for good or patience ends."""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from onward.put.answers import Accepted, Begun, Problem, Standing
from onward.put.backoff import Backoff, Patience, Verdict, judge, retry_after
from onward.put.faults import NotTaken, OutOfPatience
from onward.put.plan import Cut
from onward.put.source import Chunk

PIECE: Final = 128 * 1024
"""Bytes handed to the connection at a time: what moves between two looks at the stall clock."""

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class Refused(NotTaken):
    """The server's refusal, with the facts in it."""

    def __init__(self, status: int, problem: Problem, facts: Mapping[str, object]) -> None:
        super().__init__(problem.detail or f"the server answers {status}", code=problem.code, status=status)
        self.facts = facts


class Watch:
    """What happens on the way; a progress display listens."""

    def sent(self, size: int) -> None:
        """That many bytes of a chunk went out, perhaps not for the first time."""

    def trouble(self, reason: str, wait: float) -> None:
        """A request failed for ``reason`` and is tried again in ``wait`` seconds."""


class ChunkApi:
    """The chunk API at ``base``.

    Every method raises ``NotTaken`` for a refusal that stays one and ``OutOfPatience`` when
    nothing went forward for too long.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        base: str,
        *,
        patience: Patience,
        most_tries: int | None = None,
        backoff: Backoff | None = None,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._base = base.rstrip("/")
        self._most_tries = most_tries
        self._backoff = backoff or Backoff()
        self._draw = draw
        self._clock = clock
        self.patience = patience

    async def declare(self, name: str, cut: Cut, watch: Watch) -> Begun:
        """Begin the upload, or find it begun."""
        said = {"name": name, "size": cut.size, "chunk_size": cut.chunk_size}
        return await self._ask(Begun, watch, lambda: self._http.build_request("POST", self._base, json=said))

    async def standing(self, name: str, watch: Watch) -> Standing:
        """All that is known of the upload."""
        return await self._ask(Standing, watch, lambda: self._http.build_request("GET", self._url(name)))

    async def store(self, name: str, chunk: Chunk, cut: Cut, watch: Watch) -> Accepted:
        """Store one chunk; it is durable when this returns."""
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(len(chunk.data)),
            "Content-Digest": f"sha-256=:{base64.b64encode(chunk.sha256).decode()}:",
            "Upload-Chunk-Size": str(cut.chunk_size),
            "Upload-Length": str(cut.size),
        }
        url = self._url(f"{name}-{chunk.number}")

        def request() -> httpx.Request:
            return self._http.build_request("PUT", url, headers=headers, content=_pieces(chunk.data, watch))

        return await self._ask(Accepted, watch, request)

    async def complete(self, name: str, cut: Cut, sha256: bytes, watch: Watch) -> Accepted:
        """Say that all is there, and what it must be."""
        said = {"file_unique_name": name, "total_chunks": cut.count, "size": cut.size, "sha256": sha256.hex()}
        url = f"{self._base}/complete"
        return await self._ask(Accepted, watch, lambda: self._http.build_request("POST", url, json=said))

    def _url(self, segment: str) -> str:
        return f"{self._base}/{quote(segment, safe='')}"

    async def _ask(self, kind: type[_Answer], watch: Watch, request: Callable[[], httpx.Request]) -> _Answer:
        began, tries = self._clock(), 0
        while True:
            tries += 1
            later, asked = False, None
            try:
                response = await self._http.send(request())
            except (httpx.TransportError, httpx.DecodingError) as error:
                if hopeless := _hopeless(error):
                    raise NotTaken(hopeless, code="unreachable") from None
                reason = _reason(error)
            else:
                problem = _problem(response)
                verdict = judge(response.status_code, problem.code)
                if verdict is Verdict.TAKEN:
                    return _decoded(kind, response)
                if verdict is Verdict.FINAL:
                    raise Refused(response.status_code, problem, _facts(response))
                later = verdict is Verdict.LATER
                asked = retry_after(response.headers.get("retry-after", ""), time.time())
                reason = problem.detail or f"the server answers {response.status_code}"
            left = self.patience.left(began)
            wait = self._backoff.wait(tries, self._draw, later=later, asked=asked)
            if left <= 0 or (self._most_tries is not None and tries > self._most_tries):
                raise OutOfPatience(f"given up after {tries} tries: {reason}", code="gave-up")
            if asked is not None and asked > left:
                raise OutOfPatience(f"given up: the server asks to wait {asked:.0f} s: {reason}", code="gave-up")
            watch.trouble(reason, wait)
            await asyncio.sleep(min(wait, left))


async def _pieces(data: bytes, watch: Watch) -> AsyncIterator[bytes]:
    view = memoryview(data)
    for start in range(0, len(data), PIECE):
        piece = bytes(view[start : start + PIECE])
        yield piece
        watch.sent(len(piece))


def _problem(response: httpx.Response) -> Problem:
    if response.is_success:
        return Problem()
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "elsewhere")
        return Problem(detail=f"the server sends us to {where}; give the address that answers itself")
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Problem()


def _facts(response: httpx.Response) -> Mapping[str, object]:
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _decoded(kind: type[_Answer], response: httpx.Response) -> _Answer:
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise NotTaken(
            f"what answers at {response.url} is not the chunk API",
            code="not-the-chunk-api",
            status=response.status_code,
        ) from None


def _hopeless(error: Exception) -> str | None:
    """Why no further try can help; ``None`` if one may."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the server's certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return f"the request cannot be sent: {error}"
    return None


def _reason(error: Exception) -> str:
    match error:
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.ProxyError():
            return "the server cannot be reached"
        case httpx.TimeoutException():
            return "the connection stalled"
    return "the connection broke"
