"""A small file whose bytes the journal had so far: put in its place, read back. Blocking; runs on a disk thread."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from onward.core.digest import SHA256, Hasher
from onward.core.types import Copy, Digest, Plan, UploadId
from onward.errors import Locked
from onward.storage.local.disk import Disk, flat, home
from onward.storage.local.holding import Held, clear_drafts

Proven = tuple[Mapping[str, Digest], Sequence[Copy]]
"""Digests of the whole, and the parts that are damaged."""


def place(disk: Disk, id: UploadId, plan: Plan, data: bytes) -> tuple[Held, Proven]:
    """The file, locked and durable, and what reading it back has shown.

    Repeated after a crash it writes the same bytes again, unless the file is published already.
    Raises ``Locked`` if another assembly has it.
    """
    held = Held(disk, flat(id))
    try:
        fd = _take(disk, id, held)
        if not held.published:
            disk.write_all(fd, [data], 0)
            if disk.fs.fstat(fd).size > plan.size:
                disk.fs.truncate(fd, plan.size)
        disk.fs.fdatasync(fd)
        disk.settle(home(id))
        found = memoryview(bytearray(plan.size))
        return held, _prove(found[: disk.read_full(fd, found, 0)], plan)
    except BaseException:
        held.close()
        raise


def _take(disk: Disk, id: UploadId, held: Held) -> int:
    fs, there = disk.fs, True
    try:
        fd = fs.open(held.path, os.O_RDWR)
    except FileNotFoundError:
        there = False
        disk.make(home(id))
        fd = fs.open(held.path, os.O_RDWR | os.O_CREAT)
        disk.unsettle(home(id))
    held.adopt(fd)
    if not fs.lock(fd, exclusive=True) or held.inode != fs.stat(held.path).inode:
        raise Locked(retry_after=1)
    if there:
        clear_drafts(disk, id)
        held.adopt(fd)
    return fd


def _prove(found: memoryview, plan: Plan) -> Proven:
    """Of what the file system has, whoever put it there."""
    whole = Hasher((SHA256, *plan.algorithms))
    whole.update(found)
    bad = [copy for copy in plan.copies if _digest(copy, found) != copy.digest]
    return whole.digests(), bad


def _digest(copy: Copy, found: memoryview) -> Digest:
    part = Hasher((copy.digest.algorithm,))
    part.update(found[copy.start : copy.start + copy.size])
    return part.digest(copy.digest.algorithm)
