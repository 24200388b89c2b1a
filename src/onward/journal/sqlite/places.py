"""Where a page ended, as the opaque word that a client sends back."""

from __future__ import annotations

import base64
import binascii
import struct
from hashlib import blake2b
from typing import Final, NamedTuple

from onward.errors import BadField

_CHECK: Final = 6


class Place(NamedTuple):
    """The last row of a page."""

    created_at: float
    id: str


def to_text(place: Place) -> str:
    """The word for a place: letters, digits, ``-`` and ``_``."""
    body = struct.pack(">d", place.created_at) + place.id.encode()
    check = blake2b(body, digest_size=_CHECK, person=b"onward page").digest()
    return base64.urlsafe_b64encode(check + body).rstrip(b"=").decode()


def place_of(text: str) -> Place:
    """The place that ``to_text`` gave this word for. Raises ``BadField`` for any other word."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[_CHECK:]
        place = Place(struct.unpack(">d", data[:8])[0], data[8:].decode())
    except (ValueError, binascii.Error, struct.error) as error:
        raise _unknown() from error
    # Also catches other spellings of the same bytes.
    if to_text(place) != text:
        raise _unknown()
    return place


def _unknown() -> BadField:
    return BadField("This is not a cursor that a page ended with", field="after", allowed="the cursor of a page")
