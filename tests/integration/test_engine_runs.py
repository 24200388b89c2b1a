"""Storing runs by offset: what is compared, what is cut, and who gives way."""

from __future__ import annotations

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.types import ClientName, Digest, Layout
from onward.errors import (
    ClientGone,
    DigestMismatch,
    Draining,
    LengthConflict,
    Locked,
    NotFound,
    OnwardError,
    PartConflict,
    Stalled,
)
from tests.integration.engine_room import LONG, Pieces, Room, Wire

pytestmark = pytest.mark.anyio

WHOLE = b"aaaabbbbcccc"
WRONG = (sha256(b"something else"),)


async def holes(room: Room) -> list[tuple[int, int]]:
    upload = await room.status()
    return list(upload.ranges)


# -- runs by offset --------------------------------------------------------------------------------


@pytest.mark.parametrize("proven", [True, False], ids=["digest", "plain"])
async def test_a_run_over_recorded_parts_is_compared_there_and_stored_elsewhere(*, proven: bool) -> None:
    room = Room()
    await room.at(4, b"bbbb")
    digests = (sha256(WHOLE),) if proven else ()
    outcome = await room.at(0, body=Pieces(b"aaaab", b"bbbc", b"ccc"), size=12, digests=digests)
    assert (outcome.fresh, outcome.size) == (True, 12)
    assert outcome.part is None
    assert sorted((await room.status()).stored) == [0, 4, 8]
    again = await room.at(2, WHOLE[2:10], digests=(sha256(WHOLE[2:10]),) if proven else ())
    assert (again.fresh, again.size, again.part) == (False, 8, None)


@pytest.mark.parametrize("proven", [True, False], ids=["digest", "plain"])
async def test_a_run_that_differs_from_recorded_bytes_is_refused(*, proven: bool) -> None:
    room = Room()
    await room.at(4, b"bbbb")
    data = b"aaaabbXbcccc"
    with pytest.raises(PartConflict) as caught:
        await room.at(0, data, digests=(sha256(data),) if proven else ())
    assert caught.value.facts["offset"] == 4
    # Without a digest over all of it the prefix stands by itself; with one, nothing was proved.
    assert await holes(room) == ([(4, 8)] if proven else [(0, 8)])


async def test_a_run_with_the_wrong_digest_is_refused_also_where_it_was_compared() -> None:
    room = Room()
    await room.at(4, b"bbbb")
    for start, data in ((0, WHOLE), (4, b"bbbbcc"), (4, b"bbb")):
        with pytest.raises(DigestMismatch):
            await room.at(start, data, digests=WRONG)
    assert await holes(room) == [(4, 8)]


async def test_a_run_with_a_digest_is_one_part() -> None:
    outcome = await Room().at(3, b"abcd", digests=(sha256(b"abcd"),))
    assert outcome.part is not None
    assert (outcome.part.key, outcome.part.digest) == (3, sha256(b"abcd"))


async def test_a_part_is_shown_only_if_it_holds_the_body() -> None:
    one = Room()
    outcome = await one.at(0, b"aaaabb")
    assert outcome.part is not None
    assert outcome.part.digest == sha256(b"aaaabb")
    cut = Room(segment=4)
    assert (await cut.at(0, b"aaaabb")).part is None
    assert sorted((await cut.status()).stored) == [0, 4]
    met = Room()
    await met.at(0, b"aa")
    assert (await met.at(0, b"aaaa", digests=(sha256(b"aaaa"),))).part is None


@pytest.mark.parametrize("size", [0, None])
@pytest.mark.parametrize("digests", [(), (sha256(b""),)], ids=["plain", "digest"])
async def test_an_empty_run_is_no_part(size: int | None, digests: tuple[Digest, ...]) -> None:
    room = Room()
    assert not (await room.at(2, b"", size=size, digests=digests, layout=Layout.FLAT)).fresh
    upload = await room.status()
    assert (upload.layout, upload.stored) == (Layout.FLAT, {})
    assert (await room.at(2, b"abc")).fresh


async def test_runs_side_by_side_disturb_each_other_only_where_they_meet() -> None:
    """How long a body claims to be is how much of the file it holds."""
    room, wires = Room(), [Wire(), Wire()]
    await room.create(layout=Layout.FLAT)
    outcomes: list[Outcome] = []

    async def send(offset: int, wire: Wire) -> None:
        outcomes.append(await room.at(offset, body=wire, size=4))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for offset, wire in zip((0, 4), wires, strict=True):
                group.start_soon(send, offset, wire)
                await wire.asked.wait()
            for wire in wires:
                wire.give(b"aaaa")
                wire.end()
    assert [outcome.size for outcome in outcomes] == [4, 4]
    assert await holes(room) == [(0, 8)]


async def test_a_run_that_ends_at_the_length_may_not_go_on() -> None:
    room = Room()
    await room.create(length=8)
    with pytest.raises(LengthConflict):
        await room.at(4, body=Pieces(b"bbbb", b"b"))
    assert await holes(room) == [(4, 8)]  # what lies within is kept
    assert (await room.at(0, body=Pieces(b"aaaa", b"bbbb"))).size == 8
    with pytest.raises(LengthConflict):
        await room.at(0, body=Pieces(b"aaaabbbb", b"b"), digests=(sha256(b"aaaabbbbb"),))


async def test_a_run_is_recorded_in_segments_of_a_size() -> None:
    room = Room(segment=5)
    outcome = await room.at(0, body=Pieces(b"aaaabbbb", b"cccc"))
    assert outcome.size == 12
    assert [(part.key, part.size) for part in (await room.status()).parts()] == [(0, 5), (5, 5), (10, 2)]


async def test_a_run_is_recorded_in_segments_of_an_age() -> None:
    room = Room(segment_age=0.0)
    await room.at(0, body=Pieces(b"aa", b"bb"))
    assert [part.key for part in (await room.status()).parts()] == [0, 2]


async def test_a_quiet_line_has_what_came_recorded() -> None:
    room, wire = Room(segment_silence=0.02), Wire()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: room.at(0, body=wire, layout=Layout.FLAT))
            wire.give(b"aaaa")
            await wire.asked.wait()
            while not (await _known(room)):  # noqa: ASYNC110 - nothing tells when a segment is recorded
                await anyio.sleep(0.01)
            assert await holes(room) == [(0, 4)]
            wire.give(b"bb")
            wire.end()
    assert await holes(room) == [(0, 6)]


async def _known(room: Room) -> bool:
    try:
        return bool((await room.status()).stored)
    except NotFound:
        return False


# -- interruptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ClientGone(), Stalled()])
async def test_the_prefix_of_a_run_is_kept_when_it_is_cut(error: OnwardError) -> None:
    room = Room()
    with pytest.raises(type(error)) as caught:
        await room.at(0, body=Pieces(b"aaaa", b"b", error), size=12)
    assert await holes(room) == [(0, 5)]
    assert caught.value.facts.get("offset") == (None if isinstance(error, ClientGone) else 5)


async def test_a_run_with_a_digest_is_dropped_whole_when_it_is_cut() -> None:
    room = Room()
    with pytest.raises(ClientGone):
        await room.at(0, body=Pieces(b"aaaa", ClientGone()), size=12, digests=(sha256(WHOLE),))
    assert await holes(room) == []


async def test_a_stall_keeps_the_prefix_of_a_run_and_no_chunk() -> None:
    room, wires = Room(body_idle=0.05), [Wire(), Wire()]
    for wire in wires:
        wire.give(b"aa")
    with pytest.raises(Stalled) as caught:
        await room.at(0, body=wires[0], size=4)
    assert caught.value.facts["offset"] == 2
    assert await holes(room) == [(0, 2)]
    with pytest.raises(Stalled):
        await room.chunk(1, body=wires[1], target=ClientName(None, "g"), size=4)
    assert (await room.status(ClientName(None, "g"))).stored == {}


@pytest.mark.parametrize("kind", ["chunk", "run", "replay"])
async def test_draining_drops_a_chunk_and_keeps_a_run(kind: str) -> None:
    room, wire = Room(), Wire()
    if kind == "replay":
        await room.chunk(1, b"aaaa")
    wire.give(b"aa")

    async def send() -> None:
        with pytest.raises(Draining) as caught:
            await (room.at(0, body=wire, size=4) if kind == "run" else room.chunk(1, body=wire, size=4))
        assert caught.value.facts["retry_after"] == 1
        assert caught.value.facts.get("offset") == (2 if kind == "run" else None)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(send)
            await wire.asked.wait()
            await anyio.wait_all_tasks_blocked()
            room.engine.drain()
    assert (await room.status()).received_bytes == {"chunk": 0, "run": 2, "replay": 4}[kind]
    with pytest.raises(Draining):
        await (room.at(2, b"bb") if kind == "run" else room.chunk(1, b"aaaa"))


async def test_a_newcomer_with_the_same_chunk_takes_over() -> None:
    room, wire = Room(), Wire()
    wire.give(b"aa")
    seen: list[str] = []

    async def slow() -> None:
        with pytest.raises(Locked) as caught:
            await room.chunk(1, body=wire, size=4)
        assert caught.value.facts == {"retry_after": 1}
        seen.append("slow left")

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            await wire.asked.wait()
            await anyio.wait_all_tasks_blocked()
            assert (await room.chunk(2, b"bbbb")).fresh  # another chunk disturbs nobody
            assert seen == []
            assert (await room.chunk(1, b"AAAA")).fresh
    assert seen == ["slow left"]
    assert (await room.status()).stored[1].digest == sha256(b"AAAA")


async def test_a_newcomer_finds_what_the_run_before_had_brought() -> None:
    room, wire = Room(), Wire()
    wire.give(b"aaaa")

    async def slow() -> None:
        with pytest.raises(Locked):
            await room.at(0, body=wire, size=12)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(slow)
            await wire.asked.wait()
            await anyio.wait_all_tasks_blocked()
            outcome = await room.at(0, WHOLE)
    assert outcome.size == 12
    assert [part.key for part in (await room.status()).parts()] == [0, 4]


async def test_who_waits_for_a_place_too_long_is_sent_away() -> None:
    room = Room(lock_wait=0.0)
    first = await room.chunk(1, b"aaaa")
    async with room.locks.hold(first.upload.id, (2, 3), timeout=0):
        with pytest.raises(Locked):
            await room.chunk(2, b"bbbb")
    assert (await room.chunk(2, b"bbbb")).fresh


async def test_two_with_the_same_new_chunk_one_is_stored_and_one_is_shown() -> None:
    room = Room()
    await room.create()
    outcomes: list[Outcome] = []

    async def send() -> None:
        outcomes.append(await room.chunk(1, b"aaaa"))

    first = await room.status()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(first.id, (0, 100), timeout=0):
            group.start_soon(send)
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
    assert sorted(outcome.fresh for outcome in outcomes) == [False, True]
    assert [kind for kind, _ in room.log].count("bytes") == 1


async def test_a_span_that_moves_while_one_waits_is_asked_for_again() -> None:
    """A length that was declared meanwhile ends the run earlier."""
    room = Room()
    await room.create(layout=Layout.FLAT)
    upload = await room.status()
    seen: list[Outcome] = []

    async def send() -> None:
        seen.append(await room.at(0, body=Pieces(WHOLE)))

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(upload.id, (0, 100), timeout=0):
            group.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            await room.create(length=12)
    assert seen[0].size == 12
    assert (await room.status()).length == 12


async def test_a_place_that_moves_while_one_waits_is_waited_for_where_it_is() -> None:
    """Chunk 1 had a number only; now it has bytes, and they are somebody else's yet."""
    room = Room()
    id = (await room.create()).upload.id
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group, room.locks.hold(id, (3, 4), timeout=0):
            async with room.locks.hold(id, (1, 2), timeout=0):
                group.start_soon(room.chunk, 1, b"aaaa")
                await anyio.wait_all_tasks_blocked()
                await room.create(part_size=4)
            await anyio.wait_all_tasks_blocked()
            assert "bytes" not in [kind for kind, _ in room.log]
    assert await holes(room) == [(0, 4)]


async def test_recorded_bytes_that_are_lost_compare_with_nothing() -> None:
    room = Room()
    id = (await room.at(0, b"aaaa")).upload.id
    room.storage.shorten(id, 2)
    with pytest.raises(PartConflict):
        await room.at(0, b"aaaabb")
