"""Buffers that are used again: never while somebody looks, never more than there are."""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Iterator
from queue import Queue
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.core.buffers import SIZE, SMALL, SPARE, WORTH, Buffers, lasting
from onward.core.types import Buffer
from onward.testing.storage_steps import still_lent

MOST: Final = 3


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    """A buffer comes back when the last view goes, not when the collector happens to run."""
    gc.disable()
    yield
    gc.enable()


def nobody() -> None:
    """Nobody waits for a buffer."""


def read(buffers: Buffers, size: int, fill: int) -> Buffer:
    """What a server does with bytes that have come. The first, the last and those on page borders are written."""
    room = buffers.room()
    size = min(size, len(room))
    room[:size:4096] = bytes([fill]) * len(range(0, size, 4096))
    room[size - 1] = fill
    return buffers.keep(size)


def written(block: Buffer) -> set[int]:
    return {*block[::4096], block[-1]}


def full(buffers: Buffers) -> bool:
    """Asked anew each time, also in the eyes of a type checker."""
    return buffers.exhausted


SIZES: Final = st.one_of(st.integers(1, SIZE), st.sampled_from([1, SMALL - 1, SMALL, SIZE - WORTH, SIZE]))


@given(steps=st.lists(st.tuples(SIZES, st.integers(0, 9)), max_size=24))
def test_bytes_stay_as_they_are_for_as_long_as_they_are_held(steps: list[tuple[int, int]]) -> None:
    buffers = Buffers(MOST, nobody)
    held: list[tuple[int, Buffer]] = []
    for fill, (size, drop) in enumerate(steps):
        held.append((fill, read(buffers, size, fill)))
        assert buffers.lent <= MOST
        if drop < len(held):
            # A part of it is still a view of the same bytes.
            held[drop] = (held[drop][0], memoryview(held[drop][1])[-1:])
        elif held:
            held.pop(drop % len(held))
        assert all(written(block) == {expected} for expected, block in held)
        assert all(lasting(block) for _, block in held)
    held.clear()
    assert still_lent(buffers) == 0


def test_all_can_be_lent_and_then_bytes_are_copied() -> None:
    freed = threading.Semaphore(0)
    buffers = Buffers(MOST, freed.release)
    held = [read(buffers, SIZE, n) for n in range(MOST)]
    assert full(buffers)
    assert buffers.lent == MOST
    spare = read(buffers, SIZE, 9)
    assert isinstance(spare, bytes)
    assert len(spare) == SPARE
    assert not freed.acquire(blocking=False)
    held.pop()
    assert freed.acquire(blocking=False)
    assert not full(buffers)
    assert isinstance(read(buffers, SIZE, 9), memoryview)


def test_few_bytes_hold_no_buffer() -> None:
    buffers = Buffers(MOST, nobody)
    held = [read(buffers, SMALL - 1, n) for n in range(100)]
    assert {type(block) for block in held} == {bytes}
    assert still_lent(buffers) == 0


def test_reads_share_a_buffer_one_behind_the_other() -> None:
    buffers = Buffers(MOST, nobody)
    first, second = read(buffers, SMALL, 1), read(buffers, SMALL, 2)
    assert isinstance(first, memoryview)
    assert isinstance(second, memoryview)
    assert first.obj is second.obj
    del first
    assert written(second) == {2}


def test_memory_that_nobody_uses_is_given_back() -> None:
    buffers = Buffers(MOST, nobody)
    held = [read(buffers, SIZE, n) for n in range(2)]
    held.pop()
    buffers.trim()
    assert buffers.lent == 1
    held += [read(buffers, SIZE, n) for n in range(2)]
    assert buffers.exhausted


def test_bytes_last_and_what_others_own_does_not() -> None:
    assert lasting(b"a")
    assert lasting(memoryview(b"abc")[1:])
    assert not lasting(bytearray(b"a"))
    assert not lasting(memoryview(bytearray(b"abc")))


def test_threads_that_still_read_see_what_was_handed_to_them() -> None:
    """Many more bytes than there are buffers, hashed by threads that are slower than the reader."""
    buffers = Buffers(MOST, nobody)
    work: Queue[tuple[Buffer, str] | None] = Queue(maxsize=2 * MOST)
    wrong: list[str] = []

    def hash_all() -> None:
        while (one := work.get()) is not None:
            block, expected = one
            del one
            if hashlib.sha256(block).hexdigest() != expected:
                wrong.append(expected)
            del block

    threads = [threading.Thread(target=hash_all) for _ in range(2)]
    for thread in threads:
        thread.start()
    random = Random(1)
    views = 0
    for _ in range(120):
        room = buffers.room()
        size = random.randint(1, len(room))
        room[:size] = data = random.randbytes(size)
        del room
        kept = buffers.keep(size)
        views += isinstance(kept, memoryview)
        assert buffers.lent <= MOST
        work.put((kept, hashlib.sha256(data).hexdigest()))
        del kept
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    assert wrong == []
    assert views > 20
    assert still_lent(buffers) == 0
