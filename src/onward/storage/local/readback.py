"""Read a file once, from its start to its end, while several look at each block: all of it on disk threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Final

from onward.storage.local.disk import Disk

BLOCK: Final = 1 << 20
"""Bytes that are read at a time."""
BLOCKS: Final = 6
"""Blocks that are reused: as far the quickest may be ahead of the slowest."""

Take = Callable[[int, memoryview], None]
"""Looks at the bytes that lie at a place of the file; when it has returned, others are read into the same memory."""


class _Block:
    """Memory that is read into again and again, and what of the file is in it."""

    def __init__(self, size: int) -> None:
        self.bytes = memoryview(bytearray(size))
        self.start = 0
        self.size = 0
        self.users = 0


class _Lane:
    """One who looks: at blocks in order, on one thread at a time, and on none while there are none."""

    def __init__(self, take: Take) -> None:
        self.take = take
        self.blocks: deque[_Block] = deque()
        self.at_work = False


class ReadBack:
    """A pass over a file, as far as that is ready. No thread ever waits for another one.

    Each of ``takers`` is given every block, in order; they are at it side by side, and the next
    blocks are read meanwhile. ``over`` ends when all is read and taken, or after ``stop`` when no
    thread is at it any more. A failure ends the pass, and is what ``over`` raises.
    """

    def __init__(self, disk: Disk, fd: int, size: int, takers: Sequence[Take]) -> None:
        """``size``: bytes that the file is to have; it may have less."""
        self._disk = disk
        self._fd = fd
        self._size = size
        self._lock = threading.Lock()
        self._lanes = [_Lane(take) for take in takers]
        # No more than is needed: to make all of it costs more than all else that a small file does.
        self._free = [_Block(min(BLOCK, size)) for _ in range(min(BLOCKS, -(-size // BLOCK)))]
        self._ready = 0
        self._at = 0
        self._reading = False
        self._threads = 0
        self._ended = not size
        self._over = False
        self._failure: BaseException | None = None
        self.passed = 0
        """Bytes that all takers are done with."""
        self.over: Future[None] = Future()

    def may_read(self, end: int) -> None:
        """From now on everything before ``end`` may be read; the size of the whole: it is not going to grow."""
        with self._lock:
            self._ready = max(self._ready, end)
        self._go_on()

    def stop(self) -> None:
        """Read no more. What is under way ends by itself, soon."""
        with self._lock:
            self._ended = True
        self._go_on()

    def _go_on(self) -> None:
        with self._lock:
            begin = not self._reading and self._can_read()
            if begin:
                self._reading = True
                self._threads += 1
        if begin:
            self._begin(self._read)
        self._end_if_over()

    def _can_read(self) -> bool:
        return bool(self._free) and self._at < self._ready and not self._ended

    def _end_if_over(self) -> None:
        with self._lock:
            if not self._ended or self._threads or self._over:
                return
            self._over = True
        if self._failure is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(self._failure)

    def _begin(self, work: Callable[[], None]) -> None:
        try:
            self._disk.start(work)
        except RuntimeError as error:  # the threads are closed
            self._fail(error)
            self._leave()

    # -- on disk threads --------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while (turn := self._next_turn()) is not None:
                block, ready = turn
                block.size = self._disk.read_full(self._fd, block.bytes[: ready - block.start], block.start)
                for lane in self._filled(block, ready):
                    self._begin(partial(self._work, lane))
        except BaseException as error:  # noqa: BLE001, raised to whoever waits for the end
            self._fail(error)
        self._leave()

    def _next_turn(self) -> tuple[_Block, int] | None:
        """The block to read into, and how far the file is ready before it is looked at."""
        with self._lock:
            if not self._can_read():
                self._reading = False
                return None
            block = self._free.pop()
            block.start, block.users = self._at, len(self._lanes)
            return block, self._ready

    def _filled(self, block: _Block, ready: int) -> list[_Lane]:
        """Hand a block round; the lanes that need a thread for it."""
        with self._lock:
            self._at += block.size
            if not block.size:
                self._free.append(block)
                if ready >= self._size:
                    self._ended = True
                elif self._ready == ready:
                    self._ready = self._at  # a hole at the end so far; told of what comes after it, this goes on
                return []
            self._ended = self._ended or self._at >= self._size
            asleep = [lane for lane in self._lanes if not lane.at_work]
            for lane in self._lanes:
                lane.blocks.append(block)
                lane.at_work = True
            self._threads += len(asleep)
            return asleep

    def _work(self, lane: _Lane) -> None:
        try:
            while (block := self._next_block(lane)) is not None:
                lane.take(block.start, block.bytes[: block.size])
                self._taken(block)
        except BaseException as error:  # noqa: BLE001, raised to whoever waits for the end
            self._fail(error)
        self._leave()

    def _next_block(self, lane: _Lane) -> _Block | None:
        with self._lock:
            if not lane.blocks:
                lane.at_work = False
                return None
            return lane.blocks.popleft()

    def _taken(self, block: _Block) -> None:
        with self._lock:
            block.users -= 1
            if block.users:
                return
            self.passed = block.start + block.size
            self._free.append(block)
        self._go_on()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or error
            self._ended = True
            for lane in self._lanes:
                lane.blocks.clear()

    def _leave(self) -> None:
        with self._lock:
            self._threads -= 1
        self._end_if_over()
