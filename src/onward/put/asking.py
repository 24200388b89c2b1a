"""One request after another, each tried until it is answered for good or patience ends."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Literal, TypeVar

import httpx
import msgspec

from onward.put.answers import Problem
from onward.put.backoff import Backoff, Patience, Verdict, judge, retry_after
from onward.put.faults import NotTaken, OutOfPatience

PIECE: Final = 128 * 1024
"""Bytes handed to the connection at a time: what moves between two looks at the stall clock."""

Method = Literal["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
Headers = Mapping[str, str]

_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class Refused(NotTaken):
    """The server's refusal, with the facts in it."""

    def __init__(self, status: int, problem: Problem, facts: Mapping[str, object]) -> None:
        super().__init__(problem.detail or f"the server answers {status}", code=problem.code, status=status)
        self.facts = facts


class Trouble(Exception):
    """One try failed, and another one may succeed. ``str()`` says why."""

    def __init__(self, reason: str, *, code: str = "", later: bool = False, asked: float | None = None) -> None:
        super().__init__(reason)
        self.code = code
        """The server's code for it, if it was an answer with one."""
        self.later = later
        """What is in the way does not go away in seconds."""
        self.asked = asked
        """Seconds that the server asks to wait."""


class Watch:
    """What happens on the way; a progress display listens."""

    def sent(self, size: int) -> None:
        """That many bytes of a body went out, perhaps not for the first time."""

    def trouble(self, reason: str, wait: float) -> None:
        """A request failed for ``reason`` and is tried again in ``wait`` seconds."""


class Asker:
    """Sends the requests of one file. What they say is the matter of the protocols."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        watch: Watch,
        *,
        patience: Patience,
        most_tries: int | None = None,
        backoff: Backoff | None = None,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.patience = patience
        self.draw = draw
        self.clock = clock
        self._http = http
        self._watch = watch
        self._most_tries = most_tries
        self._backoff = backoff or Backoff()

    async def ask(
        self,
        method: Method,
        url: str,
        headers: Headers | None = None,
        *,
        data: bytes | None = None,
        json: object = None,
    ) -> httpx.Response:
        """The answer, if it is a success.

        Raises ``NotTaken`` for a refusal that stays one and ``OutOfPatience`` when nothing went
        forward for too long.
        """
        tries = self.tries()
        while True:
            try:
                return await self.once(method, url, headers, data=data, json=json)
            except Trouble as trouble:
                await tries.wait_after(trouble)

    async def once(
        self,
        method: Method,
        url: str,
        headers: Headers | None = None,
        *,
        data: bytes | None = None,
        json: object = None,
    ) -> httpx.Response:
        """As ``ask``, but with one try: raises ``Trouble`` where another one may succeed."""
        said = dict(headers or {})
        if data is not None:
            said["Content-Length"] = str(len(data))
        content = None if data is None else self._pieces(data)
        request = self._http.build_request(method, url, headers=said, content=content, json=json)
        try:
            response = await self._http.send(request)
        except (httpx.TransportError, httpx.DecodingError) as error:
            if hopeless := _hopeless(error):
                raise NotTaken(hopeless, code="unreachable") from None
            raise Trouble(_reason(error)) from None
        problem = _problem(response)
        verdict = judge(response.status_code, problem.code)
        if verdict is Verdict.TAKEN:
            return response
        if verdict is Verdict.FINAL:
            raise Refused(response.status_code, problem, _facts(response))
        raise Trouble(
            problem.detail or f"the server answers {response.status_code}",
            code=problem.code,
            later=verdict is Verdict.LATER,
            asked=retry_after(response.headers.get("retry-after", ""), time.time()),
        )

    def tries(self) -> Tries:
        """The tries of one thing, of which the first begins now."""
        return Tries(self, self._watch, self._most_tries, self._backoff)

    async def _pieces(self, data: bytes) -> AsyncIterator[bytes]:
        view = memoryview(data)
        for start in range(0, len(data), PIECE):
            piece = bytes(view[start : start + PIECE])
            yield piece
            self._watch.sent(len(piece))


class Tries:
    """How often one thing was tried, and whether it is worth another try."""

    def __init__(self, asker: Asker, watch: Watch, most: int | None, backoff: Backoff) -> None:
        self._asker = asker
        self._watch = watch
        self._most = most
        self._backoff = backoff
        self._began = asker.clock()
        self._count = 0

    async def wait_after(self, trouble: Trouble) -> None:
        """Wait for the next try. Raises ``OutOfPatience`` if there is to be none."""
        self._count += 1
        left = self._asker.patience.left(self._began)
        asked = trouble.asked
        wait = self._backoff.wait(self._count, self._asker.draw, later=trouble.later, asked=asked)
        if left <= 0 or (self._most is not None and self._count > self._most):
            raise OutOfPatience(f"given up after {self._count} tries: {trouble}", code="gave-up")
        if asked is not None and asked > left:
            raise OutOfPatience(f"given up: the server asks to wait {asked:.0f} s: {trouble}", code="gave-up")
        self._watch.trouble(str(trouble), wait)
        await asyncio.sleep(min(wait, left))


def read(kind: type[_Answer], response: httpx.Response, what: str) -> _Answer:
    """The JSON of an answer. Raises ``NotTaken`` if it is none of ``what``, the API that should answer there."""
    try:
        return msgspec.json.decode(response.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise not_the(what, response) from None


def not_the(what: str, response: httpx.Response) -> NotTaken:
    """The end of an upload to an address where something else answers."""
    return NotTaken(
        f"what answers at {response.url} is not {what}",
        code=f"not-{what.replace(' ', '-').lower()}",
        status=response.status_code,
    )


def linked(base: str, link: str) -> str:
    """The URL that a link from ``base`` leads to.

    Raises ``NotTaken`` where that is another server, or the same one without TLS: what says who
    we are goes with every request.
    """
    here = httpx.URL(base)
    try:
        there = here.join(link)
    except (httpx.InvalidURL, UnicodeError):
        raise NotTaken(f"the server gives a link that is no URL: {link[:200]!r}", code="bad-link") from None
    if (there.scheme, there.host, there.port) != (here.scheme, here.host, here.port):
        raise NotTaken(
            f"the server says that the upload is at {there}, which is not where we asked. Give its own address; "
            "a server behind a proxy has to be told which proxies to trust, or its public URL",
            code="elsewhere",
        )
    return str(there)


def _problem(response: httpx.Response) -> Problem:
    if response.is_success:
        return Problem()
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "elsewhere")
        return Problem(detail=f"the server sends us to {where}; give the address that answers itself")
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        state = response.headers.get("upload-state")  # an answer to HEAD has no body to say it in
        return Problem(detail=f"the upload is {state}") if state else Problem()


def _facts(response: httpx.Response) -> Mapping[str, object]:
    try:
        found = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


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
