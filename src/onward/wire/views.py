"""How an upload is shown in JSON: the shapes that clients of the chunk API read.

Runs of numbers and ranges of bytes have both ends included. Sizes are bytes, times seconds
since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from onward.core.completion import REPLACED
from onward.core.types import Layout, Limits, Phase, State, Stored, UploadId
from onward.core.upload import Upload
from onward.wire.message import Hrefs, Work

SHOWN: Final = 64
"""Most runs that the answer to a chunk lists, so that it stays small; the manifest lists them all."""

CELLS: Final = 64
"""Most digits of a map."""

Pairs = list[tuple[int, int]]

_CAUSES: Final = {REPLACED: "a later upload was published under its name, as ONWARD_ON_CONFLICT=replace allows"}


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What is durable: runs of chunk numbers where chunks have numbers, else ranges of bytes."""

    chunks: Pairs | UnsetType = UNSET
    ranges: Pairs | UnsetType = UNSET
    more: bool | UnsetType = UNSET


class StoredView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a chunk."""

    id: UploadId
    name: str | None
    state: str
    chunk: int | UnsetType = UNSET
    start: int | UnsetType = UNSET
    size: int
    sha256: str | None
    offset: int
    length: int | None
    received: Received
    status: str


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go on."""

    upload: str
    complete: str
    status: str
    events: str


class DeclaredView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``POST /upload``: the rules, what is there and what lacks."""

    id: UploadId
    name: str | None
    state: str
    limits: Limits
    chunk_size: int | None
    size: int | None
    offset: int
    received: Received
    missing: Pairs | UnsetType
    holes: Pairs | UnsetType
    urls: Urls


class ChunkView(msgspec.Struct, frozen=True, gc=False):
    """One recorded part. ``offset`` is null while the sizes before it are not known."""

    number: int | UnsetType
    offset: int | None
    size: int
    sha256: str


class OneChunkView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a question about one chunk. The digest is null where it came in several parts."""

    chunk: int
    size: int
    sha256: str | None


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """How far the worker is."""

    phase: Phase
    done: int
    total: int


class ResultView(msgspec.Struct, frozen=True, kw_only=True):
    """The published file."""

    ref: str
    size: int
    sha256: str
    content: str


class FailureView(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no file."""

    code: str
    detail: str


class ManifestView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``GET /upload/{name}``: the manifest so far."""

    id: UploadId
    name: str | None
    state: str
    length: int | None
    chunk_size: int | None
    layout: Layout | None
    offset: int
    chunks: list[ChunkView]
    missing: Pairs | UnsetType
    holes: Pairs | UnsetType
    progress: ProgressView | None
    result: ResultView | None
    failure: FailureView | None
    created_at: float
    active_at: float
    expires_at: float | None


class SealedView(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to ``POST /upload/complete``."""

    id: UploadId
    name: str | None
    state: str
    chunks: int
    bytes: int
    total_known: bool
    status: str
    result: ResultView | None


def word(upload: Upload, work: Work | None = None) -> str:
    """The public word for where the upload stands; of a sealed one, the phase that the worker is or will be at."""
    if upload.state is not State.SEALED:
        return upload.word
    if work is not None:
        return work.phase.value
    # Only numbered parts are put together; flat bytes lie where they belong already.
    return (Phase.ASSEMBLING if upload.layout is Layout.NUMBERED else Phase.VERIFYING).value


def name_of(upload: Upload) -> str | None:
    """What the client calls the file."""
    return upload.called


def offset_of(upload: Upload) -> int:
    """Bytes of the unbroken run that are held; none once the upload is cancelled or expired."""
    return 0 if upload.state is State.GONE else upload.offset


def ranges_of(upload: Upload) -> Iterator[tuple[int, int]]:
    """The half-open byte ranges held, where their places are known."""
    if upload.state is State.GONE or upload.layout is not Layout.FLAT:
        return iter(())
    return iter(upload.ranges)


def received(upload: Upload) -> Received:
    """The first runs of what is durable."""
    if upload.state is State.GONE:
        return Received(ranges=[])
    if upload.layout is Layout.NUMBERED or upload.part_size is not None:
        runs = list(islice(_chunk_runs(upload), SHOWN + 1))
        return Received(chunks=runs[:SHOWN], more=True if len(runs) > SHOWN else UNSET)
    runs = [(a, b - 1) for a, b in islice(ranges_of(upload), SHOWN + 1)]
    return Received(ranges=runs[:SHOWN], more=True if len(runs) > SHOWN else UNSET)


def map_of(upload: Upload) -> str:
    """How much of each part is held, a digit for each of at most 64 equal parts: 0 nothing, 9 all, 1 to 8 its share.

    Parts of the length, or as far as anything has come while that is not known; parts of the
    chunk numbers where bytes have no places yet. Empty where there is nothing to divide.
    """
    first = 1 if upload.layout is Layout.NUMBERED else 0
    end = upload.ranges.end if first or upload.length is None else upload.length
    if end <= first or upload.state is State.GONE:
        return ""
    filled = upload.ranges.filled(first, end, min(CELLS, end - first))
    return "".join("0" if not held else "9" if held >= size else str(1 + held * 8 // size) for held, size in filled)


def _chunk_runs(upload: Upload) -> Iterator[tuple[int, int]]:
    size = upload.part_size
    if size is None:
        yield from ((a, b - 1) for a, b in upload.ranges)
        return
    if upload.length == 0 and upload.stored:
        yield 1, 1
    for start, end in upload.ranges:
        first = -(-start // size) + 1
        last = -(-end // size) if end == upload.length else end // size
        if first <= last:
            yield first, last


def missing(upload: Upload) -> Pairs | UnsetType:
    """Every run of chunk numbers that lacks, where chunks have numbers."""
    if upload.layout is not Layout.NUMBERED and upload.part_size is None:
        return UNSET
    return [] if upload.state is State.GONE else list(upload.missing())


def holes(upload: Upload) -> Pairs | UnsetType:
    """Every byte range that lacks, where bytes have places."""
    if upload.layout is Layout.NUMBERED:
        return UNSET
    return [] if upload.state is State.GONE else [(a, b - 1) for a, b in upload.holes()]


def chunk_views(upload: Upload) -> list[ChunkView]:
    """Every recorded part, in the order of their places."""
    if upload.state is State.GONE:
        return []
    if upload.layout is Layout.NUMBERED:
        return list(_numbered(upload))
    size, length = upload.part_size, upload.length
    if size is None:
        return [ChunkView(UNSET, p.key, p.size, p.digest.value.hex()) for p in upload.parts()]
    return [
        ChunkView(
            p.key // size + 1 if p.key % size == 0 and (p.size == size or p.key + p.size == length) else UNSET,
            p.key,
            p.size,
            p.digest.value.hex(),
        )
        for p in upload.parts()
    ]


def _numbered(upload: Upload) -> Iterator[ChunkView]:
    at: int | None = 0
    for number, part in enumerate(upload.parts(), 1):
        if part.key != number:
            at = None
        yield ChunkView(part.key, at, part.size, part.digest.value.hex())
        at = None if at is None else at + part.size


def one_chunk(upload: Upload, number: int) -> OneChunkView:
    """A chunk that is recorded, in one part or in several."""
    part = upload.chunk(number)
    if part is not None:
        return OneChunkView(chunk=number, size=part.size, sha256=hex_of(part))
    size = upload.part_size or 0
    if upload.length is not None:
        size = min(size, upload.length - (number - 1) * size)
    return OneChunkView(chunk=number, size=size, sha256=None)


def hex_of(part: Stored | None) -> str | None:
    """The SHA-256 of a part in hexadecimal digits."""
    return None if part is None else part.digest.value.hex()


def result(upload: Upload, hrefs: Hrefs) -> ResultView | None:
    """The published file, while it is there."""
    published = upload.published
    if published is None or upload.state is not State.DONE:
        return None
    return ResultView(
        ref=published.ref,
        size=published.size,
        sha256=published.digest.value.hex(),
        content=hrefs.content_of(upload.id),
    )


def failure_of(upload: Upload) -> FailureView | None:
    """Why there is no file, where that is neither the client's own doing nor time."""
    if upload.cause:
        return FailureView(code=upload.cause, detail=_CAUSES.get(upload.cause, ""))
    failure = upload.failure
    return None if failure is None else FailureView(code=failure.code, detail=failure.detail)


def manifest(upload: Upload, hrefs: Hrefs, work: Work | None, expires_at: float | None) -> ManifestView:
    """All that is known of an upload."""
    working = work if upload.state is State.SEALED else None
    return ManifestView(
        id=upload.id,
        name=name_of(upload),
        state=word(upload, work),
        length=upload.length,
        chunk_size=upload.part_size,
        layout=upload.layout,
        offset=offset_of(upload),
        chunks=chunk_views(upload),
        missing=missing(upload),
        holes=holes(upload),
        progress=ProgressView(phase=working.phase, done=working.done, total=working.total) if working else None,
        result=result(upload, hrefs),
        failure=failure_of(upload),
        created_at=upload.created_at,
        active_at=upload.active_at,
        expires_at=expires_at,
    )
