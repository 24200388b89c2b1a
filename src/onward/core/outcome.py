"""What came of a command: all that a dialect needs for its reply."""

from __future__ import annotations

import msgspec

from onward.core.types import Stored
from onward.core.upload import Upload


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A command was carried out. ``upload`` is live: read it before anything else is awaited."""

    upload: Upload
    created: bool = False
    """This command began the upload."""
    part: Stored | None = None
    """``Store``: the recorded part that holds the body, if it is one part."""
    size: int = 0
    """``Store``: bytes of the body that are recorded now, by this request or before."""
    fresh: bool = False
    """``Store``: recorded by this request; otherwise the same bytes were there. ``Seal``: sealed by it."""
    has: bool | None = None
    """``Status`` about one chunk: whether all of it is recorded."""
