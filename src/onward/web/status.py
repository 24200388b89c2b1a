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
from onward.errors import BadField
from onward.ports import WorkDone
from onward.web import operations
from onward.web.callers import need_view_of_many
from onward.web.feed import Listener
from onward.web.paths import query_of
from onward.web.routes import tell
from onward.web.site import Exchange, Site, route
from onward.wire import views
from onward.wire.fields import integer
from onward.wire.message import Hrefs, Reply

WORDS: Final = ("receiving", "assembling", "verifying", "done", "failed", "expired", "cancelled")
"""The public words for states."""

MOST_ROWS: Final = 200
ROWS: Final = 50
"""Rows of a page if nothing is asked for."""

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
    chunks: int
    done: int | None
    """Bytes that the worker has behind it, in the phase that ``state`` says."""
    created_at: float
    active_at: float
    urls: RowUrls


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``GET /uploads``. ``next`` is the ``after`` of the next page; null: there is none."""

    uploads: list[RowView]
    next: str | None


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
    words, after, limit = _asked(query_of(exchange.request.scope))
    found, cursor = await exchange.engine.catalog.page(
        owner=caller.owner,
        everyone=caller.operator,
        states=list(dict.fromkeys(_STATE_OF[word] for word in words)),
        after=after,
        limit=limit,
    )
    views = [await _row(exchange, summary) for summary in found]
    page = PageView(uploads=[view for view in views if not words or view.state in words], next=cursor)
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


async def _row(exchange: Exchange, summary: Summary) -> RowView:
    work, word = None, summary.word
    if summary.state is State.SEALED:
        engine = exchange.engine
        work = await engine.catalog.work(summary.id)
        # Before the worker has come, only the upload itself knows which phase is next.
        word = work.phase.value if work else views.word(await engine.ledger.load(summary.id))
    return row_of(summary, word, work, exchange.hrefs)


def row_of(summary: Summary, word: str, work: WorkDone | None, hrefs: Hrefs) -> RowView:
    """One row as it is shown; ``word`` is the state in public words."""
    return RowView(
        id=summary.id,
        name=summary.name,
        owner=summary.owner,
        state=word,
        reason=summary.reason or None,
        length=summary.length,
        received=summary.received,
        chunks=summary.parts,
        done=work.done if work else None,
        created_at=summary.created_at,
        active_at=summary.active_at,
        urls=RowUrls(
            status=hrefs.status_of(summary.id),
            events=hrefs.events_of(summary.id),
            content=hrefs.content_of(summary.id) if summary.state is State.DONE else None,
        ),
    )


def _asked(query: Sequence[tuple[str, str]]) -> tuple[frozenset[str], str | None, int]:
    words: list[str] = []
    after: str | None = None
    limit = ROWS
    for name, value in query:
        match name:
            case "state":
                words += [word.strip() for word in value.split(",")]
            case "after":
                after = value or None
            case "limit":
                limit = integer("limit", value, least=1, most=MOST_ROWS)
            case _:
                allowed = ["state", "after", "limit"]
                raise BadField(f"the query has no field {name[:100]!r}", field="query", allowed=allowed)
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise BadField(f"{unknown[0][:100]!r} is not a state", field="state", allowed=list(WORDS))
    return frozenset(words), after, limit
