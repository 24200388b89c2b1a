"""The stand-alone application: the plugin, its API description, and probes. ``onward.app:app`` for any ASGI server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License

from onward import config
from onward.config import Settings
from onward.engine.engine import Engine
from onward.ports import Hooks
from onward.web.docs import docs_routes
from onward.web.faults import HANDLERS
from onward.web.feed import Feed
from onward.web.plugin import OnwardConfig, OnwardPlugin, OpenEngine
from onward.web.probes import probe_routes
from onward.worker import open_jobs

ABOUT: Final = (
    "Large files over networks that fail. Chunks come in any order, in parallel, as often as it takes; the file is "
    "published when every byte is proven."
)

VERSION: Final = version("onward")


def opening(settings: Settings, *, hooks: Hooks | None = None) -> OpenEngine:
    """What opens the engine that settings choose, with the queue to hand finished uploads over to."""
    return partial(_opened, settings, hooks)


@asynccontextmanager
async def _opened(settings: Settings, hooks: Hooks | None) -> AsyncIterator[Engine]:
    async with open_jobs(settings) as jobs, config.open_engine(settings, jobs=jobs, hooks=hooks) as engine:
        yield engine


def create_app(settings: Settings, *, engine: OpenEngine | None = None, feed: Feed | None = None) -> Litestar:
    """An application with all routes.

    ``engine`` stands in for the one that settings choose, ``feed`` says how often listeners are told.
    """
    plugin = OnwardPlugin(OnwardConfig(settings=settings, engine=engine or opening(settings), feed=feed or Feed()))
    extra = Router(
        "/",
        route_handlers=[*docs_routes(plugin.site), *probe_routes(plugin.site)],
        tags=["server"],
        request_max_body_size=None,
    )
    return Litestar(
        [extra],
        plugins=[plugin],
        exception_handlers=HANDLERS,
        logging_config=None,  # whoever runs the application sets up logging
        openapi_config=OpenAPIConfig(
            title="Onward",
            version=VERSION,
            description=ABOUT,
            license=License(name="MIT", identifier="MIT"),
        ),
    )


def __getattr__(name: str) -> Litestar:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    built = create_app(config.load())
    globals()["app"] = built  # one application, however often it is asked for
    return built
