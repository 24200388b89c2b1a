"""The stand-alone application over backends in memory, and what is sent to it most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import unquote

import anyio
import msgspec
from litestar import Litestar

from onward.app import create_app
from onward.config import Settings
from onward.core.types import UploadId
from onward.engine.engine import Engine
from onward.ports import Hooks
from onward.web.feed import Feed
from tests.integration.asgi_driver import Answer, Driver, memory_engine

TOKEN = {"Authorization": "Bearer s3cret"}


def application(settings: Settings, hooks: Hooks | None = None) -> Litestar:
    return create_app(settings, engine=partial(memory_engine, settings, hooks), feed=Feed(every=0.005, pace=0.0))


def engine_of(driver: Driver) -> Engine:
    engine = driver.app.dependencies["uploads"].dependency()  # type: ignore[attr-defined]  # it is a Litestar
    assert isinstance(engine, Engine)
    return engine


async def store(driver: Driver, name: str = "f", data: bytes = b"aaaa", number: int = 1, size: int = 4) -> UploadId:
    answer = await driver.send("POST", f"/upload/{name}-{number}", data, {"Upload-Chunk-Size": str(size)})
    assert answer.status in {200, 201}, answer.body
    return UploadId(answer.json()["id"])


async def seal(driver: Driver, name: str = "f", headers: Mapping[str, str] | None = None) -> Answer:
    body = msgspec.json.encode({"file_unique_name": name})
    return await driver.send("POST", "/upload/complete", body, {"Content-Type": "application/json", **(headers or {})})


async def publish(driver: Driver, name: str = "f", data: bytes = b"aaaa") -> UploadId:
    id = await store(driver, name, data, size=max(len(data), 1))
    assert (await seal(driver, unquote(name))).status == 202
    await engine_of(driver).finish(id)
    return id


async def until(reached: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not reached():  # noqa: ASYNC110 - what is waited for offers no event
            await anyio.sleep(0.005)
