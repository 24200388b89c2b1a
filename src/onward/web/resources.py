"""Upload resources: tus 1.0 and the IETF draft on the same URLs, told apart by each request."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.types import Cancel, Command, Seal, State, Status, Store, UploadId, is_id
from onward.core.upload import Upload
from onward.engine.intake import Body
from onward.engine.store import Told
from onward.errors import ClientGone, NotFound, OnwardError
from onward.ports import Caller
from onward.web import operations_files as operations
from onward.web.body import BoundedBody
from onward.web.interim import Interim
from onward.web.site import Exchange, Site, route
from onward.wire.draft import Draft
from onward.wire.fields import refuse_encoded
from onward.wire.message import Head, Reply
from onward.wire.tus1 import Tus1, method_of

STAMP: Final = "tus-resumable"


def resource_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """The collection, where uploads are created, and the resource of each."""
    path = site.settings.files_path
    said = operations.files()
    return [
        *route(
            site,
            path,
            {
                "POST": (_serve, said["create"], "createUpload"),
                "PUT": (_serve, said["put"], "createUploadByPut"),
                "PATCH": (_serve, said["patch_new"], "createUploadByPatch"),
            },
            options=_options,
        ),
        *route(
            site,
            path + "/{id:str}",
            {
                "HEAD": (_serve, said["head"], "headResource"),
                "GET": (_get, said["get"], "showResource"),
                "PATCH": (_serve, said["append"], "appendBytes"),
                "POST": (_serve, said["override"], "overriddenMethod"),
                "DELETE": (_serve, said["terminate"], "deleteResource"),
            },
            options=_options,
        ),
    ]


async def _options(exchange: Exchange) -> Reply:
    """Discovery for every dialect in one answer; what a browser's preflight wants is added to it."""
    tus, draft = exchange.site.tus.options(), exchange.site.draft.discover(_head(exchange, None))
    return Reply(status=200, headers={**draft.headers, **tus.headers})


async def _serve(exchange: Exchange) -> Response[bytes]:
    try:
        caller = await exchange.caller()
    except OnwardError as error:
        return _turn_away(exchange, error)
    head = _head(exchange, caller.owner)
    dialect = await _dialect(exchange, caller, head)
    try:
        # A method that stands for another is read before anything depends on the method.
        if (method := method_of(exchange.method, exchange.headers)) != head.method:
            head = _head(exchange, caller.owner, method=method)
        refuse_encoded(exchange.headers.get("content-encoding", ""))
        command = dialect.parse(head)
        told = _telling(exchange, dialect, head) if isinstance(dialect, Draft) else None
        body = _body(exchange, dialect, command)
        outcome = await exchange.engine.run(command, caller, body, told)
        upload = outcome.upload
        sealed_before = upload.state is State.SEALED and not outcome.fresh
        work = await exchange.engine.catalog.work(upload.id) if sealed_before else None
        expires = _expires_at(exchange, upload)
        reply = dialect.reply(command, outcome, exchange.hrefs, head, work=work, expires_at=expires)
    except ClientGone:
        raise
    except OnwardError as error:
        known = await _known(exchange, caller, head)
        if isinstance(dialect, Tus1):
            expires = None if known is None else _expires_at(exchange, known)
            reply = dialect.refuse(error, head, exchange.hrefs, known, expires_at=expires)
        else:
            reply = dialect.refuse(error, head, exchange.hrefs, upload=known)
    return exchange.respond(reply, head=head.method == "HEAD")


def _body(exchange: Exchange, dialect: Tus1 | Draft, command: Command) -> Body | None:
    if isinstance(command, Status | Seal | Cancel):
        return None
    if isinstance(dialect, Tus1) or exchange.body.length is not None:
        return exchange.body  # what its length says was held against the limits
    ends = command.ends if isinstance(command, Store) else command.first is not None and command.first.ends
    return BoundedBody(exchange.body, least=0 if ends else dialect.min_append, most=dialect.max_append)


def _turn_away(exchange: Exchange, error: OnwardError) -> Response[bytes]:
    """The refusal of somebody unknown, in the words of the request: its client must know whether to try again."""
    site, head = exchange.site, _head(exchange, None)
    of_draft = STAMP not in head.headers and (site.draft.speaks(head.headers) or head.method == "PUT")
    dialect = site.draft if of_draft else site.tus
    return exchange.respond(dialect.refuse(error, head, exchange.hrefs))


async def _get(exchange: Exchange) -> Response[bytes]:
    """The upload's URL in a browser: to the content when there is one, else how it stands."""
    caller = await exchange.caller()
    head = _head(exchange, caller.owner)
    if exchange.site.draft.speaks(exchange.headers):
        return await _serve(exchange)
    upload = await exchange.upload(caller)
    if upload.state is State.DONE:
        return exchange.respond(Reply(status=303, headers={"Location": exchange.hrefs.content_of(upload.id)}))
    if upload.state is not State.OPEN:
        command = Status(target=upload.id)
        outcome = await exchange.engine.run(command, caller)
        return exchange.respond(exchange.site.draft.reply(command, outcome, exchange.hrefs, head))
    headers = {"Upload-Offset": str(upload.offset), "Cache-Control": "no-store"}
    return exchange.respond(Reply(status=204, headers=headers))


async def _dialect(exchange: Exchange, caller: Caller, head: Head) -> Tus1 | Draft:
    site = exchange.site
    if STAMP in head.headers:
        return site.tus
    if site.draft.speaks(head.headers) or head.method == "PUT":
        return site.draft
    if head.method in {"HEAD", "DELETE"}:
        # Nothing in the request tells: it is answered in the words of whoever began the upload.
        known = await _known(exchange, caller, head)
        if known is not None and known.policy.dialect != "tus":
            return site.draft
    return site.tus


async def _known(exchange: Exchange, caller: Caller, head: Head) -> Upload | None:
    if not is_id(head.segment):
        return None
    with suppress(NotFound):
        return await exchange.engine.view(UploadId(head.segment), caller)
    return None


def _telling(exchange: Exchange, draft: Draft, head: Head) -> Told | None:
    """Says early, and now and then, how an upload stands whose body is still coming (104)."""
    interim = Interim.of(exchange.request.scope, exchange.headers, exchange.site.settings.send_104)
    if interim is None:
        return None

    async def tell(upload: Upload) -> None:
        offset = upload.offset if interim.began or head.segment else None
        headers = draft.interim(upload, head, exchange.hrefs, offset=offset)
        if headers is not None:
            await interim.send(headers, urgent=offset is None)

    return tell


def _expires_at(exchange: Exchange, upload: Upload) -> float | None:
    return upload.active_at + exchange.engine.rules.expire_after if upload.state is State.OPEN else None


def _head(exchange: Exchange, owner: str | None, *, method: str | None = None) -> Head:
    segment = str(exchange.request.path_params.get("id", ""))
    return exchange.head(owner, segment=segment, method=method)
