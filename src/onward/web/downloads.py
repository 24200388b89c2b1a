"""Published bytes, whole or a range of them, never as something a browser would run."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.types import Buffer, Published, State
from onward.core.upload import Upload
from onward.errors import NotReady, RangeUnsatisfiable, UploadFailed, UploadOver
from onward.web import operations
from onward.web.site import Exchange, Site, route
from onward.web.streaming import StreamingResponse
from onward.wire.fields import attachment, digest_field, http_date, parse_http_date
from onward.wire.message import Reply
from onward.wire.views import name_of, word

MEDIA_TYPE: Final = "application/octet-stream"

SAFE: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Whatever was uploaded, it is not run in our origin's name."""

_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,19})-([0-9]{0,19})[ \t]*", re.ASCII)
_TAG: Final = re.compile(r'(?:W/)?"[!#-~\x80-\xff]*"')


class Span(NamedTuple):
    """Bytes to send: the first, and how many."""

    start: int
    size: int


def download_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """The content of published files."""
    said = operations.downloads()
    path = site.settings.files_path + "/{id:str}/content"
    return route(site, path, {"GET": (_send, said["get"], "downloadFile"), "HEAD": (_send, said["head"], "headFile")})


async def _send(exchange: Exchange) -> Response[bytes]:
    upload = await exchange.upload(await exchange.caller())
    published = published_of(upload)
    tag = f'"{published.digest.value.hex()}"'
    headers = {
        **SAFE,
        "ETag": tag,
        "Last-Modified": http_date(upload.active_at),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if matches(exchange.headers.get("if-none-match", ""), tag):
        return exchange.respond(Reply(status=304, headers=headers))
    headers |= {
        "Repr-Digest": digest_field([published.digest]),
        "Content-Disposition": attachment(name_of(upload) or upload.id),
    }
    span = _span(exchange, published, tag, upload.active_at)
    status = 200
    if span is None:
        span = Span(0, published.size)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.start + span.size - 1}/{published.size}"
    headers["Content-Length"] = str(span.size)
    if exchange.method == "HEAD":
        await exchange.engine.storage.stat(published.ref)
        return exchange.respond(Reply(status=status, headers=headers | {"Content-Type": MEDIA_TYPE}))
    blocks = await _opened(exchange, published.ref, span)
    return StreamingResponse(blocks, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def published_of(upload: Upload) -> Published:
    """What was published. Raises ``NotReady``, ``UploadFailed`` or ``UploadOver``."""
    if upload.state is State.DONE and upload.published is not None:
        return upload.published
    if upload.state is State.FAILED:
        raise UploadFailed("there is no file: the upload has failed", reason=upload.reason)
    if upload.state is State.GONE:
        raise UploadOver(f"there is no file: the upload is {upload.word}", reason=upload.reason)
    raise NotReady(f"the file is not ready: the upload is {word(upload)}", state=word(upload))


async def _opened(exchange: Exchange, ref: str, span: Span) -> AsyncGenerator[Buffer, None]:
    """The blocks, the first one read already: what cannot be opened is refused in words, not by a cut answer."""
    blocks = _blocks(exchange, ref, span)
    first = await anext(blocks, b"")

    async def again() -> AsyncGenerator[Buffer, None]:
        try:
            yield first
            async for block in blocks:
                yield block
        finally:
            await blocks.aclose()

    return again()


async def _blocks(exchange: Exchange, ref: str, span: Span) -> AsyncGenerator[Buffer, None]:
    if span.size == 0:
        await exchange.engine.storage.stat(ref)
        return
    async for block in exchange.engine.storage.read(ref, span.start, span.size):
        yield block


def _span(exchange: Exchange, published: Published, tag: str, at: float) -> Span | None:
    asked = exchange.headers.get("range")
    if asked is None:
        return None
    condition = exchange.headers.get("if-range", "").strip()
    if condition and condition != tag and parse_http_date(condition) != int(at):
        return None
    return span_of(asked, published.size)


def span_of(asked: str, size: int) -> Span | None:
    """The one range that ``Range`` asks for; ``None`` if it asks for several or cannot be read: send all.

    Raises ``RangeUnsatisfiable`` for a range that lies outside.
    """
    match = _RANGE.fullmatch(asked.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        last = min(int(match[2]), size)
        if last == 0:
            raise RangeUnsatisfiable(f"the file has {size} bytes", size=size)
        return Span(size - last, last)
    start = int(match[1])
    if match[2] and int(match[2]) < start:
        return None
    if start >= size:
        raise RangeUnsatisfiable(f"the file has {size} bytes", size=size)
    end = min(int(match[2]), size - 1) if match[2] else size - 1
    return Span(start, end - start + 1)


def matches(field: str, tag: str) -> bool:
    """True if ``If-None-Match`` names the tag, compared weakly, or any."""
    if field.strip() == "*":
        return True
    return tag in {found.removeprefix("W/") for found in _TAG.findall(field)}
