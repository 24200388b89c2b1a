"""The feed behind the streams: how often, how much, and for whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import msgspec
import pytest

from onward.app import create_app
from onward.config import Settings
from onward.core.types import Phase, UploadId
from onward.engine.engine import Engine
from onward.ports import Caller, WorkDone
from onward.web import feed as feed_module
from onward.web.events import _replay
from onward.web.feed import Feed, Progress, Verifying, progress_of
from tests.integration.asgi_driver import Answer, Driver, memory_engine, running
from tests.integration.sse_client import events_in

pytestmark = pytest.mark.anyio

SECONDS = 10


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def engine_of(driver: Driver) -> Engine:
    engine = driver.app.dependencies["uploads"].dependency()  # type: ignore[attr-defined]  # it is a Litestar
    assert isinstance(engine, Engine)
    return engine


async def store(driver: Driver, name: str, number: int = 1, data: bytes = b"a") -> UploadId:
    answer = await driver.send("POST", f"/upload/{name}-{number}", data)
    assert answer.status == 201
    return UploadId(answer.json()["id"])


async def seal(driver: Driver, name: str) -> Answer:
    body = msgspec.json.encode({"file_unique_name": name})
    return await driver.send("POST", "/upload/complete", body, {"Content-Type": "application/json"})


@pytest.fixture
async def driver() -> AsyncIterator[Driver]:
    """An application whose own feed stays out of the way of these tests."""
    async with running(create_app(Settings(), engine=partial(memory_engine, Settings()))) as driver:
        yield driver


async def test_progress_is_told_twice_a_second_and_the_last_word_comes(driver: Driver) -> None:
    engine, clock = engine_of(driver), Clock()
    feed = Feed(clock=clock)
    listener = feed.listener(everyone=True)
    told: list[tuple[float, int]] = []
    with feed.listening(listener):
        await feed.join(engine, listener)
        id = await store(driver, "f", 1)
        for number in range(2, SECONDS * 10 + 2):
            assert await store(driver, "f", number) == id
            await feed.poll(engine)
            if id in listener.progress:
                progress = listener.progress.pop(id)
                assert isinstance(progress, Progress)
                told.append((clock.now, progress.received))
            clock.now += 0.1
        for _ in range(5):
            await feed.poll(engine)
            clock.now += 0.1
        last = listener.progress.pop(id, None)
    assert SECONDS < len(told) <= 2 * SECONDS
    assert all(later - sooner >= 0.5 - 1e-6 for (sooner, _), (later, _) in pairwise(told))
    received = last.received if isinstance(last, Progress) else told[-1][1]
    assert received == SECONDS * 10 + 1


async def test_the_workers_progress_is_told_as_often_and_once_a_change(driver: Driver) -> None:
    engine, clock = engine_of(driver), Clock()
    id = await store(driver, "f")
    await seal(driver, "f")
    feed = Feed(clock=clock)
    listener = feed.listener(id=id)
    done: list[int] = []
    with feed.listening(listener):
        await feed.join(engine, listener)
        for step in range(40):
            await engine.catalog.report(id, WorkDone(phase=Phase.VERIFYING, done=min(step, 20), total=20, at=clock.now))
            await feed.poll(engine)
            for one in listener.progress.values():
                assert isinstance(one, Verifying)
                done.append(one.work.done)
            listener.progress.clear()
            clock.now += 0.1
    assert done == [0, 5, 10, 15, 20]


async def test_a_sealed_upload_is_followed_however_many_there_are(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_module, "MOST_SEALED", 2)
    engine, clock = engine_of(driver), Clock()
    ids = [await store(driver, f"f{number}") for number in range(5)]
    for number, id in enumerate(ids):
        await seal(driver, f"f{number}")
        await engine.catalog.report(id, WorkDone(phase=Phase.VERIFYING, done=1, total=2, at=clock.now))
    feed = Feed(clock=clock)
    listeners = [feed.listener(id=id) for id in ids]
    for listener in listeners:
        await feed.join(engine, listener)
    for _ in range(3):
        await feed.poll(engine)
        clock.now += 0.1
    assert [list(listener.progress) for listener in listeners] == [[id] for id in ids]


async def test_only_what_somebody_listens_to_is_looked_at(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, clock = engine_of(driver), Clock()
    feed = Feed(clock=clock)
    grows, works = await store(driver, "grows"), await store(driver, "works")
    listeners = [feed.listener(id=id) for id in (grows, works)]
    for listener in listeners:
        await feed.join(engine, listener)
    looked: list[UploadId] = []
    read, work = engine.journal.read, engine.catalog.work

    async def noted_read(id: UploadId, *given: Any, **named: Any) -> Any:
        looked.append(id)
        return await read(id, *given, **named)

    async def noted_work(id: UploadId) -> WorkDone | None:
        looked.append(id)
        return await work(id)

    await store(driver, "grows", 2)
    for name in ("other", "another"):
        await store(driver, name)
    for name in ("works", "other"):
        assert (await seal(driver, name)).status == 202
    engine.journal.read = noted_read  # type: ignore[method-assign]  # notes, and asks the real one
    engine.catalog.work = noted_work  # type: ignore[method-assign]  # as above
    await feed.poll(engine)
    assert looked == [grows, works]
    monkeypatch.setattr(feed_module, "MOST_SEALED", 1)
    await feed.join(engine, feed.listener(everyone=True))
    looked.clear()
    clock.now += 1
    await feed.poll(engine)
    assert looked == [works]  # the other one has its turn next
    await feed.poll(engine)
    assert len(set(looked)) == 2


async def test_who_comes_back_to_an_upload_that_goes_on_hears_how_far_it_is(driver: Driver) -> None:
    id = await store(driver, "f")
    await store(driver, "other")  # its events come later, and are no concern of this stream
    async with driver.watching("GET", f"/uploads/{id}/events", {"Last-Event-ID": "0"}) as line:
        await line.wait_for(b"event: progress")
        await store(driver, "f", 2)
        await seal(driver, "f")
        body = await line.wait_for(b"event: sealed")
    told = events_in(body)
    assert [event.name for event in told if event.name != "progress"] == ["created", "sealed"]
    assert told[1].data == {"id": id, "received": 1, "length": None, "offset": 1, "map": "9"}
    assert {event.data["id"] for event in told} == {id}


async def test_a_replay_ends_where_the_live_stream_begins(driver: Driver) -> None:
    engine = engine_of(driver)
    for number in range(3):
        await store(driver, f"f{number}")
    last = await engine.catalog.last_seq()
    seqs = [[item.seq async for item in _replay(engine, after, upto, None)] for after, upto in ((0, last), (0, 5))]
    assert seqs[0] == [1, 4, 7]
    assert seqs[1] == [1, 4]
    assert [item.seq async for item in _replay(engine, last, last, None)] == []


async def test_a_silent_stream_says_that_it_lives() -> None:
    feed = Feed(every=0.005, heartbeat=0.02)
    async with (
        running(create_app(Settings(), engine=partial(memory_engine, Settings()), feed=feed)) as driver,
        driver.watching("GET", "/events") as line,
    ):
        await line.wait_for(b": alive\n\n: alive\n\n")
        id = await store(driver, "f")
        body = await line.wait_for(b"event: created")
        with anyio.fail_after(20):
            while not line.answer.body.endswith(b": alive\n\n"):  # noqa: ASYNC110 - it is silent again
                await anyio.sleep(0.005)
    assert {event.data["id"] for event in events_in(body.replace(b": alive\n\n", b"")) if event.name == "created"} == {
        id
    }


async def test_a_listener_that_does_not_read_is_ended_and_misses_nothing() -> None:
    feed = Feed(every=0.005, most_news=3)
    async with running(create_app(Settings(), engine=partial(memory_engine, Settings()), feed=feed)) as driver:
        engine = engine_of(driver)
        line, let_go = driver.line("GET", "/events", b""), anyio.Event()
        send = line._send

        async def slow(message: dict[str, object]) -> None:
            await send(message)
            if b"event: created" in line.answer.body:
                await let_go.wait()

        line._send = slow  # type: ignore[method-assign, assignment]  # a client whose buffers are full
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(line.run)
            await line.wait_for(b"event: state")
            first = await store(driver, "f0")
            await line.wait_for(b"event: created")
            ids = [first, *[await store(driver, f"f{number}") for number in range(1, 10)]]
            with anyio.fail_after(20):
                while len(mailbox := next(iter(feed._listeners)).news) < 3:  # noqa: ASYNC110 - it offers no event
                    await anyio.sleep(0.005)
                while not next(iter(feed._listeners)).ended:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.005)
            assert len(mailbox) == 3
            let_go.set()
        heard = events_in(line.answer.body)
        assert 3 < len(heard) < 10
        last = {"Last-Event-ID": str(heard[-1].seq)}
        async with driver.watching("GET", "/events", last) as again:
            rest = await again.wait_for(b"event: caught-up")
        created = [event.data["id"] for event in [*heard, *events_in(rest)] if event.name == "created"]
        assert created == ids
        assert (await engine.view(first, Caller(operator=True))).received_bytes == 1


async def test_progress_of_many_uploads_waits_for_few() -> None:
    listener = Feed(most_progress=2).listener(everyone=True)
    for number in range(5):
        listener.tell_progress(Progress(UploadId(str(number)), number, None, number, ""))
    assert list(listener.progress) == ["3", "4"]


async def test_what_a_snapshot_shows_is_not_told_as_new(driver: Driver) -> None:
    engine = engine_of(driver)
    feed = Feed()
    first, second = feed.listener(everyone=True), feed.listener(everyone=True)
    await feed.join(engine, first)
    await store(driver, "f")
    start = await feed.join(engine, second)
    await feed.poll(engine)
    assert start == await engine.catalog.last_seq()
    assert [len(one.news) for one in (first, second)] == [1, 0]


async def test_a_poll_that_fails_is_made_again(caplog: pytest.LogCaptureFixture) -> None:
    feed = Feed(every=0.005)
    async with running(create_app(Settings(), engine=partial(memory_engine, Settings()), feed=feed)) as driver:
        catalog = engine_of(driver).catalog
        ask, failed = catalog.feed, anyio.Event()

        async def broken(**asked: object) -> object:
            failed.set()
            catalog.feed = ask  # type: ignore[method-assign]  # once
            raise OSError("the disk was away")

        async with driver.watching("GET", "/events") as line:
            await line.wait_for(b"event: state")
            catalog.feed = broken  # type: ignore[method-assign, assignment]  # a disk that comes back
            await failed.wait()
            await store(driver, "f")
            await line.wait_for(b"event: created")
    assert "read again" in caplog.text


async def test_a_feed_without_listeners_sleeps() -> None:
    feed = Feed(every=0.005)
    async with running(create_app(Settings(), engine=partial(memory_engine, Settings()), feed=feed)) as driver:
        async with driver.watching("GET", "/events") as line:
            await line.wait_for(b"event: state")
            assert feed._wanted.is_set()
        with anyio.fail_after(20):
            while feed._wanted.is_set():  # noqa: ASYNC110 - it offers no event
                await anyio.sleep(0.005)
        async with driver.watching("GET", "/events") as line:
            await line.wait_for(b"event: state")
            await store(driver, "f")
            await line.wait_for(b"event: created")


async def test_who_joins_after_the_end_is_ended(driver: Driver) -> None:
    feed = Feed()
    feed.end()
    listener = feed.listener(everyone=True)
    await feed.join(engine_of(driver), listener)
    assert listener.ended


async def test_when_uploads_were_told_is_forgotten_in_time(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "BATCH", 3)
    engine, clock = engine_of(driver), Clock()
    feed = Feed(clock=clock)
    await feed.join(engine, feed.listener(everyone=True))
    for number in range(20):
        await store(driver, f"f{number}")
        await feed.poll(engine)
        clock.now += 1
    assert len(feed._told) <= 4


async def test_only_what_is_being_received_grows(driver: Driver) -> None:
    engine = engine_of(driver)
    id = await store(driver, "f")
    assert await progress_of(engine, id) == Progress(id, 1, None, 1, "9")
    await seal(driver, "f")
    assert await progress_of(engine, id) is None
    assert await progress_of(engine, UploadId("0" * 32)) is None


@pytest.mark.parametrize(("headers", "word"), [({}, "assembling"), ({"Upload-Chunk-Size": "4"}, "verifying")])
async def test_a_sealed_upload_has_one_word_everywhere(driver: Driver, headers: dict[str, str], word: str) -> None:
    stored = await driver.send("POST", "/upload/f-1", b"aaaa", headers)
    id = stored.json()["id"]
    sealed = await seal(driver, "f")

    async def words() -> set[str]:
        listed = (await driver.send("GET", "/uploads")).json()["uploads"]
        filtered = (await driver.send("GET", f"/uploads?state={listed[0]['state']}")).json()["uploads"]
        by_id = (await driver.send("GET", f"/uploads/{id}")).json()["state"]
        head = (await driver.send("HEAD", "/upload/f")).headers["upload-state"]
        async with driver.watching("GET", f"/uploads/{id}/events") as one:
            told = events_in(await one.wait_for(b"event: state"))[0].data["state"]
        async with driver.watching("GET", "/events") as everything:
            row = events_in(await everything.wait_for(b"event: state"))[0].data["uploads"][0]["state"]
        return {listed[0]["state"], filtered[0]["state"], by_id, head, told, row}

    assert sealed.json()["state"] == word
    assert await words() == {word}
    for phase in Phase:
        await engine_of(driver).catalog.report(UploadId(id), WorkDone(phase=phase, done=1, total=4, at=1.0))
        assert await words() == {phase.value}


async def test_how_the_server_stands_is_told_to_operators_when_it_changes(driver: Driver) -> None:
    engine, clock, free = engine_of(driver), Clock(), 1 << 40

    async def left() -> int | None:
        return free

    engine.storage.free = left  # type: ignore[method-assign]  # as a disk has it
    feed = Feed(clock=clock)
    operator, owner = feed.listener(everyone=True), feed.listener(owner="ann")
    told: list[int] = []
    with feed.listening(operator), feed.listening(owner):
        await feed.join(engine, operator)
        await feed.join(engine, owner)
        for number in range(4):
            await store(driver, f"f{number}")
            await seal(driver, f"f{number}")
            for _ in range(4):
                await feed.poll(engine)
                told += [operator.room.waiting] if operator.room else []
                operator.room = None
                clock.now += 0.5
        for _ in range(8):
            await feed.poll(engine)
            clock.now += 0.5
        late = feed.listener(everyone=True)
        with feed.listening(late):
            await feed.join(engine, late)
    assert told == [1, 2, 3, 4]
    assert owner.room is operator.room is None
    assert late.room is not None
    assert (late.room.free, late.room.waiting) == (1 << 40, 4), "whoever comes later is told at once"
