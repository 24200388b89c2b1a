"""``Upload-Checksum``: the digest of one body, as tus writes it."""

from __future__ import annotations

import base64
from typing import Final

from onward.core.digest import digest_size
from onward.core.types import Digest
from onward.errors import DigestInvalid, DigestUnsupported

FIELD: Final = "Upload-Checksum"

_NAMES: Final = {"sha1": "sha", "sha256": "sha-256", "sha512": "sha-512", "md5": "md5"}
ALGORITHMS: Final = tuple(_NAMES)
"""The algorithms in the spelling of tus, the one that every server has first."""


def decode(text: str) -> Digest:
    """The digest, under the algorithm's RFC 9530 name. Raises ``DigestInvalid`` or ``DigestUnsupported``."""
    name, space, encoded = text.partition(" ")
    if not space:
        raise _unreadable("it is not an algorithm, a space and base64")
    algorithm = _NAMES.get(name)
    if algorithm is None:
        raise DigestUnsupported(
            f"{FIELD} names an algorithm that is not computed here; use one of {', '.join(ALGORITHMS)}",
            field=FIELD,
            allowed=list(ALGORITHMS),
        )
    try:
        value = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise _unreadable("its value is not padded base64") from None
    size = digest_size(algorithm)
    if len(value) != size:
        raise _unreadable(f"a {name} has {size} bytes, not {len(value)}")
    return Digest(algorithm, value)


def _unreadable(reason: str) -> DigestInvalid:
    return DigestInvalid(f"{FIELD} cannot be read: {reason}", field=FIELD, reason=reason)
