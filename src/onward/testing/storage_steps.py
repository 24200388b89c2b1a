"""The steps that storage tests are made of: bodies, plans, and whole uploads in one go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Final

import anyio
from msgspec.structs import replace

from onward.core.buffers import Buffers
from onward.core.digest import SHA256, sha256
from onward.core.types import Buffer, Copy, Layout, Phase, Plan, Spec, UploadId, make_id
from onward.errors import ClientGone
from onward.ports import Blob, OnConflict, Storage, Written

ID: Final = make_id(bytes(range(16)))
OTHER: Final = make_id(bytes(range(100, 116)))
PART: Final = 300_000


def some_bytes(size: int, seed: int = 0) -> bytes:
    """Bytes without a pattern, the same for the same seed."""
    return Random(seed).randbytes(size)


async def stream(data: bytes, piece: int = 65_536) -> AsyncIterator[Buffer]:
    """A body that uses one buffer again and again, as a server may."""
    buffer = bytearray(piece)
    for at in range(0, len(data), piece):
        size = min(piece, len(data) - at)
        buffer[:size] = data[at : at + size]
        yield memoryview(buffer)[:size]
        buffer[:size] = bytes(size)


async def lent(data: bytes, buffers: Buffers) -> AsyncIterator[Buffer]:
    """A body in buffers that are used again as soon as nobody looks at them any more."""
    at = 0
    while at < len(data):
        room = buffers.room()
        size = min(len(room), len(data) - at)
        room[:size] = data[at : at + size]
        del room
        yield buffers.keep(size)
        at += size


async def all_back(buffers: Buffers) -> None:
    """Wait until nobody holds a block any more; a thread may let go a moment after its work is done."""
    with anyio.fail_after(30):
        while still_lent(buffers):  # noqa: ASYNC110  # a buffer that comes back tells only who waits for one
            await anyio.sleep(0.01)


def still_lent(buffers: Buffers) -> int:
    """How many buffers hold bytes that somebody looks at."""
    buffers.trim()
    return buffers.lent


async def cut(data: bytes, keep: int) -> AsyncIterator[Buffer]:
    """A body whose sender goes away after ``keep`` bytes."""
    async for block in stream(data[:keep]):
        yield block
    raise ClientGone


async def put(
    storage: Storage, layout: Layout, key: int, data: bytes, *, id: UploadId = ID, durable: bool = True
) -> Written:
    """Write one body."""
    return await storage.write(id, layout, key, stream(data), algorithms=(), durable=durable)


async def gather(blocks: AsyncIterator[Buffer]) -> bytes:
    """All bytes of a stream."""
    found = bytearray()
    async for block in blocks:
        found += block
    return bytes(found)


async def no_progress(_phase: Phase, _done: int, _total: int) -> None:
    """Nobody listens."""


def make_plan(
    layout: Layout, pieces: Sequence[bytes], id: UploadId = ID, algorithms: tuple[str, ...] = (SHA256,)
) -> Plan:
    """How pieces in order form the whole."""
    copies: list[Copy] = []
    at = 0
    for number, piece in enumerate(pieces, 1):
        key = at if layout is Layout.FLAT else number
        copies.append(Copy(source=id, layout=layout, key=key, start=at, size=len(piece), digest=sha256(piece)))
        at += len(piece)
    return Plan(layout=layout, size=at, algorithms=algorithms, copies=tuple(copies))


def make_joint(sources: Sequence[tuple[UploadId, Layout, Sequence[bytes]]]) -> Plan:
    """How other uploads, each stored in pieces, form one whole."""
    copies: list[Copy] = []
    at = 0
    for id, layout, pieces in sources:
        copies += [replace(copy, start=at + copy.start) for copy in make_plan(layout, pieces, id).copies]
        at += sum(len(piece) for piece in pieces)
    return Plan(layout=Layout.NUMBERED, size=at, algorithms=(SHA256,), copies=tuple(copies))


async def put_all(storage: Storage, plan: Plan, pieces: Sequence[bytes], id: UploadId = ID) -> None:
    """Write all pieces of a plan."""
    await storage.open(id, Spec())
    for copy, piece in zip(plan.copies, pieces, strict=True):
        await put(storage, plan.layout, copy.key, piece, id=id)


async def bad_keys(storage: Storage, plan: Plan, id: UploadId = ID) -> list[int]:
    """Which parts reading back finds damaged."""
    async with storage.assembling(id, plan, no_progress) as assembly:
        return sorted(copy.key for copy in assembly.bad)


async def publish(
    storage: Storage,
    data: bytes,
    *,
    id: UploadId = ID,
    name: str = "name.bin",
    fallback: str | None = None,
    on_conflict: OnConflict = OnConflict.REFUSE,
    layout: Layout = Layout.FLAT,
) -> Blob:
    """Store, assemble and publish a whole in one go."""
    plan = make_plan(layout, [data], id)
    await put_all(storage, plan, [data], id)
    async with storage.assembling(id, plan, no_progress) as assembly:
        assert not assembly.bad
        spare = f"{id}/name.bin" if fallback is None else fallback
        return await assembly.publish(name, spare, on_conflict, b"manifest of " + id.encode())


async def whole(storage: Storage, blob: Blob) -> bytes:
    """Everything that was published under a name."""
    return await gather(storage.read(blob.ref, 0, await storage.stat(blob.ref)))


async def publish_again(storage: Storage, data: bytes, id: UploadId, on_conflict: OnConflict) -> Blob:
    """Assemble and publish once more what still lies in scratch."""
    async with storage.assembling(id, make_plan(Layout.FLAT, [data], id), no_progress) as assembly:
        assert not assembly.bad
        return await assembly.publish("name.bin", f"{id}/name.bin", on_conflict, b"{}")
