"""Whether the whole is there and, after the read-back, whether it is the file that was meant.

Decisions over an ``Upload``: nothing here changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from onward.core.admission import check_fit, refuse_if_over
from onward.core.declaration import join, parts_of
from onward.core.types import (
    Damaged,
    Declaration,
    Digest,
    Event,
    Failed,
    Layout,
    Limits,
    Removed,
    Seal,
    Sealed,
    State,
)
from onward.core.upload import Upload, numbers_of
from onward.errors import AlreadyComplete, DigestConflict, Incomplete, LengthConflict, Refused, Unreadable

SHOWN = 100
"""How many holes an error lists; the manifest lists them all."""


def seal(upload: Upload, cmd: Seal, limits: Limits) -> list[Event]:
    """The events that end the upload; none if it is sealed or done and ``cmd`` agrees.

    Raises ``Incomplete`` with what lacks, or a conflict with what is known.
    """
    refuse_if_over(upload)
    if upload.spec.partial or upload.spec.sources:
        raise Refused("a piece of a concatenation, and the whole of such pieces, is not completed by request")
    joined = join(upload.declared, Declaration(length=cmd.length, digest=cmd.digest), limits)
    if upload.sealed is not None:
        if cmd.parts is not None and cmd.parts != upload.sealed.parts:
            raise _wrong_total(upload.sealed.parts, cmd.parts)
        if cmd.digest is not None and upload.declared.digest is None:
            _check_late_digest(upload, cmd.digest)
        return []
    check_fit(upload, joined)
    if upload.layout is Layout.NUMBERED:
        return [_seal_numbered(upload, cmd, joined)]
    return [_seal_flat(upload, cmd, joined)]


def _check_late_digest(upload: Upload, said: Digest) -> None:
    """A digest first named when the upload was sealed: fine if it is that of the file, and never ignored."""
    done = upload.published
    if done is None or done.digest.algorithm != said.algorithm:
        raise AlreadyComplete("the upload was completed before, without this digest", state=upload.word)
    if done.digest != said:
        raise DigestConflict(f"the finished file has another {said.algorithm}", declared=said.algorithm)


def _seal_numbered(upload: Upload, cmd: Seal, joined: Declaration) -> Sealed:
    declared = upload.total_parts
    if declared is not None and cmd.parts is not None and cmd.parts != declared:
        raise _wrong_total(declared, cmd.parts)
    total = cmd.parts if cmd.parts is not None else declared
    highest = upload.ranges.end - 1
    if total is not None and highest > total:
        raise LengthConflict(f"chunk {highest} is stored, but the total is {total}", expected=highest, provided=total)
    count = highest if total is None else total
    lacking = [[a, b - 1] for a, b in upload.ranges.holes(1, count + 1)]
    if lacking:
        raise _incomplete(f"{sum(b - a + 1 for a, b in lacking)} of {count} chunks are missing", missing=lacking)
    if joined.length is not None and joined.length != upload.received_bytes:
        if total is None:  # not more than declared, or it would not fit
            raise _incomplete(
                f"{joined.length - upload.received_bytes} of {joined.length} bytes are missing",
                missing=[[count + 1, count + 1]],
            )
        raise LengthConflict(
            f"the chunks have {upload.received_bytes} bytes, not {joined.length}",
            expected=upload.received_bytes,
            provided=joined.length,
        )
    return Sealed(
        length=upload.received_bytes,
        parts=count,
        digest=joined.digest,
        total_known=total is not None or joined.length is not None,
    )


def _seal_flat(upload: Upload, cmd: Seal, joined: Declaration) -> Sealed:
    length = joined.length
    empty_is_declared = length == 0 or cmd.parts == 0
    if not upload.stored and not empty_is_declared:
        if length is None:
            raise _incomplete("nothing is stored yet", missing=[[1, 1]])
        raise _incomplete(f"all {length} bytes are missing", holes=[[0, length - 1]])
    known = length is not None
    if length is None:
        length = upload.ranges.end
    parts = len(upload.stored) if joined.part_size is None else parts_of(length, joined.part_size)
    lacking = list(upload.ranges.holes(0, length))
    if cmd.parts is not None and cmd.parts != parts and not (cmd.parts == 0 and length == 0):
        if joined.part_size is None and not 1 <= cmd.parts <= max(length, 1):
            raise _wrong_total(parts, cmd.parts)
        if joined.part_size is None:
            parts = cmd.parts  # runs by offset have no numbers of their own
        elif known or cmd.parts < parts:
            raise _wrong_total(parts, cmd.parts)
        else:
            lacking.append((length, cmd.parts * joined.part_size))
    if lacking:
        facts = {"holes": [[a, b - 1] for a, b in lacking]}
        if joined.part_size is not None:
            facts["missing"] = [[a, b] for a, b in numbers_of(lacking, joined.part_size)]
        raise _incomplete(f"{sum(b - a for a, b in lacking)} bytes are missing", **facts)
    return Sealed(length=length, parts=parts, digest=joined.digest, total_known=known or cmd.parts is not None)


def _wrong_total(expected: int, provided: int) -> LengthConflict:
    return LengthConflict(f"the file has {expected} chunks, not {provided}", expected=expected, provided=provided)


def _incomplete(detail: str, **facts: list[list[int]]) -> Incomplete:
    return Incomplete(detail, **{name: runs[:SHOWN] for name, runs in facts.items()})


def conclude(upload: Upload, bad: Sequence[int], digests: Mapping[str, Digest]) -> list[Event]:
    """What the read-back of a sealed upload means.

    An empty list: all is well, publish. ``Damaged``: those parts are dropped and may be sent
    again. ``Failed``: it can never become the file that was announced.
    """
    if upload.state is not State.SEALED:
        return []
    if bad:
        keys = tuple(sorted(set(bad)))
        if upload.policy.reopens and not upload.spec.sources:
            size = sum(upload.stored[key].size for key in keys)
            return [Damaged(keys=keys, size=size)]
        return [Failed(code="damaged", detail=f"{len(keys)} stored parts no longer match their digests")]
    wanted = upload.declared.digest
    if wanted is not None and digests[wanted.algorithm] != wanted:
        return [
            Failed(
                code="digest-mismatch",
                detail=f"the file's {wanted.algorithm} is not the one that was declared",
            )
        ]
    return []


REPLACED: Final = "replaced"
"""Why an upload was cancelled whose name another one was published under."""


def remove(upload: Upload, reason: str, *, cause: str = "") -> list[Event]:
    """The events that end the upload for ``reason``: ``cancelled`` or ``expired``. Raises ``Unreadable``."""
    if upload.read_only:
        raise Unreadable
    return [] if upload.state is State.GONE else [Removed(reason=reason, cause=cause)]
