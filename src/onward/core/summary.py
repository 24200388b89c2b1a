"""One row about an upload: what lists, expiry and quotas need, folded from its events."""

from __future__ import annotations

import msgspec

from onward.core.types import (
    Created,
    Damaged,
    Declared,
    Failed,
    Published,
    Record,
    Removed,
    Sealed,
    State,
    Stored,
    UploadId,
)


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Where an upload stands, in one row. Sizes in bytes, times in seconds since the epoch."""

    id: UploadId
    owner: str | None
    name: str | None
    state: State
    reason: str = ""
    """Why it failed (a code), or ``expired`` or ``cancelled``."""
    length: int | None = None
    received: int = 0
    parts: int = 0
    ref: str = ""
    sources: int = 0
    """How many different uploads it is made of; 0 if bytes are sent to it."""
    created_at: float
    active_at: float
    """When its last event happened; expiry counts from here."""
    version: int

    @property
    def promised(self) -> int:
        """Bytes that may still come and that disk space is kept for."""
        if self.state is not State.OPEN or self.length is None:
            return 0
        return max(0, self.length - self.received)

    @property
    def kept(self) -> int:
        """Bytes that are there now: of an upload that has come to nothing they are freed."""
        return 0 if self.state in {State.FAILED, State.GONE} else self.received

    @property
    def word(self) -> str:
        """The public word for the state; a sealed upload says ``verifying`` here."""
        return self.reason if self.state is State.GONE else self.state.value


def begin(record: Record) -> Summary:
    """The row of an upload whose first event this is. Raises ``TypeError`` for any other event."""
    event = record.event
    if not isinstance(event, Created):
        raise TypeError(f"a journal begins with Created, not {type(event).__name__}")
    return Summary(
        id=event.id,
        owner=event.spec.owner,
        name=event.spec.called,
        state=State.OPEN,
        length=event.spec.declared.length,
        sources=len(set(event.spec.sources)),
        created_at=record.at,
        active_at=record.at,
        version=record.version,
    )


def advance(row: Summary, record: Record) -> Summary:
    """The row after one more event."""
    event = record.event
    changes: dict[str, object] = {"version": record.version, "active_at": max(row.active_at, record.at)}
    match event:
        case Declared():
            if event.declared.length is not None:
                changes["length"] = event.declared.length
            if event.declared.filename is not None:
                changes["name"] = event.declared.filename
        case Stored():
            changes |= {"received": row.received + event.size, "parts": row.parts + 1}
        case Sealed():
            changes |= {"state": State.SEALED, "length": event.length}
        case Damaged():
            changes |= {
                "state": State.OPEN,
                "received": row.received - event.size,
                "parts": row.parts - len(event.keys),
            }
        case Published():
            changes |= {"state": State.DONE, "ref": event.ref, "received": event.size}
        case Failed():
            changes |= {"state": State.FAILED, "reason": event.code}
        case Removed():
            changes |= {"state": State.GONE, "reason": event.reason}
        case _:
            return msgspec.structs.replace(row, version=record.version)
    return msgspec.structs.replace(row, **changes)
