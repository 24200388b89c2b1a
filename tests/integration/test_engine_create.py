"""Which upload a request is about: names, owners, keys, new starts."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
import pytest

from onward.core.digest import sha256
from onward.core.outcome import Outcome
from onward.core.types import (
    Cancel,
    ClientName,
    Command,
    Completes,
    Create,
    Declaration,
    Number,
    Policy,
    Seal,
    Spec,
    State,
    Status,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.errors import (
    AlreadyComplete,
    ChunkTooLarge,
    ClientFault,
    KeyReused,
    LayoutConflict,
    LengthConflict,
    NameTaken,
    NotFound,
    Refused,
    UploadTooLarge,
)
from onward.hooks.none import NoHooks
from onward.ports import Caller, OnConflict
from tests.integration.engine_room import LONG, ME, NAME, Room, Wire

pytestmark = pytest.mark.anyio

GNAME = ClientName(None, "g")
ANNA, BERT = Caller(owner="anna"), Caller(owner="bert")
OPERATOR = Caller(operator=True)


# -- one name, one upload --------------------------------------------------------------------------


async def test_a_name_is_begun_once_and_then_told_more() -> None:
    room = Room()
    first = await room.create()
    again = await room.create(length=8)
    assert (first.created, again.created) == (True, False)
    assert again.upload.id == first.upload.id
    assert again.upload.length == 8
    with pytest.raises(LengthConflict):
        await room.create(length=9)


async def test_the_creator_fixes_the_policy() -> None:
    room = Room()
    policy = Policy(completes=Completes.WHEN_FULL, reopens=False)
    await room.engine.run(Create(spec=Spec(name=NAME), policy=policy), ME)
    await room.create()
    assert (await room.status()).policy == policy


async def test_without_a_name_every_create_begins_anew() -> None:
    room = Room()
    ids = {(await room.create(None)).upload.id for _ in range(3)}
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [({"length": 1001}, UploadTooLarge), ({"part_size": 17}, ChunkTooLarge)],
)
async def test_the_limits_hold_for_the_first_word_too(said: dict[str, Any], error: type[ClientFault]) -> None:
    room = Room()
    with pytest.raises(error):
        await room.create(**said)
    assert room.log == []


async def test_many_begin_one_name_at_once() -> None:
    room = Room()
    outcomes: list[Outcome] = []

    async def begin() -> None:
        outcomes.append(await room.create(length=8))

    async def store(number: int) -> None:
        outcomes.append(await room.chunk(number, b"aaaa"))

    async with anyio.create_task_group() as group:
        for number in range(1, 9):
            group.start_soon(begin)
            group.start_soon(store, number if number < 3 else 1)
    assert len({outcome.upload.id for outcome in outcomes}) == 1
    assert sum(outcome.created for outcome in outcomes) == 1
    assert room.storage.homes == {outcomes[0].upload.id}  # who came second has tidied up
    assert (await room.status()).received_bytes == 8


async def test_a_chunk_of_a_name_that_is_only_part_of_another() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    with pytest.raises(NotFound) as caught:
        await room.status(ClientName(None, "f.bin-1"))
    assert caught.value.facts == {"did_you_mean": "f.bin"}
    for name in ("g.bin-1", "f.bin-x", "f.bin-0"):
        with pytest.raises(NotFound) as caught:
            await room.status(ClientName(None, name))
        assert caught.value.facts == {}


# -- owners ----------------------------------------------------------------------------------------


async def test_two_owners_may_have_the_same_name() -> None:
    room = Room()
    hers = await room.create(ClientName("anna", "f"))
    his = await room.create(ClientName("bert", "f"))
    assert hers.upload.id != his.upload.id
    await room.done(b"aaaa", target=ClientName("anna", "g"))
    await room.done(b"bbbb", target=ClientName("bert", "g"))
    assert room.storage.files == {"anna/g": b"aaaa", "bert/g": b"bbbb"}


async def test_somebody_elses_upload_is_not_there() -> None:
    room = Room()
    id = (await room.create(ClientName("anna", "f"))).upload.id
    for caller in (BERT, ME):
        for command in (Status(target=id), Seal(target=id), Cancel(target=id), Store(target=id, at=_first())):
            with pytest.raises(NotFound):
                await room.engine.run(command, caller)
        with pytest.raises(NotFound):
            await room.engine.view(id, caller)
    assert (await room.engine.view(id, ANNA)).id == id
    assert (await room.engine.view(id, OPERATOR)).id == id
    assert (await room.engine.view(id, ANNA)).state is State.OPEN


async def test_an_id_that_nobody_made_is_not_there() -> None:
    with pytest.raises(NotFound):
        await Room().engine.view(UploadId("0" * 32), OPERATOR)


def _first() -> Number:
    return Number(1)


# -- idempotency keys ------------------------------------------------------------------------------


async def test_the_same_key_gives_the_same_upload_also_when_it_is_done() -> None:
    room = Room()
    first = await room.create(key="k", length=4)
    again = await room.create(key="k", length=4)
    assert (again.created, again.upload.id) == (False, first.upload.id)
    await room.done(b"aaaa")
    late = await room.create(key="k", length=4)
    assert (late.created, late.upload.state, late.upload.id) == (False, State.DONE, first.upload.id)


async def test_the_same_key_without_a_name() -> None:
    room = Room()
    first = await room.create(None, key="k")
    assert (await room.create(None, key="k")).upload.id == first.upload.id
    assert (await room.create(None, key="l")).upload.id != first.upload.id


async def test_a_key_is_for_one_request_only() -> None:
    room = Room()
    await room.create(key="k", length=4)
    others: list[tuple[ClientName, dict[str, Any]]] = [(NAME, {"length": 5}), (NAME, {}), (GNAME, {"length": 4})]
    for name, said in others:
        with pytest.raises(KeyReused):
            await room.create(name, key="k", **said)
    with pytest.raises(KeyReused):
        await room.create(NAME, key="k", length=4, metadata={"a": "b"})


async def test_two_owners_may_use_the_same_key() -> None:
    room = Room()
    hers = await room.create(ClientName("anna", "f"), key="k", length=4)
    his = await room.create(ClientName("bert", "f"), key="k", length=5)
    assert hers.upload.id != his.upload.id


class Slow(NoHooks):
    """Lets every create get as far as the others before the first one begins."""

    def __init__(self) -> None:
        self.go = anyio.Event()

    async def before_create(self, caller: Caller, spec: Spec) -> Spec:
        await self.go.wait()
        return spec


async def test_a_key_is_for_one_request_only_also_when_two_come_at_once() -> None:
    hooks = Slow()
    room = Room(hooks)
    seen: list[str] = []

    async def begin(name: str, size: int) -> None:
        try:
            seen.append(
                "created" if (await room.create(ClientName(None, name), key="k", length=size)).created else "same"
            )
        except KeyReused as error:
            seen.append(error.code)

    with anyio.fail_after(LONG):
        async with anyio.create_task_group() as group:
            for name, size in (("f", 4), ("f", 4), ("g", 4)):
                group.start_soon(begin, name, size)
            await anyio.wait_all_tasks_blocked()
            hooks.go.set()
    assert sorted(seen) == ["created", "idempotency-key-reused", "same"] or sorted(seen) == [
        "created",
        "idempotency-key-reused",
        "idempotency-key-reused",
    ]
    assert len(room.journal._rows) == 1


# -- after the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_a_name_whose_upload_is_over_is_begun_anew(how: str) -> None:
    room = Room()
    old = (await room.chunk(1, b"aaaa")).upload.id
    if how == "cancelled":
        await room.engine.run(Cancel(target=NAME), ME)
    else:
        await room.seal(digest=sha256(b"other"))
        await room.work()
    assert (await room.status()).word == how
    new = await room.create(part_size=4)
    assert new.created
    assert new.upload.id != old
    assert (await room.engine.view(old, ME)).word == how
    assert (await room.status()).id == new.upload.id


async def test_a_finished_name_is_refused_kept_or_begun_anew() -> None:
    refuse = Room(on_conflict=OnConflict.REFUSE)
    await refuse.done(b"aaaa")
    with pytest.raises(NameTaken) as caught:
        await refuse.create(length=4)
    assert caught.value.facts == {"name": "f.bin"}
    for how, files in (
        (OnConflict.RENAME, {"f.bin": b"aaaa", "f (1).bin": b"bbbb"}),
        (OnConflict.REPLACE, {"f.bin": b"bbbb"}),
    ):
        room = Room(on_conflict=how)
        old = await room.done(b"aaaa")
        new = await room.create()
        assert new.created
        await room.done(b"bbbb")
        assert room.storage.files == files
        kept = State.GONE if how is OnConflict.REPLACE else State.DONE
        assert (await room.engine.view(old.id, ME)).state is kept


async def test_a_sealed_name_is_only_told_what_agrees() -> None:
    room = Room()
    await room.chunk(1, b"aaaa")
    await room.seal(parts=1)
    assert not (await room.create(length=4)).created
    with pytest.raises(AlreadyComplete):
        await room.create(digest=sha256(b"aaaa"))
    with pytest.raises(LayoutConflict):
        await room.create(part_size=4)


@pytest.mark.parametrize("how", OnConflict)
@pytest.mark.parametrize("said", [{}, {"part_size": 2}, {"length": 4}])
async def test_the_very_file_that_is_finished_is_shown(how: OnConflict, said: dict[str, Any]) -> None:
    room = Room(on_conflict=how)
    old = await room.done(b"aaaa")
    again = await room.create(digest=sha256(b"aaaa"), **said)
    assert (again.created, again.upload.id) == (False, old.id)


async def test_a_finished_file_that_was_deleted_is_begun_anew() -> None:
    room = Room(delete_finished=True)
    await room.done(b"aaaa")
    await room.engine.run(Cancel(target=NAME), ME)
    assert (await room.create(digest=sha256(b"aaaa"))).created


@pytest.mark.parametrize("said", [{"digest": sha256(b"bbbb")}, {"digest": sha256(b"aaaa"), "length": 5}, {}])
async def test_another_file_is_not_the_finished_one(said: dict[str, Any]) -> None:
    room = Room()
    await room.done(b"aaaa")
    with pytest.raises(NameTaken):
        await room.create(**said)


# -- hooks -----------------------------------------------------------------------------------------


class Forbidding(NoHooks):
    """Nobody may do what is listed."""

    def __init__(self, *kinds: type) -> None:
        self.kinds = kinds
        self.asked: list[tuple[str, bool]] = []

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        self.asked.append((type(command).__name__, upload is not None))
        if isinstance(command, self.kinds):
            raise Refused("not here")


@pytest.mark.parametrize("kind", [Store, Create, Seal, Status, Cancel])
async def test_who_may_not_changes_nothing_and_is_not_read(kind: type) -> None:
    hooks = Forbidding()
    room, wire = Room(hooks), Wire()
    id = (await room.chunk(1, b"aaaa")).upload.id
    hooks.kinds = (kind,)
    before = list(room.log)
    by_name: list[Command] = [
        Store(target=NAME, at=Number(2)),
        Store(target=id, at=Number(2)),
        Create(spec=Spec(name=NAME)),
        Seal(target=id),
        Seal(target=NAME),
        Status(target=id),
        Cancel(target=id),
    ]
    for command in by_name:
        if isinstance(command, kind):
            with pytest.raises(Refused):
                await room.engine.run(command, ME, wire)
    assert room.log == before
    assert not wire.asked.is_set()
    assert hooks.asked[0] == ("Store", False)
    assert (kind.__name__, kind is not Create) in hooks.asked


class Rewriting(NoHooks):
    """Uploads get a folder of their own, and metadata that the client did not send."""

    async def before_create(self, caller: Caller, spec: Spec) -> Spec:
        if spec.name is not None and spec.name.name == "forbidden":
            raise Refused("not this one")
        return msgspec.structs.replace(
            spec, metadata={"filename": "renamed", "tenant": "t"}, declared=Declaration(length=4)
        )


async def test_a_hook_may_replace_what_an_upload_is_created_with() -> None:
    room = Room(Rewriting())
    created = await room.create(length=99)
    assert created.upload.spec.metadata["tenant"] == "t"
    assert created.upload.length == 4
    stored = await room.chunk(1, b"aaaa", target=GNAME)
    assert stored.upload.spec.metadata["tenant"] == "t"
    with pytest.raises(LengthConflict):
        await room.chunk(2, b"a", target=GNAME)


async def test_a_hook_may_refuse_a_beginning() -> None:
    room, name = Room(Rewriting()), ClientName(None, "forbidden")
    with pytest.raises(Refused):
        await room.create(name)
    with pytest.raises(Refused):
        await room.chunk(1, b"aaaa", target=name)
    assert room.log == []
