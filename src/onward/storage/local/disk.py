"""What all local work shares: the file system, the threads that may touch it, and the places."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, Final, TypeVar

import anyio

from onward.core.types import Buffer, UploadId, is_id
from onward.errors import Locked, NoSpace, NotFound, ServerFault, StorageFault
from onward.storage.fs import Fs

log: Final = logging.getLogger(__name__)

UPLOADS: Final = "uploads"
FILES: Final = "files"
MANIFESTS: Final = "manifests"
TRASH: Final = "trash"
NAMES: Final = ("data", "out")
"""What the file of the whole is called in its scratch: of a flat upload, of a numbered one."""

_T = TypeVar("_T")
_VECTORS: Final = 512  # half of IOV_MAX
_NO_COPY: Final = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}
_REMEMBERED: Final = 50_000


class Disk:
    """Runs work on disk threads and turns what the kernel says into what a caller may hear."""

    def __init__(self, fs: Fs, threads: Executor, token: Callable[[], str], *, lots: Executor | None = None) -> None:
        """``lots``: the threads that hash and write, if they are others."""
        self.fs = fs
        self.threads = threads
        self._lots = lots or threads
        self.token = token
        self._settled: set[str] = set()
        self._anchored: set[str] = set()
        """Directories that are never removed and whose own name is durable."""
        self._changes = 0
        self.bodies = 0
        """Bodies that are being written."""
        self.kernel_copies = True
        """False once the kernel has said that it cannot copy here."""

    def start(self, work: Callable[[], _T]) -> Future[_T]:
        """Begin work on a disk thread; ``ended`` must be awaited for it."""
        return self.threads.submit(work)

    def start_lot(self, work: Callable[[], None]) -> Future[None]:
        """The same for work that hashes and writes, which keeps a processor busy."""
        return self._lots.submit(work)

    async def run(self, work: Callable[[], _T]) -> _T:
        """Do work on a disk thread. A cancelled caller leaves only after the work has ended."""
        return await self.ended(self.start(work))

    async def ended(self, future: Future[_T]) -> _T:
        """Wait until the work is over, whatever happens to the caller, who owns the open files."""
        try:
            return await _over(future)
        except OSError as error:
            raise fault(error) from error

    async def all_ended(self, *futures: Future[Any]) -> None:
        """Wait until all of the work is over, then raise what the first failure was."""
        failure: BaseException | None = None
        for future in futures:
            try:
                await self.ended(future)
            except BaseException as error:  # noqa: BLE001, raised below
                failure = failure or error
        if failure is not None:
            raise failure

    # -- what survives a power cut ----------------------------------------------------------------

    def settle(self, directory: str) -> bool:
        """Make the names of ``directory`` and of all above it durable, once; true if it synced them."""
        if directory in self._settled:
            return False
        before = self._changes
        path = directory
        while path:
            self.fs.sync_dir(path)
            if path in self._anchored:
                break
            path = path.rpartition("/")[0]
        shard = directory.rpartition("/")[0]
        if shard.count("/") == 1:
            self._anchored.add(shard)
        if len(self._settled) >= _REMEMBERED:
            self._settled.clear()  # costs a few syncs, no truth
        if self._changes == before:  # else another thread may have begun the same place anew
            self._settled.add(directory)
        return True

    def unsettle(self, directory: str) -> None:
        """A name was added to ``directory``, or it is another one."""
        self._changes += 1
        self._settled.discard(directory)
        self._anchored.discard(directory)

    def make(self, directory: str) -> None:
        """Make a directory and what lacks above it; not durable until settled."""
        try:
            self.fs.mkdir(directory)
        except FileExistsError:
            return
        except FileNotFoundError:
            self.make(directory.rpartition("/")[0])
            with suppress(FileExistsError):  # somebody else makes the same one
                self.fs.mkdir(directory)
        self.unsettle(directory)

    # -- small things -----------------------------------------------------------------------------

    def exists(self, path: str) -> bool:
        """True if anything has this name."""
        try:
            self.fs.stat(path)
        except FileNotFoundError:
            return False
        return True

    def open_shared(self, path: str) -> int:
        """Open a file for reading, its lock shared with its writers. Raises ``Locked`` if somebody has it alone."""
        fd = self.fs.open(path, os.O_RDONLY)
        shared = False
        try:
            shared = self.fs.lock(fd, exclusive=False)
        finally:
            if not shared:
                self.fs.close(fd)
        if not shared:
            raise Locked(retry_after=1)
        return fd

    def forget(self, path: str) -> None:
        """Unlink a file; missing is fine."""
        with suppress(FileNotFoundError):
            self.fs.unlink(path)

    def cannot_copy(self, error: OSError) -> bool:
        """True if the kernel only says that it does not copy between such files; it is not asked again."""
        if error.errno in _NO_COPY:
            self.kernel_copies = False
            return True
        return False

    def write_all(self, fd: int, blocks: list[Buffer], offset: int) -> None:
        """Write every byte of every block, from ``offset`` on."""
        while blocks:
            turn, blocks = blocks[:_VECTORS], blocks[_VECTORS:]
            wrote = self.fs.pwritev(fd, turn, offset)
            offset += wrote
            if wrote < sum(len(block) for block in turn):
                if not wrote:
                    raise OSError(errno.EIO, "nothing was written")
                blocks = [*_beyond(turn, wrote), *blocks]

    def read_full(self, fd: int, block: memoryview, offset: int) -> int:
        """Fill the block, or as much of it as the file has from ``offset`` on."""
        done = 0
        while done < len(block):
            got = self.fs.pread_into(fd, block[done:], offset + done)
            if not got:
                break
            done += got
        return done


async def _over(future: Future[_T]) -> _T:
    if future.done():
        return future.result()
    try:
        await _end(future)
    except asyncio.CancelledError:
        with anyio.CancelScope(shield=True):
            while not future.done():
                with suppress(asyncio.CancelledError):
                    await _end(future)
        raise
    return future.result()


def _end(future: Future[Any]) -> asyncio.Future[None]:
    """Has a result once the work is over, whatever came of it. ``asyncio.wrap_future`` takes three times as long."""
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def over(_: Future[Any]) -> None:
        with suppress(RuntimeError):  # a closed loop has nobody who waits
            loop.call_soon_threadsafe(_wake, waiter)

    future.add_done_callback(over)
    return waiter


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _beyond(blocks: list[Buffer], skip: int) -> list[Buffer]:
    rest: list[Buffer] = []
    for block in blocks:
        if skip < len(block):
            rest.append(memoryview(block)[skip:])
        skip = max(0, skip - len(block))
    return rest


def fault(error: OSError) -> ServerFault:
    """What the caller hears of it; paths and errno go to the log only."""
    log.error("storage: %s", error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace()
    return StorageFault()


def home(id: UploadId) -> str:
    """The directory of an upload's scratch bytes. Raises ``NotFound`` for what is not an id."""
    if not is_id(id):
        raise NotFound
    return f"{UPLOADS}/{id[:2]}/{id}"


def flat(id: UploadId) -> str:
    """The file of a flat upload."""
    return f"{home(id)}/{NAMES[0]}"


def parts(id: UploadId) -> str:
    """The directory of a numbered upload's parts."""
    return home(id) + "/parts"


def assembled(id: UploadId) -> str:
    """The file that a numbered upload's parts are copied into."""
    return f"{home(id)}/{NAMES[1]}"


def manifest(id: UploadId) -> str:
    """Where the manifest of a published upload lies."""
    if not is_id(id):
        raise NotFound
    return f"{MANIFESTS}/{id}.json"
