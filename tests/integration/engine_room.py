"""An engine over backends in memory, with hooks, a queue and a clock that a test can set."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio

from onward.core.outcome import Outcome
from onward.core.types import (
    AnyEvent,
    Buffer,
    ClientName,
    Create,
    Declaration,
    Digest,
    Layout,
    Limits,
    Number,
    Offset,
    Phase,
    Plan,
    Seal,
    Spec,
    State,
    Status,
    Store,
    Target,
    UploadId,
)
from onward.core.upload import Upload
from onward.engine.engine import Engine
from onward.engine.rules import Rules
from onward.errors import OnwardError, StorageFault, VersionConflict
from onward.hooks.none import NoHooks
from onward.journal.memory import MemoryJournal
from onward.locks.memory import MemoryLocks
from onward.ports import Caller, Due, FeedItem, Progress, WorkDone, Written
from onward.storage.memory import MemoryAssembly, MemoryStorage

ME: Final = Caller()
NAME: Final = ClientName(None, "f.bin")
SIZE: Final = 4
LIMITS: Final = Limits(max_size=1000, max_chunk=16, max_chunks=12)
LONG: Final = 20.0
"""Only keeps a failing test from hanging."""


class Queue:
    """Notes what it is given; ``broken`` makes it raise."""

    def __init__(self) -> None:
        self.waiting: list[UploadId] = []
        self.broken = False

    async def finish_later(self, id: UploadId) -> None:
        if self.broken:
            raise ConnectionError("the queue is down")
        self.waiting.append(id)

    def finish_soon(self, id: UploadId) -> None:
        self.waiting.append(id)

    async def check(self) -> None:
        """It can always be reached."""


class Wire:
    """A body that the test feeds piece by piece."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes | OnwardError | None] = asyncio.Queue()
        self.asked = anyio.Event()

    def give(self, piece: bytes | OnwardError) -> None:
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        self._pieces.put_nowait(None)

    async def next(self) -> Buffer | None:
        self.asked.set()
        piece = await self._pieces.get()
        if isinstance(piece, OnwardError):
            raise piece
        return piece


class Pieces:
    """A body in pieces; an error among them is raised in its turn."""

    def __init__(self, *pieces: bytes | OnwardError) -> None:
        self._pieces = list(pieces)

    async def next(self) -> Buffer | None:
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        if isinstance(piece, OnwardError):
            raise piece
        return piece


class NotedJournal(MemoryJournal):
    """Also notes, in order, what was appended and whether it had to last."""

    def __init__(self, log: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.log = log
        self.lose: type | None = None
        """Events of this kind cannot be appended."""
        self.reported: list[tuple[Phase, int, int]] = []
        self.on_report: Callable[[Phase], Awaitable[None]] | None = None
        self.on_due: Callable[[Sequence[UploadId]], Awaitable[None]] | None = None
        """Done between the answer of what is due and its use."""
        self.on_append: Callable[[], Awaitable[None]] | None = None
        """Done between an append and its return."""
        self.rivals = 0
        """So many appends meet another one that was quicker."""

    async def due(self, what: Due, *, before: float, limit: int) -> Sequence[UploadId]:
        found = await super().due(what, before=before, limit=limit)
        if found and self.on_due is not None:
            await self.on_due(found)
        return found

    async def report(self, id: UploadId, work: WorkDone) -> None:
        self.reported.append((work.phase, work.done, work.total))
        await super().report(id, work)
        if self.on_report is not None:
            await self.on_report(work.phase)

    async def create(self, id: UploadId, events: Sequence[AnyEvent], *, sync: bool, **rest: Any) -> UploadId:
        self.log.append(("created", sync))
        return await super().create(id, events, sync=sync, **rest)

    async def append(self, id: UploadId, events: Sequence[AnyEvent], *, version: int, at: float, sync: bool) -> None:
        if self.lose is not None and any(isinstance(event, self.lose) for event in events):
            raise StorageFault
        if self.rivals:
            self.rivals -= 1
            raise VersionConflict(expected=version, found=version + 1)
        self.log.append((" ".join(type(event).__name__.lower() for event in events), sync))
        await super().append(id, events, version=version, at=at, sync=sync)
        if self.on_append is not None:
            await self.on_append()


class NotedStorage(MemoryStorage):
    """Also notes, in order, what was written and whether it had to last."""

    def __init__(self, log: list[tuple[str, Any]]) -> None:
        super().__init__()
        self.log = log
        self.room: int | None = None
        self.chatty = 0
        """How many times more than needed it tells its progress."""
        self.readings = 1
        """How often it reads the whole."""
        self.stuck = False
        """Nothing can be removed."""
        self.rotten = False
        """Enclosed bytes are others once they have their place."""
        self.homes: set[UploadId] = set()
        """Uploads that room was made for and not given back."""

    async def open(self, id: UploadId, spec: Spec) -> str:
        self.homes.add(id)
        return await super().open(id, spec)

    async def discard(self, id: UploadId) -> None:
        self.homes.discard(id)
        await super().discard(id)

    async def remove(self, ref: str | None, id: UploadId) -> None:
        if self.stuck:
            raise ConnectionError
        await super().remove(ref, id)

    @asynccontextmanager
    async def assembling(
        self, id: UploadId, plan: Plan, progress: Progress, enclosed: bytes = b""
    ) -> AsyncIterator[MemoryAssembly]:
        async def tell(phase: Phase, done: int, total: int) -> None:
            for n in range(self.chatty):
                await progress(phase, min(done + n // 100, max(0, total - 1)), total)
            await progress(phase, done, total)
            if phase is Phase.VERIFYING and done == total:
                for _ in range(self.readings - 1):
                    await progress(phase, 0, total)
                    await progress(phase, total, total)

        if self.rotten:
            enclosed = bytes(len(enclosed))
        async with super().assembling(id, plan, tell, enclosed) as assembly:
            yield assembly

    def take(self, ref: str, data: bytes) -> None:
        """Somebody else has this name."""
        self._blobs[ref] = (UploadId("f" * 32), data)

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
        written = await super().write(id, layout, key, body, algorithms=algorithms, durable=durable)
        self.log.append(("bytes", durable))
        return written

    async def sync(self, id: UploadId) -> None:
        self.log.append(("sync", True))

    async def free(self) -> int | None:
        return self.room

    def spoil(self, id: UploadId, key: int) -> None:
        """Turn the first byte of a part."""
        scratch = self._scratch[id]
        if key in scratch.parts:
            scratch.parts[key] = bytes([scratch.parts[key][0] ^ 1]) + scratch.parts[key][1:]
        else:
            scratch.data[key] ^= 1

    def shorten(self, id: UploadId, size: int) -> None:
        """Lose all bytes from there on."""
        del self._scratch[id].data[size:]

    @property
    def files(self) -> dict[str, bytes]:
        return {ref: data for ref, (_, data) in self._blobs.items()}

    @property
    def kept(self) -> list[UploadId]:
        return list(self._scratch)


class Watching(NoHooks):
    """Hooks that note what they see; tests override one."""

    def __init__(self) -> None:
        self.seen: list[FeedItem] = []

    async def after(self, item: FeedItem) -> None:
        self.seen.append(item)


class Room:
    """One engine and all that it stands on."""

    def __init__(self, hooks: NoHooks | None = None, limits: Limits = LIMITS, **rules: Any) -> None:
        self.log: list[tuple[str, Any]] = []
        self.journal = NotedJournal(self.log)
        self.storage = NotedStorage(self.log)
        self.locks = MemoryLocks()
        self.queue = Queue()
        self.hooks = hooks or NoHooks()
        self.now = 1000.0
        self.limits = limits
        self._ids = itertools.count(1)
        self.rules = Rules(**{"min_free": 0, "lock_wait": LONG, "seal_wait": LONG} | rules)
        self.engine = self.another()

    def another(self, **rules: Any) -> Engine:
        """One more engine over the same backends, as in another process."""
        fields = {name: getattr(self.rules, name) for name in Rules.__struct_fields__}
        return Engine(
            storage=self.storage,
            journal=self.journal,
            catalog=self.journal,
            locks=self.locks,
            hooks=self.hooks,
            jobs=self.queue,
            limits=self.limits,
            rules=Rules(**fields | rules),
            clock=lambda: self.now,
            randomness=lambda size: next(self._ids).to_bytes(size, "big"),
        )

    # -- commands in short ----------------------------------------------------------------------------

    async def create(
        self,
        name: ClientName | None = NAME,
        *,
        key: str | None = None,
        metadata: dict[str, str] | None = None,
        **said: Any,
    ) -> Outcome:
        owner = name.owner if name else None
        spec = Spec(name=name, declared=Declaration(**said), owner=owner, metadata=metadata or {})
        return await self.engine.run(Create(spec=spec, idempotency_key=key), Caller(owner=owner))

    async def chunk(
        self,
        number: int,
        data: bytes = b"",
        *,
        target: Target = NAME,
        body: Any = None,
        size: int | None = -1,
        **said: Any,
    ) -> Outcome:
        return await self._store(Number(number), data, target, body, size, **said)

    async def at(
        self,
        offset: int,
        data: bytes = b"",
        *,
        target: Target = NAME,
        body: Any = None,
        size: int | None = -1,
        **said: Any,
    ) -> Outcome:
        return await self._store(Offset(offset), data, target, body, size, **said)

    async def _store(
        self,
        at: Number | Offset,
        data: bytes,
        target: Target,
        body: Any,
        size: int | None,
        *,
        digests: Sequence[Digest] = (),
        **said: Any,
    ) -> Outcome:
        claimed = (len(data) if body is None else None) if size == -1 else size
        cmd = Store(target=target, at=at, size=claimed, digests=tuple(digests), declared=Declaration(**said))
        return await self.engine.run(cmd, ME, body or Pieces(*[data] if data else []))

    async def seal(self, target: Target = NAME, **words: Any) -> Outcome:
        return await self.engine.run(Seal(target=target, **words), ME)

    async def status(self, target: Target = NAME) -> Upload:
        return (await self.engine.run(Status(target=target), ME)).upload

    async def work(self) -> None:
        """Be the worker until the queue is empty."""
        while self.queue.waiting:
            await self.engine.finish(self.queue.waiting.pop(0))

    async def done(self, *chunks: bytes, target: ClientName = NAME, **words: Any) -> Upload:
        """Send these chunks by number, complete, and have it published."""
        for number, data in enumerate(chunks, 1):
            await self.chunk(number, data, target=target)
        await self.seal(target, parts=len(chunks), **words)
        await self.work()
        upload = await self.status(target)
        assert upload.state is State.DONE
        return upload
