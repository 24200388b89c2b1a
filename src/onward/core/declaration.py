"""What clients say of the whole file, joined: later words add, they never contradict."""

from __future__ import annotations

import msgspec

from onward.core.types import MAX_INT, Declaration, Layout, Limits
from onward.errors import (
    ChunkTooLarge,
    DigestConflict,
    LayoutConflict,
    LengthConflict,
    NameTaken,
    TooManyChunks,
    UploadTooLarge,
)


def join(known: Declaration, said: Declaration, limits: Limits) -> Declaration:
    """What is known after ``said``.

    Raises ``LayoutConflict``, ``LengthConflict``, ``DigestConflict`` or ``NameTaken`` where the
    two disagree, and ``UploadTooLarge``, ``ChunkTooLarge`` or ``TooManyChunks`` where a limit is passed.
    """
    if said is known or said == Declaration():
        return known
    layout = _layout(known, said)
    part_size = _part_size(known, said, limits)
    length = _length(known, said, limits)
    if part_size is not None and length is not None:
        count = parts_of(length, part_size)
        if count > limits.max_chunks:
            raise TooManyChunks(
                f"{count} chunks of {part_size} bytes are more than the {limits.max_chunks} that are taken",
                limit=limits.max_chunks,
                provided=count,
            )
    digest = known.digest or said.digest
    if known.digest and said.digest and known.digest != said.digest:
        raise DigestConflict(
            f"the whole file was declared with another {known.digest.algorithm} before",
            declared=known.digest.algorithm,
        )
    return Declaration(
        layout=layout,
        part_size=part_size,
        length=length,
        digest=digest,
        part_digests=_part_digests(known, said, part_size, length, limits),
        filename=_filename(known, said),
    )


def difference(known: Declaration, joined: Declaration) -> Declaration | None:
    """Only what ``joined`` adds to ``known``; ``None`` if that is nothing."""
    if known == joined:
        return None
    changed = {
        name: getattr(joined, name)
        for name in Declaration.__struct_fields__
        if getattr(joined, name) != getattr(known, name)
    }
    return msgspec.structs.replace(Declaration(), **changed)


def parts_of(length: int, part_size: int) -> int:
    """How many chunks of ``part_size`` a file of ``length`` has; an empty file has one empty chunk."""
    return max(1, -(-length // part_size))


def _layout(known: Declaration, said: Declaration) -> Layout | None:
    wanted = Layout.FLAT if said.part_size is not None else said.layout
    if known.layout and wanted and known.layout is not wanted:
        raise LayoutConflict(
            "the first chunks of this upload came without a chunk size, so none can be declared now"
            if known.layout is Layout.NUMBERED
            else "this upload is stored by offset; a chunk number needs the chunk size",
            expected=known.layout.value,
            provided=wanted.value,
        )
    return known.layout or wanted


def _part_size(known: Declaration, said: Declaration, limits: Limits) -> int | None:
    if said.part_size is None:
        return known.part_size
    if known.part_size is not None and known.part_size != said.part_size:
        raise LayoutConflict(
            f"this upload has chunks of {known.part_size} bytes, not {said.part_size}",
            expected=known.part_size,
            provided=said.part_size,
        )
    if said.part_size > limits.max_chunk:
        raise ChunkTooLarge(
            f"a chunk may have {limits.max_chunk} bytes, not {said.part_size}",
            limit=limits.max_chunk,
            provided=said.part_size,
        )
    return said.part_size


def _length(known: Declaration, said: Declaration, limits: Limits) -> int | None:
    if said.length is None:
        return known.length
    if known.length is not None and known.length != said.length:
        raise LengthConflict(
            f"the file has {known.length} bytes, not {said.length}", expected=known.length, provided=said.length
        )
    if said.length > min(limits.max_size, MAX_INT):
        raise UploadTooLarge(
            f"a file may have {limits.max_size} bytes, not {said.length}",
            limit=limits.max_size,
            provided=said.length,
        )
    return said.length


def _filename(known: Declaration, said: Declaration) -> str | None:
    if known.filename and said.filename and known.filename != said.filename:
        raise NameTaken(f"this upload is the file {known.filename!r}, not {said.filename!r}", name=known.filename)
    return known.filename or said.filename


def _part_digests(
    known: Declaration, said: Declaration, part_size: int | None, length: int | None, limits: Limits
) -> tuple[bytes, ...]:
    if known.part_digests and said.part_digests and known.part_digests != said.part_digests:
        raise DigestConflict("the chunks were declared with other digests before")
    digests = known.part_digests or said.part_digests
    if len(digests) > limits.max_chunks:
        raise TooManyChunks(
            f"{len(digests)} chunks are more than the {limits.max_chunks} that are taken",
            limit=limits.max_chunks,
            provided=len(digests),
        )
    if digests and part_size is not None and length is not None and len(digests) != parts_of(length, part_size):
        raise LengthConflict(
            f"{length} bytes make {parts_of(length, part_size)} chunks, but {len(digests)} digests were given",
            expected=parts_of(length, part_size),
            provided=len(digests),
        )
    return digests
