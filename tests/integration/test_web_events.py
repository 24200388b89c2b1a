"""Server-sent events: one upload's and those of all."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from onward.config import Settings
from onward.core.types import Cancel
from onward.ports import Caller
from tests.integration.asgi_driver import Driver, running
from tests.integration.web_room import application, engine_of, publish, seal, store, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    async with running(application(Settings())) as driver:
        yield driver


# -- events -------------------------------------------------------------------------------------------


def events(body: bytes) -> list[tuple[str, int, Any]]:
    """Name, id and data of each event, in order."""
    found = re.findall(rb"id: (\d+)\nevent: ([a-z-]+)\ndata: (.*)\n\n", body)
    return [(name.decode(), int(seq), msgspec.json.decode(data)) for seq, name, data in found]


def names(body: bytes) -> list[str]:
    return [name for name, _, _ in events(body)]


async def test_an_upload_is_followed_to_its_end(driver: Driver) -> None:
    id = await store(driver)
    async with driver.watching("GET", f"/uploads/{id}/events") as line:
        await line.wait_for(b"event: state")
        await store(driver, number=2, data=b"bb")
        await line.wait_for(b"event: progress")
        await seal(driver)
        await line.wait_for(b"event: sealed")
        await engine_of(driver).finish(id)
        body = await line.wait_for(b"event: published")
    assert line.answer.headers["content-type"].startswith("text/event-stream")
    assert line.answer.headers["x-accel-buffering"] == "no"
    assert line.answer.headers["cache-control"] == "no-store"
    assert body.startswith(b"retry: ")
    found = {name: data for name, _, data in events(body)}
    assert found["state"]["chunks"][0]["size"] == 4
    assert found["progress"] == {"id": id, "received": 6, "length": 6, "offset": 6, "map": "999999"}
    assert found["published"]["state"] == "done"
    assert found["published"]["size"] == 6
    assert [n for n in names(body) if n != "verifying"] == ["state", "progress", "sealed", "published"]
    sent = [seq for _, seq, _ in events(body)]
    assert sent == sorted(sent)


async def test_a_stream_of_a_finished_upload_ends_at_once_and_says_do_not_come_back(driver: Driver) -> None:
    id = await publish(driver)
    first = await driver.send("GET", f"/uploads/{id}/events")
    assert names(first.body) == ["state"]
    last = events(first.body)[-1][1]
    again = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": str(last)})
    assert (again.status, again.body) == (204, b"")


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(driver: Driver) -> None:
    id = await publish(driver)
    all_of_it = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": "0"})
    assert names(all_of_it.body) == ["created", "sealed", "published"]
    for index, (_, seq, _) in enumerate(events(all_of_it.body)[:-1]):
        rest = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": str(seq)})
        assert events(rest.body) == events(all_of_it.body)[index + 1 :]


async def test_an_event_id_from_another_life_begins_anew(driver: Driver) -> None:
    id = await publish(driver)
    for last in ("999999", "x", "-1", "9" * 40):
        answer = await driver.send("GET", f"/uploads/{id}/events", headers={"Last-Event-ID": last})
        assert names(answer.body) == ["state"]


async def test_the_events_of_all(driver: Driver) -> None:
    await store(driver, "before")
    async with driver.watching("GET", "/events") as line:
        await line.wait_for(b"event: state")
        id = await publish(driver, "during")
        await engine_of(driver).run(Cancel(target=await store(driver, "gone")), Caller(operator=True))
        body = await line.wait_for(b"event: removed")
    found = events(body)
    assert [row["name"] for row in found[0][2]["uploads"]] == ["before"]
    named = [(name, data["id"]) for name, _, data in found if name in {"created", "sealed", "published"}]
    assert [name for name, of in named if of == id] == ["created", "sealed", "published"]
    assert found[-1][2]["state"] == "cancelled"
    # Whoever comes back with the id of any event is told of every later one that ends an upload.
    for _, seq, _ in found:
        async with driver.watching("GET", "/events", {"Last-Event-ID": str(seq)}) as again:
            rest = await again.wait_for(b"event: caught-up")
        later = [event for event in found if event[1] > seq and event[0] in {"published", "removed"}]
        assert [event for event in events(rest) if event[0] in {"published", "removed"}] == later


async def test_nobody_polls_when_nobody_listens(driver: Driver) -> None:
    engine, polls = engine_of(driver), 0
    feed = engine.catalog.feed

    async def counted(**asked: Any) -> Any:
        nonlocal polls
        polls += 1
        return await feed(**asked)

    engine.catalog.feed = counted  # type: ignore[method-assign]  # counts, and asks the real one
    await store(driver)
    await anyio.sleep(0.05)
    assert polls == 0
    async with driver.watching("GET", "/events") as line:
        await line.wait_for(b"event: state")
        await until(lambda: polls >= 3)
    await anyio.sleep(0.02)
    polls = 0
    await anyio.sleep(0.05)
    assert polls == 0


class Stop:
    """As a server offers it: set when it is about to stop."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        await self._event.wait()

    def set(self) -> None:
        self._event.set()


async def test_a_server_that_stops_ends_streams_and_bodies(driver: Driver) -> None:
    stop = Stop()
    extensions = {"onward.drain": stop}
    slow = driver.line("PUT", "/upload/g", [b"a" * 10, b"b" * 10], {"Upload-Offset": "0"}, extensions=extensions)
    hold = anyio.Event()
    receive = slow._receive

    async def held() -> dict[str, Any]:
        if len(slow._pieces) == 1:
            await hold.wait()
        return await receive()

    slow._receive = held  # type: ignore[method-assign]  # the second half of the body never comes
    async with (
        driver.watching("GET", "/events", extensions=extensions) as line,
        anyio.create_task_group() as tasks,
    ):
        await line.wait_for(b"event: state")
        tasks.start_soon(slow.run)
        await until(lambda: slow.answer.taken >= 10)
        stop.set()
    assert (slow.answer.status, slow.answer.code) == (503, "draining")
    assert slow.answer.headers["connection"] == "close"
    assert (await driver.send("GET", "/upload/g")).json()["offset"] == 10
    ready = await driver.send("GET", "/ready")
    assert (ready.status, ready.json()["status"]) == (503, "failed")
