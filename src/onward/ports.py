"""The six interfaces between Onward and the world, and the values that cross them.

The docstrings are the contract; ``onward.testing.conformance`` checks a backend against it.
Unless said otherwise every method may raise ``ServerFault`` and must leave the truth untouched
when it does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Final, Protocol

import anyio
import msgspec

from onward.core.summary import Summary
from onward.core.types import (
    AnyEvent,
    Buffer,
    ClientName,
    Command,
    Copy,
    Digest,
    Layout,
    Phase,
    Plan,
    Record,
    Spec,
    State,
    UploadId,
)
from onward.core.upload import Upload

# -- bytes ----------------------------------------------------------------------------------------


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a storage did with one body."""

    size: int
    digests: Mapping[str, Digest]
    """At least SHA-256, and every algorithm asked for."""
    token: str = ""


class Blob(msgspec.Struct, frozen=True, kw_only=True):
    """Published bytes."""

    ref: str
    """Relative to the storage's published files, with ``/`` between its parts."""
    size: int


class OnConflict(StrEnum):
    """What happens when the final name is taken by other bytes."""

    REFUSE = "refuse"
    RENAME = "rename"
    REPLACE = "replace"


class Assembly(Protocol):
    """The whole, read back once and held so that no writer can touch it."""

    @property
    def digests(self) -> Mapping[str, Digest]:
        """Over the whole, for each algorithm of the plan."""

    @property
    def bad(self) -> Sequence[Copy]:
        """The copies whose bytes are missing or do not match their digest. Empty: all is well."""

    async def publish(self, name: str, fallback: str, on_conflict: OnConflict, manifest: bytes) -> Blob:
        """Make the bytes visible under ``name`` (a relative path of safe segments), atomically and durably.

        The manifest is durable before the name is. Publishing the same bytes again under the
        same name succeeds without a change. Taken by other bytes: ``RENAME`` finds a free
        ``stem (n).suffix``, ``REPLACE`` swaps atomically, ``REFUSE`` uses ``fallback``.
        """


Progress = Callable[[Phase, int, int], Awaitable[None]]
"""Told ``(phase, bytes done, bytes in all)`` from time to time; may raise to stop the work."""


class Storage(Protocol):
    """Keeps bytes. Knows no state, no offset rule, no HTTP."""

    async def open(self, id: UploadId, spec: Spec) -> str:
        """Make room for an upload; the place returned is kept in its ``Created`` event."""

    async def write(
        self,
        id: UploadId,
        layout: Layout,
        key: int,
        body: AsyncIterator[Buffer],
        *,
        algorithms: Sequence[str],
        durable: bool,
    ) -> Written:
        """Store and hash what ``body`` yields, at offset ``key`` (flat) or as part ``key`` (numbered).

        Durable on return if ``durable``. A block is not kept after the next one is asked for, but
        for one that ``onward.core.buffers.lasting`` says nobody changes: it is let go of as soon as
        it was read, for others wait for its buffer. An exception out of ``body`` passes through;
        bytes of that call then count for nothing and a numbered part that was there before is
        unchanged. Writers of different keys run side by side. Raises ``NoSpace``, ``StorageFault``,
        and ``AlreadyComplete`` if the whole is held by an assembly or is published.
        """

    async def sync(self, id: UploadId) -> None:
        """Make durable what earlier writes of this upload left to the system. Missing is not an error."""

    def peek(self, id: UploadId, layout: Layout, key: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield ``size`` stored bytes from ``key`` on (flat), or of the start of part ``key`` (numbered).

        Yields less if less is there. Close it (``aclosing``) when you leave early.
        """

    def assembling(
        self, id: UploadId, plan: Plan, progress: Progress, enclosed: bytes = b""
    ) -> AbstractAsyncContextManager[Assembly]:
        """Put the copies in place if any, read the whole once, hash parts and whole, and hold it.

        Copies may come from other uploads, from one of them more than once; those are only read.
        Repeatable after any crash, also after a publish whose event was lost. While it is
        held no write to this upload succeeds. The exit lets go; scratch bytes stay.

        ``enclosed``: all bytes of a small flat upload, which lie nowhere else yet; they are put in
        their place first. Nobody need be told of progress then.
        """

    def read(self, ref: str, start: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield ``size`` published bytes from ``start``. Raises ``NotFound`` if ``ref`` is not there.

        Close it (``aclosing``) when you leave early.
        """

    async def stat(self, ref: str) -> int:
        """Size of a published blob. Raises ``NotFound``."""

    async def discard(self, id: UploadId) -> None:
        """Forget scratch bytes. Missing is not an error. Never touches published blobs."""

    async def withdraw(self, id: UploadId, likely: Sequence[str]) -> None:
        """As ``discard``, for an upload that nobody is told of as published: no name may lead to its bytes afterwards.

        A publish whose event was lost, or that is under way, has left one; ``likely`` says where to look first.
        """

    async def remove(self, ref: str | None, id: UploadId) -> None:
        """Delete a published blob and its manifest; without ``ref`` the manifest alone. Missing is not an error."""

    async def manifest(self, id: UploadId) -> bytes:
        """The manifest published with an upload. Raises ``NotFound``."""

    def scratch(self) -> AsyncIterator[UploadId]:
        """Ids that scratch bytes lie here for, also of uploads the journal does not know."""

    async def free(self) -> int | None:
        """Bytes that may still be written, or ``None`` where there is no such number."""

    async def check(self) -> None:
        """Write, sync and remove a probe. Raises ``ServerFault`` if the storage cannot be written."""

    async def close(self) -> None:
        """Let go of threads and files."""


# -- truth ----------------------------------------------------------------------------------------


class Journal(Protocol):
    """Keeps each upload's events in order: the only truth about what was received.

    ``sync`` says whether the call may return before what it wrote would survive a power cut.
    """

    async def create(
        self,
        id: UploadId,
        events: Sequence[AnyEvent],
        *,
        at: float,
        name: ClientName | None,
        replaces: UploadId | None,
        key: tuple[str | None, str] | None,
        sync: bool,
        enclosed: bytes = b"",
    ) -> UploadId:
        """Begin an upload and claim its name and its (owner, idempotency key), all or nothing.

        Returns ``id``; or, with nothing changed, the id that holds the key, or the one that
        holds the name (unless that is ``replaces``, which loses it to ``id``).

        ``enclosed``: all bytes of a small upload that ``events`` seal. They are kept with these, for
        as long as it is sealed: the event that says what became of it drops them.
        """

    async def read(self, id: UploadId, *, after: int = 0) -> Sequence[Record]:
        """The events beyond version ``after``, oldest first; empty if there are none."""

    async def enclosed(self, id: UploadId) -> bytes:
        """The bytes that lie with its first events; empty if none do, or no longer."""

    async def append(self, id: UploadId, events: Sequence[AnyEvent], *, version: int, at: float, sync: bool) -> None:
        """Add events, all or nothing. Raises ``VersionConflict`` unless exactly ``version`` events exist."""

    async def drop(self, id: UploadId) -> None:
        """Forget an upload and the name and keys it holds. Missing is not an error."""

    async def check(self) -> None:
        """Raises ``ServerFault`` if the journal cannot be written."""

    async def close(self) -> None:
        """Finish what is under way and let go."""


class Due(StrEnum):
    """What the sweeper asks for."""

    FINISH = "finish"  # sealed and not published; ``before`` compares with active_at
    EXPIRE = "expire"  # receiving; ``before`` compares with active_at
    FORGET = "forget"  # failed or gone; ``before`` compares with active_at
    JOIN = "join"  # receiving and made of other uploads; ``before`` compares with active_at


class FeedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One event among those of all uploads."""

    seq: int
    """Grows over all uploads; what ``Last-Event-ID`` carries."""
    id: UploadId
    owner: str | None
    record: Record


class WorkDone(msgspec.Struct, frozen=True, kw_only=True):
    """How far the worker is with a sealed upload."""

    phase: Phase
    done: int
    total: int
    at: float
    deaths: int = 0
    """Workers that began with it and never left it, the one that is at it among them."""


class Catalog(Protocol):
    """Answers questions over many uploads, from rows written in the journal's own transactions."""

    async def find(self, name: ClientName) -> UploadId | None:
        """The upload that holds a name."""

    async def find_key(self, owner: str | None, key: str) -> UploadId | None:
        """The upload that an idempotency key created."""

    async def published_as(self, ref: str) -> Sequence[UploadId]:
        """The finished uploads whose file has the name ``ref``."""

    async def summary(self, id: UploadId) -> Summary | None:
        """One row."""

    async def page(
        self, *, owner: str | None, everyone: bool, states: Sequence[State], after: str | None, limit: int
    ) -> tuple[Sequence[Summary], str | None]:
        """Rows, newest first, and the cursor of the next page (``None``: no more).

        Raises ``BadField`` for a cursor that none of its pages gave.
        """

    async def due(self, what: Due, *, before: float, limit: int) -> Sequence[UploadId]:
        """Uploads that are due, the longest waiting first."""

    async def waiting(self, source: UploadId, *, limit: int) -> Sequence[UploadId]:
        """Uploads, receiving or sealed, whose ``Spec.sources`` name ``source``, in order of their ids."""

    async def feed(self, *, after: int, limit: int, id: UploadId | None = None) -> Sequence[FeedItem]:
        """Events of all uploads, or of one, with ``seq > after`` in order of ``seq``."""

    async def last_seq(self) -> int:
        """The greatest ``seq`` so far; 0 if there is none."""

    async def promised(self) -> int:
        """Sum of ``Summary.promised`` over all uploads; costs the same however many there are."""

    async def report(self, id: UploadId, work: WorkDone) -> None:
        """Note how far the worker is; need not survive a crash."""

    async def work(self, id: UploadId) -> WorkDone | None:
        """What was last reported."""

    async def cursor(self, name: str) -> int:
        """A named position in the feed; 0 if it was never moved."""

    async def move_cursor(self, name: str, seq: int) -> None:
        """Note that the feed was handled up to ``seq``."""


# -- manners --------------------------------------------------------------------------------------

Span = tuple[int, int]
"""A half-open range of an upload's keys that a writer has to itself."""

WHOLE: Final[Span] = (0, 2**62)
"""All keys: nobody else writes."""

FINISH: Final[Span] = (2**62, 2**62 + 1)
"""The right to assemble, verify and publish; nothing else takes it."""

SEQUENCE: Final[Span] = (2**62 + 1, 2**62 + 2)
"""The right to append: held by the one request that sends the upload's next byte."""

LAST_KEY: Final = 2**62 + 2
"""One beyond the greatest key of a span."""


class Lease(Protocol):
    """A held lock that can be asked back."""

    @property
    def revoked(self) -> anyio.Event:
        """Set when somebody else wants in: save, then leave."""


class Locks(Protocol):
    """Keeps writers of the same keys apart. Manners, not safety: the journal version is the fence."""

    def hold(
        self, id: UploadId, span: Span, *, timeout: float, revoke: bool = False
    ) -> AbstractAsyncContextManager[Lease]:
        """Hold ``span`` of ``id`` alone; holders of spans that do not overlap are not disturbed.

        ``revoke`` asks every overlapping holder to leave, in whichever process of this host it
        is. Raises ``Locked`` after ``timeout`` seconds; with 0, at once if it is not free.
        Waiters are served in order within a process. A dead process holds nothing.
        """

    def is_free(self, id: UploadId, span: Span) -> bool:
        """True if nobody on this host holds a part of ``span`` at this moment, or waits for one in this process.

        Never waits and changes nothing. A false answer may be out of date, a true one too: it
        says that whoever held a part before has given it back.
        """

    async def forget(self, id: UploadId) -> None:
        """Nothing more will happen to ``id``: drop what is kept for it, if nobody holds it."""

    async def close(self) -> None:
        """Let go of everything."""


# -- people and work ------------------------------------------------------------------------------


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends a request."""

    owner: str | None = None
    operator: bool = False
    """May see and end everybody's uploads."""
    headers: Mapping[str, str] = {}


class Hooks(Protocol):
    """The host application's say. Any of the first three may raise ``Refused``; see ``onward.hooks.none``."""

    async def may(self, caller: Caller, command: Command, upload: Upload | None) -> None:
        """Called before the first byte of a body is read."""

    async def before_create(self, caller: Caller, spec: Spec) -> Spec:
        """May replace what an upload is created with."""

    async def before_publish(self, upload: Upload, name: str) -> str:
        """The verified whole is about to become visible: return its final name, or refuse it."""

    async def after(self, item: FeedItem) -> None:
        """Something has happened; told at least once, in order, ``item.seq`` names it."""


class Jobs(Protocol):
    """A hint to the worker."""

    async def finish_later(self, id: UploadId) -> None:
        """Have a sealed upload assembled, verified and published. May lose or repeat the hint.

        Raises whatever the queue raises when it cannot be reached.
        """

    def finish_soon(self, id: UploadId) -> None:
        """The same for a small upload: nobody waits for it, and many may go together. Never raises."""

    async def check(self) -> None:
        """Raises if the queue cannot be reached."""
