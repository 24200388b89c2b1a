"""One upload, folded from its events.

Two rules. Facts: ``Upload.apply`` takes every event and refuses none. Decisions, in
``core.admission`` and ``core.completion``: they change nothing, return the events that would
make them true, and raise ``OnwardError`` where the answer is no.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from onward.core.declaration import parts_of
from onward.core.ranges import ByteRanges
from onward.core.types import (
    Created,
    Damaged,
    Declaration,
    Declared,
    Event,
    Failed,
    Layout,
    Policy,
    Published,
    Record,
    Removed,
    Sealed,
    Spec,
    State,
    Stored,
    Unknown,
    UploadId,
)

TRANSITIONS: Mapping[State, Mapping[type[Event], State]] = {
    State.OPEN: {
        Declared: State.OPEN,
        Stored: State.OPEN,
        Sealed: State.SEALED,
        Failed: State.FAILED,
        Removed: State.GONE,
    },
    State.SEALED: {
        Damaged: State.OPEN,
        Published: State.DONE,
        Failed: State.FAILED,
        Removed: State.GONE,
    },
    State.DONE: {Removed: State.GONE},
    State.FAILED: {Removed: State.GONE},
    State.GONE: {},
}
"""Which events a state knows, and where they lead. The diagram in the docs is drawn from this."""


class Upload:
    """Where one upload stands after the events folded so far. Read it freely; only ``apply`` changes it."""

    __slots__ = (
        "_run_bytes",
        "_run_end",
        "active_at",
        "asked",
        "cause",
        "created_at",
        "declared",
        "failure",
        "id",
        "place",
        "policy",
        "published",
        "ranges",
        "read_only",
        "reason",
        "received_bytes",
        "seal_in_mind",
        "sealed",
        "spec",
        "state",
        "stored",
        "version",
    )

    def __init__(self, id: UploadId) -> None:
        self.id = id
        self.spec = Spec()
        self.policy = Policy()
        self.place = ""
        self.asked = ""
        self.declared = Declaration()
        self.state = State.OPEN
        self.version = 0
        self.created_at = 0.0
        self.active_at = 0.0
        self.stored: dict[int, Stored] = {}
        """What is recorded, by key; the manifest in the making."""
        self.ranges = ByteRanges()
        """Recorded bytes (flat) or chunk numbers (numbered)."""
        self.received_bytes = 0
        self.sealed: Sealed | None = None
        self.seal_in_mind: Sealed | None = None
        """The seal that damage broke: it is set again by itself when the named parts have come."""
        self.published: Published | None = None
        self.failure: Failed | None = None
        self.reason = ""
        self.cause = ""
        """What ended it, where that was neither its client nor time."""
        self.read_only = False
        self._run_end = 1
        self._run_bytes = 0

    @classmethod
    def fold(cls, id: UploadId, records: Iterable[Record]) -> Upload:
        """The upload that these records, from the first on, add up to."""
        upload = cls(id)
        for record in records:
            upload.apply(record)
        return upload

    # -- facts ------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Take one more fact. Records come in the order of their versions."""
        event = record.event
        self.version = record.version
        self.active_at = max(self.active_at, record.at)
        match event:
            case Stored():
                self._store(event)
            case Created():
                self.spec, self.policy, self.place = event.spec, event.policy, event.place
                self._declare(event.spec.declared)
                self.created_at = record.at
                self.asked = event.asked
            case Declared():
                self._declare(event.declared)
            case Sealed():
                self.sealed, self.seal_in_mind = event, None
                self._declare(Declaration(length=event.length, digest=event.digest))
            case Damaged():
                self._damage(event)
            case Published():
                self.published = event
            case Failed():
                self.failure, self.reason = event, event.code
            case Removed():
                self.reason, self.cause = event.reason, event.cause
            case Unknown():
                self.read_only = True
                return
        self.state = TRANSITIONS[self.state].get(type(event), self.state)

    def _declare(self, more: Declaration) -> None:
        old = self.declared
        flat = None if more.part_size is None else Layout.FLAT
        self.declared = Declaration(
            layout=old.layout or more.layout or flat,
            part_size=old.part_size if more.part_size is None else more.part_size,
            length=old.length if more.length is None else more.length,
            digest=more.digest or old.digest,
            part_digests=more.part_digests or old.part_digests,
            filename=old.filename or more.filename,
        )

    def _store(self, part: Stored) -> None:
        self.stored[part.key] = part
        self.received_bytes += part.size
        if self.declared.layout is Layout.NUMBERED:
            self.ranges.add(part.key, part.key + 1)
            self._advance()
        else:
            self.ranges.add(part.key, part.key + part.size)

    def _damage(self, event: Damaged) -> None:
        self.seal_in_mind, self.sealed = self.sealed, None
        for key in event.keys:
            part = self.stored.pop(key, None)
            if part is None:
                continue
            self.received_bytes -= part.size
            width = 1 if self.declared.layout is Layout.NUMBERED else part.size
            self.ranges.remove(key, key + width)
        self._run_end, self._run_bytes = 1, 0
        self._advance()

    def _advance(self) -> None:
        while (part := self.stored.get(self._run_end)) is not None:
            self._run_end += 1
            self._run_bytes += part.size

    # -- views ------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout | None:
        """How the bytes lie; ``None`` until the first recorded request decides."""
        return self.declared.layout

    @property
    def part_size(self) -> int | None:
        """Bytes in every chunk but the last, if declared."""
        return self.declared.part_size

    @property
    def called(self) -> str | None:
        """What the client calls the file, if that is known."""
        return self.declared.filename or self.spec.called

    @property
    def length(self) -> int | None:
        """Bytes in the whole, if known."""
        return self.declared.length

    @property
    def offset(self) -> int:
        """Bytes of the unbroken, durable run from the start: what a client may rely on."""
        if self.spec.sources:
            return self.sealed.length if self.sealed else 0
        if self.layout is Layout.NUMBERED:
            return self._run_bytes
        return self.ranges.prefix()

    @property
    def word(self) -> str:
        """The public word for the state, but for the phases of a sealed upload."""
        return self.reason if self.state is State.GONE else self.state.value

    @property
    def total_parts(self) -> int | None:
        """How many chunks the whole has, if that can be known."""
        if self.sealed or self.seal_in_mind:
            seal = self.sealed or self.seal_in_mind
            return seal.parts if seal else None
        if self.declared.part_digests:
            return len(self.declared.part_digests)
        if self.part_size is not None and self.length is not None:
            return parts_of(self.length, self.part_size)
        return None

    def chunk(self, number: int) -> Stored | None:
        """The recorded chunk of that number, if it is there as one part of its full size."""
        if self.layout is Layout.NUMBERED:
            return self.stored.get(number)
        if self.part_size is None:
            return None
        start = (number - 1) * self.part_size
        part = self.stored.get(start)
        if part is None or part.size == self.part_size:
            return part
        return part if start + part.size == self.length else None

    def has_chunk(self, number: int) -> bool:
        """True if every byte of that chunk is recorded, in however many parts."""
        if self.chunk(number) is not None:
            return True
        if self.layout is not Layout.FLAT or self.part_size is None:
            return False
        start = (number - 1) * self.part_size
        end = start + self.part_size if self.length is None else min(start + self.part_size, self.length)
        return start < end and next(self.ranges.holes(start, end), None) is None

    def holes(self) -> Iterator[tuple[int, int]]:
        """Byte ranges that lack, of a flat upload: up to its length, or up to its last recorded byte."""
        return self.ranges.holes(0, self.ranges.end if self.length is None else self.length)

    def missing(self) -> Iterator[tuple[int, int]]:
        """Runs of chunk numbers that lack, both ends included: up to the total, or up to the last one stored.

        A flat upload without a chunk size has no chunk numbers; ask ``holes``.
        """
        if self.layout is Layout.NUMBERED:
            end = self.ranges.end if self.total_parts is None else self.total_parts + 1
            return ((a, b - 1) for a, b in self.ranges.holes(1, end))
        return iter(()) if self.part_size is None else numbers_of(self.holes(), self.part_size)

    def parts(self) -> Sequence[Stored]:
        """Recorded parts in the order of their places."""
        return [self.stored[key] for key in sorted(self.stored)]


def numbers_of(holes: Iterable[tuple[int, int]], part_size: int) -> Iterator[tuple[int, int]]:
    """Runs of chunk numbers, both ends included, that byte ranges in order lie in; each number once."""
    first = last = 0
    for start, end in holes:
        a, b = start // part_size + 1, -(-end // part_size)
        if first and a <= last + 1:
            last = max(last, b)
            continue
        if first:
            yield first, last
        first, last = a, b
    if first:
        yield first, last
