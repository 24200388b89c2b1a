"""The routes of well-known front-ends: a form or raw bytes in, an upload like any other out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from onward.core.types import Cancel, Command, Create, Status, Store, UploadId
from onward.core.upload import Upload
from onward.engine.intake import Body
from onward.errors import ClientGone, OnwardError
from onward.ports import Caller
from onward.web import operations_compat as operations
from onward.web.body import gather
from onward.web.form_files import FileForm
from onward.web.site import Exchange, Site, route
from onward.wire.bodies import MULTIPART
from onward.wire.compat.content_range import ContentRange
from onward.wire.compat.dropzone import Dropzone
from onward.wire.compat.filepond import FilePond
from onward.wire.compat.flow import flow
from onward.wire.compat.front import Front, Sent
from onward.wire.compat.resumable import resumable
from onward.wire.fields import content_type, refuse_encoded
from onward.wire.message import Head

log = logging.getLogger("onward.web")

MOST_ID = 1024
"""Most bytes of a body that is nothing but an id."""


def compat_routes(site: Site) -> Sequence[HTTPRouteHandler]:
    """``/compat/{name}`` for each front-end, with the methods that it uses."""
    path, limits, said = site.settings.compat_path, site.settings.limits, operations.compat()
    found: list[HTTPRouteHandler] = []
    for front in (resumable(limits), flow(limits), ContentRange(limits)):
        ask, take = partial(_ask, front), partial(_take, front)
        label = front.name.title().replace("-", "")
        found += route(
            site,
            f"{path}/{front.name}",
            {
                "GET": (ask, said[f"{front.name} ask"], f"ask{label}"),
                "HEAD": (ask, said[f"{front.name} head"], f"head{label}"),
                "POST": (take, said[front.name], f"post{label}"),
                "PUT": (take, said[front.name], f"put{label}"),
            },
        )
    take = partial(_take, Dropzone(limits))
    posting = said["dropzone"]
    found += route(
        site, f"{path}/dropzone", {"POST": (take, posting, "postDropzone"), "PUT": (take, posting, "putDropzone")}
    )
    return [*found, *_filepond_routes(site, f"{path}/filepond", FilePond(limits), said)]


def _filepond_routes(site: Site, path: str, pond: FilePond, said: operations.Operations) -> list[HTTPRouteHandler]:
    take, ask, revert = partial(_take, pond), partial(_ask, pond), partial(_revert, pond)
    return [
        *route(
            site,
            path,
            {
                "POST": (take, said["filepond"], "postFilepond"),
                "PATCH": (take, said["filepond patch"], "patchFilepond"),
                "HEAD": (ask, said["filepond head"], "headFilepond"),
                "DELETE": (revert, said["filepond revert"], "revertFilepond"),
            },
        ),
        *route(
            site,
            path + "/{id:str}",
            {
                "PATCH": (take, said["filepond patch by path"], "patchFilepondTransfer"),
                "HEAD": (ask, said["filepond head by path"], "headFilepondTransfer"),
                "DELETE": (revert, said["filepond revert by path"], "revertFilepondTransfer"),
            },
        ),
    ]


async def _take(front: Front, exchange: Exchange) -> Response[bytes]:
    """A request that brings bytes."""

    async def read(head: Head) -> tuple[Command, Body]:
        refuse_encoded(exchange.headers.get("content-encoding", ""))
        kind = content_type(exchange.headers.get("content-type", ""))
        if kind.essence != MULTIPART:
            return front.parse(head, Sent()), exchange.body
        unsaid = front.known - set(head.query)
        form = FileForm(exchange.body, kind.boundary, unsaid, idle=exchange.engine.rules.body_idle)
        return front.parse(head, await form.open()), form

    return await _answer(front, exchange, read)


async def _ask(front: Front, exchange: Exchange) -> Response[bytes]:
    """A request without a body."""

    async def read(head: Head) -> tuple[Command, Body]:
        return front.parse(head, Sent(brings_file=False)), exchange.body

    return await _answer(front, exchange, read)


async def _revert(pond: FilePond, exchange: Exchange) -> Response[bytes]:
    """A request whose body is an id."""

    async def read(head: Head) -> tuple[Command, Body]:
        text = await gather(exchange.body, idle=exchange.engine.rules.body_idle, most=MOST_ID)
        return pond.parse_revert(head, text), exchange.body

    return await _answer(pond, exchange, read)


async def _answer(
    front: Front, exchange: Exchange, read: Callable[[Head], Awaitable[tuple[Command, Body]]]
) -> Response[bytes]:
    head = Head(method=exchange.method)
    caller, command = Caller(), None
    begun: list[UploadId] = []

    async def told(upload: Upload) -> None:
        begun[:] = [upload.id]

    try:
        caller = await exchange.caller()
        head = exchange.head(caller.owner, segment=str(exchange.request.path_params.get("id", "")))
        command, body = await read(head)
        outcome = await exchange.engine.run(command, caller, body, told if isinstance(command, Create) else None)
        reply = front.reply(command, outcome, exchange.hrefs, head)
    except OnwardError as error:
        if begun:
            await _forget(exchange, caller, begun[0])
        if isinstance(error, ClientGone):
            raise
        known = await _known(exchange, caller, command)
        reply = front.refuse(error, head, exchange.hrefs, known)
    return exchange.respond(reply)


async def _forget(exchange: Exchange, caller: Caller, id: UploadId) -> None:
    """A file that came in one request and was cut can be continued by nobody: it is sent anew."""
    try:
        await exchange.engine.run(Cancel(target=id), caller)
    except OnwardError as error:
        log.info("what came of upload %s is kept until it expires: %s", id, error)


async def _known(exchange: Exchange, caller: Caller, command: Command | None) -> Upload | None:
    """The upload that a refusal is about, where its caller may know how it stands."""
    if not isinstance(command, Store):
        return None
    with suppress(OnwardError):
        return (await exchange.engine.run(Status(target=command.target), caller)).upload
    return None
