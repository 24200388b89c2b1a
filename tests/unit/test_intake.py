"""A body on its way: bounded, interruptible, and nothing read is lost."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator

import anyio
import pytest

from onward.core.digest import Hasher, sha256
from onward.core.types import Buffer
from onward.engine.intake import LAST_BYTES, LAST_LOOKS, Bytes, Intake, NoBody
from onward.errors import ClientGone, Draining, OnwardError, Revoked, Stalled

pytestmark = pytest.mark.anyio

LONG = 30.0
Script = bytes | OnwardError | anyio.Event


def ended(intake: Intake) -> bool:
    """Asked anew each time, also in the eyes of a type checker."""
    return intake.ended


class Scripted:
    """A body that gives these pieces in turn, raises what is an error, and waits for what is an event."""

    def __init__(self, *script: Script, ends: bool = True) -> None:
        self._script = list(script)
        self._ends = ends
        self.asked = anyio.Event()

    async def next(self) -> Buffer | None:
        self.asked.set()
        while self._script and isinstance(self._script[0], anyio.Event):
            await self._script[0].wait()
            self._script.pop(0)
        if not self._script:
            if not self._ends:
                await anyio.sleep_forever()
            return None
        one = self._script.pop(0)
        if isinstance(one, OnwardError):
            raise one
        assert isinstance(one, bytes)
        return one


async def gather(blocks: AsyncIterator[Buffer]) -> list[bytes]:
    return [bytes(block) async for block in blocks]


def reading(*script: Script, ends: bool = True, idle: float = LONG, tap: Hasher | None = None) -> Intake:
    return Intake(Scripted(*script, ends=ends), idle=idle, tap=tap)


async def test_what_is_read_beyond_a_run_is_handed_out_next() -> None:
    intake = reading(b"abcdef", b"", b"gh")
    assert await gather(intake.run(4)) == [b"abcd"]
    assert not ended(intake)
    assert await gather(intake.run(3)) == [b"ef", b"g"]
    assert not await intake.at_end()
    assert await gather(intake.run(100)) == [b"h"]
    assert ended(intake)
    assert intake.taken == 8
    assert await gather(intake.run(100)) == []


async def test_a_run_of_nothing_reads_nothing() -> None:
    body = Scripted(b"abc")
    assert await gather(Intake(body, idle=LONG).run(0)) == []
    assert not body.asked.is_set()


async def test_whether_a_body_ends_is_known_only_after_looking() -> None:
    intake = reading(b"abc")
    assert await gather(intake.run(3)) == [b"abc"]
    assert not ended(intake)
    assert await intake.at_end()
    assert ended(intake)
    assert await intake.at_end()


async def test_looking_for_the_end_loses_no_byte() -> None:
    intake = reading(b"abc")
    assert not await intake.at_end()
    assert not await intake.at_end()
    assert not ended(intake)
    assert await gather(intake.run(9)) == [b"abc"]


async def test_a_tap_sees_every_byte_handed_out_and_no_other() -> None:
    tap = Hasher()
    intake = reading(b"abcdef", tap=tap)
    await gather(intake.run(2))
    await gather(intake.segment(2, age=LONG, silence=LONG))
    assert tap.digest() == sha256(b"abcd")


async def test_silence_ends_a_run_with_an_error() -> None:
    with pytest.raises(Stalled) as caught:
        await gather(reading(b"abc", ends=False, idle=0.05).run(9))
    assert caught.value.facts == {"seconds": 0}


async def test_a_pull_that_takes_long_is_told_how_long() -> None:
    intake = reading(ends=False, idle=1.0)
    with pytest.raises(Stalled) as caught:
        await intake.at_end()
    assert caught.value.facts == {"seconds": 1}


@pytest.mark.parametrize("error", [ClientGone(), Draining()])
async def test_an_interruption_ends_a_run_with_an_error(error: OnwardError) -> None:
    with pytest.raises(type(error)):
        await gather(reading(b"abc", error).run(9))


@pytest.mark.parametrize("error", [ClientGone(), Draining()])
async def test_an_interruption_ends_a_segment_and_is_told_afterwards(error: OnwardError) -> None:
    intake = reading(b"abc", error)
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"abc"]
    assert intake.fault is error


async def test_a_segment_ends_at_its_size() -> None:
    intake = reading(b"abcdef")
    assert await gather(intake.segment(4, age=LONG, silence=LONG)) == [b"abcd"]
    assert await gather(intake.segment(4, age=LONG, silence=LONG)) == [b"ef"]
    assert intake.fault is None
    assert ended(intake)


async def test_a_segment_ends_at_its_age_and_the_next_goes_on() -> None:
    intake = reading(b"ab", b"cd", b"ef")
    assert await gather(intake.segment(9, age=0.0, silence=LONG)) == [b"ab"]
    assert await gather(intake.segment(9, age=0.0, silence=LONG)) == [b"cd"]
    assert intake.fault is None


async def test_a_segment_is_not_old_before_its_age() -> None:
    assert await gather(reading(b"ab", b"cd").segment(9, age=LONG, silence=LONG)) == [b"ab", b"cd"]


async def test_a_segment_ends_when_the_line_is_quiet_and_the_body_goes_on() -> None:
    more = anyio.Event()
    intake = reading(b"ab", more, b"cd")
    assert await gather(intake.segment(9, age=LONG, silence=0.02)) == [b"ab"]
    assert intake.fault is None
    assert not ended(intake)
    more.set()
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"cd"]


async def test_the_first_byte_of_a_segment_may_take_as_long_as_any() -> None:
    """No byte, nothing to record: quiet before the first one ends the segment only as a stall."""
    intake = reading(ends=False, idle=0.05)
    assert await gather(intake.segment(9, age=LONG, silence=0.0)) == []
    assert isinstance(intake.fault, Stalled)


async def test_a_line_that_is_quiet_for_the_idle_limit_has_stalled() -> None:
    intake = reading(b"ab", ends=False, idle=0.05)
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"ab"]
    assert isinstance(intake.fault, Stalled)


async def test_who_waits_is_stopped_at_once() -> None:
    body = Scripted(b"abc", ends=False)
    intake = Intake(body, idle=LONG)
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:

            async def read() -> None:
                with pytest.raises(Draining):
                    await gather(intake.run(9))

            group.start_soon(read)
            await body.asked.wait()
            await anyio.wait_all_tasks_blocked()
            intake.stop(Draining())
            intake.stop(Revoked())  # the first reason is the one told


async def test_who_does_not_wait_is_stopped_at_the_next_pull() -> None:
    intake = reading(b"abcdef", ends=False)
    assert await gather(intake.run(2)) == [b"ab"]
    intake.stop(Draining())
    assert await gather(intake.run(4)) == [b"cdef"]  # what was read before is not lost
    with pytest.raises(Draining):
        await intake.at_end()


async def test_what_lies_ready_when_it_is_stopped_is_kept() -> None:
    """The server has these bytes: whoever takes over is told an offset that counts them."""
    intake = reading(b"ab", b"cd", ends=False)
    assert await gather(intake.run(2)) == [b"ab"]
    intake.stop(Revoked())
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"cd"]
    assert isinstance(intake.fault, Revoked)


async def test_a_body_that_lies_there_whole_is_no_longer_stopped() -> None:
    intake = reading(b"ab")
    intake.stop(Revoked())
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"ab"]
    assert intake.fault is None
    assert ended(intake)


async def test_a_sender_that_is_always_ready_is_stopped_all_the_same() -> None:
    piece = bytes(LAST_BYTES // 4)
    intake = reading(*[piece] * 100, ends=False)
    intake.stop(Revoked())
    got = await gather(intake.segment(100 * LAST_BYTES, age=LONG, silence=LONG))
    assert len(got) == 4 * LAST_LOOKS
    assert isinstance(intake.fault, Revoked)


async def test_all_pieces_that_lie_ready_when_it_is_stopped_are_kept() -> None:
    intake = reading(*[b"x"] * 50, anyio.Event(), b"y")
    intake.stop(Revoked())
    assert not await intake.at_end()
    assert await gather(intake.segment(30, age=LONG, silence=LONG)) == [b"x"] * 30
    assert not ended(intake)
    assert await gather(intake.segment(30, age=LONG, silence=LONG)) == [b"x"] * 20
    assert isinstance(intake.fault, Revoked)


async def test_what_lies_ready_before_the_client_has_gone_is_kept() -> None:
    intake = reading(b"ab", b"cd", ClientGone())
    intake.stop(Draining())
    assert await gather(intake.segment(9, age=LONG, silence=LONG)) == [b"ab", b"cd"]
    assert isinstance(intake.fault, Draining)


async def test_a_newcomer_stops_the_writer() -> None:
    revoked, intake = anyio.Event(), reading(b"abc", ends=False)
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(intake.stop_when, revoked)
            assert await gather(intake.run(3)) == [b"abc"]
            revoked.set()
            with pytest.raises(Revoked):
                await intake.at_end()


async def test_bodies_in_memory() -> None:
    assert await gather(Intake(Bytes(b"abc"), idle=LONG).run(9)) == [b"abc"]
    assert await Intake(Bytes(b""), idle=LONG).at_end()
    assert await Intake(NoBody(), idle=LONG).at_end()


async def test_a_short_body_is_read_whole() -> None:
    intake = reading(b"abc", b"", b"def")
    assert await intake.whole(6) == b"abcdef"
    assert (intake.taken, await intake.at_end(), await reading(b"abc").whole(6)) == (6, True, b"abc")


@pytest.mark.parametrize("pieces", [(b"abcdef", b"gh"), (b"abcd", b"efgh"), (b"abcdefgh",)])
async def test_what_is_beyond_a_short_body_is_no_part_of_it_and_not_its_end(pieces: tuple[bytes, ...]) -> None:
    intake = reading(*pieces)
    assert await intake.whole(6) == b"abcdef"
    assert not await intake.at_end()


async def test_a_short_body_that_does_not_go_on_has_stalled() -> None:
    intake = reading(b"abc", ends=False, idle=0.05)
    with pytest.raises(Stalled):
        await intake.whole(6)


async def test_a_short_body_may_take_its_time_as_long_as_it_goes_on() -> None:
    deadlines: list[float] = []

    class Slow(Scripted):
        async def next(self) -> Buffer | None:
            assert intake._scope is not None
            deadlines.append(intake._scope.deadline)
            await anyio.sleep(0.01)
            return await super().next()

    intake = Intake(Slow(b"a", b"b", b"c"), idle=LONG)
    assert await intake.whole(3) == b"abc"
    assert deadlines[0] < deadlines[1] < deadlines[2]


@pytest.mark.parametrize("error", [ClientGone(), Draining(retry_after=1)], ids=["gone", "drained"])
async def test_an_interruption_ends_a_short_body(error: OnwardError) -> None:
    with pytest.raises(type(error)):
        await reading(b"abc", error).whole(6)
    intake = reading(b"abc", ends=False)
    intake.stop(error)
    with pytest.raises(type(error)):
        await intake.whole(6)
    ready = reading(b"abc", b"def")
    ready.stop(error)
    assert await ready.whole(6) == b"abcdef"


class Leap(selectors.DefaultSelector):
    """Of a loop whose clock leaps over every wait, so that what is waited for can be counted exactly."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


def leaping() -> asyncio.AbstractEventLoop:
    selector = Leap()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]  # the clock of this loop alone
    return loop


def test_silence_is_counted_over_all_waits_since_the_last_byte() -> None:
    async def stall() -> list[tuple[list[bytes], float]]:
        comes = anyio.Event()
        intake = reading(b"abc", comes, b"def", ends=False, idle=30.0)
        kept = [(await gather(intake.segment(100, age=LONG, silence=1.0)), anyio.current_time())]
        await anyio.sleep(25.0)  # the disk is slow: nobody waits for the client
        asyncio.get_running_loop().call_later(28.5, comes.set)
        while intake.fault is None:
            kept.append((await gather(intake.segment(100, age=LONG, silence=1.0)), anyio.current_time()))
        assert isinstance(intake.fault, Stalled)
        return kept

    with asyncio.Runner(loop_factory=leaping) as runner:
        assert runner.run(stall()) == [([b"abc"], 1.0), ([b"def"], 55.5), ([], 84.5)]


def test_the_end_of_a_small_body_is_waited_for_as_long_as_a_byte() -> None:
    async def slow() -> tuple[bytes, float]:
        comes, ends = anyio.Event(), anyio.Event()
        intake = reading(comes, b"abc", ends, idle=30.0)
        asyncio.get_running_loop().call_later(29.0, comes.set)
        asyncio.get_running_loop().call_later(58.0, ends.set)
        return await intake.whole(3), anyio.current_time()

    with asyncio.Runner(loop_factory=leaping) as runner:
        assert runner.run(slow()) == (b"abc", 58.0)
