"""The drafts of "Resumable Uploads for HTTP" by interop version: one row each, differences only here."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from onward.wire import structured

FIELD: Final = "Upload-Draft-Interop-Version"


class Missing(StrEnum):
    """What an append means that does not say whether it is the last one."""

    COMPLETES = "completes"
    GOES_ON = "goes-on"  # unless its end is the length that it gives
    REFUSED = "refused"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """How one interop version words requests and responses."""

    number: int | None
    """``None``: the request names none that is known here, so neither 104 nor an echo is sent."""
    completeness: str = "Upload-Complete"
    """Where a message says whether the upload ends with it."""
    negated: bool = False
    """That field says the opposite: true means that more is to come."""
    missing: Missing = Missing.GOES_ON
    partial_upload: bool = False
    """An append must have the media type ``application/partial-upload``."""
    appended: int = 201
    """Status of an append after which more is to come."""
    completed: int = 201
    """Status of the answer to the last byte."""
    progress: bool = False
    """A 104 may tell the offset while bytes come."""
    limits: bool = False
    """``Upload-Limit`` is known."""
    age: str = "max-age"
    """The member of ``Upload-Limit`` that is the remaining lifetime."""
    empty_completes: bool = False
    """A creation with ``Upload-Length: 0`` is complete whatever else it says: a client is known to send no more."""
    completed_type: bool = False
    """There is a problem type for an append to a completed upload."""
    busy: int = 423
    """Status that makes its clients send again when somebody else holds the upload; one that only asks gets 423."""

    def says_complete(self, headers: Mapping[str, str]) -> bool | None:
        """Whether the request ends the upload; ``None`` if it does not say so in a way that can be read."""
        said = structured.boolean(headers.get(self.completeness.lower()))
        return said if said is None else said != self.negated

    def complete(self, *, complete: bool) -> dict[str, str]:
        """The header that says whether the upload is complete."""
        return {self.completeness: "?1" if complete != self.negated else "?0"}

    def echo(self) -> dict[str, str]:
        """The header that says which version is spoken."""
        return {} if self.number is None else {FIELD: str(self.number)}


_3: Final = Version(number=3, completeness="Upload-Incomplete", negated=True, missing=Missing.COMPLETES)
_4: Final = Version(number=4)
_5: Final = replace(_4, number=5, progress=True, empty_completes=True)
_6: Final = replace(_5, number=6, partial_upload=True, limits=True, age="expires", completed_type=True)
_7: Final = replace(
    _6, number=7, missing=Missing.REFUSED, appended=204, completed=202, age="max-age", empty_completes=False
)
_8: Final = replace(_7, number=8)
_9: Final = replace(_8, number=9, completed_type=False, busy=503)
_10: Final = replace(_9, number=10)

VERSIONS: Final[Mapping[int, Version]] = {
    row.number: row for row in (_3, _4, _5, _6, _7, _8, _9, _10) if row.number is not None
}
"""Every interop version that is spoken."""

UNSAID: Final = replace(_10, number=None)
"""The newest words, for a request without a version: what the final standard will be closest to."""

_UNSAID_OLD: Final = replace(_3, number=None)


def version_of(headers: Mapping[str, str]) -> Version:
    """The row to read a request by, and to answer it in."""
    number = structured.whole(headers.get(FIELD.lower()))
    if number is not None and number in VERSIONS:
        return VERSIONS[number]
    if UNSAID.says_complete(headers) is None and _UNSAID_OLD.says_complete(headers) is not None:
        return _UNSAID_OLD
    return UNSAID


def speaks(headers: Mapping[str, str]) -> bool:
    """True if a request is one of the draft's: by its version, its completeness or its media type."""
    if "tus-resumable" in headers:
        return False
    if FIELD.lower() in headers or is_partial(headers):
        return True
    return any(row.says_complete(headers) is not None for row in (UNSAID, _UNSAID_OLD))


PARTIAL: Final = "application/partial-upload"


def is_partial(headers: Mapping[str, str]) -> bool:
    """True for a body that continues a representation."""
    return headers.get("content-type", "").partition(";")[0].strip(" \t").lower() == PARTIAL
