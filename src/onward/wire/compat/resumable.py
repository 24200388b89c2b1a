"""resumable.js: chunks of a form, or raw with everything in the query (``method: 'octet'``)."""

from __future__ import annotations

from onward.core.types import Limits
from onward.wire.compat.numbered import Numbered


def resumable(limits: Limits) -> Numbered:
    """The dialect of resumable.js, which gives up after 400, 404, 415, 500 and 501 and tries all others again."""
    return Numbered(
        limits,
        name="resumable",
        prefix="resumable",
        permanent={415: 415, 500: 500, 507: 500},
        otherwise=400,
    )
