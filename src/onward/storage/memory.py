"""``Storage`` in memory: for tests and trials. Nothing survives the process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import chain

from onward.core.digest import SHA256, Hasher
from onward.core.types import Buffer, Copy, Digest, Layout, Phase, Plan, Spec, UploadId
from onward.errors import AlreadyComplete, Locked, NotFound, StorageFault
from onward.ports import Blob, OnConflict, Progress, Written
from onward.storage import naming

_BLOCK = 1 << 20


class _Scratch:
    """The bytes of one upload."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.parts: dict[int, bytes] = {}


class MemoryStorage:
    """Keeps bytes in dictionaries, by the same contract as every other storage."""

    def __init__(self) -> None:
        self._scratch: dict[UploadId, _Scratch] = {}
        self._blobs: dict[str, tuple[UploadId, bytes]] = {}
        self._manifests: dict[UploadId, bytes] = {}
        self._held: set[UploadId] = set()

    async def open(self, id: UploadId, spec: Spec) -> str:
        """Nothing to do."""
        return ""

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
        """Take the whole body, then keep it."""
        self._refuse_late(id)
        hasher, kept = Hasher((SHA256, *algorithms)), bytearray()
        async for block in body:
            hasher.update(block)
            kept += block
        self._refuse_late(id)
        scratch = self._scratch.setdefault(id, _Scratch())
        if layout is Layout.NUMBERED:
            scratch.parts[key] = bytes(kept)
        else:
            scratch.data += bytes(max(0, key - len(scratch.data)))
            scratch.data[key : key + len(kept)] = kept
        return Written(size=hasher.size, digests=hasher.digests())

    def _refuse_late(self, id: UploadId) -> None:
        if id in self._held or id in self._manifests:
            raise AlreadyComplete

    async def sync(self, id: UploadId) -> None:
        """There is no power cut that memory survives."""

    async def peek(self, id: UploadId, layout: Layout, key: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield stored scratch bytes, fewer if fewer are there."""
        scratch = self._scratch.get(id)
        if scratch is not None:
            found = scratch.data[key : key + size] if layout is Layout.FLAT else scratch.parts.get(key, b"")[:size]
            for block in _blocks(bytes(found)):
                yield block

    @asynccontextmanager
    async def assembling(
        self, id: UploadId, plan: Plan, progress: Progress, enclosed: bytes = b""
    ) -> AsyncIterator[MemoryAssembly]:
        """Join, hash, hold. Raises ``Locked`` while another assembly is at it."""
        if id in self._held:
            raise Locked(retry_after=1)
        if enclosed:
            self._scratch.setdefault(id, _Scratch()).data[:] = enclosed
        self._held.add(id)
        try:
            if plan.layout is Layout.NUMBERED:
                await progress(Phase.ASSEMBLING, 0, plan.size)
                await progress(Phase.ASSEMBLING, plan.size, plan.size)
            await progress(Phase.VERIFYING, 0, plan.size)
            whole, bad = bytearray(), list[Copy]()
            for copy in plan.copies:
                piece = self._piece(id, copy)
                if len(piece) != copy.size or _digest(piece, copy.digest.algorithm) != copy.digest:
                    bad.append(copy)
                whole += piece
            if plan.size:
                await progress(Phase.VERIFYING, plan.size, plan.size)
            yield MemoryAssembly(self, id, bytes(whole), plan.algorithms, bad)
        finally:
            self._held.discard(id)

    def _piece(self, id: UploadId, copy: Copy) -> bytes:
        published = None if copy.source == id else self._published(id)
        if published is not None:  # before, by a publish whose event was lost; the source may be gone by now
            return published[1][copy.start : copy.start + copy.size]
        scratch = self._scratch.get(copy.source, _Scratch())
        if copy.layout is Layout.NUMBERED:
            return scratch.parts.get(copy.key, b"")[: copy.size]
        return bytes(scratch.data[copy.key : copy.key + copy.size])

    def put(self, id: UploadId, whole: bytes, names: Iterator[str], manifest: bytes) -> Blob:
        """Publish under the first of ``names`` that is free, or leave it where it is."""
        self._manifests[id] = manifest
        earlier = self._published(id)
        if earlier is not None:
            return Blob(ref=earlier[0], size=len(whole))
        for ref in names:
            if ref not in self._blobs and not self._in_the_way(ref):
                self._blobs[ref] = (id, whole)
                return Blob(ref=ref, size=len(whole))
        raise StorageFault

    def _published(self, id: UploadId) -> tuple[str, bytes] | None:
        return next(((ref, data) for ref, (owner, data) in self._blobs.items() if owner == id), None)

    def clear(self, ref: str, id: UploadId) -> None:
        """Let another upload's bytes make room, so that a name can be replaced."""
        if ref in self._blobs and self._blobs[ref][0] != id:
            del self._blobs[ref]

    def _in_the_way(self, ref: str) -> bool:
        inside = any(other.startswith(ref + "/") for other in self._blobs)
        return inside or any(folder in self._blobs for folder in naming.parents(ref))

    async def read(self, ref: str, start: int, size: int) -> AsyncGenerator[Buffer, None]:
        """Yield published bytes."""
        found = self._blob(ref)[start : start + size]
        for block in _blocks(found):
            yield block
        if len(found) < size:
            raise StorageFault

    async def stat(self, ref: str) -> int:
        """Size of a published blob."""
        return len(self._blob(ref))

    def _blob(self, ref: str) -> bytes:
        if ref not in self._blobs:
            raise NotFound
        return self._blobs[ref][1]

    async def discard(self, id: UploadId) -> None:
        """Forget scratch bytes."""
        self._scratch.pop(id, None)

    async def withdraw(self, id: UploadId, likely: Sequence[str]) -> None:
        """Forget scratch bytes and whatever was published of them."""
        found = self._published(id)
        await self.remove(found and found[0], id)
        await self.discard(id)

    async def remove(self, ref: str | None, id: UploadId) -> None:
        """Forget a published blob if one is named, and the manifest."""
        if ref is not None:
            self._blobs.pop(ref, None)
        self._manifests.pop(id, None)

    async def manifest(self, id: UploadId) -> bytes:
        """The manifest as it was published."""
        if id not in self._manifests:
            raise NotFound
        return self._manifests[id]

    async def scratch(self) -> AsyncIterator[UploadId]:
        """Ids that have scratch bytes."""
        for one in list(self._scratch):
            yield one

    async def free(self) -> int | None:
        """Memory has no number of its own."""
        return None

    async def check(self) -> None:
        """Memory can always be written."""

    async def close(self) -> None:
        """Nothing to let go of."""


class MemoryAssembly:
    """The whole as one value."""

    def __init__(
        self, storage: MemoryStorage, id: UploadId, whole: bytes, algorithms: Sequence[str], bad: Sequence[Copy]
    ) -> None:
        self._storage = storage
        self._id = id
        self._whole = whole
        hasher = Hasher((SHA256, *algorithms))
        hasher.update(whole)
        self.digests: Mapping[str, Digest] = hasher.digests()
        """Over the whole, by algorithm."""
        self.bad = bad
        """Missing or damaged parts."""

    async def publish(self, name: str, fallback: str, on_conflict: OnConflict, manifest: bytes) -> Blob:
        """Keep the whole under a final name. Refuses what is damaged."""
        if self.bad:
            raise StorageFault("damaged bytes are not published")
        name, fallback = naming.safe(name), naming.safe(fallback)
        if on_conflict is OnConflict.REPLACE:
            self._storage.clear(name, self._id)
        spare = naming.variants(name) if on_conflict is OnConflict.RENAME else iter(())
        # A directory in the way of ``a/b`` is in the way of ``a/b (1)`` too, so the spare names have an end.
        names = chain([name], (ref for _, ref in zip(range(1000), spare, strict=False)), [fallback])
        more = naming.variants(fallback)
        return self._storage.put(self._id, self._whole, chain(names, more), manifest)


def _digest(data: bytes, algorithm: str) -> Digest:
    hasher = Hasher((algorithm,))
    hasher.update(data)
    return hasher.digest(algorithm)


def _blocks(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _BLOCK):
        yield data[at : at + _BLOCK]
