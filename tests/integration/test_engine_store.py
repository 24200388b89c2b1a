"""Storing chunks: what is recorded, where the end is, and what comes late."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.types import Cancel, Digest, Layout, Limits, State
from onward.errors import (
    AlreadyComplete,
    BadBody,
    BodyIncomplete,
    ChunkTooLarge,
    ClientGone,
    DigestConflict,
    DigestMismatch,
    EmptyChunk,
    LayoutConflict,
    LengthConflict,
    NotFound,
    NumberedLayout,
    OnwardError,
    PartConflict,
    UploadOver,
    UploadTooLarge,
)
from tests.integration.engine_room import LONG, ME, NAME, Pieces, Room, Wire

pytestmark = pytest.mark.anyio

WRONG = (sha256(b"something else"),)


async def holes(room: Room) -> list[tuple[int, int]]:
    upload = await room.status()
    return list(upload.ranges)


# -- chunks by number ------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_a_chunk_is_recorded_once_and_shown_again(said: dict[str, Any]) -> None:
    room = Room()
    first = await room.chunk(2, b"bbbb", **said)
    assert (first.created, first.fresh, first.size) == (True, True, 4)
    assert first.part is not None
    assert first.part.digest == sha256(b"bbbb")
    again = await room.chunk(2, b"bbbb", **said)
    assert (again.created, again.fresh, again.part) == (False, False, first.part)
    with pytest.raises(PartConflict):
        await room.chunk(2, b"xxxx", **said)
    with pytest.raises(PartConflict):
        await room.chunk(2, b"bbb", **said)
    with pytest.raises(PartConflict):
        await room.chunk(2, body=Pieces(b"bbbb", b"b"), **said)
    assert (await room.status()).stored == {first.part.key: first.part}


async def test_a_chunk_that_comes_again_is_held_against_its_digest() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    good = Digest("sha-512", hashlib.sha512(b"aaaa").digest())
    assert not (await room.chunk(1, b"aaaa", digests=(good,))).fresh
    with pytest.raises(DigestMismatch):
        await room.chunk(1, b"aaaa", digests=WRONG)


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_bytes_that_do_not_match_their_digest_are_not_recorded(said: dict[str, Any]) -> None:
    room = Room()
    with pytest.raises(DigestMismatch) as caught:
        await room.chunk(1, b"aaaa", digests=(sha256(b"aaaa"), Digest("md5", bytes(16))), **said)
    assert caught.value.facts["algorithm"] == "md5"
    assert (await room.status()).stored == {}
    assert (await room.chunk(1, b"aaaa", digests=(sha256(b"aaaa"),), **said)).fresh


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_bytes_that_do_not_match_their_declared_digest_are_not_recorded(said: dict[str, Any]) -> None:
    room = Room()
    await room.create(part_digests=(sha256(b"aaaa").value, sha256(b"bbbb").value), **said)
    with pytest.raises(DigestMismatch):
        await room.chunk(1, b"bbbb")
    assert (await room.chunk(2, b"bbbb")).fresh


async def test_chunk_digests_declared_late_are_held_against_what_is_stored() -> None:
    room = Room()
    await room.chunk(1, b"xxxx")
    with pytest.raises(DigestConflict):
        await room.create(part_digests=(sha256(b"aaaa").value,))
    assert (await room.status()).declared.part_digests == ()


@pytest.mark.parametrize("said", [{}, {"part_size": 16}], ids=["numbered", "flat"])
async def test_a_body_without_a_length_ends_at_the_limit(said: dict[str, Any]) -> None:
    room = Room()
    with pytest.raises(ChunkTooLarge) as caught:
        await room.chunk(1, body=Pieces(b"x" * 16, b"x"), **said)
    assert caught.value.facts == {"limit": 16}
    assert (await room.status()).received_bytes == 0
    assert (await room.chunk(1, body=Pieces(b"x" * 16), **said)).fresh


@pytest.mark.parametrize("said", [{}, {"part_size": 4}, {"layout": Layout.FLAT}], ids=["numbered", "flat", "offset"])
@pytest.mark.parametrize(
    ("claimed", "body", "error"), [(4, b"aaa", BodyIncomplete), (3, b"aaaa", BadBody), (1, b"aaaa", BadBody)]
)
async def test_a_body_is_as_long_as_it_claims(
    said: dict[str, Any], claimed: int, body: bytes, error: type[OnwardError]
) -> None:
    room = Room()
    send: Callable[..., Awaitable[Outcome]] = room.at if "layout" in said else room.chunk
    more = {"digests": (sha256(body),)} if "layout" in said else {}
    with pytest.raises(error):
        await send(0 if more else 1, body=Pieces(body), size=claimed, **more, **said)
    assert (await room.status()).stored == {}


async def test_a_run_never_goes_beyond_what_it_claims() -> None:
    """The locked span is as long as the claim: bytes beyond it may be another writer's."""
    room = Room()
    await room.create(layout=Layout.FLAT)
    with pytest.raises(BadBody):
        await room.at(0, body=Pieces(b"aaaabbbb"), size=4)
    assert await holes(room) == [(0, 4)]
    with pytest.raises(BodyIncomplete):
        await room.at(4, body=Pieces(b"bb"), size=4)
    assert await holes(room) == [(0, 6)]


async def test_a_chunk_that_comes_again_but_is_cut_is_no_other_chunk() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    with pytest.raises(BodyIncomplete):
        await room.chunk(1, body=Pieces(b"aa"), size=4)


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_a_cut_chunk_is_dropped_whole(said: dict[str, Any]) -> None:
    room = Room()
    with pytest.raises(ClientGone):
        await room.chunk(1, body=Pieces(b"aa", ClientGone()), size=4, **said)
    assert (await room.status()).stored == {}


async def test_what_can_never_be_stored_begins_no_upload() -> None:
    room = Room()
    rows: list[tuple[int, int, dict[str, Any]]] = [
        (13, 4, {}),
        (1, 17, {}),
        (2, 0, {}),
        (1, 4, {"length": 1001}),
        (1, 5, {"part_size": 4}),
    ]
    for number, size, said in rows:
        with pytest.raises(OnwardError):
            await room.chunk(number, bytes(size), **said)
    with pytest.raises(NotFound):
        await room.status()
    assert room.log == []


# -- the layout and the end ------------------------------------------------------------------------


async def test_the_first_recorded_request_fixes_the_layout() -> None:
    numbered = Room()
    await numbered.chunk(1, b"aaaa")
    with pytest.raises(LayoutConflict):
        await numbered.chunk(2, b"bbbb", part_size=4)
    with pytest.raises(NumberedLayout):
        await numbered.at(4, b"bbbb")
    flat = Room()
    await flat.at(0, b"aaaa")
    with pytest.raises(LayoutConflict):
        await flat.chunk(2, b"bbbb")
    await flat.chunk(2, b"bbbb", part_size=4)
    with pytest.raises(LayoutConflict):
        await flat.chunk(3, b"cccc", part_size=5)
    assert (await flat.chunk(3, b"cccc")).fresh  # said once is enough
    assert await holes(flat) == [(0, 12)]


async def test_two_layouts_at_once_one_of_them_is_refused() -> None:
    room = Room()
    one, two = Wire(), Wire()
    seen: list[object] = []

    async def send(number: int, wire: Wire, **said: Any) -> None:
        try:
            seen.append((await room.chunk(number, body=wire, **said)).fresh)
        except LayoutConflict as error:
            seen.append(error.code)

    await room.create()
    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            group.start_soon(send, 1, one)
            group.start_soon(lambda: send(5, two, part_size=4))
            await one.asked.wait()
            await two.asked.wait()
            for wire in (one, two):
                wire.give(b"aaaa")
                wire.end()
    assert sorted(map(str, seen)) == ["True", "layout-conflict"]
    assert len((await room.status()).stored) == 1


async def test_a_short_chunk_fixes_the_end() -> None:
    room = Room()
    await room.chunk(2, b"bb", part_size=4)
    assert (await room.status()).length == 6
    with pytest.raises(LengthConflict):
        await room.chunk(3, b"c")
    with pytest.raises(LengthConflict):
        await room.chunk(1, b"aaa")
    assert (await room.chunk(1, b"aaaa")).fresh
    assert await holes(room) == [(0, 6)]


async def test_a_short_chunk_before_a_stored_one_is_refused() -> None:
    room = Room()
    await room.chunk(3, b"cccc", part_size=4)
    with pytest.raises(LengthConflict):
        await room.chunk(2, b"bb")
    assert (await room.status()).length is None


async def test_a_short_chunk_whose_bytes_lie_there_fixes_the_end_as_well() -> None:
    room = Room()
    await room.at(4, b"bb")
    await room.chunk(2, b"bb", part_size=4)
    assert (await room.status()).length == 6
    with pytest.raises(LengthConflict):
        await room.chunk(3, b"c")


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_an_empty_file_is_an_empty_chunk_1(said: dict[str, Any]) -> None:
    room = Room()
    assert (await room.chunk(1, b"", **said)).fresh
    assert not (await room.chunk(1, b"", **said)).fresh
    with pytest.raises(PartConflict):
        await room.chunk(1, b"a", **said)
    with pytest.raises(LengthConflict):
        await room.chunk(2, b"b", **said)
    with pytest.raises((EmptyChunk, LengthConflict)):
        await room.chunk(2, b"", **said)
    await room.seal(parts=1)
    await room.work()
    assert room.storage.files == {"f.bin": b""}


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_an_empty_file_is_a_length_of_nothing(said: dict[str, Any]) -> None:
    room = Room()
    await room.create(length=0, **said)
    await room.seal()
    await room.work()
    assert room.storage.files == {"f.bin": b""}


@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_an_empty_chunk_elsewhere_is_refused_whether_or_not_it_says_so(said: dict[str, Any]) -> None:
    room = Room()
    await room.chunk(1, b"aaaa", **said)
    for size in (0, None):
        with pytest.raises(EmptyChunk):
            await room.chunk(2, b"", size=size, **said)
    assert len((await room.status()).stored) == 1


async def test_a_chunk_beyond_the_largest_file_is_refused_before_a_byte_is_read() -> None:
    room = Room(limits=Limits(max_size=10, max_chunk=4, max_chunks=100))
    body = Wire()
    with pytest.raises(UploadTooLarge):
        await room.chunk(4, body=body, part_size=4)
    assert not body.asked.is_set()
    with pytest.raises(UploadTooLarge):
        await room.chunk(3, body=Pieces(b"ccc"), part_size=4)
    assert (await room.chunk(3, body=Pieces(b"cc"), part_size=4)).fresh


# -- after the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("published", [False, True], ids=["sealed", "done"])
@pytest.mark.parametrize("said", [{}, {"part_size": 4}], ids=["numbered", "flat"])
async def test_after_the_end_the_same_bytes_are_fine_and_others_are_not(
    said: dict[str, Any], *, published: bool
) -> None:
    room = Room()
    for number, data in enumerate((b"aaaa", b"bbbb"), 1):
        await room.chunk(number, data, **said)
    await room.seal(parts=2)
    if published:
        await room.work()
    again = await room.chunk(1, b"aaaa", **said)
    assert (again.fresh, again.size) == (False, 4)
    with pytest.raises(PartConflict):
        await room.chunk(1, b"xxxx", **said)
    with pytest.raises((AlreadyComplete, LengthConflict)):
        await room.chunk(3, b"cccc", **said)
    assert room.queue.waiting == ([] if published else [again.upload.id])


async def test_a_late_chunk_is_not_stored_and_says_so() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal()
    with pytest.raises(AlreadyComplete):
        await room.chunk(2, b"bbbb")
    await room.work()
    with pytest.raises(AlreadyComplete):
        await room.chunk(2, b"bbbb")


async def test_after_a_cancel_only_a_first_piece_begins_anew() -> None:
    room = Room()
    old = (await room.chunk(1, b"aaaa")).upload.id
    await room.engine.run(Cancel(target=NAME), ME)
    with pytest.raises(UploadOver):
        await room.chunk(2, b"bbbb")
    with pytest.raises(UploadOver):
        await room.at(4, b"bbbb")
    with pytest.raises(UploadOver):
        await room.chunk(1, b"aaaa", target=old)  # an id means that upload and no other
    new = await room.chunk(1, b"AAAA")
    assert new.created
    assert new.upload.id != old
    assert new.upload.received_bytes == 4


async def test_after_a_cancel_a_run_from_the_start_begins_anew() -> None:
    room = Room()
    old = (await room.at(0, b"aaaa")).upload.id
    await room.engine.run(Cancel(target=NAME), ME)
    new = await room.at(0, b"AAAA")
    assert new.created
    assert new.upload.id != old


async def test_declared_words_of_a_replay_count() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.chunk(1, b"aaaa", length=8)
    assert (await room.status()).length == 8
    with pytest.raises(LengthConflict):
        await room.chunk(1, b"aaaa", length=9)


async def test_a_large_chunk_that_comes_again_is_compared_in_blocks() -> None:
    mib = 1 << 20
    room = Room(limits=Limits(max_chunk=4 * mib))
    data = bytes(2 * mib + 3)
    await room.chunk(1, data)
    pieces = [data[n : n + 300_000] for n in range(0, len(data), 300_000)]
    assert not (await room.chunk(1, body=Pieces(*pieces))).fresh
    pieces[-1] = b"x" * len(pieces[-1])
    with pytest.raises(PartConflict):
        await room.chunk(1, body=Pieces(*pieces))
    assert (await room.status()).state is State.OPEN
