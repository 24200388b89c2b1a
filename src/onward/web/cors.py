"""Browsers of other origins: what they may send, and what they may see."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from onward.wire import chunks, tus1

EXPOSED: Final = tuple(
    sorted(
        {
            *chunks.EXPOSED,
            *tus1.EXPOSED,
            "Upload-Draft-Interop-Version",
            "Upload-Incomplete",
            *("Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Length", "Content-Range", "ETag"),
            *("Idempotency-Key", "Last-Modified", "Link", "Range", "Repr-Digest", "Upload-Expires", "Upload-Limit"),
            *("Upload-Metadata", "WWW-Authenticate"),
        }
    )
)
"""Response headers that scripts may read."""

ACCEPTED: Final = tuple(
    sorted(
        {
            *tus1.ACCEPTED,
            "Authorization",
            "Content-Digest",
            "Content-Type",
            "Idempotency-Key",
            "If-None-Match",
            "If-Range",
            "Last-Event-ID",
            "Range",
            "Repr-Digest",
            "Upload-Chunk-Size",
            "Upload-Complete",
            "Upload-Length",
            "Upload-Metadata",
            "Upload-Offset",
            "X-Requested-With",
            "Upload-Draft-Interop-Version",
            "Upload-Incomplete",
            "Want-Repr-Digest",
        }
    )
)
"""Request headers that scripts may always send."""

MAX_AGE: Final = 7200
"""Seconds that a browser may keep the answer to a preflight."""

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}", re.ASCII)
_MOST_ASKED: Final = 32


class Cors:
    """The rules for one set of origins, compared exactly; ``*`` stands for any.

    Raises ``ValueError`` for ``*`` together with credentials: any site could then act in a
    visitor's name.
    """

    def __init__(self, origins: Sequence[str], *, credentials: bool) -> None:
        self._any = "*" in origins
        if self._any and credentials:
            raise ValueError("cors_credentials needs exact origins; '*' lets any site act in a visitor's name")
        self._origins = frozenset(origins)
        self._credentials = credentials

    def headers(self, origin: str | None) -> dict[str, str]:
        """What every response to a request from ``origin`` carries."""
        vary = {} if self._any or not self._origins else {"vary": "Origin"}
        if not self._allows(origin):
            return vary
        found = {
            **vary,
            "access-control-allow-origin": "*" if self._any else str(origin),
            "access-control-expose-headers": ", ".join(EXPOSED),
        }
        if self._credentials:
            found["access-control-allow-credentials"] = "true"
        return found

    def preflight(self, headers: Mapping[str, str], methods: Sequence[str]) -> dict[str, str]:
        """What the answer to an ``OPTIONS`` adds: which methods and headers may come.

        Headers that the browser asks about are granted: origins are the gate, and an embedding
        application may need headers of its own.
        """
        if not self._allows(headers.get("origin")) or "access-control-request-method" not in headers:
            return {}
        asked = [name.strip() for name in headers.get("access-control-request-headers", "").split(",")[:_MOST_ASKED]]
        known = {name.lower() for name in ACCEPTED}
        more = [name for name in asked if _TOKEN.fullmatch(name) and name.lower() not in known]
        return {
            "access-control-allow-methods": ", ".join(methods),
            "access-control-allow-headers": ", ".join([*ACCEPTED, *dict.fromkeys(more)]),
            "access-control-max-age": str(MAX_AGE),
        }

    def _allows(self, origin: str | None) -> bool:
        return origin is not None and (self._any or origin in self._origins)
