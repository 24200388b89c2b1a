"""How uploads stand: one, and lists of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.outcome import Outcome
from onward.core.summary import Summary
from onward.core.types import State, Status, UploadId
from onward.engine.space import Room
from onward.errors import BadField
from onward.web import operations
from onward.web.callers import need_view_of_many
from onward.web.feed import Listener
from onward.web.paths import query_of
from onward.web.routes import tell
from onward.web.site import Exchange, Site, route
from onward.wire import views
from onward.wire.fields import integer
from onward.wire.message import Reply

WORDS: Final = ("receiving", "assembling", "verifying", "done", "failed", "expired", "cancelled")
"""The public words for states."""

MOST_ROWS: Final = 200
ROWS: Final = 50
"""Rows of a page if nothing is asked for."""
MOST_MAPS: Final = 50
"""Most rows of a page with maps: each may have to be folded from all its events."""

_STATE_OF: Final = {
    "receiving": State.OPEN,
    "assembling": State.SEALED,
    "verifying": State.SEALED,
    "done": State.DONE,
    "failed": State.FAILED,
    "expired": State.GONE,
    "cancelled": State.GONE,
}


class RowUrls(msgspec.Struct, frozen=True, kw_only=True):
    """Where to ask on."""

    status: str
    events: str
    content: str | None


class RowView(msgspec.Struct, frozen=True, kw_only=True):
    """One upload in a list. Sizes in bytes, times in seconds since the epoch."""

    id: UploadId
    name: str | None
    owner: str | None
    state: str
    reason: str | None
    length: int | None
    received: int
    """Bytes that came and were not given up again: none of a cancelled or expired upload."""
    kept: int
    """Bytes that lie on the disk for it."""
    chunks: int
    done: int | None
    """Bytes that the worker has behind it, in the phase that ``state`` says."""
    map: str | None
    """Of an upload that is being received, if it was asked for: where its bytes are; see ``map_of``."""
    created_at: float
    active_at: float
    expires_at: float | None
    """When an upload that is being received is given up unless more comes."""
    urls: RowUrls


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``GET /uploads``. ``next`` is the ``after`` of the next page; null: there is none.

    ``server`` is for operators; null for anybody else.
    """

    uploads: list[RowView]
    next: str | None
    server: Room | None


def status_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """The list, and one upload by its id."""
    path = site.settings.uploads_path
    said = operations.status()
    return [
        *route(site, path, {"GET": (_list, said["list"], "listUploads")}),
        *route(site, path + "/{id:str}", {"GET": (_show, said["show"], "showUploadById")}),
    ]


async def _show(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    upload = await exchange.upload(caller)
    command, head = Status(target=upload.id), exchange.head(caller.owner)
    return exchange.respond(await tell(exchange, command, Outcome(upload=upload), head))


async def _list(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    need_view_of_many(caller)
    words, after, limit, maps = _asked(query_of(exchange.request.scope))
    found, cursor = await exchange.engine.catalog.page(
        owner=caller.owner,
        everyone=caller.operator,
        states=list(dict.fromkeys(_STATE_OF[word] for word in words)),
        after=after,
        limit=limit,
    )
    views = [await _row(exchange, summary, maps=maps) for summary in found]
    page = PageView(
        uploads=[view for view in views if not words or view.state in words],
        next=cursor,
        server=await exchange.engine.room() if caller.operator else None,
    )
    body = msgspec.json.encode(page)
    return exchange.respond(
        Reply(status=200, headers={"Cache-Control": "no-store"}, body=body, media_type="application/json")
    )


async def rows(exchange: Exchange, listener: Listener) -> list[RowView]:
    """The uploads under way that concern a listener, the newest first, at most one page."""
    found, _ = await exchange.engine.catalog.page(
        owner=listener.owner,
        everyone=listener.everyone,
        states=[State.OPEN, State.SEALED],
        after=None,
        limit=MOST_ROWS,
    )
    return [await _row(exchange, summary) for summary in found]


async def _row(exchange: Exchange, summary: Summary, *, maps: bool = False) -> RowView:
    engine, work, word, shown = exchange.engine, None, summary.word, None
    if summary.state is State.SEALED:
        work = await engine.catalog.work(summary.id)
        # Before the worker has come, only the upload itself knows which phase is next.
        word = work.phase.value if work else views.word(await engine.ledger.load(summary.id))
    elif summary.state is State.OPEN and maps:
        # Unless it ended or was forgotten since the page was read.
        upload = (await engine.ledger.load_all([summary.id])).get(summary.id)
        shown = views.map_of(upload) if upload and upload.state is State.OPEN else None
    expires_at = summary.active_at + engine.rules.expire_after if summary.state is State.OPEN else None
    return RowView(
        id=summary.id,
        name=summary.name,
        owner=summary.owner,
        state=word,
        reason=summary.reason or None,
        length=summary.length,
        received=0 if summary.state is State.GONE else summary.received,
        kept=summary.kept,
        chunks=0 if summary.state is State.GONE else summary.parts,
        done=work.done if work else None,
        map=shown,
        created_at=summary.created_at,
        active_at=summary.active_at,
        expires_at=expires_at,
        urls=RowUrls(
            status=exchange.hrefs.status_of(summary.id),
            events=exchange.hrefs.events_of(summary.id),
            content=exchange.hrefs.content_of(summary.id) if summary.state is State.DONE else None,
        ),
    )


def _asked(query: Sequence[tuple[str, str]]) -> tuple[frozenset[str], str | None, int, bool]:
    words: list[str] = []
    after: str | None = None
    limit = ROWS
    maps = False
    for name, value in query:
        match name:
            case "state":
                words += [word.strip() for word in value.split(",")]
            case "after":
                after = value or None
            case "limit":
                limit = integer("limit", value, least=1, most=MOST_ROWS)
            case "map":
                maps = _yes("map", value)
            case _:
                allowed = ["state", "after", "limit", "map"]
                raise BadField(f"the query has no field {name[:100]!r}", field="query", allowed=allowed)
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise BadField(f"{unknown[0][:100]!r} is not a state", field="state", allowed=list(WORDS))
    if maps and limit > MOST_MAPS:
        raise BadField(f"with maps a page has at most {MOST_MAPS} rows", field="limit", allowed=f"1 to {MOST_MAPS}")
    return frozenset(words), after, limit, maps


def _yes(field: str, value: str) -> bool:
    if value not in {"true", "false"}:
        raise BadField(f"{value[:100]!r} is neither true nor false", field=field, allowed=["true", "false"])
    return value == "true"
