"""Onward in a Litestar application: one router, one dependency, one lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Final

import anyio
from litestar import Litestar, Router
from litestar.config.app import AppConfig
from litestar.datastructures import MutableScopeHeaders
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.plugins import InitPlugin
from litestar.types import Guard, Message, Middleware, Scope

from onward.engine.engine import Engine
from onward.web.callers import Resolver, by_token
from onward.web.compat import compat_routes
from onward.web.components import joined
from onward.web.downloads import download_routes
from onward.web.events import event_routes
from onward.web.faults import HANDLERS
from onward.web.feed import Feed
from onward.web.resources import resource_routes
from onward.web.routes import chunk_routes
from onward.web.settings import WebSettings
from onward.web.site import Site
from onward.web.status import status_routes
from onward.wire.tus1_replies import STAMP

DEPENDENCY: Final = "uploads"
"""Handlers of the application that take an ``uploads: Engine`` are given the engine."""

OpenEngine = Callable[[], AbstractAsyncContextManager[Engine]]
"""Opens the engine for as long as the application runs."""


@dataclass(frozen=True, kw_only=True)
class OnwardConfig:
    """What an application decides about the routes that it takes in."""

    settings: WebSettings
    """Paths, limits, CORS; ``onward.config.Settings`` is one."""
    engine: OpenEngine
    """Opens the engine, as in ``onward.app.opening(settings)``."""
    caller: Resolver | None = None
    """Says who sends a request; by default nobody owns uploads, and ``settings.token`` makes an operator."""
    guards: Sequence[Guard] = ()
    middleware: Sequence[Middleware] = ()
    tags: Sequence[str] = ("uploads",)
    """Under which the operations stand in the application's API description."""
    feed: Feed = field(default_factory=Feed)
    """How often listeners are told what happens."""


class OnwardPlugin(InitPlugin):
    """Adds the routes of uploads, files, status and events.

    Guards, middleware and tags go to these routes alone, so do error handling and the missing
    body limit. The only things of the application that change: a dependency, a lifespan,
    schemas in its API description, and a ``before_send`` hook that looks at our paths only.
    """

    def __init__(self, config: OnwardConfig) -> None:
        self._config = config
        resolver = config.caller or by_token(config.settings.token)
        self.site = Site(config.settings, resolver, config.feed)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        site = self.site
        site.mount_at(app_config.path or "")
        app_config.route_handlers.append(self._router())
        app_config.dependencies = {
            DEPENDENCY: Provide(lambda: site.engine, sync_to_thread=False),
            **(app_config.dependencies or {}),
        }
        app_config.signature_types = [*app_config.signature_types, Engine]
        app_config.lifespan.append(self._running)
        app_config.before_send.append(self._allow_origins)
        if app_config.openapi_config is not None:
            described = copy(app_config.openapi_config)  # the default one is shared by all applications
            described.components = joined(described.components)
            app_config.openapi_config = described
        return app_config

    def _router(self) -> Router:
        site = self.site
        handlers = [
            *chunk_routes(site),
            *resource_routes(site),
            *compat_routes(site),
            *status_routes(site),
            *event_routes(site),
            *download_routes(site),
        ]
        return Router(
            "/",
            route_handlers=handlers,
            guards=self._config.guards,
            middleware=self._config.middleware,
            tags=self._config.tags,
            exception_handlers=HANDLERS,
            request_max_body_size=None,
        )

    @asynccontextmanager
    async def _running(self, _: Litestar) -> AsyncIterator[None]:
        async with self._config.engine() as engine, anyio.create_task_group() as tasks:
            self.site.open(engine, tasks)
            try:
                yield
            finally:
                self.site.close()
                tasks.cancel_scope.cancel()

    async def _allow_origins(self, message: Message, scope: Scope) -> None:
        """Let browsers see our answers, also those that were made before a route was found."""
        if message["type"] != "http.response.start" or scope["type"] != ScopeType.HTTP:
            return
        if not self.site.is_ours(scope["path"], scope.get("root_path", "")):
            return
        origin, of_tus = None, False
        for key, said in scope["headers"]:
            if key == b"origin":
                origin = said.decode("latin-1")
            elif key == b"tus-resumable":
                of_tus = True
        # Whatever layer answers: a client of tus reads no other answer as one (T-VER-01).
        stamp = STAMP if of_tus else {}
        allowed = self.site.cors.headers(origin)
        if not stamp and not allowed:
            return
        headers = MutableScopeHeaders.from_message(message)
        for name, value in stamp.items():
            headers.setdefault(name, value)
        for name, value in allowed.items():
            if name == "vary":
                headers.extend_header_value("vary", value)
            else:
                headers[name] = value
