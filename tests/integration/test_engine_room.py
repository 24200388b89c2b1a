"""Room on the disk for what is declared and for what comes."""

from __future__ import annotations

import pytest

from onward.core.digest import sha256
from onward.core.types import (
    ClientName,
    Layout,
    Status,
)
from onward.errors import (
    NoSpace,
    UploadTooLarge,
)
from onward.ports import Caller
from tests.integration.engine_room import ME, NAME, Pieces, Room

pytestmark = pytest.mark.anyio

GNAME = ClientName(None, "g")
ANNA, BERT = Caller(owner="anna"), Caller(owner="bert")


# -- room on the disk ------------------------------------------------------------------------------


async def test_a_length_is_promised_its_space() -> None:
    room = Room(min_free=100)
    room.storage.room = 500
    await room.create(length=300)
    with pytest.raises(NoSpace):
        await room.create(GNAME, length=101)
    with pytest.raises(NoSpace):
        await room.chunk(1, b"aaaa", target=GNAME, length=101)
    await room.create(GNAME, length=100)
    assert (await room.status(GNAME)).length == 100


async def test_bytes_that_were_promised_their_space_have_it() -> None:
    room = Room(min_free=100)
    room.storage.room = 500
    await room.create(length=400)
    with pytest.raises(NoSpace):
        await room.chunk(1, bytes(16), target=GNAME)
    assert (await room.chunk(1, bytes(16))).fresh  # all that is free is promised to this very upload


async def test_the_floor_holds_for_promised_bytes_as_well() -> None:
    room = Room(min_free=100)
    await room.create(length=400)
    room.storage.room = 110
    room.engine = room.another()
    with pytest.raises(NoSpace):
        await room.chunk(1, bytes(16))
    assert (await room.chunk(1, bytes(10))).fresh


async def test_a_length_declared_later_is_promised_its_space_too() -> None:
    room = Room(min_free=100)
    room.storage.room = 500
    await room.chunk(1, b"aaaa")
    with pytest.raises(NoSpace):
        await room.create(length=405)
    with pytest.raises(NoSpace):
        await room.chunk(2, b"bbbb", length=405)
    with pytest.raises(UploadTooLarge):
        await room.chunk(2, b"bbbb", length=5000)  # what contradicts is no question of space
    assert (await room.chunk(2, b"bbbb", length=404)).upload.length == 404


async def test_a_length_said_again_is_not_promised_twice() -> None:
    room = Room(min_free=100)
    room.storage.room = 500
    await room.create(length=300)
    assert (await room.create(length=300, digest=sha256(b"x"))).upload.length == 300
    assert (await room.chunk(1, bytes(16), length=300)).fresh


async def test_a_length_that_contradicts_is_no_question_of_space() -> None:
    room = Room(min_free=100)
    await room.create()
    room.storage.room = 0
    room.engine = room.another()
    with pytest.raises(UploadTooLarge):
        await room.create(length=1001)
    assert (await room.create(digest=sha256(b"x"))).upload.length is None


async def test_what_is_stored_is_shown_again_on_a_full_disk() -> None:
    room = Room(min_free=100)
    await room.done(b"aaaa")
    room.storage.room = 0
    room.engine = room.another()
    assert not (await room.chunk(1, b"aaaa")).fresh
    with pytest.raises(NoSpace):
        await room.chunk(1, b"aaaa", target=GNAME)


async def test_a_storage_without_a_number_has_room() -> None:
    room = Room(min_free=1 << 60)
    assert (await room.chunk(1, b"aaaa")).fresh


async def test_a_length_that_is_nothing_needs_no_room() -> None:
    room = Room(min_free=100)
    room.storage.room = 0
    assert (await room.create()).created
    assert (await room.create(GNAME, length=0)).created


async def test_the_free_space_is_not_asked_for_each_chunk() -> None:
    room = Room(min_free=100)
    room.storage.room = 500
    await room.chunk(1, b"aaaa")
    room.storage.room = 0
    assert (await room.chunk(2, b"bbbb")).fresh  # within the second that a look is good for
    room.engine = room.another()
    with pytest.raises(NoSpace):
        await room.chunk(3, b"cccc")


async def test_one_chunk_can_be_asked_for() -> None:
    room = Room()
    stored = await room.chunk(2, b"bbbb", layout=Layout.FLAT, part_size=4)
    await room.at(0, body=Pieces(b"aa"))
    for number, has, part in ((1, False, None), (2, True, stored.part), (3, False, None)):
        outcome = await room.engine.run(Status(target=NAME, number=number), ME)
        assert (outcome.has, outcome.part) == (has, part)
    assert (await room.engine.run(Status(target=NAME), ME)).has is None
