"""Random commands on one upload, against a bytearray and a dictionary.

The machine plays the engine without I/O: what ``admit`` lets through is "written" and recorded
by ``accept``. Invariants: the offset never falls but by damage, stored and missing make the
whole, what is recorded is never written over, sealed means nothing lacks, and nothing happens
after the end.
"""

from __future__ import annotations

from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from onward.core import codec
from onward.core.admission import accept, admit, declare
from onward.core.completion import conclude, remove, seal
from onward.core.digest import SHA256, sha256
from onward.core.plan import plan
from onward.core.summary import Summary, advance, begin
from onward.core.types import (
    ClientName,
    Created,
    Damaged,
    Declaration,
    Event,
    Failed,
    Layout,
    Limits,
    Number,
    Offset,
    Policy,
    Published,
    Record,
    Run,
    Seal,
    Sealed,
    Spec,
    State,
    Store,
    UploadId,
)
from onward.core.upload import Upload
from onward.errors import AlreadyComplete, ClientFault, Incomplete, PartConflict

ID = UploadId("a" * 32)
NAME = ClientName(None, "f")
SIZE = 4
LIMITS = Limits(max_size=64, max_chunk=16, max_chunks=12)


def body(number: int, size: int, variant: int = 0) -> bytes:
    """The bytes that belong to a place; another variant belongs there just as little as noise."""
    return bytes((number * 31 + i * 7 + variant * 101) % 256 for i in range(size))


class CoreMachine(RuleBasedStateMachine):
    """One upload through the chunk API, flat or numbered."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[Record] = []
        self.upload = Upload(ID)
        self.disk: dict[int, bytes] = {}
        self.row: Summary | None = None
        self.low_water = 0

    @initialize(flat=st.booleans(), length=st.none() | st.integers(0, 40))
    def begin(self, flat: bool, length: int | None) -> None:
        self.flat = flat
        declared = Declaration(part_size=SIZE if flat else None, layout=Layout.FLAT if flat else None, length=length)
        self.happen([Created(id=ID, spec=Spec(name=NAME, declared=declared), policy=Policy())])

    def happen(self, events: list[Event]) -> None:
        for event in events:
            record = Record(len(self.records) + 1, float(len(self.records)), codec.decode(codec.encode(event)))
            self.records.append(record)
            self.upload.apply(record)
            self.row = begin(record) if self.row is None else advance(self.row, record)
            if isinstance(event, Damaged):
                self.low_water = 0
                for key in event.keys:
                    self.disk.pop(key)

    # -- rules ------------------------------------------------------------------------------------

    @rule(number=st.integers(1, 12), size=st.integers(0, SIZE + 1), variant=st.sampled_from([0, 0, 0, 1]))
    def store(self, number: int, size: int, variant: int) -> None:
        data = body(number, size, variant)
        self.put(Store(target=NAME, at=Number(number), size=size), data)

    @precondition(lambda self: self.flat)
    @rule(offset=st.integers(0, 44), size=st.integers(0, 10))
    def store_at(self, offset: int, size: int) -> None:
        data = b"".join(body(1 + n // SIZE, SIZE)[n % SIZE : n % SIZE + 1] for n in range(offset, offset + size))
        self.put(Store(target=NAME, at=Offset(offset), size=size), data)

    def put(self, cmd: Store, data: bytes) -> None:
        before = self.upload.version
        try:
            grant = admit(self.upload, cmd, LIMITS)
        except ClientFault:
            assert self.upload.version == before
            return
        if grant.replay_of is not None:
            assert grant.replay_of is self.upload.stored[grant.replay_of.key]
            return
        assert self.upload.state is State.OPEN
        assert len(data) <= grant.limit
        assert grant.exact is None or len(data) == grant.exact
        run = Run(key=grant.start, size=len(data), digest=sha256(data))
        if not data and isinstance(cmd.at, Offset):
            return
        try:
            events = accept(self.upload, cmd, [run], LIMITS)
        except ClientFault:
            return
        assert run.key not in self.disk or self.disk[run.key] == data, "a recorded part was written over"
        self.disk[run.key] = data
        self.happen(events)

    @rule(number=st.integers(1, 12), size=st.integers(1, SIZE))
    def a_rival_recorded_it_first(self, number: int, size: int) -> None:
        """Two writers were admitted; the second one to record finds the first one's part."""
        cmd = Store(target=NAME, at=Number(number), size=size)
        first, second = body(number, size, 0), body(number, size, 1)
        try:
            grant = admit(self.upload, cmd, LIMITS)
            assume(grant.replay_of is None)
            events = accept(self.upload, cmd, [Run(key=grant.start, size=size, digest=sha256(first))], LIMITS)
        except ClientFault:
            return
        self.disk[grant.start] = first
        self.happen(events)
        late = Run(key=grant.start, size=size, digest=sha256(second))
        try:
            accept(self.upload, cmd, [late], LIMITS)
        except (PartConflict, AlreadyComplete):
            return
        raise AssertionError("other bytes were recorded for a place that was taken")

    @rule(length=st.integers(0, 48))
    def declare_length(self, length: int) -> None:
        try:
            events = declare(self.upload, Declaration(length=length), LIMITS)
        except ClientFault:
            return
        assert self.upload.length in {None, length}
        self.happen(events)

    @rule(parts=st.none() | st.integers(0, 12), length=st.none() | st.integers(0, 48))
    def complete(self, parts: int | None, length: int | None) -> None:
        cmd = Seal(target=NAME, parts=parts, length=length)
        lacking = bool(list(self.upload.missing()) or list(self.upload.holes() if self.flat else ()))
        try:
            events = seal(self.upload, cmd, LIMITS)
        except Incomplete:
            assert self.upload.state is State.OPEN
            return
        except ClientFault:
            return
        assert not events or not lacking
        sealed = [event.length for event in events if isinstance(event, Sealed)]
        assert length is None or self.upload.state is not State.OPEN or sealed == [length]
        self.happen(events)

    @precondition(lambda self: self.upload.state is State.SEALED)
    @rule(data=st.data())
    def read_back(self, data: st.DataObject) -> None:
        keys = sorted(self.disk)
        bad = data.draw(st.lists(st.sampled_from(keys), unique=True, max_size=2)) if keys else []
        work = plan(self.upload)
        whole = b"".join(self.disk[copy.key] for copy in work.copies)
        assert [copy.start for copy in work.copies] == [sum(c.size for c in work.copies[:i]) for i in range(len(keys))]
        assert len(whole) == work.size
        assert all(sha256(self.disk[copy.key]) == copy.digest for copy in work.copies)
        events = conclude(self.upload, bad, {SHA256: sha256(whole)})
        if not events:
            assert not bad
            events = [Published(ref="f", size=len(whole), digest=sha256(whole))]
        self.happen(events)

    @rule()
    def cancel(self) -> None:
        assume(self.upload.version > 25)
        self.happen(remove(self.upload, "cancelled"))

    # -- invariants -------------------------------------------------------------------------------

    @invariant()
    def the_offset_never_falls(self) -> None:
        assert self.upload.offset >= self.low_water
        self.low_water = self.upload.offset

    @invariant()
    def what_is_stored_and_what_lacks_make_the_whole(self) -> None:
        up = self.upload
        assert set(up.stored) == set(self.disk)
        assert up.received_bytes == sum(map(len, self.disk.values()))
        if up.layout is Layout.FLAT and up.length is not None:
            assert up.ranges.total + sum(b - a for a, b in up.holes()) == up.length
        if up.layout is Layout.NUMBERED:
            have = {n for a, b in up.ranges for n in range(a, b)}
            assert have == set(self.disk)
            lacking = {n for a, b in up.missing() for n in range(a, b + 1)}
            assert not have & lacking

    @invariant()
    def sealed_means_nothing_lacks(self) -> None:
        up = self.upload
        if up.sealed is not None and up.state in {State.SEALED, State.DONE}:
            assert not list(up.missing())
            assert up.sealed.length == up.received_bytes == up.length

    @invariant()
    def the_row_says_the_same(self) -> None:
        if self.row is None:
            return
        up = self.upload
        assert (self.row.state, self.row.received, self.row.parts) == (up.state, up.received_bytes, len(up.stored))
        assert (self.row.length, self.row.version) == (up.length, up.version)

    @invariant()
    def folding_anew_gives_the_same(self) -> None:
        again = Upload.fold(ID, self.records)
        for name in ("state", "stored", "declared", "received_bytes", "offset", "sealed", "seal_in_mind", "reason"):
            assert getattr(again, name) == getattr(self.upload, name), name

    @invariant()
    def nothing_follows_the_end(self) -> None:
        ends = [i for i, r in enumerate(self.records) if isinstance(r.event, Failed)]
        assert not any(isinstance(r.event, Sealed) for i in ends for r in self.records[i:])
        if self.upload.state is State.GONE:
            assert remove(self.upload, "expired") == []


TestCoreMachine = CoreMachine.TestCase
