"""The chunk API: a request is parsed, run, replied to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.outcome import Outcome
from onward.core.types import Command, State, Status, Store
from onward.engine.intake import Body
from onward.errors import BadField
from onward.ports import Caller
from onward.web import operations
from onward.web.body import gather
from onward.web.forms import FormData, gather_fields
from onward.web.paths import query_of
from onward.web.site import Exchange, Site, route
from onward.wire.fields import content_type, refuse_encoded
from onward.wire.message import Head, Reply

MULTIPART = "multipart/form-data"


def chunk_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """All routes of the chunk API."""
    path = site.settings.upload_path
    said = operations.chunks()
    return [
        *route(site, path, {"POST": (_declare, said["declare"], "declareUpload")}),
        *route(site, f"{path}/complete", {"POST": (_complete, said["complete"], "completeUpload")}),
        *route(
            site,
            path + "/{name:path}",
            {
                "POST": (_store, said["store"], "storeChunk"),
                "PUT": (_store, said["put"], "putBytes"),
                "GET": (_ask, said["status"], "showUpload"),
                "HEAD": (_ask, said["head"], "headUpload"),
                "DELETE": (_cancel, said["cancel"], "cancelUpload"),
            },
        ),
    ]


async def _store(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    head = _head(exchange, caller.owner, segment=exchange.segment())
    command = exchange.site.dialect.parse_store(head)
    return await _run(exchange, head, caller, command, _bytes_to_store(exchange))


async def _declare(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    head = _head(exchange, caller.owner)
    refuse_encoded(exchange.headers.get("content-encoding", ""))
    body = await gather(exchange.body, idle=exchange.engine.rules.body_idle)
    return await _run(exchange, head, caller, exchange.site.dialect.parse_declare(head, body))


async def _complete(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    head = _head(exchange, caller.owner, segment="complete")
    refuse_encoded(exchange.headers.get("content-encoding", ""))
    body = await _words(exchange)
    return await _run(exchange, head, caller, exchange.site.dialect.parse_complete(head, body))


async def _ask(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    head = _head(exchange, caller.owner, segment=exchange.segment(), query=("chunk",))
    return await _run(exchange, head, caller, exchange.site.dialect.parse_status(head))


async def _cancel(exchange: Exchange) -> Response[bytes]:
    caller = await exchange.caller()
    head = _head(exchange, caller.owner, segment=exchange.segment())
    return await _run(exchange, head, caller, exchange.site.dialect.parse_cancel(head))


def _head(exchange: Exchange, owner: str | None, *, segment: str = "", query: Sequence[str] = ()) -> Head:
    """The request as the dialect reads it. Raises ``BadField`` for a query with other fields than ``query``, or two."""
    asked = [name for name, _ in query_of(exchange.request.scope)]
    for name in asked:
        if name not in query:
            raise BadField(
                f"the query has no field {name[:100]!r} here", field="query", allowed=list(query) or "no field"
            )
        if asked.count(name) > 1:
            raise BadField(f"the query has {name} more than once", field=name, allowed="one value")
    return exchange.head(owner, segment=segment)


async def _run(
    exchange: Exchange, head: Head, caller: Caller, command: Command, body: Body | None = None
) -> Response[bytes]:
    outcome = await exchange.engine.run(command, caller, body)
    if isinstance(command, Store):
        # Live views move on: a chunk's reply is made before anything else is awaited.
        reply = exchange.site.dialect.reply(command, outcome, exchange.hrefs, head)
    else:
        reply = await tell(exchange, command, outcome, head)
    return exchange.respond(reply)


async def tell(exchange: Exchange, command: Command, outcome: Outcome, head: Head) -> Reply:
    """The dialect's reply, with what no event holds: how far the worker is, and when the upload expires."""
    upload, engine = outcome.upload, exchange.engine
    work, expires_at = None, None
    if upload.state is State.SEALED:
        work = await engine.catalog.work(upload.id)
    if upload.state is State.OPEN and isinstance(command, Status):
        expires_at = upload.active_at + engine.rules.expire_after
    return exchange.site.dialect.reply(command, outcome, exchange.hrefs, head, work=work, expires_at=expires_at)


def _bytes_to_store(exchange: Exchange) -> Body:
    kind = content_type(exchange.headers.get("content-type", ""))
    if kind.essence == MULTIPART:
        return FormData(exchange.body, kind.boundary)
    return exchange.body


async def _words(exchange: Exchange) -> bytes | Mapping[str, str]:
    kind = content_type(exchange.headers.get("content-type", ""))
    idle = exchange.engine.rules.body_idle
    if kind.essence == MULTIPART:
        return await gather_fields(exchange.body, kind.boundary, idle=idle)
    return await gather(exchange.body, idle=idle)
