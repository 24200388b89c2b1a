"""flow.js: resumable.js with other names for its fields, and other statuses that it gives up after."""

from __future__ import annotations

from onward.core.types import Limits
from onward.wire.compat.numbered import Numbered


def flow(limits: Limits) -> Numbered:
    """The dialect of flow.js, which gives up after 404, 413, 415, 500 and 501 and tries all others again: 400, too."""
    return Numbered(
        limits,
        name="flow",
        prefix="flow",
        permanent={413: 413, 500: 500, 507: 500},
        otherwise=415,
    )
