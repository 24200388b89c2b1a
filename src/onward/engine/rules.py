"""What the operator decided, in the words of the engine."""

from __future__ import annotations

import msgspec

from onward.ports import OnConflict

MIB = 1 << 20
DAY = 86_400.0


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine behaves. Sizes in bytes, durations in seconds."""

    durable_parts: bool = True
    """Bytes and their events survive a power cut before they are acknowledged."""
    durable_seal: bool = True
    """All of an upload survives a power cut before its seal is acknowledged."""
    segment: int = 64 * MIB
    """Most bytes of a body by offset that are recorded at a time."""
    segment_age: float = 5.0
    """A segment is recorded after this time, full or not."""
    segment_silence: float = 1.0
    """A segment is recorded when nothing came for this time, so that a stalled body holds no buffer."""
    body_idle: float = 30.0
    lock_wait: float = 15.0
    seal_wait: float = 5.0
    """How long a seal waits for running writes."""
    min_free: int = 256 * MIB
    expire_after: float = 7 * DAY
    forget_after: float = 7 * DAY
    requeue_after: float = 10.0
    """A sealed upload that rests this long is queued again."""
    verify_deaths: int = 5
    """Workers that may die while they are at an upload; it then fails."""
    on_conflict: OnConflict = OnConflict.REFUSE
    delete_finished: bool = False
    name_template: str = "{id}/{filename}"
