"""Whether bytes may be stored at a place and, once they are durable, be recorded.

Decisions over an ``Upload``: nothing here changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onward.core.declaration import difference, join
from onward.core.digest import sha256
from onward.core.sequence import admit_append, sealing
from onward.core.types import (
    MAX_INT,
    Admission,
    Append,
    Declaration,
    Declared,
    Digest,
    Event,
    Layout,
    Limits,
    Number,
    Offset,
    Run,
    Sealed,
    State,
    Store,
    Stored,
)
from onward.core.upload import Upload
from onward.errors import (
    AlreadyComplete,
    ChunkTooLarge,
    DigestConflict,
    EmptyChunk,
    Fact,
    LayoutConflict,
    LengthConflict,
    NumberedLayout,
    PartConflict,
    Refused,
    TooManyChunks,
    Unreadable,
    UploadFailed,
    UploadOver,
    UploadTooLarge,
)

MIB = 1 << 20


def refuse_if_over(upload: Upload) -> None:
    """Raises ``UploadFailed``, ``UploadOver`` or ``Unreadable`` for an upload that nothing can follow."""
    if upload.read_only:
        raise Unreadable
    if upload.state is State.FAILED:
        raise UploadFailed(f"the upload failed: {upload.reason}", reason=upload.reason)
    if upload.state is State.GONE:
        raise UploadOver(f"the upload is {upload.reason}; start it anew", reason=upload.reason)


def declare(upload: Upload, said: Declaration, limits: Limits) -> list[Event]:
    """The events by which ``said`` becomes known. Raises where it contradicts what is, or a limit."""
    refuse_if_over(upload)
    joined = join(upload.declared, said, limits)
    new = difference(upload.declared, joined)
    if new is None:
        return []
    if upload.state is not State.OPEN:
        raise AlreadyComplete("the upload was completed before", state=upload.word)
    check_fit(upload, joined)
    return [Declared(declared=new)]


def admit(upload: Upload, cmd: Store, limits: Limits) -> Admission:
    """Leave to store this body, or the reason why not.

    On a sealed or finished upload the only leave is to show again what is stored.
    """
    refuse_if_over(upload)
    if upload.spec.sources:
        raise Refused("this upload is made of others; no byte is sent to it")
    joined = join(upload.declared, cmd.declared, limits)
    check_fit(upload, joined)
    at = cmd.at
    if isinstance(at, Number):
        grant = _admit_number(upload, cmd, at, joined, limits)
    elif isinstance(at, Append):
        grant = admit_append(upload, cmd, at, joined, limits)
    else:
        grant = _admit_offset(upload, cmd, at, joined, limits)
    if upload.state is not State.OPEN and grant.replay_of is None:
        raise AlreadyComplete("the upload was completed before; these bytes were not stored", state=upload.word)
    check_size(grant, cmd.size)
    return grant


def check_size(grant: Admission, size: int | None) -> None:
    """Raises if a body of ``size`` bytes is not what ``grant`` is for. ``None``: not known yet."""
    if size is None or grant.replay_of is not None:
        return
    if grant.exact is not None and size < grant.exact:
        raise LengthConflict(f"this chunk has {grant.exact} bytes, not {size}", expected=grant.exact, provided=size)
    if size > grant.limit:
        raise over_limit(grant, size)


def over_limit(grant: Admission, size: int | None = None) -> ChunkTooLarge | LengthConflict | UploadTooLarge:
    """What to say of a body that is longer than ``grant`` allows; ``size`` if it is known."""
    facts = {"limit": grant.limit} | ({} if size is None else {"provided": size})
    if grant.limit_is == "size":
        return UploadTooLarge("the file would be larger than this server takes", **facts)
    if grant.limit_is == "length":
        return LengthConflict(f"only {grant.limit} bytes lack up to the declared end", **facts)
    return ChunkTooLarge(f"this chunk may have {grant.limit} bytes", **facts)


def part_conflict(layout: Layout, key: int, stored: Stored | None) -> PartConflict:
    """What to say of bytes for a place that holds others."""
    facts: dict[str, Fact] = {"chunk" if layout is Layout.NUMBERED else "offset": key}
    if stored is not None:
        facts["stored"] = stored.digest.value.hex()
    return PartConflict("other bytes are stored for this place; nothing was changed", **facts)


def accept(
    upload: Upload,
    cmd: Store,
    runs: Sequence[Run],
    limits: Limits,
    *,
    size: int | None = None,
    ended: bool = False,
    digests: Mapping[str, Digest] | None = None,
) -> list[Event]:
    """The events that record ``runs``, whose bytes are durable, and those that seal the upload by them.

    ``size`` is that of the body, where some of it was recorded before and only compared;
    ``ended`` says that it ended by itself; ``digests`` are of the whole so far, where known.

    Runs that are recorded with the same digest add nothing. Raises ``PartConflict`` for other
    bytes, and whatever became impossible while the bytes came.
    """
    refuse_if_over(upload)
    joined = join(upload.declared, cmd.declared, limits)
    layout = _layout_of(cmd, joined)
    joined = join(joined, Declaration(layout=layout), limits)
    by_number = isinstance(cmd.at, Number)  # only there may an empty body be a part: chunk 1 of an empty file
    new = [run for run in runs if (run.size or by_number) and not _is_recorded(upload, run)]
    if new and upload.state is not State.OPEN:
        raise AlreadyComplete("the upload was completed meanwhile; these bytes were not stored", state=upload.word)
    for run in new:
        _check_free(upload, layout, run)
    if runs or size:
        joined = _end_by_short_chunk(upload, cmd, joined, sum(r.size for r in runs) if size is None else size, limits)
    check_fit(upload, joined)
    _check_total(upload, joined, new, limits)
    events: list[Event] = []
    more = difference(upload.declared, joined)
    if more is not None and upload.state is State.OPEN:
        events.append(Declared(declared=more))
    events += [Stored(key=r.key, size=r.size, digest=r.digest, token=r.token) for r in new]
    seal = upload.seal_in_mind
    if seal is not None and _mended(upload, seal, layout, new):
        total = upload.received_bytes + sum(run.size for run in new)
        if total != seal.length:
            raise LengthConflict(
                f"with these bytes the file has {total}, not the {seal.length} it was completed with",
                expected=seal.length,
                provided=total,
            )
        return [*events, seal]
    return [*events, *sealing(upload, cmd, joined, new, ended=ended, digests=digests or {})]


def _layout_of(cmd: Store, joined: Declaration) -> Layout:
    if joined.layout is not None:
        return joined.layout
    return Layout.NUMBERED if isinstance(cmd.at, Number) else Layout.FLAT


def _admit_number(upload: Upload, cmd: Store, at: Number, joined: Declaration, limits: Limits) -> Admission:
    number = at.number
    if number > limits.max_chunks:
        raise TooManyChunks(
            f"a file may have {limits.max_chunks} chunks; this one is number {number}",
            limit=limits.max_chunks,
            provided=number,
        )
    expected = _expected(upload, number, joined)
    if _layout_of(cmd, joined) is Layout.FLAT:
        return _admit_flat_chunk(upload, cmd, number, joined, expected, limits)
    already = upload.stored.get(number)
    left = (limits.max_size if joined.length is None else joined.length) - upload.received_bytes
    if already is None and cmd.size == 0:
        _refuse_empty(number, upload)
    _refuse_after_empty(number, upload)
    limit, rule = limits.max_chunk, "chunk"
    if left < limit:
        limit, rule = left, "size" if joined.length is None else "length"
    return Admission(
        layout=Layout.NUMBERED, start=number, limit=limit, limit_is=rule, replay_of=already, expected=expected
    )


def _expected(upload: Upload, number: int, joined: Declaration) -> bytes | None:
    total = len(joined.part_digests)
    most = total or (upload.seal_in_mind.parts if upload.seal_in_mind and upload.layout is Layout.NUMBERED else None)
    if most and number > most:
        raise LengthConflict(f"the file has {most} chunks; this one is number {number}", expected=most, provided=number)
    return joined.part_digests[number - 1] if total else None


def _admit_flat_chunk(
    upload: Upload, cmd: Store, number: int, joined: Declaration, expected: bytes | None, limits: Limits
) -> Admission:
    size = joined.part_size
    if size is None:
        raise LayoutConflict(
            "this upload is stored by offset; send Upload-Chunk-Size so that a chunk number has a place",
            expected=Layout.FLAT.value,
        )
    start = (number - 1) * size
    if start > MAX_INT - size:
        raise LengthConflict("this chunk lies beyond the largest file there can be", limit=MAX_INT)
    exact = None
    if joined.length is not None:
        if start >= joined.length and not (number == 1 and joined.length == 0):
            raise LengthConflict(
                f"chunk {number} lies beyond the end: the file has {joined.length} bytes in chunks of {size}",
                length=joined.length,
                chunk_size=size,
            )
        exact = min(size, joined.length - start)
    limit, rule = size if exact is None else exact, "part"
    if limits.max_size - start < limit:
        limit, rule = limits.max_size - start, "size"
    already = upload.chunk(number) if upload.part_size is not None else None
    if already is None and start > 0 and limit <= 0:
        raise UploadTooLarge(f"a file may have {limits.max_size} bytes", limit=limits.max_size, provided=start + 1)
    if already is None and cmd.size == 0 and exact != 0:
        _refuse_empty(number, upload)
    return Admission(
        layout=Layout.FLAT,
        start=start,
        limit=limit,
        limit_is=rule,
        exact=exact,
        replay_of=already,
        expected=expected,
    )


def _admit_offset(upload: Upload, cmd: Store, at: Offset, joined: Declaration, limits: Limits) -> Admission:
    if _layout_of(cmd, joined) is Layout.NUMBERED:
        raise NumberedLayout("the chunks of this upload came by number, so a byte offset has no place yet")
    end = limits.max_size if joined.length is None else joined.length
    if at.offset > end:
        raise LengthConflict(f"offset {at.offset} lies beyond the end, {end}", expected=end, provided=at.offset)
    limit, rule = end - at.offset, "size" if joined.length is None else "length"
    whole = cmd.whole or bool(cmd.digests)
    if whole and limits.max_chunk < limit:
        limit, rule = limits.max_chunk, "chunk"
    already = upload.stored.get(at.offset)
    if already is not None and already.size != cmd.size:
        already = None
    if cmd.size == 0 and upload.state is not State.OPEN and at.offset == upload.length:
        already = Stored(key=at.offset, size=0, digest=sha256(b""))  # the answer to the last request may have been lost
    return Admission(
        layout=Layout.FLAT,
        start=at.offset,
        limit=limit,
        limit_is=rule,
        whole=whole,
        replay_of=already,
    )


def _refuse_empty(number: int, upload: Upload) -> None:
    if number != 1 or upload.stored:
        raise EmptyChunk("an empty chunk is taken only as chunk 1 of an empty file", chunk=number)


def _refuse_after_empty(number: int, upload: Upload) -> None:
    if number > 1 and 1 in upload.stored and upload.stored[1].size == 0:
        raise LengthConflict(
            "chunk 1 is empty, so the file is empty and has no other chunk", expected=1, provided=number
        )


def _is_recorded(upload: Upload, run: Run) -> bool:
    part = upload.stored.get(run.key)
    return part is not None and part.size == run.size and part.digest == run.digest


def _check_free(upload: Upload, layout: Layout, run: Run) -> None:
    other = upload.stored.get(run.key)
    if other is not None or (layout is Layout.FLAT and upload.ranges.overlaps(run.key, run.key + run.size)):
        raise part_conflict(layout, run.key, other)
    if layout is Layout.NUMBERED:
        _refuse_after_empty(run.key, upload)
        if run.size == 0:
            _refuse_empty(run.key, upload)


def _end_by_short_chunk(upload: Upload, cmd: Store, joined: Declaration, size: int, limits: Limits) -> Declaration:
    if not isinstance(cmd.at, Number) or joined.length is not None or joined.part_size is None:
        return joined
    start = (cmd.at.number - 1) * joined.part_size
    end = start + size
    if size == joined.part_size:
        return joined
    if end == start:
        _refuse_empty(cmd.at.number, upload)
    if upload.ranges.end > end:
        raise LengthConflict(
            f"a chunk of {end - start} bytes would end the file at {end}, but {upload.ranges.end} bytes are stored",
            expected=upload.ranges.end,
            provided=end,
        )
    return join(joined, Declaration(length=end), limits)


def check_fit(upload: Upload, joined: Declaration) -> None:
    """Nothing that is recorded may contradict what is now said of the whole."""
    if joined.part_digests and not upload.declared.part_digests:
        _check_parts(upload, joined.part_digests)
    if joined.length is None:
        return
    have = upload.received_bytes if upload.layout is Layout.NUMBERED else upload.ranges.end
    if have > joined.length:
        raise LengthConflict(
            f"{have} bytes are stored, more than the {joined.length} declared", expected=have, provided=joined.length
        )


def _check_parts(upload: Upload, digests: Sequence[bytes]) -> None:
    if upload.layout is Layout.NUMBERED and upload.ranges.end - 1 > len(digests):
        raise LengthConflict(
            f"chunk {upload.ranges.end - 1} is stored, but {len(digests)} digests were given",
            expected=upload.ranges.end - 1,
            provided=len(digests),
        )
    for number, digest in enumerate(digests, 1):
        part = upload.chunk(number)
        if part is not None and part.digest.value != digest:
            raise DigestConflict(f"chunk {number} is stored with another digest", chunk=number)


def _check_total(upload: Upload, joined: Declaration, new: Sequence[Run], limits: Limits) -> None:
    total = upload.received_bytes + sum(run.size for run in new)
    end = max((run.key + run.size for run in new), default=0) if joined.layout is Layout.FLAT else total
    if joined.length is not None and max(total, end) > joined.length:
        raise LengthConflict(
            f"with these bytes the file has {max(total, end)}, more than the {joined.length} declared",
            expected=joined.length,
            provided=max(total, end),
        )
    if max(total, end) > limits.max_size:
        raise UploadTooLarge(
            f"a file may have {limits.max_size} bytes", limit=limits.max_size, provided=max(total, end)
        )
    # Runs by offset have no number to limit; what is limited is how finely a file may be chopped.
    room = max(limits.max_chunks, total // MIB)
    if len(upload.stored) + len(new) > room:
        raise TooManyChunks(f"a file of this size may be sent in {room} pieces", limit=room)


def _mended(upload: Upload, seal: Sealed, layout: Layout, new: Sequence[Run]) -> bool:
    if layout is Layout.NUMBERED:
        lacking = {n for a, b in upload.ranges.holes(1, seal.parts + 1) for n in range(a, b)}
        return lacking <= {run.key for run in new}
    lacking_bytes = sum(b - a for a, b in upload.ranges.holes(0, seal.length))
    return lacking_bytes == sum(run.size for run in new)
