"""What every journal must do; ``conformance_catalog`` has the rest.

Derive a test class and give it a fixture ``journal`` that makes an empty one and closes it::

    class TestMine(JournalConformance, CatalogConformance):
        @pytest.fixture
        async def journal(self):
            mine = MyJournal()
            yield mine
            await mine.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import reduce
from typing import Protocol

import anyio
import pytest

from onward.core.summary import Summary, advance, begin
from onward.core.types import (
    AnyEvent,
    ClientName,
    Created,
    Damaged,
    Declaration,
    Digest,
    Failed,
    Phase,
    Policy,
    Published,
    Record,
    Removed,
    Sealed,
    Spec,
    State,
    Stored,
    UploadId,
    make_id,
)
from onward.errors import ServerFault, VersionConflict
from onward.ports import Catalog, Journal, WorkDone

SHA: Digest = Digest("sha-256", bytes(32))


class Kept(Journal, Catalog, Protocol):
    """A journal and the catalog of what is in it."""


def upload_id(number: int) -> UploadId:
    """An id for a test, of the form that real ones have."""
    return make_id(number.to_bytes(16, "big"))


def created(
    id: UploadId,
    *,
    length: int | None = None,
    owner: str | None = None,
    name: str | None = None,
    sources: Sequence[UploadId] = (),
) -> Created:
    """The event that begins an upload."""
    spec = Spec(
        name=None if name is None else ClientName(owner, name),
        declared=Declaration(length=length),
        owner=owner,
        sources=tuple(sources),
    )
    return Created(id=id, spec=spec, policy=Policy())


def stored(key: int, size: int) -> Stored:
    """A run of bytes."""
    return Stored(key=key, size=size, digest=SHA)


def fold(records: Sequence[Record]) -> Summary:
    """The row that the catalog must show for these events."""
    return reduce(advance, records[1:], begin(records[0]))


async def begun(
    journal: Kept,
    number: int,
    *more: AnyEvent,
    at: float = 1.0,
    length: int | None = None,
    owner: str | None = None,
    name: str | None = None,
    replaces: UploadId | None = None,
    key: tuple[str | None, str] | None = None,
    sources: Sequence[UploadId] = (),
) -> UploadId:
    """Create an upload; returns what ``Journal.create`` does."""
    id = upload_id(number)
    return await journal.create(
        id,
        [created(id, length=length, owner=owner, name=name, sources=sources), *more],
        at=at,
        name=None if name is None else ClientName(owner, name),
        replaces=replaces,
        key=key,
        sync=True,
    )


async def all_pages(
    journal: Kept,
    *,
    limit: int,
    owner: str | None = None,
    everyone: bool = True,
    states: Sequence[State] = (),
) -> list[Summary]:
    """Every page there is, one behind the other."""
    rows: list[Summary] = []
    after: str | None = None
    for _ in range(1000):
        page, after = await journal.page(owner=owner, everyone=everyone, states=states, after=after, limit=limit)
        assert len(page) <= limit
        rows += page
        if after is None:
            return rows
        assert len(page) == limit, "a page before the last is full"
    raise AssertionError("the pages do not end")


class JournalConformance:
    """The versions, the claims, and that nothing is ever half done."""

    pytestmark = pytest.mark.anyio

    async def test_events_come_back_in_order_with_their_versions_and_times(self, journal: Kept) -> None:
        one = await begun(journal, 1, stored(0, 5), at=10.5, length=9)
        await journal.append(one, [stored(5, 4), Sealed(length=9, parts=2)], version=2, at=11.25, sync=False)
        expected = [
            Record(1, 10.5, created(one, length=9)),
            Record(2, 10.5, stored(0, 5)),
            Record(3, 11.25, stored(5, 4)),
            Record(4, 11.25, Sealed(length=9, parts=2)),
        ]
        assert list(await journal.read(one)) == expected
        assert list(await journal.read(one, after=2)) == expected[2:]
        assert list(await journal.read(one, after=4)) == []
        assert list(await journal.read(upload_id(2))) == []

    async def test_a_long_journal_is_read_whole(self, journal: Kept) -> None:
        one = await begun(journal, 1)
        for version in range(1, 701, 100):
            await journal.append(one, [stored(version + n, 1) for n in range(100)], version=version, at=2.0, sync=False)
        records = await journal.read(one)
        assert [record.version for record in records] == list(range(1, 702))
        assert [record.event for record in records[1:]] == [stored(n, 1) for n in range(1, 701)]
        assert [record.version for record in await journal.read(one, after=100)] == list(range(101, 702))

    @pytest.mark.parametrize("version", [0, 1, 3, 100])
    async def test_an_append_at_another_version_changes_nothing(self, journal: Kept, version: int) -> None:
        one = await begun(journal, 1, stored(0, 5))
        with pytest.raises(VersionConflict) as caught:
            await journal.append(one, [stored(5, 1)], version=version, at=2.0, sync=True)
        assert caught.value.facts == {"expected": version, "found": 2}
        with pytest.raises(VersionConflict):
            await journal.append(one, [], version=version, at=2.0, sync=True)
        await journal.append(one, [], version=2, at=2.0, sync=True)
        assert len(await journal.read(one)) == 2
        assert await journal.last_seq() == 2

    @pytest.mark.parametrize(
        "end",
        [
            Published(ref="f", size=5, digest=SHA),
            Failed(code="refused"),
            Removed(reason="cancelled"),
            Damaged(keys=(0,), size=5),
        ],
        ids=["published", "failed", "removed", "damaged"],
    )
    async def test_enclosed_bytes_are_there_until_it_is_sealed_no_longer(self, journal: Kept, end: AnyEvent) -> None:
        one, two = await begun(journal, 1), upload_id(2)
        events: list[AnyEvent] = [created(two, length=5), stored(0, 5), Sealed(length=5, parts=1)]
        await journal.create(two, events, at=1.0, name=None, replaces=None, key=None, sync=True, enclosed=b"\0 all")
        assert (await journal.enclosed(one), await journal.enclosed(upload_id(3))) == (b"", b"")
        assert await journal.enclosed(two) == b"\0 all"
        await journal.append(two, [end], version=3, at=2.0, sync=True)
        assert await journal.enclosed(two) == b""

    async def test_dropped_uploads_take_their_enclosed_bytes_along(self, journal: Kept) -> None:
        one = upload_id(1)
        events: list[AnyEvent] = [created(one, length=5), stored(0, 5), Sealed(length=5, parts=1)]
        await journal.create(one, events, at=1.0, name=None, replaces=None, key=None, sync=True, enclosed=b"1 all")
        await journal.drop(one)
        await journal.create(one, events, at=1.0, name=None, replaces=None, key=None, sync=True)
        assert await journal.enclosed(one) == b""

    async def test_an_append_to_nothing_is_a_conflict(self, journal: Kept) -> None:
        with pytest.raises(VersionConflict) as caught:
            await journal.append(upload_id(1), [stored(0, 1)], version=1, at=1.0, sync=True)
        assert caught.value.facts == {"expected": 1, "found": 0}

    async def test_of_an_append_that_fails_nothing_stays(self, journal: Kept) -> None:
        one = await begun(journal, 1, length=10)
        seen = await journal.summary(one)
        with pytest.raises(UnicodeEncodeError):
            await journal.append(one, [stored(0, 5), Failed(code="\ud800")], version=1, at=2.0, sync=True)
        assert len(await journal.read(one)) == 1
        assert await journal.summary(one) == seen
        assert await journal.promised() == 10
        assert len(await journal.feed(after=0, limit=10)) == 1

    async def test_of_a_creation_that_fails_nothing_stays(self, journal: Kept) -> None:
        await begun(journal, 1)
        with pytest.raises(VersionConflict):
            await begun(journal, 1, length=10, name="name", key=(None, "key"))
        assert await journal.find(ClientName(None, "name")) is None
        assert await journal.promised() == 0
        assert await journal.find_key(None, "key") is None

    async def test_an_upload_begins_with_its_own_creation(self, journal: Kept) -> None:
        one, two = upload_id(1), upload_id(2)
        for events, error in (([created(two)], ValueError), ([stored(0, 1)], TypeError)):
            with pytest.raises(error):
                await journal.create(one, events, at=1.0, name=None, replaces=None, key=(None, "key"), sync=True)
        assert await journal.find_key(None, "key") is None
        assert await journal.last_seq() == 0

    async def test_of_appends_at_one_version_one_wins(self, journal: Kept) -> None:
        one = await begun(journal, 1)
        outcomes: list[int] = []

        async def attempt(number: int) -> None:
            try:
                await journal.append(one, [stored(number, 1)], version=1, at=2.0, sync=number % 2 == 0)
            except VersionConflict:
                return
            outcomes.append(number)

        async with anyio.create_task_group() as group:
            for number in range(20):
                group.start_soon(attempt, number)
        (winner,) = outcomes
        assert [record.event for record in await journal.read(one, after=1)] == [stored(winner, 1)]

    @pytest.mark.parametrize("by", ["name", "key"])
    async def test_of_creations_with_one_name_or_key_one_wins(self, journal: Kept, by: str) -> None:
        answers: list[UploadId] = []

        async def attempt(number: int) -> None:
            if by == "name":
                answers.append(await begun(journal, number, length=7, name="same"))
            else:
                answers.append(await begun(journal, number, length=7, key=(None, "same")))

        async with anyio.create_task_group() as group:
            for number in range(50):
                group.start_soon(attempt, number)
        assert len(answers) == 50
        (winner,) = set(answers)
        rows = await all_pages(journal, limit=10)
        assert [row.id for row in rows] == [winner]
        assert await journal.promised() == 7

    async def test_a_key_comes_before_a_name(self, journal: Kept) -> None:
        by_key = await begun(journal, 1, key=(None, "key"))
        by_name = await begun(journal, 2, name="name")
        assert await begun(journal, 3, name="name", key=(None, "key")) == by_key
        assert await begun(journal, 4, name="other", key=(None, "key")) == by_key
        assert await begun(journal, 5, name="name", key=(None, "unused"), replaces=by_key) == by_name
        assert await journal.find(ClientName(None, "other")) is None
        assert await journal.find_key(None, "key") == by_key
        assert await journal.find_key(None, "unused") is None, "a creation that lost claimed its key"

    async def test_a_name_goes_over_only_from_the_one_it_replaces(self, journal: Kept) -> None:
        name = ClientName(None, "name")
        first = await begun(journal, 1, name="name")
        assert await begun(journal, 2, name="name", replaces=upload_id(9)) == first
        second = await begun(journal, 3, name="name", replaces=first)
        assert second == upload_id(3)
        assert await journal.find(name) == second
        assert await journal.summary(first) is not None
        assert await begun(journal, 4, name="name", replaces=first) == second
        await journal.drop(first)
        assert await journal.find(name) == second
        assert await begun(journal, 5, name="free", replaces=first) == upload_id(5)

    async def test_owners_do_not_share_names_or_keys(self, journal: Kept) -> None:
        owners = [None, "", "a", "=", "=a"]
        for number, owner in enumerate(owners):
            assert await begun(journal, number, owner=owner, name="n", key=(owner, "k")) == upload_id(number)
        for number, owner in enumerate(owners):
            assert await journal.find(ClientName(owner, "n")) == upload_id(number)
            assert await journal.find_key(owner, "k") == upload_id(number)
            assert await begun(journal, 90 + number, owner=owner, name="n") == upload_id(number)
            assert await begun(journal, 90 + number, owner=owner, key=(owner, "k")) == upload_id(number)
            assert [row.id for row in await all_pages(journal, limit=9, owner=owner, everyone=False)] == [
                upload_id(number)
            ]

    async def test_what_is_dropped_is_gone(self, journal: Kept) -> None:
        one = await begun(journal, 1, stored(0, 1), length=10, name="name", key=(None, "key"))
        two = await begun(journal, 2, length=20)
        await journal.report(one, WorkDone(phase=Phase.VERIFYING, done=1, total=2, at=3.0))
        await journal.drop(one)
        await journal.drop(one)
        await journal.drop(upload_id(3))
        assert list(await journal.read(one)) == []
        assert await journal.summary(one) is None
        assert await journal.work(one) is None
        assert await journal.find(ClientName(None, "name")) is None
        assert await journal.find_key(None, "key") is None
        assert await journal.promised() == 20
        assert [item.id for item in await journal.feed(after=0, limit=10)] == [two]
        assert await journal.last_seq() == 3
        with pytest.raises(VersionConflict):
            await journal.append(one, [stored(1, 1)], version=2, at=2.0, sync=True)
        await journal.report(one, WorkDone(phase=Phase.VERIFYING, done=2, total=2, at=4.0))
        assert await journal.work(one) is None
        assert await begun(journal, 4, name="name", key=(None, "key")) == upload_id(4)
        assert await journal.last_seq() == 4

    async def test_no_sequence_number_is_given_twice(self, journal: Kept) -> None:
        one = await begun(journal, 1)
        await journal.drop(one)
        await begun(journal, 2)
        assert [item.seq for item in await journal.feed(after=0, limit=10)] == [2]

    async def test_a_cancelled_caller_disturbs_nobody(self, journal: Kept) -> None:
        one = await begun(journal, 1)
        two = await begun(journal, 2)

        async def attempt() -> None:
            with suppress(VersionConflict):
                await journal.append(one, [stored(0, 1)], version=1, at=2.0, sync=True)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(attempt)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        await journal.append(two, [stored(0, 1)], version=1, at=3.0, sync=True)
        records = await journal.read(one)
        assert [record.version for record in records] == list(range(1, len(records) + 1))
        assert len(records) <= 2
        assert await journal.summary(one) == fold(records)

    async def test_it_can_be_checked_and_closed(self, journal: Kept) -> None:
        await journal.check()
        one = await begun(journal, 1)
        await journal.close()
        await journal.close()
        with pytest.raises(ServerFault):
            await journal.check()
        with pytest.raises(ServerFault):
            await journal.read(one)
