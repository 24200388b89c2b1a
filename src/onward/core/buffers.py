"""Memory that bodies are read into, and that is used again as soon as nobody looks at it any more.

Nothing is ever given back by hand: a buffer is free when the last view of it has gone, whichever
thread that was in. So bytes cannot change under a thread that still reads them, whatever becomes
of the request they came with.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Final

from onward.core.types import Buffer

SIZE: Final = 2 << 20
"""Bytes of one buffer: the most that one read brings. Smaller ones cost more changes of thread."""
WORTH: Final = 512 << 10
"""What is left of a buffer takes further reads as long as it is so many bytes."""
SMALL: Final = 256 << 10
"""Fewer bytes are copied: they may have to wait for others before they are worth a write, and would hold a buffer."""
SPARE: Final = 64 << 10
"""The most that one read brings when all buffers are lent; it is copied."""


class _Loan(ctypes.Array[ctypes.c_ubyte]):
    """One use of a buffer. Views of it keep it alive; when it dies the memory is free."""

    _type_ = ctypes.c_ubyte
    _length_ = SIZE

    memory: mmap.mmap
    home: Buffers

    def __del__(self) -> None:
        self.home.come_back(self.memory)


class Buffers:
    """A fixed number of equal buffers, made when they are first needed.

    Reading goes in two steps with nothing between them: ``room``, then ``keep``. All readers on
    one event loop share the buffer that is read into, one behind the other, so one that waits for
    bytes holds none.
    """

    def __init__(self, most: int, freed: Callable[[], None]) -> None:
        """``most``: how many there are. ``freed`` is called when one has come back, on whatever thread that is."""
        self.most = most
        self._freed = freed
        self._free: list[mmap.mmap] = []
        self.made = 0
        """How many of them take memory."""
        self._room: memoryview | None = None
        self._spare = memoryview(bytearray(SPARE))

    @property
    def lent(self) -> int:
        """How many hold bytes that somebody looks at, give or take the one that is read into."""
        return self.made - len(self._free) - (self._room is not None)

    @property
    def exhausted(self) -> bool:
        """True when all are lent: what is read now has to be copied."""
        return self._room is None and not self._free and self.made >= self.most

    def come_back(self, memory: mmap.mmap) -> None:
        """Only for a loan that dies."""
        self._free.append(memory)
        self._freed()

    def room(self) -> memoryview:
        """Where the next bytes may be read to."""
        if self._room is None:
            self._room = self._lend()
        return self._spare if self._room is None else self._room

    def keep(self, size: int) -> Buffer:
        """The first ``size`` bytes of the room, which nobody will change as long as they are held."""
        room = self._room
        if room is None:
            return bytes(self._spare[:size])
        if size < SMALL:
            return bytes(room[:size])
        self._room = room[size:] if len(room) - size >= WORTH else None
        return room[:size]

    def trim(self) -> None:
        """Give memory that nobody uses back to the system."""
        self._room = None
        while self._free:
            self._free.pop()
            self.made -= 1

    def _lend(self) -> memoryview | None:
        if self._free:
            memory = self._free.pop()
        elif self.made < self.most:
            self.made += 1
            memory = mmap.mmap(-1, SIZE)
        else:
            return None
        loan = _Loan.from_buffer(memory)
        loan.memory, loan.home = memory, self
        return memoryview(loan).cast("B")


def lasting(block: Buffer) -> bool:
    """True for bytes that nobody changes as long as somebody holds them; others may be overwritten at any time."""
    return isinstance(block.obj if isinstance(block, memoryview) else block, bytes | _Loan)
