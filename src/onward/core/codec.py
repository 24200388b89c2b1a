"""Events as bytes, and back. An event of a newer version is kept, not refused."""

from __future__ import annotations

import msgspec

from onward.core.types import AnyEvent, Event, Unknown

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def encode(event: AnyEvent) -> bytes:
    """The journal's form of an event: one JSON object with its pinned tag in ``type``."""
    if isinstance(event, Unknown):
        return event.raw
    return _encoder.encode(event)


def decode(data: bytes) -> AnyEvent:
    """The event that ``encode`` made these bytes of.

    Whatever is not an event of this version comes back as ``Unknown`` with its bytes.
    """
    try:
        event: AnyEvent = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Unknown(raw=bytes(data))
    return event
