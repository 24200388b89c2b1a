"""Concatenation: when an upload that is made of others has all of its bytes, and when it never will.

Decisions over ``Upload`` values: nothing here changes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from onward.core.declaration import difference, join
from onward.core.types import Declaration, Declared, Event, Failed, Limits, Sealed, Spec, State, UploadId
from onward.core.upload import Upload
from onward.errors import BadField, NotFound, Refused, TooManyChunks, UploadTooLarge

FIELD: Final = "Upload-Concat"

COPIES: Final = 20
"""How many times as many parts as one upload a concatenation may have."""

GONE: Final = "source-gone"
"""Why an upload fails that is made of one which is no more."""


def is_whole(source: Upload) -> bool:
    """True if a piece of a concatenation has its last byte."""
    return source.state is State.OPEN and source.length is not None and source.offset == source.length


def check_spec(spec: Spec, *, has_body: bool) -> None:
    """Raises ``BadField`` or ``Refused`` for what an upload that is made of others may not have."""
    if spec.partial and spec.sources:
        raise BadField("a piece is not made of others itself", field=FIELD, allowed="partial or final, not both")
    if spec.sources and Declaration(digest=spec.declared.digest) != spec.declared:
        raise BadField(
            "the length and the parts of an upload that is made of others are theirs",
            field="Upload-Length",
            allowed="no length and no chunk size",
        )
    if spec.sources and has_body:
        raise Refused("this upload is made of others; no byte is sent to it")


def check_source(source: Upload) -> None:
    """Raises ``BadField`` or ``NotFound`` for what nothing can be made of."""
    if not source.spec.partial:
        raise BadField(f"upload {source.id} is not a piece of a concatenation", field=FIELD, allowed="partial uploads")
    if source.state is not State.OPEN:
        raise NotFound(f"upload {source.id} is {source.word}; nothing can be made of it")


def check_sum(sources: Sequence[Upload], limits: Limits) -> int:
    """The bytes that are known to come together. Raises ``UploadTooLarge`` or ``TooManyChunks``."""
    total = _sum(sources)
    if total > limits.max_size:
        raise UploadTooLarge(
            f"a file may have {limits.max_size} bytes, these uploads have {total}",
            limit=limits.max_size,
            provided=total,
        )
    parts, most = _parts(sources), _most(total, limits)
    if parts > most:
        raise TooManyChunks(
            f"these uploads have {parts} parts together; {most} can be joined", limit=most, provided=parts
        )
    return total


def joined(upload: Upload, sources: Mapping[UploadId, Upload], limits: Limits) -> list[Event]:
    """The events that are due for an upload that is made of ``sources``: length, seal or failure.

    A source that is not in ``sources`` is no more. An empty list: wait, or it is over.
    """
    if upload.read_only or upload.state is not State.OPEN or not upload.spec.sources:
        return []
    listed: list[Upload] = []
    for id in upload.spec.sources:
        source = sources.get(id)
        if source is None or source.state is not State.OPEN:
            word = "unknown" if source is None else source.word
            return [Failed(code=GONE, detail=f"upload {id}, which it is made of, is {word}")]
        listed.append(source)
    try:
        total = check_sum(listed, limits)
        known = all(source.length is not None for source in listed)
        more = join(upload.declared, Declaration(length=total), limits) if known else upload.declared
    except (UploadTooLarge, TooManyChunks) as error:
        return [Failed(code=error.code, detail=error.detail)]
    new = difference(upload.declared, more)
    events: list[Event] = [] if new is None else [Declared(declared=new)]
    if all(is_whole(source) for source in listed):
        events.append(Sealed(length=total, parts=_parts(listed), digest=upload.declared.digest))
    return events


def lost(upload: Upload, bad: Sequence[UploadId], sources: Mapping[UploadId, Upload]) -> list[Event]:
    """The failure of a sealed upload some of whose bytes are missing because their source is no more."""
    if upload.state is State.SEALED:
        for id in bad:
            if id not in sources or sources[id].state is not State.OPEN:
                return [Failed(code=GONE, detail=f"upload {id}, which it is made of, is no more")]
    return []


def _sum(sources: Sequence[Upload]) -> int:
    return sum(source.offset if source.length is None else source.length for source in sources)


def _parts(sources: Sequence[Upload]) -> int:
    return sum(len(source.stored) for source in sources)


def _most(total: int, limits: Limits) -> int:
    return max(COPIES * limits.max_chunks, total >> 20)
