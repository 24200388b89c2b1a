"""By the chunk API: many chunks at once, in any order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from onward.put.answers import Standing
from onward.put.asking import Refused
from onward.put.chunk_api import ChunkApi
from onward.put.errand import ROUNDS, Errand, Sent
from onward.put.faults import Ended, NotTaken
from onward.put.plan import Cut, other_chunk_size
from onward.put.proof import WORKED_ON, content_of, over, verified
from onward.put.source import Chunk, Source


class Chunked:
    """The upload of one file by the chunk API. Fulfils ``Way``."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._api = ChunkApi(errand.asker, errand.base, errand.name)
        self._asker = errand.asker
        self._lanes = errand.lanes
        self._track = errand.track
        self._wait = errand.wait
        self._id = ""
        self._digests: list[bytes] = []

    async def run(self) -> Sent:
        """Send the file. Raises ``Ended``."""
        source = await asyncio.to_thread(Source, self._errand.path)
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
        content = content_of(standing, cut.size, sha256, other=self._other()) if self._wait else None
        return Sent(id=self._id, size=cut.size, sha256=sha256.hex(), chunk_size=cut.chunk_size, content=content)

    async def _begin(self, size: int) -> tuple[Cut, Standing]:
        """The chunks as server and file allow, and what the server has, if it has anything."""
        cut = Cut(size, self._errand.chunk_size)
        for _ in range(ROUNDS):
            try:
                begun = await self._api.declare(cut)
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
        standing = await self._api.standing()
        if standing.state != "done" or standing.result is None or standing.result.size != cut.size:
            raise refused
        self._id = standing.id
        return Cut(cut.size, standing.chunk_size or cut.chunk_size), standing

    async def _look(self) -> Standing:
        standing = await self._api.standing()
        self._check_id(standing.id)
        return standing

    def _check_id(self, id: str) -> None:
        if id != self._id:
            raise NotTaken("somebody cancelled this upload and began another of this name", code="replaced")

    # -- the bytes ----------------------------------------------------------------------------------

    async def _read_through(self, source: Source, cut: Cut, standing: Standing, tasks: asyncio.TaskGroup) -> None:
        known = cut.known((part.offset, part.size, part.sha256) for part in standing.chunks)
        takes_more = standing.state == "receiving"
        for number in range(1, cut.count + 1):
            size = cut.span(number)[1]
            async with self._room() as room:
                chunk = await asyncio.to_thread(source.next, number, size)
                self._digests.append(chunk.sha256)
                stored = known.get(number)
                if stored is not None and stored != chunk.sha256.hex():
                    raise NotTaken(
                        f"another file is stored under the name {self._errand.name!r}: its chunk {number} differs. "
                        "Nothing was changed; choose another name with --name, or cancel that upload.",
                        code="part-conflict",
                    )
                if stored is not None or not takes_more:
                    self._track.found(size)
                else:
                    tasks.create_task(self._send(chunk, cut)).add_done_callback(_freeing(room))

    @contextlib.asynccontextmanager
    async def _room(self) -> AsyncIterator[contextlib.ExitStack]:
        """Memory for one more chunk, free again when the block ends; or when a task does that it was passed on to."""
        await self._lanes.chunks.acquire()
        with contextlib.ExitStack() as room:
            room.callback(self._lanes.chunks.release)
            yield room

    async def _send(self, chunk: Chunk, cut: Cut) -> None:
        async with self._lanes.requests:
            accepted = await self._api.store(chunk, cut)
        self._check_id(accepted.id)
        self._asker.patience.renew()
        self._track.stored(len(chunk.data))

    async def _send_again(self, source: Source, cut: Cut, numbers: Iterable[int]) -> None:
        """Send what the server has lost; the file must still be what it was."""
        async with asyncio.TaskGroup() as tasks:
            for number in numbers:
                async with self._room() as room:
                    start, size = cut.span(number)
                    chunk = await asyncio.to_thread(source.at, number, start, size)
                    if chunk.sha256 != self._digests[number - 1]:
                        raise NotTaken("the file changed while it was sent", code="file-changed")
                    self._track.lost(size)
                    tasks.create_task(self._send(chunk, cut)).add_done_callback(_freeing(room))

    # -- the end ------------------------------------------------------------------------------------

    async def _finish(self, source: Source, cut: Cut, sha256: bytes) -> Standing:
        """Complete and, if that is wanted, wait until the file is there; sends again what the server lost."""
        for _ in range(ROUNDS):
            try:
                accepted = await self._api.complete(cut, sha256)
            except Refused as refused:
                if refused.code != "incomplete":
                    raise
                standing = await self._look()
            else:
                self._check_id(accepted.id)
                self._asker.patience.renew()
                standing = await (verified(self._look, self._asker, self._track) if self._wait else self._look())
            if standing.state == "done" or (not self._wait and standing.state in WORKED_ON):
                return standing
            if standing.state != "receiving":
                raise over(standing)
            try:
                await self._send_again(source, cut, cut.numbers(standing.missing or []))
            except BaseExceptionGroup as group:
                raise _first(group) from None
        raise NotTaken("the server keeps losing what it has acknowledged", code="damaged")

    def _other(self) -> str:
        return (
            f"the server has another file under the name {self._errand.name!r}; it was not changed. "
            "Choose another name with --name."
        )


def _freeing(room: contextlib.ExitStack) -> Callable[[object], None]:
    """Pass the room on to a task, which frees it at its end even if it never came to begin."""
    kept = room.pop_all()
    return lambda _: kept.close()


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
