"""One file on its way: begun or taken up again, sent, completed, proven."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from onward.put.answers import Standing
from onward.put.backoff import Backoff
from onward.put.client import ChunkApi, Refused
from onward.put.faults import Ended, NotTaken, OutOfPatience
from onward.put.plan import Cut, other_chunk_size
from onward.put.progress import Track
from onward.put.source import Chunk, Source

ROUNDS: Final = 5
"""How often the server may find bytes missing or damaged that it had acknowledged."""

WORKED_ON: Final = frozenset({"assembling", "verifying"})
"""States of an upload that is complete and not yet proven."""

POLL: Final = Backoff(first=0.1, most=2.0)


class Lanes:
    """What all files of one run share: how many requests at once, and how many chunks in memory."""

    def __init__(self, parallel: int) -> None:
        self.requests = asyncio.Semaphore(parallel)
        self.chunks = asyncio.Semaphore(parallel + 2)
        self.reading = asyncio.Lock()
        """One file is read at a time, so that files are finished one after the other."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file that the server has in full."""

    id: str
    size: int
    sha256: str
    chunk_size: int
    content: str | None
    """Where it is; ``None`` if its verification was not waited for."""


class Sending:
    """The upload of one file. Safe to begin again at any point, by this process or by another."""

    def __init__(
        self,
        api: ChunkApi,
        lanes: Lanes,
        track: Track,
        *,
        path: str,
        chunk_size: int,
        wait: bool = True,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._lanes = lanes
        self._track = track
        self._name = track.name
        self._path = path
        self._chunk_size = chunk_size
        self._wait = wait
        self._draw = draw
        self._clock = clock
        self._id = ""
        self._digests: list[bytes] = []

    async def run(self) -> Sent:
        """Send the file. Raises ``Ended``."""
        source = await asyncio.to_thread(Source, self._path)
        try:
            self._track.size = source.size
            cut, standing = await self._begin(source.size)
            try:
                async with asyncio.TaskGroup() as tasks, self._lanes.reading:
                    await self._read_through(source, cut, standing, tasks)
            except BaseExceptionGroup as group:
                raise _first(group) from None
            sha256 = await asyncio.to_thread(source.sha256)
            if standing.state != "done":
                standing = await self._finish(source, cut, sha256)
        finally:
            await asyncio.to_thread(source.close)
        content = self._proven(standing, cut, sha256) if self._wait else None
        return Sent(id=self._id, size=cut.size, sha256=sha256.hex(), chunk_size=cut.chunk_size, content=content)

    async def _begin(self, size: int) -> tuple[Cut, Standing]:
        """The chunks as server and file allow, and what the server has, if it has anything."""
        cut = Cut(size, self._chunk_size)
        for _ in range(ROUNDS):
            try:
                begun = await self._api.declare(self._name, cut, self._track)
            except Refused as refused:
                if refused.code == "name-taken":
                    return await self._finished_before(cut, refused)
                other = other_chunk_size(cut, refused.code, refused.facts)
                if other is None or other == cut.chunk_size:
                    raise
                cut = Cut(size, other)
                continue
            self._id = begun.id
            return cut, Standing(id=begun.id, state=begun.state) if begun.is_blank else await self._look()
        raise NotTaken("no chunk size suits the server", code="chunk-size")

    async def _finished_before(self, cut: Cut, refused: Refused) -> tuple[Cut, Standing]:
        """The finished file of this name, if it may be ours: then it is only read and compared."""
        standing = await self._api.standing(self._name, self._track)
        if standing.state != "done" or standing.result is None or standing.result.size != cut.size:
            raise refused
        self._id = standing.id
        return Cut(cut.size, standing.chunk_size or cut.chunk_size), standing

    async def _look(self) -> Standing:
        standing = await self._api.standing(self._name, self._track)
        self._check_id(standing.id)
        return standing

    def _check_id(self, id: str) -> None:
        if id != self._id:
            raise NotTaken("somebody cancelled this upload and began another of this name", code="replaced")

    # -- the bytes ----------------------------------------------------------------------------------

    async def _read_through(
        self, source: Source, cut: Cut, standing: Standing | None, tasks: asyncio.TaskGroup
    ) -> None:
        parts = [] if standing is None else standing.chunks
        known = cut.known((part.offset, part.size, part.sha256) for part in parts)
        over = standing is not None and standing.state != "receiving"
        for number in range(1, cut.count + 1):
            size = cut.span(number)[1]
            await self._lanes.chunks.acquire()
            handed_on = False
            try:
                chunk = await asyncio.to_thread(source.next, number, size)
                self._digests.append(chunk.sha256)
                stored = known.get(number)
                if stored is not None and stored != chunk.sha256.hex():
                    raise NotTaken(
                        f"another file is stored under the name {self._name!r}: its chunk {number} differs. "
                        "Nothing was changed; choose another name with --name, or cancel that upload.",
                        code="part-conflict",
                    )
                if stored is not None or over:
                    self._track.found(size)
                else:
                    tasks.create_task(self._send(chunk, cut))
                    handed_on = True
            finally:
                if not handed_on:
                    self._lanes.chunks.release()

    async def _send(self, chunk: Chunk, cut: Cut) -> None:
        try:
            async with self._lanes.requests:
                accepted = await self._api.store(self._name, chunk, cut, self._track)
        finally:
            self._lanes.chunks.release()
        self._check_id(accepted.id)
        self._api.patience.renew()
        self._track.stored(len(chunk.data))

    async def _send_again(self, source: Source, cut: Cut, numbers: Iterable[int]) -> None:
        """Send what the server has lost; the file must still be what it was."""
        async with asyncio.TaskGroup() as tasks:
            for number in numbers:
                await self._lanes.chunks.acquire()
                handed_on = False
                try:
                    start, size = cut.span(number)
                    chunk = await asyncio.to_thread(source.at, number, start, size)
                    if chunk.sha256 != self._digests[number - 1]:
                        raise NotTaken("the file changed while it was sent", code="file-changed")
                    self._track.lost(size)
                    tasks.create_task(self._send(chunk, cut))
                    handed_on = True
                finally:
                    if not handed_on:
                        self._lanes.chunks.release()

    # -- the end ------------------------------------------------------------------------------------

    async def _finish(self, source: Source, cut: Cut, sha256: bytes) -> Standing:
        """Complete and, if that is wanted, wait until the file is there; sends again what the server lost."""
        for _ in range(ROUNDS):
            try:
                accepted = await self._api.complete(self._name, cut, sha256, self._track)
            except Refused as refused:
                if refused.code != "incomplete":
                    raise
                standing = await self._look()
            else:
                self._check_id(accepted.id)
                self._api.patience.renew()
                standing = await (self._verified(cut) if self._wait else self._look())
            if standing.state == "done" or (not self._wait and standing.state in WORKED_ON):
                return standing
            if standing.state != "receiving":
                raise _over(standing)
            try:
                await self._send_again(source, cut, cut.numbers(standing.missing or []))
            except BaseExceptionGroup as group:
                raise _first(group) from None
        raise NotTaken("the server keeps losing what it has acknowledged", code="damaged")

    async def _verified(self, cut: Cut) -> Standing:
        """The standing once the worker is through with the upload."""
        self._track.verified = (0, cut.size)
        seen: object = None
        polls, began = 0, self._clock()
        while True:
            standing = await self._look()
            if standing.state not in WORKED_ON:
                return standing
            if standing.progress is not None:
                self._track.verified = (standing.progress.done, standing.progress.total)
            if standing.progress != seen:
                seen, began = standing.progress, self._clock()
            if self._api.patience.left(began) <= 0:
                raise OutOfPatience(
                    "every byte is stored, but the server does not get on with verifying; "
                    "run the same command later to learn the result",
                    code="gave-up",
                )
            polls += 1
            await asyncio.sleep(POLL.ceiling(polls) * (0.5 + self._draw() / 2))

    def _proven(self, standing: Standing, cut: Cut, sha256: bytes) -> str:
        result = standing.result
        if result is None or result.size != cut.size or result.sha256 != sha256.hex():
            raise NotTaken(
                f"the server has another file under the name {self._name!r}; it was not changed. "
                "Choose another name with --name.",
                code="different-file",
            )
        return result.content


def _over(standing: Standing) -> NotTaken:
    failure = standing.failure
    if failure is not None:
        return NotTaken(f"the upload failed: {failure.detail}", code=failure.code)
    return NotTaken(f"the upload is {standing.state}", code=standing.state)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that ended the group; a plain end of ours goes before what it caused."""
    leaves: list[BaseException] = []
    heap: list[BaseException] = [group]
    while heap:
        error = heap.pop(0)
        if isinstance(error, BaseExceptionGroup):
            heap.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, Ended)), leaves[0])
