"""What every catalog must answer; see ``conformance_journal``."""

from __future__ import annotations

from itertools import count
from random import Random

import pytest

from onward.core.types import (
    MAX_INT,
    AnyEvent,
    ClientName,
    Damaged,
    Declaration,
    Declared,
    Failed,
    Phase,
    Published,
    Removed,
    Sealed,
    State,
    Unknown,
    UploadId,
)
from onward.errors import BadField
from onward.ports import Due, WorkDone
from onward.testing.conformance_journal import SHA, Kept, all_pages, begun, fold, stored, upload_id

UNKNOWN = Unknown(raw=b'{"type":"of-a-later-version","x":[1,2,{"y":null}]}')


class CatalogConformance:
    """The questions over many uploads."""

    pytestmark = pytest.mark.anyio

    async def test_a_row_is_the_fold_of_the_events(self, journal: Kept) -> None:
        one = await begun(journal, 1, at=100.0, owner="a", name="name")
        steps: list[AnyEvent] = [
            Declared(declared=Declaration(length=10)),
            Declared(declared=Declaration(filename="another name")),
            stored(0, 6),
            stored(6, 4),
            Sealed(length=10, parts=2),
            Damaged(keys=(6,), size=4),
            stored(6, 4),
            UNKNOWN,
            Sealed(length=10, parts=2),
            Published(ref="name", size=10, digest=SHA),
            Removed(reason="cancelled"),
        ]
        for version, event in enumerate(steps, 1):
            await journal.append(one, [event], version=version, at=100.0 + version, sync=False)
            row = await journal.summary(one)
            assert row == fold(await journal.read(one))
            assert row is not None
            assert await journal.promised() == row.promised
            assert await all_pages(journal, limit=5) == [row]

    async def test_finished_uploads_are_found_by_the_name_of_their_file(self, journal: Kept) -> None:
        ids = []
        for number, ref in enumerate(("a", "a", "b", ""), 1):
            ids.append(await begun(journal, number, at=float(number)))
            done: list[AnyEvent] = [stored(0, 1), Sealed(length=1, parts=1)]
            done += [Published(ref=ref, size=1, digest=SHA)] if ref else []
            await journal.append(ids[-1], done, version=1, at=float(number), sync=False)
        assert set(await journal.published_as("a")) == {ids[0], ids[1]}
        await journal.append(ids[0], [Removed(reason="cancelled")], version=4, at=9.0, sync=False)
        assert list(await journal.published_as("a")) == [ids[1]]
        assert list(await journal.published_as("c")) == list(await journal.published_as("")) == []

    async def test_an_event_of_a_later_version_comes_back_as_it_was(self, journal: Kept) -> None:
        one = await begun(journal, 1, UNKNOWN)
        assert (await journal.read(one))[1].event == UNKNOWN
        assert (await journal.feed(after=1, limit=1))[0].record.event == UNKNOWN

    async def test_promised_is_the_sum_over_all(self, journal: Kept) -> None:
        random = Random(7)
        versions: dict[UploadId, int] = {}
        numbers = count(1)
        for _ in range(120):
            one = random.choice(sorted(versions)) if versions and random.random() < 0.7 else None
            if one is None:
                one = await begun(journal, next(numbers), length=random.choice([None, 0, 100, MAX_INT]))
                versions[one] = 1
            elif random.random() < 0.15:
                await journal.drop(one)
                del versions[one]
            else:
                choices: list[AnyEvent] = [
                    stored(0, random.randrange(60)),
                    Declared(declared=Declaration(length=random.randrange(500))),
                    Sealed(length=50, parts=1),
                    Failed(code="digest-mismatch"),
                ]
                event = random.choice(choices)
                await journal.append(one, [event], version=versions[one], at=2.0, sync=False)
                versions[one] += 1
            rows = [await journal.summary(each) for each in versions]
            assert await journal.promised() == sum(row.promised for row in rows if row)

    async def test_a_sum_may_be_greater_than_any_size(self, journal: Kept) -> None:
        for number in range(3):
            await begun(journal, number, length=MAX_INT)
        assert await journal.promised() == 3 * MAX_INT
        await journal.drop(upload_id(0))
        assert await journal.promised() == 2 * MAX_INT

    async def test_pages_hold_every_row_once_newest_first(self, journal: Kept) -> None:
        times = [5.0, 3.0, 5.0, 4.0, 1.5, 1.25, 5.0]
        for number, at in enumerate(times):
            await begun(journal, number, at=at)
        for limit in (1, 2, 3, 7, 8):
            rows = await all_pages(journal, limit=limit)
            assert {row.id for row in rows} == {upload_id(number) for number in range(len(times))}
            assert [row.created_at for row in rows] == sorted(times, reverse=True)

    async def test_pages_can_be_narrowed(self, journal: Kept) -> None:
        ends: dict[State, tuple[AnyEvent, ...]] = {
            State.OPEN: (),
            State.SEALED: (Sealed(length=0, parts=0),),
            State.DONE: (Sealed(length=0, parts=0), Published(ref="r", size=0, digest=SHA)),
            State.FAILED: (Failed(code="overrun"),),
            State.GONE: (Removed(reason="expired"),),
        }
        numbers = count(1)
        for at in (1.0, 2.0):
            for owner in (None, "a"):
                for end in ends.values():
                    await begun(journal, next(numbers), *end, at=at, owner=owner)
        for owner in (None, "a", "b"):
            for states in ([State.OPEN], [State.DONE, State.FAILED], [State.OPEN, State.OPEN], list(State), []):
                rows = await all_pages(journal, limit=3, owner=owner, everyone=False, states=states)
                assert len(rows) == (0 if owner == "b" else 2 * len(set(states or State)))
                assert all(row.owner == owner and row.state in (states or State) for row in rows)
                assert len(await all_pages(journal, limit=3, owner=owner, states=states)) == 4 * len(
                    set(states or State)
                )

    async def test_pages_stand_still_while_uploads_come(self, journal: Kept) -> None:
        for number in range(6):
            await begun(journal, number, at=float(number))
        first, after = await journal.page(owner=None, everyone=True, states=(), after=None, limit=3)
        await begun(journal, 9, at=9.0)
        await journal.append(upload_id(1), [Failed(code="overrun")], version=1, at=10.0, sync=False)
        second, end = await journal.page(owner=None, everyone=True, states=(), after=after, limit=3)
        assert [row.id for row in [*first, *second]] == [upload_id(number) for number in (5, 4, 3, 2, 1, 0)]
        assert end is None

    async def test_a_cursor_that_no_page_gave_is_refused(self, journal: Kept) -> None:
        for number in range(3):
            await begun(journal, number, at=float(number))
        _, good = await journal.page(owner=None, everyone=True, states=(), after=None, limit=1)
        assert good is not None
        changed = [good[:n] + ("A" if good[n] != "A" else "B") + good[n + 1 :] for n in range(len(good))]
        for bad in ("", "x", "=", "é", "a b", "\x00", good[:-1], good + "A", good + "=", good + "\n", *changed):
            with pytest.raises(BadField):
                await journal.page(owner=None, everyone=True, states=(), after=bad, limit=1)

    async def test_what_is_due_comes_longest_waiting_first(self, journal: Kept) -> None:
        waits = [4.0, 2.0, 3.0, 9.0]
        ends: list[tuple[Due, tuple[AnyEvent, ...]]] = [
            (Due.EXPIRE, ()),
            (Due.FINISH, (Sealed(length=0, parts=0),)),
            (Due.FORGET, (Failed(code="overrun"),)),
            (Due.FORGET, (Removed(reason="expired"),)),
        ]
        expected: dict[Due, list[tuple[float, UploadId]]] = {due: [] for due in Due}
        numbers = count(1)
        for at in waits:
            for shift, (due, end) in enumerate(ends):
                one = await begun(journal, next(numbers), at=0.5)
                await journal.append(one, [stored(0, 1), *end], version=1, at=at + shift / 10, sync=False)
                expected[due].append((at + shift / 10, one))
        done = await begun(journal, next(numbers), Sealed(length=0, parts=0), at=0.5)
        await journal.append(done, [Published(ref="r", size=0, digest=SHA)], version=2, at=1.0, sync=False)
        for due in Due:
            ids = [one for at, one in sorted(expected[due]) if at < 9.0]
            assert list(await journal.due(due, before=9.0, limit=100)) == ids
            assert list(await journal.due(due, before=9.0, limit=2)) == ids[:2]
            assert list(await journal.due(due, before=2.0, limit=9)) == []

    async def test_who_waits_for_an_upload_is_known_until_it_is_needed_no_more(self, journal: Kept) -> None:
        one, two = upload_id(1), upload_id(2)
        ends: list[tuple[AnyEvent, ...]] = [
            (),
            (Sealed(length=0, parts=0),),
            (Sealed(length=0, parts=0), Published(ref="r", size=0, digest=SHA)),
            (Failed(code="source-gone"),),
            (Removed(reason="cancelled"),),
            (UNKNOWN,),
        ]
        made = [await begun(journal, 10 + n, *end, sources=[one, two, one]) for n, end in enumerate(ends)]
        made += [await begun(journal, 20, sources=[two])]
        assert list(await journal.waiting(one, limit=9)) == [made[0], made[1], made[5]]
        assert list(await journal.waiting(two, limit=9)) == [made[0], made[1], made[5], made[6]]
        assert list(await journal.waiting(two, limit=2)) == [made[0], made[1]]
        assert list(await journal.waiting(made[0], limit=9)) == []
        await journal.append(made[1], [Published(ref="r", size=0, digest=SHA)], version=2, at=2.0, sync=False)
        await journal.drop(made[0])
        assert list(await journal.waiting(one, limit=9)) == [made[5]]
        row = await journal.summary(made[5])
        assert row is not None
        assert (row.sources, (await journal.page(owner=None, everyone=True, states=(), after=None, limit=1))[0]) == (
            2,
            [await journal.summary(made[6])],
        )

    async def test_what_still_waits_for_others_is_due_to_be_joined(self, journal: Kept) -> None:
        source = await begun(journal, 1, at=1.0)
        made = [await begun(journal, 10 + n, at=at, sources=[source]) for n, at in enumerate([4.0, 2.0, 3.0])]
        await begun(journal, 20, Sealed(length=0, parts=0), at=1.0, sources=[source])
        await begun(journal, 21, Failed(code="source-gone"), at=1.0, sources=[source])
        assert list(await journal.due(Due.JOIN, before=float("inf"), limit=9)) == [made[1], made[2], made[0]]
        assert list(await journal.due(Due.JOIN, before=4.0, limit=9)) == [made[1], made[2]]
        assert list(await journal.due(Due.JOIN, before=9.0, limit=1)) == [made[1]]

    async def test_the_feed_holds_all_events_in_order(self, journal: Kept) -> None:
        one = await begun(journal, 1, stored(0, 1), owner="a")
        two = await begun(journal, 2)
        await journal.append(one, [stored(1, 1)], version=2, at=2.0, sync=False)
        await journal.append(two, [stored(7, 1)], version=1, at=3.0, sync=False)
        items = await journal.feed(after=0, limit=100)
        assert [(item.id, item.owner, item.record.version) for item in items] == [
            (one, "a", 1),
            (one, "a", 2),
            (two, None, 1),
            (one, "a", 3),
            (two, None, 2),
        ]
        seqs = [item.seq for item in items]
        assert seqs == sorted(set(seqs))
        assert seqs[0] > 0
        assert await journal.last_seq() == seqs[-1]
        assert list(await journal.feed(after=seqs[1], limit=2)) == items[2:4]
        assert list(await journal.feed(after=0, limit=100, id=one)) == [item for item in items if item.id == one]
        assert list(await journal.feed(after=seqs[1], limit=1, id=one)) == [items[3]]
        assert list(await journal.feed(after=seqs[-1], limit=100)) == []
        assert [item.record for item in await journal.feed(after=0, limit=9, id=two)] == list(await journal.read(two))

    async def test_an_empty_catalog_has_answers_too(self, journal: Kept) -> None:
        assert await journal.last_seq() == 0
        assert await journal.promised() == 0
        assert list(await journal.feed(after=0, limit=10)) == []
        assert await journal.page(owner=None, everyone=True, states=(), after=None, limit=5) == ([], None)
        assert await journal.summary(upload_id(1)) is None
        assert await journal.find(ClientName(None, "name")) is None

    async def test_progress_is_what_was_last_reported(self, journal: Kept) -> None:
        one = await begun(journal, 1)
        assert await journal.work(one) is None
        for done in (1, 2):
            work = WorkDone(phase=Phase.ASSEMBLING, done=done, total=2, at=5.5 + done, deaths=done - 1)
            await journal.report(one, work)
            assert await journal.work(one) == work

    async def test_cursors_stay_where_they_were_moved(self, journal: Kept) -> None:
        assert await journal.cursor("hooks") == 0
        await journal.move_cursor("hooks", 17)
        await journal.move_cursor("other", 4)
        assert (await journal.cursor("hooks"), await journal.cursor("other")) == (17, 4)
        await journal.move_cursor("hooks", 3)
        assert await journal.cursor("hooks") == 3
