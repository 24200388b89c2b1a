"""Server-sent events: what happens to an upload, or to all, with replay after a broken connection."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.types import (
    Buffer,
    Created,
    Damaged,
    Failed,
    Published,
    Removed,
    Sealed,
    State,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.ports import FeedItem
from onward.web import operations
from onward.web.callers import need_view_of_many
from onward.web.feed import BATCH, Listener, Progress, Verifying, progress_of
from onward.web.site import Exchange, Site, route
from onward.web.status import rows
from onward.web.streaming import StreamingResponse
from onward.wire.message import Hrefs, Reply
from onward.wire.views import manifest

RETRY: Final = 2000
"""Milliseconds that a browser waits before it comes back."""

_LAST_ID: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_OVER: Final = frozenset({State.DONE, State.FAILED, State.GONE})
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def event_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """The streams of one upload and of all."""
    said = operations.events()
    return [
        *route(site, site.settings.uploads_path + "/{id:str}/events", {"GET": (_of_one, said["one"], "streamUpload")}),
        *route(site, site.settings.events_path, {"GET": (_of_all, said["all"], "streamUploads")}),
    ]


async def _of_one(exchange: Exchange) -> Response[bytes]:
    upload = await exchange.upload(await exchange.caller())
    after = _last_id(exchange)
    engine = exchange.engine
    if after is not None and upload.state in _OVER:
        left = await engine.catalog.feed(after=after, limit=1, id=upload.id)
        if not left and after <= await engine.catalog.last_seq():
            return exchange.respond(Reply(status=204, headers=_HEADERS))  # tells a browser not to come back
    return _streaming(stream_one(exchange, upload.id, after))


async def _of_all(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    need_view_of_many(caller)
    listener = exchange.site.feed.listener(owner=caller.owner, everyone=caller.operator)
    return _streaming(stream_all(exchange, listener, _last_id(exchange)))


async def stream_one(exchange: Exchange, id: UploadId, after: int | None) -> AsyncGenerator[Buffer, None]:
    """The events of one upload, up to the one that ends it."""
    engine, feed = exchange.engine, exchange.site.feed
    listener = feed.listener(id=id)
    with feed.listening(listener):
        start = await feed.join(engine, listener)
        yield _retry()
        if after is None or after > start:
            upload = await engine.ledger.load(id)
            yield text("state", await _snapshot(engine, upload, exchange.hrefs), start)
            if upload.state in _OVER:
                return
        else:
            async for item in _replay(engine, after, start, id):
                yield _news(item)
                if _ends(item):
                    return
            progress = await progress_of(engine, id)
            if progress is not None:
                yield _progress(progress, start)
        async for block in live(listener, start, feed.heartbeat):
            yield block


async def stream_all(exchange: Exchange, listener: Listener, after: int | None) -> AsyncGenerator[Buffer, None]:
    """The events of all uploads that concern the listener, until one side leaves."""
    engine, feed = exchange.engine, exchange.site.feed
    with feed.listening(listener):
        start = await feed.join(engine, listener)
        yield _retry()
        if after is None or after > start:
            yield text("state", {"uploads": await rows(exchange, listener)}, start)
        else:
            async for item in _replay(engine, after, start, None):
                if listener.wants(item.id, item.owner):
                    yield _news(item)
            yield text("caught-up", {}, start)
        async for block in live(listener, start, feed.heartbeat):
            yield block


async def live(listener: Listener, start: int, heartbeat: float) -> AsyncIterator[Buffer]:
    """What the mailbox brings, and a comment when it brings nothing for ``heartbeat`` seconds.

    An event about progress has the id up to which all others have been sent, so that a client
    that comes back with it has missed none of them.
    """
    sent = start
    while True:
        if not await listener.wait(heartbeat):
            yield b": alive\n\n"
            continue
        upto, ended = listener.seen, listener.ended
        news, listener.news = listener.news, type(listener.news)()
        progress, listener.progress = listener.progress, {}
        room, listener.room = listener.room, None
        for item in news:
            sent = item.seq
            yield _news(item)
            if listener.id is not None and _ends(item):
                return
        if ended:
            return
        sent = max(sent, upto)
        for one in progress.values():
            yield _progress(one, sent)
        if room is not None:
            yield text("server", room, sent)


async def _replay(engine: Engine, after: int, upto: int, id: UploadId | None) -> AsyncIterator[FeedItem]:
    while after < upto:
        items = await engine.catalog.feed(after=after, limit=BATCH, id=id)
        for item in items:
            if item.seq > upto:
                return
            if _named(item):
                yield item
        if len(items) < BATCH:
            return
        after = items[-1].seq


def _named(item: FeedItem) -> bool:
    return isinstance(item.record.event, Created | Sealed | Published | Failed | Damaged | Removed)


def _ends(item: FeedItem) -> bool:
    return isinstance(item.record.event, Published | Failed | Removed)


async def _snapshot(engine: Engine, upload: Upload, hrefs: Hrefs) -> msgspec.Struct:
    work = await engine.catalog.work(upload.id) if upload.state is State.SEALED else None
    expires_at = upload.active_at + engine.rules.expire_after if upload.state is State.OPEN else None
    return manifest(upload, hrefs, work, expires_at)


def _news(item: FeedItem) -> bytes:
    event = item.record.event
    said: dict[str, Any] = {"id": item.id, "at": item.record.at}
    name = "unknown"
    match event:
        case Created():
            name = "created"
            file = event.spec.called
            said |= {"name": file, "length": event.spec.declared.length, "state": "receiving"}
        case Sealed():
            name = "sealed"
            said |= {"length": event.length, "chunks": event.parts, "total_known": event.total_known}
        case Published():
            name = "published"
            said |= {"state": "done", "size": event.size, "sha256": event.digest.value.hex(), "ref": event.ref}
        case Failed():
            name = "failed"
            said |= {"state": "failed", "code": event.code, "detail": event.detail}
        case Damaged():
            name = "damaged"
            said |= {"state": "receiving", "size": event.size, "keys": list(event.keys)}
        case Removed():
            name = "removed"
            said |= {"state": event.reason}
        case _:
            said |= {"type": type(event).__name__}
    return text(name, said, item.seq)


def _progress(progress: Progress | Verifying, seq: int) -> bytes:
    if isinstance(progress, Verifying):
        work = progress.work
        said: dict[str, Any] = {"id": progress.id, "phase": work.phase.value, "done": work.done, "total": work.total}
        return text("verifying", said, seq)
    return text("progress", progress._asdict(), seq)


def text(name: str, said: object, seq: int) -> bytes:
    """One event as it goes over the line."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (seq, name.encode("ascii"), msgspec.json.encode(said))


def _retry() -> bytes:
    return b"retry: %d\n\n" % RETRY


def _last_id(exchange: Exchange) -> int | None:
    given = exchange.headers.get("last-event-id", "")
    return int(given) if _LAST_ID.fullmatch(given) else None


def _streaming(blocks: AsyncGenerator[Buffer, None]) -> Response[bytes]:
    return StreamingResponse(blocks, status_code=200, headers=_HEADERS, media_type="text/event-stream")
