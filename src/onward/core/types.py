"""The words that everything else is said in: ids, specifications, commands, events.

All values are frozen. Times are seconds since the epoch, sizes and offsets are bytes, chunk
numbers start at 1. The tag strings of events are pinned: they are what lies in journals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NewType

import msgspec

UploadId = NewType("UploadId", str)
"""Made by the server, at least 128 random bits, never derived from a name and never a path."""

Buffer = bytes | bytearray | memoryview
"""Bytes that can be read without a copy."""

MAX_INT: Final = 2**63 - 1
"""The largest size, offset or number that is taken anywhere."""

_ID = re.compile(r"[0-9a-z]{26,43}", re.ASCII)


def make_id(randomness: bytes) -> UploadId:
    """The id that stands for 16 or more random bytes."""
    return UploadId(randomness.hex())


def is_id(text: str) -> bool:
    """True if ``text`` has the form of an id; nothing else is ever looked up."""
    return _ID.fullmatch(text) is not None


class State(StrEnum):
    """Where an upload stands. The values are the public words, but for ``GONE``: see ``Upload.word``."""

    OPEN = "receiving"
    SEALED = "verifying"
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"


class Phase(StrEnum):
    """What the worker is at with a sealed upload."""

    ASSEMBLING = "assembling"
    VERIFYING = "verifying"


class Layout(StrEnum):
    """How the bytes lie in scratch space."""

    FLAT = "flat"  # each byte's final offset is known on arrival
    NUMBERED = "numbered"  # only the order is known


class Completes(StrEnum):
    """What ends an upload, fixed by whoever began it."""

    WHEN_FULL = "when-full"
    EXPLICIT = "explicit"


class Overrun(StrEnum):
    """What bytes beyond the known length do."""

    CUT = "cut"
    FAIL = "fail"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that the creating dialect lays down for the life of the upload."""

    dialect: str = ""
    """Whose rules these are; a request that shows no dialect of its own is answered in this one."""
    completes: Completes = Completes.EXPLICIT
    overrun: Overrun = Overrun.CUT
    reopens: bool = True
    """A damaged part may be sent again; otherwise damage fails the upload."""


class ClientName(msgspec.Struct, frozen=True):
    """A name that a client chose: valid by ``core.names``, NFC-normalised, scoped to its owner."""

    owner: str | None
    name: str


Target = UploadId | ClientName
"""How a command names its upload."""


class Digest(msgspec.Struct, frozen=True):
    """An algorithm's RFC 9530 name and its value over some bytes."""

    algorithm: str
    value: bytes


class Declaration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a client has said of the whole file. ``None`` means: not said (yet)."""

    layout: Layout | None = None
    part_size: int | None = None
    """Size of every chunk but the last. Given at all, it makes the layout flat."""
    length: int | None = None
    digest: Digest | None = None
    part_digests: tuple[bytes, ...] = ()
    """SHA-256 of each chunk in order, or nothing."""
    filename: str | None = None
    """What the file is to be called, where the upload's name is only a key to it; valid by ``core.names``."""


class Spec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an upload was created with. Hooks may replace it before anything is stored."""

    name: ClientName | None = None
    declared: Declaration = Declaration()
    metadata: Mapping[str, str] = {}
    owner: str | None = None
    raw: Mapping[str, str] = {}
    """Header values that the dialect must give back byte for byte."""
    partial: bool = False
    """A piece of a concatenation: it is never published by itself."""
    sources: tuple[UploadId, ...] = ()
    """The whole is these uploads, one after the other; no byte is sent to it."""

    @property
    def called(self) -> str | None:
        """What the client calls the file, so far."""
        name = self.name.name if self.name else self.metadata.get("filename")
        return self.declared.filename or name


# -- commands: what a caller asks for, in no protocol's words -------------------------------------


class Number(msgspec.Struct, frozen=True, tag=True):
    """The place of a chunk, counted from 1."""

    number: int


class Offset(msgspec.Struct, frozen=True, tag=True):
    """The place of a run of bytes: anywhere in a flat upload."""

    offset: int


class Append(msgspec.Struct, frozen=True, tag=True):
    """The end of the unbroken run, where a sequential client believes it to be."""

    offset: int


class First(msgspec.Struct, frozen=True, kw_only=True):
    """The body that comes with a creation: the first bytes of the upload."""

    size: int | None = None
    digests: tuple[Digest, ...] = ()
    ends: bool = False


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """Begin an upload, or say more of one that is being received under the same name."""

    spec: Spec
    policy: Policy = Policy()
    idempotency_key: str | None = None
    first: First | None = None


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """Keep the bytes of this body at a place."""

    target: Target
    at: Number | Offset | Append
    size: int | None = None
    """How long the body claims to be; a claim only."""
    ends: bool = False
    """The end of this body is the end of the upload."""
    ends_if_full: bool = False
    """It is, if the declared length is reached by it."""
    digests: tuple[Digest, ...] = ()
    """Of this body; nothing is recorded before all of them match."""
    whole: bool = False
    """A cut body leaves no trace, wherever it goes; that of a chunk by number, or with a digest, never does."""
    declared: Declaration = Declaration()
    policy: Policy = Policy()
    """Of an upload that begins with this body, as its metadata."""
    metadata: Mapping[str, str] = {}


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """No more bytes will come: check that nothing lacks and have the whole verified and published."""

    target: Target
    parts: int | None = None
    length: int | None = None
    digest: Digest | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How does the upload stand? Never waits for a writer."""

    target: Target
    number: int | None = None
    """Asked about one chunk only."""
    takes_over: bool = False
    """A running sequential writer is asked to save and leave first, so that the answer is final."""


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Forget the upload and free its bytes."""

    target: Target


Command = Create | Store | Seal | Status | Cancel


# -- events: what has happened, in the journal for good -------------------------------------------


class Created(msgspec.Struct, frozen=True, kw_only=True, tag="created"):
    """The upload began."""

    id: UploadId
    spec: Spec
    policy: Policy
    place: str = ""
    """Where the storage keeps it, in the storage's own words."""
    asked: str = ""
    """Fingerprint of the request, where it bore an idempotency key."""


class Declared(msgspec.Struct, frozen=True, kw_only=True, tag="declared"):
    """More of the whole became known. Only what is new is set."""

    declared: Declaration


class Stored(msgspec.Struct, frozen=True, kw_only=True, tag="stored"):
    """A run of bytes is durable."""

    key: int
    """Its first byte (flat) or its chunk number (numbered)."""
    size: int
    digest: Digest
    """SHA-256 of these bytes."""
    token: str = ""
    """The storage's own receipt for the part, where it needs one."""


class Sealed(msgspec.Struct, frozen=True, kw_only=True, tag="sealed"):
    """No more bytes will come."""

    length: int
    parts: int
    digest: Digest | None = None
    total_known: bool = True
    """False when the end was taken from what had come, not from what was declared."""


class Damaged(msgspec.Struct, frozen=True, kw_only=True, tag="damaged"):
    """Parts that no longer match their digest were found on read-back and dropped."""

    keys: tuple[int, ...]
    size: int
    """Bytes dropped, all of these parts together."""


class Published(msgspec.Struct, frozen=True, kw_only=True, tag="published"):
    """The verified whole is visible under its final name."""

    ref: str
    size: int
    digest: Digest


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The upload cannot become a file. ``code`` is a public reason."""

    code: str
    detail: str = ""


class Removed(msgspec.Struct, frozen=True, kw_only=True, tag="removed", omit_defaults=True):
    """The upload was cancelled or has expired; its bytes are freed."""

    reason: str
    cause: str = ""
    """What ended it, where that was neither its client nor time: ``replaced``. Older versions pass over it."""


class Unknown(msgspec.Struct, frozen=True, kw_only=True, tag="unknown"):
    """An event of a newer version: it stands in the journal and makes the upload read-only."""

    raw: bytes


Event = Created | Declared | Stored | Sealed | Damaged | Published | Failed | Removed
AnyEvent = Event | Unknown


class Record(msgspec.Struct, frozen=True):
    """An event in its envelope: its place in the upload's journal, counted from 1, and its time."""

    version: int
    at: float
    event: AnyEvent


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The most that an upload may be. Sizes in bytes."""

    max_size: int = 1 << 40
    max_chunk: int = 64 << 20
    max_chunks: int = 10_000


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to store one body."""

    layout: Layout
    start: int
    """First byte (flat) or chunk number (numbered)."""
    limit: int
    """Most bytes that the body may have; enforced while it streams."""
    limit_is: str
    """Which rule set the limit: ``chunk``, ``part``, ``length`` or ``size``."""
    exact: int | None = None
    """The size that the body must have, if known."""
    whole: bool = True
    """A cut body is dropped whole; otherwise its prefix is kept in segments."""
    replay_of: Stored | None = None
    """The same place is stored: hash and compare, write nothing."""
    expected: bytes | None = None
    """The SHA-256 declared for this chunk."""

    @property
    def span(self) -> tuple[int, int]:
        """The half-open range that the writer must have to itself."""
        if self.layout is Layout.NUMBERED:
            return self.start, self.start + 1
        return self.start, self.start + max(self.limit, 1)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that have been made durable and are not recorded yet."""

    key: int
    size: int
    digest: Digest
    token: str = ""


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of the whole: where it lies, where it begins in the whole, how long, with which digest."""

    source: UploadId
    """Whose part it is: of the upload itself, or of one that it is made of."""
    layout: Layout
    """That of the source."""
    key: int
    """The part at its source: its first byte (flat) or its chunk number (numbered)."""
    start: int
    size: int
    digest: Digest


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How the whole is made of its parts, and what must be computed over it."""

    layout: Layout
    """Flat: every byte lies at its place already. Numbered: the parts are copied into a file of their own."""
    size: int
    algorithms: tuple[str, ...]
    copies: tuple[Copy, ...]
    digest: Digest | None = None
    """The SHA-256 that the whole must have, if the client has said so."""
