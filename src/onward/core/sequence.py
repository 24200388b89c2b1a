"""Uploads whose bytes come one after the other: where the next one goes, and when the last one has come.

Decisions over an ``Upload``: nothing here changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onward.core.digest import sha256
from onward.core.types import (
    Admission,
    Append,
    Completes,
    Declaration,
    Declared,
    Digest,
    Event,
    Failed,
    Layout,
    Limits,
    Run,
    Sealed,
    State,
    Store,
    Stored,
)
from onward.core.upload import Upload
from onward.errors import AlreadyComplete, Incomplete, LengthConflict, NumberedLayout, OffsetMismatch


def admit_append(upload: Upload, cmd: Store, at: Append, joined: Declaration, limits: Limits) -> Admission:
    """Leave to go on at the end of what is there, and nowhere else.

    A finished upload lets an empty body at its end pass: the answer to the last one may have been lost.
    """
    if joined.layout is Layout.NUMBERED:
        raise NumberedLayout("the chunks of this upload came by number, so a byte offset has no place yet")
    if at.offset != upload.offset:
        raise OffsetMismatch(
            f"the upload stands at {upload.offset}, not at {at.offset}", expected=upload.offset, provided=at.offset
        )
    if upload.state is not State.OPEN:
        if cmd.size:
            raise AlreadyComplete("the upload was completed before; these bytes were not stored", state=upload.word)
        end = Stored(key=at.offset, size=0, digest=sha256(b""))
        return Admission(layout=Layout.FLAT, start=at.offset, limit=0, limit_is="length", replay_of=end)
    if cmd.ends and cmd.size is not None:
        check_end(joined, at.offset + cmd.size)
    end_at = limits.max_size if joined.length is None else joined.length
    return Admission(
        layout=Layout.FLAT,
        start=at.offset,
        limit=max(0, end_at - at.offset),
        limit_is="size" if joined.length is None else "length",
        whole=bool(cmd.digests),
    )


def check_end(joined: Declaration, end: int) -> None:
    """Raises ``LengthConflict`` unless an upload that ends at ``end`` has the length that was declared."""
    if joined.length is not None and joined.length != end:
        raise LengthConflict(
            f"the file was declared with {joined.length} bytes, but would end at {end}",
            expected=joined.length,
            provided=end,
        )


def sealing(
    upload: Upload,
    cmd: Store,
    joined: Declaration,
    new: Sequence[Run],
    *,
    ended: bool,
    digests: Mapping[str, Digest],
) -> list[Event]:
    """The events that seal the upload, if these runs are the last: because it is full, or the client says so.

    ``ended``: the body ended by itself, so a client that said so has said all. ``digests``: of
    the whole so far, where one hasher saw every byte; a whole that is wrong already fails here.
    """
    if upload.state is not State.OPEN or upload.spec.partial:
        return []
    total = upload.received_bytes + sum(run.size for run in new)
    fills = upload.policy.completes is Completes.WHEN_FULL or (cmd.ends_if_full and ended)
    full = fills and joined.length == total
    said = cmd.ends and ended
    if not full and not said:
        return []
    check_end(joined, total)
    furthest = max([upload.ranges.end, *(run.key + run.size for run in new)])
    if furthest > total:
        raise Incomplete("bytes before the end are missing", holes=[[a, b - 1] for a, b in upload.holes()][:100])
    wanted = joined.digest
    if wanted is not None and digests.get(wanted.algorithm, wanted) != wanted:
        detail = f"the file's {wanted.algorithm} is not the one that was declared"
        return [Failed(code="digest-mismatch", detail=detail)]
    return [Sealed(length=total, parts=len(upload.stored) + len(new), digest=wanted)]


def empty(declared: Declaration) -> list[Event]:
    """The seal of an upload that is full from the start, because it has no byte."""
    events: list[Event] = [Declared(declared=Declaration(layout=Layout.FLAT))] if declared.layout is None else []
    return [*events, Sealed(length=0, parts=0, digest=declared.digest)]
