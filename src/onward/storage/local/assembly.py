"""Form the whole and prove it: copy parts in place, read everything back once, hash it twice over."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Final

import anyio.lowlevel

from onward.core.digest import SHA256, Hasher
from onward.core.types import Copy, Digest, Layout, Phase, Plan, UploadId
from onward.errors import NoSpace
from onward.ports import Progress
from onward.storage.local.disk import Disk, flat, parts
from onward.storage.local.holding import Held, copy_some
from onward.storage.local.readback import ReadBack, Take

_COPY: Final = 16 << 20
_TELL: Final = 64 << 20
_LOOK: Final = 0.1
"""Seconds between two looks at how far the reading is."""


class Teller:
    """Tells of progress every so often, and always at the start and at the end."""

    def __init__(self, progress: Progress, phase: Phase, total: int) -> None:
        self._progress = progress
        self._phase = phase
        self._total = total
        self._told = -_TELL

    async def at(self, done: int) -> None:
        """So far, so good. Raises what the listener raises, or that the work is cancelled."""
        await anyio.lowlevel.checkpoint_if_cancelled()
        if done - self._told >= _TELL or (done == self._total and self._told != done):
            self._told = done
            await self._progress(self._phase, done, self._total)


async def assemble(
    disk: Disk, held: Held, plan: Plan, progress: Progress
) -> tuple[Mapping[str, Digest], Sequence[Copy]]:
    """The digests of the whole, and the parts that are missing or damaged."""
    if held.fd is None:
        return Hasher((SHA256, *plan.algorithms)).digests(), plan.copies
    copying = plan.layout is Layout.NUMBERED and not held.published
    try:
        digests, bad = await _verify(disk, held, held.fd, plan, progress, copying=copying)
        if bad and copying:
            # What was copied before a crash or a re-sent part may be old: once more from the parts.
            for copy in bad:
                await _copy_one(disk, held.fd, copy)
            digests, bad = await _verify(disk, held, held.fd, plan, progress)
    except NoSpace:
        if copying:
            # Others can use the room meanwhile; when there is enough, all is copied again.
            await disk.run(partial(disk.fs.truncate, held.fd, 0))
        raise
    return digests, bad


def _trim_and_sync(disk: Disk, held: Held, plan: Plan) -> None:
    fs = disk.fs
    if held.fd is not None:
        if not held.published and fs.fstat(held.fd).size > plan.size:
            fs.truncate(held.fd, plan.size)
        fs.fdatasync(held.fd)


# -- copying --------------------------------------------------------------------------------------


async def _copy_all(disk: Disk, out: int, plan: Plan, progress: Progress, copied: Callable[[int], None]) -> None:
    teller = Teller(progress, Phase.ASSEMBLING, plan.size)
    there = (await disk.run(partial(disk.fs.fstat, out))).size
    await teller.at(0)
    for copy in plan.copies:
        if copy.start + copy.size > there:
            await _copy_one(disk, out, copy, teller)
        copied(copy.start + copy.size)
    await teller.at(plan.size)


async def _copy_one(disk: Disk, out: int, copy: Copy, teller: Teller | None = None) -> None:
    """A part that is missing or short leaves a hole, which reading back will find."""
    source = await disk.run(partial(_open_part, disk, copy))
    if source is None:
        return
    base = copy.key if copy.layout is Layout.FLAT else 0
    done = 0
    try:
        while done < copy.size:
            moved = await disk.run(
                partial(copy_some, disk, (source, base + done), (out, copy.start + done), min(_COPY, copy.size - done))
            )
            if not moved:
                break
            done += moved
            if teller is not None:
                await teller.at(copy.start + done)
    finally:
        await disk.run(partial(disk.fs.close, source))


def _open_part(disk: Disk, copy: Copy) -> int | None:
    if copy.layout is Layout.FLAT:
        return _open_flat(disk, copy.source)
    with suppress(FileNotFoundError):
        return disk.fs.open(f"{parts(copy.source)}/{copy.key}", os.O_RDONLY)
    return None


def _open_flat(disk: Disk, source: UploadId) -> int | None:
    """Another upload's file, shared with its writers. Raises ``Locked`` if it is being assembled itself."""
    with suppress(FileNotFoundError):
        return disk.open_shared(flat(source))
    return None


# -- reading back ---------------------------------------------------------------------------------


class PartCheck:
    """Compares the digest of each part while the whole passes by."""

    def __init__(self, copies: Iterable[Copy]) -> None:
        self._left = sorted(copies, key=lambda copy: (copy.start, copy.size))
        self._left.reverse()
        self._hasher: Hasher | None = None
        self.bad: list[Copy] = []

    def update(self, start: int, block: memoryview) -> None:
        """Take the bytes that lie at ``start`` of the whole."""
        end = start + len(block)
        while self._left and self._left[-1].start < end:
            copy = self._left[-1]
            if self._hasher is None:
                self._hasher = Hasher((copy.digest.algorithm,))
            self._hasher.update(block[max(copy.start - start, 0) : copy.start + copy.size - start])
            if copy.start + copy.size > end:
                return
            self._end(copy)

    def finish(self) -> list[Copy]:
        """No more bytes come: what is not whole by now is bad."""
        while self._left:
            self._end(self._left[-1])
        return self.bad

    def _end(self, copy: Copy) -> None:
        hasher, self._hasher = self._hasher or Hasher((copy.digest.algorithm,)), None
        self._left.pop()
        if hasher.digest(copy.digest.algorithm) != copy.digest:
            self.bad.append(copy)


async def _verify(
    disk: Disk, held: Held, fd: int, plan: Plan, progress: Progress, *, copying: bool = False
) -> tuple[Mapping[str, Digest], Sequence[Copy]]:
    """Copy if need be, sync, and read the whole once, all side by side; every hash has a thread of its own.

    Where the digest is known that the whole must have, it proves all parts at once: these are
    looked at only if it is another one, to find out which of them is not what it was.
    """
    hashers = {name: Hasher((name,)) for name in (SHA256, *plan.algorithms)}
    wanted = _wanted(plan)
    check = PartCheck(() if wanted else plan.copies)
    takers: list[Take] = [partial(_hash, hasher) for hasher in hashers.values()]
    reading = ReadBack(disk, fd, plan.size, takers if wanted else [*takers, check.update])
    work: list[Future[None]] = [reading.over]
    try:
        if copying:
            await _copy_all(disk, fd, plan, progress, reading.may_read)
        work.append(disk.start(partial(_trim_and_sync, disk, held, plan)))
        await _read_to_end(reading, Teller(progress, Phase.VERIFYING, plan.size), plan.size)
    finally:
        reading.stop()
        await disk.all_ended(*work)
    digests = {name: hasher.digest(name) for name, hasher in hashers.items()}
    if wanted is None:
        return digests, check.finish()
    if digests[SHA256] == wanted:
        return digests, ()
    return digests, plan.copies if len(plan.copies) == 1 else await _find_bad(disk, fd, plan, progress)


async def _find_bad(disk: Disk, fd: int, plan: Plan, progress: Progress) -> Sequence[Copy]:
    check = PartCheck(plan.copies)
    reading = ReadBack(disk, fd, plan.size, [check.update])
    try:
        await _read_to_end(reading, Teller(progress, Phase.VERIFYING, plan.size), plan.size)
    finally:
        reading.stop()
        await disk.all_ended(reading.over)
    return check.finish()


async def _read_to_end(reading: ReadBack, teller: Teller, size: int) -> None:
    await teller.at(0)
    reading.may_read(size)
    over = asyncio.wrap_future(reading.over)
    over.add_done_callback(asyncio.Future.exception)  # looked at: it is raised by whoever owns the reading
    while not over.done():
        await asyncio.wait([over], timeout=_LOOK)
        await teller.at(reading.passed)
    await teller.at(reading.passed)


def _hash(hasher: Hasher, _start: int, block: memoryview) -> None:
    hasher.update(block)


def _wanted(plan: Plan) -> Digest | None:
    """What the SHA-256 of the whole must be, if that is known: from the client, or from a part that is the whole."""
    if len(plan.copies) == 1 and plan.copies[0].size == plan.size:
        return plan.copies[0].digest
    return plan.digest
