"""The stand-alone application: the plugin, its API description, and probes. ``onward.app:app`` for any ASGI server."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Final

import anyio
from litestar import Litestar, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import License

from onward import config
from onward.config import Settings
from onward.engine.engine import Engine
from onward.engine.sweep import Sweeper, Teller, sweep
from onward.ports import Hooks
from onward.web.bench import Bench
from onward.web.docs import docs_routes
from onward.web.faults import HANDLERS
from onward.web.feed import Feed
from onward.web.plugin import OnwardConfig, OnwardPlugin, OpenEngine
from onward.web.probes import probe_routes
from onward.web.resources import resource_routes
from onward.web.routes import chunk_routes
from onward.web.shortcut import Direct, Shortcuts
from onward.web.ui import ui_routes
from onward.worker import equip, open_jobs, receive

log = logging.getLogger("onward.app")

ABOUT: Final = (
    "Large files over networks that fail. Chunks come in any order, in parallel, as often as it takes; the file is "
    "published when every byte is proven."
)

VERSION: Final = version("onward")


def opening(settings: Settings, *, hooks: Hooks | None = None, worker: bool = False) -> OpenEngine:
    """What opens the engine that settings choose, with the queue to hand finished uploads over to.

    While it is open, what has expired is removed and lost work is queued again. ``worker``: this
    process also does the queue's work, so that uploads are published without an `onward worker`;
    with several processes each may, and one of them does it.
    """
    return partial(_opened, settings, hooks, worker=worker)


@asynccontextmanager
async def _opened(settings: Settings, hooks: Hooks | None, *, worker: bool) -> AsyncIterator[Engine]:
    async with (
        open_jobs(settings) as jobs,
        config.open_engine(settings, jobs=jobs, hooks=hooks) as engine,
        anyio.create_task_group() as tasks,
    ):
        stop = anyio.Event()
        tasks.start_soon(_work if worker else _tidy, settings, engine, stop)
        try:
            yield engine
        finally:
            stop.set()


async def _tidy(settings: Settings, engine: Engine, stop: anyio.Event) -> None:
    while not await _set_within(stop, settings.sweep_every):
        try:
            await sweep(engine)
        except Exception:
            log.exception("the sweep failed; it is tried again in %g s", settings.sweep_every)


async def _set_within(event: anyio.Event, seconds: float) -> bool:
    with anyio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


async def _work(settings: Settings, engine: Engine, stop: anyio.Event) -> None:
    @asynccontextmanager
    async def shared() -> AsyncIterator[Engine]:
        yield engine

    while not stop.is_set():
        broker, work = equip(settings, open_engine=shared, background=(Sweeper(), Teller()))
        try:
            await receive(broker, work, stop, at_once=settings.merges)
        except Exception:
            log.exception("the worker in this process failed; it begins again in %g s", settings.sweep_every)
            await _set_within(stop, settings.sweep_every)


def create_app(settings: Settings, *, engine: OpenEngine | None = None, feed: Feed | None = None) -> Litestar:
    """An application with all routes.

    ``engine`` stands in for the one that settings choose, ``feed`` says how often listeners are told.
    """
    bench = Bench((settings.upload_path, settings.files_path)) if settings.demo else None
    plugin = OnwardPlugin(
        OnwardConfig(
            settings=settings,
            engine=engine or opening(settings),
            feed=feed or Feed(),
            middleware=[] if bench is None else [bench.middleware()],
        )
    )
    extra = Router(
        "/",
        route_handlers=[
            *docs_routes(plugin.site),
            *probe_routes(plugin.site),
            *ui_routes(plugin.site, version=VERSION, bench=bench, deletes=settings.rules.delete_finished),
        ],
        tags=["server"],
        request_max_body_size=None,
    )
    app = Direct(
        [extra],
        plugins=[plugin],
        on_startup=[] if bench is None else [_warn_of_faults],
        exception_handlers=HANDLERS,
        logging_config=None,  # whoever runs the application sets up logging
        openapi_config=OpenAPIConfig(
            title="Onward",
            version=VERSION,
            description=ABOUT,
            license=License(name="MIT", identifier="MIT"),
        ),
    )
    if bench is None:  # which is middleware
        app.shortcuts = Shortcuts([*chunk_routes(plugin.site), *resource_routes(plugin.site)])
    return app


async def _warn_of_faults() -> None:
    log.warning("DEMO: anybody who reaches this server can make its uploads fail (/ui/faults)")


def __getattr__(name: str) -> Litestar:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    built = create_app(config.load())
    globals()["app"] = built  # one application, however often it is asked for
    return built
