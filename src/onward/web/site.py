"""What the routes share, and one request being answered."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, cast

from anyio.abc import TaskGroup
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import Operation

from onward.core.types import UploadId, is_id
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.errors import BodyIncomplete, ClientGone, NotFound, OnwardError
from onward.ports import Caller
from onward.web.body import RawBody, receive_of
from onward.web.callers import Resolver, ask
from onward.web.cors import Cors
from onward.web.feed import Feed
from onward.web.handler import AnyRequest, Handler, Made, Plain
from onward.web.links import Links
from onward.web.paths import headers_of, query_of, segment_of
from onward.web.settings import WebSettings
from onward.wire.chunks import Chunks
from onward.wire.draft import Draft
from onward.wire.message import Head, Reply
from onward.wire.problem import problem
from onward.wire.tus1 import Tus1

log = logging.getLogger("onward.web")


class Drain(Protocol):
    """How a server says that it is about to stop; offered as the extension ``onward.drain``."""

    def is_set(self) -> bool:
        """True once it is stopping."""

    async def wait(self) -> None:
        """Return when it is stopping."""


class Site:
    """One set of routes: its settings, and the engine while the application runs."""

    def __init__(self, settings: WebSettings, resolver: Resolver, feed: Feed) -> None:
        self.settings = settings
        self.resolver = resolver
        self.feed = feed
        self.cors = Cors(settings.cors_origins, credentials=settings.cors_credentials)
        self.links = Links(settings)
        self.dialect = Chunks(settings.limits)
        self.tus = Tus1(settings.limits, files=settings.files_path)
        self.draft = Draft(settings.limits, expire_after=settings.expire_after)
        self.draining = False
        files = (settings.upload_path, settings.files_path, settings.uploads_path, settings.compat_path)
        self._prefixes = tuple(f"{prefix}/" for prefix in (*files, settings.events_path))
        self._mount = ""
        self._engine: Engine | None = None
        self._tasks: TaskGroup | None = None
        self._watched: Drain | None = None

    @property
    def engine(self) -> Engine:
        """The engine; there is one from start-up to shutdown of the application."""
        if self._engine is None:
            raise RuntimeError("the application has not been started: run its lifespan")
        return self._engine

    def mount_at(self, path: str) -> None:
        """All routes of the application lie under ``path``."""
        self._mount = path.rstrip("/")
        self.links = Links(self.settings, mount=self._mount)

    def is_ours(self, path: str, root_path: str) -> bool:
        """True for a path under one of our prefixes, whether there is a route or not."""
        path = path.removeprefix(root_path.rstrip("/")).removeprefix(self._mount)
        return f"{path}/".startswith(self._prefixes)

    def open(self, engine: Engine, tasks: TaskGroup) -> None:
        """The application starts."""
        self._engine, self._tasks = engine, tasks
        self.draining, self._watched = False, None
        tasks.start_soon(self.feed.run, engine)

    def close(self) -> None:
        """The application ends."""
        self._engine = self._tasks = self._watched = None

    def watch(self, scope: Mapping[str, Any]) -> None:
        """Pass on the server's word that it stops; told by the first request that brings the means."""
        drain = cast("Drain | None", (scope.get("extensions") or {}).get("onward.drain"))
        if drain is None or self.draining:
            return
        if drain.is_set():
            self._drain()
        elif drain is not self._watched and self._tasks is not None:
            self._watched = drain
            self._tasks.start_soon(self._wait_for, drain)

    async def _wait_for(self, drain: Drain) -> None:
        await drain.wait()
        self._drain()

    def _drain(self) -> None:
        if not self.draining:
            self.draining = True
            self.engine.drain()
            self.feed.end()


class Exchange:
    """One request and what is needed to answer it. Its body is read by nobody until somebody asks."""

    def __init__(self, site: Site, request: AnyRequest) -> None:
        scope = request.scope
        self.site = site
        self.request = request
        self.headers = headers_of(scope)
        self.hrefs = site.links.hrefs(scope, self.headers)
        offered = cast("Mapping[str, Any]", scope)
        self.body = RawBody(receive_of(offered, request.receive), self.headers, scope["http_version"])
        site.watch(offered)

    @property
    def engine(self) -> Engine:
        """The engine."""
        return self.site.engine

    @property
    def method(self) -> str:
        """In capitals."""
        return self.request.method

    async def caller(self) -> Caller:
        """Who sends it."""
        return await ask(self.site.resolver, self.request)

    def head(self, owner: str | None, *, segment: str = "", method: str | None = None) -> Head:
        """The request as a dialect reads it. Raises ``BadField`` for a query that cannot be read."""
        return Head(
            method=method or self.method,
            segment=segment,
            query=dict(query_of(self.request.scope)),
            headers=self.headers,
            owner=owner,
            base=self.hrefs.base,
        )

    def segment(self) -> str:
        """The path behind the prefix, decoded once. Raises ``BadName``."""
        return segment_of(self.request.scope, str(self.request.path_params["name"]))

    async def upload(self, caller: Caller) -> Upload:
        """The upload whose id is in the path. Raises ``NotFound``."""
        text = str(self.request.path_params["id"])
        if not is_id(text):
            raise NotFound
        return await self.engine.view(UploadId(text), caller)

    def respond(self, reply: Reply, *, head: bool = False) -> Response[bytes]:
        """A reply as a response; the connection ends with it if bytes of the body were left unread."""
        headers = dict(reply.headers)
        if self.body.unread and self.request.scope["http_version"].startswith("1"):
            headers["Connection"] = "close"
        return Plain(
            b"" if head or self.method == "HEAD" else reply.body,
            status_code=reply.status,
            headers=headers,
            media_type=reply.media_type or "text/plain",
        )

    def refuse(self, error: OnwardError) -> Response[bytes]:
        """The refusal that an error stands for. A client that has gone gets an answer that nobody reads."""
        if isinstance(error, ClientGone):
            log.debug("the client left in the middle of %s %s", self.method, self.request.scope["path"])
            error = BodyIncomplete("the connection ended before the body did")
        return self.respond(problem(error, Head(method=self.method)))


Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

Answer = Callable[[Exchange], Awaitable[Response[bytes]]]

Discover = Callable[[Exchange], Awaitable[Reply]]


def route(
    site: Site,
    path: str,
    methods: Mapping[Method, tuple[Answer, type[Operation], str]],
    *,
    options: Discover | None = None,
) -> Sequence[HTTPRouteHandler]:
    """The handlers of one path by method: how it is answered, how it is described, and its operation id.

    ``OPTIONS`` comes by itself, and first: Litestar would otherwise make one that knows only
    the first handler's method. ``options`` gives what a dialect adds to it.
    """
    allowed: list[str] = [*methods, "OPTIONS"]

    async def discover(request: AnyRequest) -> Response[bytes]:
        exchange = Exchange(site, request)
        said = Reply(status=204) if options is None else await options(exchange)
        headers = {**said.headers, "Allow": ", ".join(allowed), **site.cors.preflight(exchange.headers, allowed)}
        return exchange.respond(Reply(status=said.status, headers=headers))

    def answering(answer: Answer) -> Made:
        async def handle(request: AnyRequest) -> Response[bytes]:
            exchange = Exchange(site, request)
            try:
                return await answer(exchange)
            except OnwardError as error:
                return exchange.refuse(error)

        return handle

    found = [Handler.of(path, discover, http_method="OPTIONS", include_in_schema=False)]
    for method, (answer, operation, name) in methods.items():
        described = {"operation_class": operation, "operation_id": name}
        found.append(Handler.of(path, answering(answer), http_method=method, status_code=200, **described))
    return found
