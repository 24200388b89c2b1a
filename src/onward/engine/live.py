"""Digests over wholes that come in order: kept between the requests that bring them.

Only where a client declared the digest of the whole. A hasher that is lost (another process, a
restart) costs nothing but the early answer: the read-back proves the whole anyway.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from onward.core.digest import Hasher
from onward.core.types import Append, Store, UploadId
from onward.core.upload import Upload

KEPT: Final = 1024
"""Hashers kept for uploads between two requests."""


class LiveHashers:
    """One hasher for each upload that comes in order and declared what it should be."""

    def __init__(self) -> None:
        self._kept: OrderedDict[UploadId, tuple[int, Hasher]] = OrderedDict()

    def resume(self, upload: Upload, cmd: Store, start: int) -> Hasher | None:
        """The hasher that has seen exactly the first ``start`` bytes, if there is use for one."""
        wanted = cmd.declared.digest or upload.declared.digest
        at, hasher = self._kept.pop(upload.id, (0, None))
        if wanted is None or not isinstance(cmd.at, Append):
            return None
        if start == 0:
            return Hasher((wanted.algorithm,))
        return hasher if at == start else None

    def keep(self, upload: Upload, hasher: Hasher, at: int) -> None:
        """Have the hasher ready for the request that goes on at ``at``."""
        if hasher.size != at:
            return  # bytes were read that were not recorded
        self._kept[upload.id] = (at, hasher)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
