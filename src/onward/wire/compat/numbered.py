"""Front-ends that number their chunks from 1 and let the last one be larger: resumable.js, and flow.js after it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from onward.core.names import segment
from onward.core.outcome import Outcome
from onward.core.types import ClientName, Command, Limits, Status, Store
from onward.core.upload import Upload
from onward.errors import (
    BadField,
    ChunkTooLarge,
    Draining,
    Locked,
    NotFound,
    OnwardError,
    Stalled,
    StorageFault,
    Unauthorized,
    UploadFailed,
    UploadOver,
)
from onward.wire.bodies import check_metadata
from onward.wire.compat.front import (
    NOT_CACHED,
    Params,
    Run,
    Sent,
    check_size,
    file_name,
    has,
    need_file,
    store,
    stored,
    taken,
    wrong,
)
from onward.wire.message import Head, Hrefs, Reply
from onward.wire.problem import problem

_AGAIN: Final = {
    Draining: 503,
    Locked: 423,
    Stalled: 408,
    StorageFault: 503,
    Unauthorized: 401,
    # Chunk 1 starts an upload anew, and it is on its way.
    UploadFailed: 409,
    UploadOver: 409,
}
"""Refusals that a later try may not meet: their statuses are those that the client tries again after."""


class Numbered:
    """The dialect of one such front-end. Fulfils ``Front``.

    ``permanent`` are the statuses after which the client gives up: every refusal that no further
    try can change has one of them, or the client would send the same chunk a hundred times.
    """

    def __init__(self, limits: Limits, *, name: str, prefix: str, permanent: Mapping[int, int], otherwise: int) -> None:
        self.limits = limits
        self.name = name
        self._prefix = prefix
        self._permanent = permanent
        self._otherwise = otherwise
        words = ("ChunkNumber", "ChunkSize", "CurrentChunkSize", "TotalSize", "Type", "Identifier", "Filename")
        self.known = frozenset(prefix + word for word in (*words, "RelativePath", "TotalChunks"))

    def parse(self, head: Head, sent: Sent) -> Command:
        """``GET`` or ``HEAD``: is this chunk stored? ``POST`` or ``PUT``: store it."""
        params = Params(head, sent)
        run = self._run(params, sent)
        if head.method in {"GET", "HEAD"}:
            return Status(target=ClientName(head.owner, segment(f"{self.name}~{run.key}")))
        need_file(sent)
        return store(self.name, head, run, reopens=True, metadata=self._metadata(params))

    def reply(self, command: Command, outcome: Outcome, hrefs: Hrefs, head: Head) -> Reply:
        if isinstance(command, Store):
            return stored(outcome, taken(outcome, hrefs))
        if not has(outcome.upload, self._run(Params(head, Sent()), Sent())):
            return Reply(status=204, headers=NOT_CACHED)
        # Where this was the last chunk to be asked about, it is the answer that the page is given for the file.
        told = stored(outcome, taken(outcome, hrefs), NOT_CACHED)
        return Reply(status=200, headers=told.headers, body=told.body, media_type=told.media_type)

    def refuse(self, error: OnwardError, head: Head, hrefs: Hrefs, upload: Upload | None = None) -> Reply:
        if isinstance(error, NotFound) and head.method in {"GET", "HEAD"}:
            return Reply(status=204, headers=NOT_CACHED)
        again = _AGAIN.get(type(error))
        hint = error.status_hint
        return problem(error, head, status=again or self._permanent.get(hint, self._otherwise))

    def _run(self, params: Params, sent: Sent) -> Run:
        number = params.need_number(self._prefix + "ChunkNumber", least=1)
        chunk_size = params.need_number(self._prefix + "ChunkSize", least=1)
        length = params.need_number(self._prefix + "TotalSize")
        key = params.need(self._prefix + "Identifier")
        count = self._count(params, length, chunk_size)
        offset = (number - 1) * chunk_size
        if number > (count or max(1, -(-length // chunk_size))):
            raise wrong(f"{self._prefix}ChunkNumber", number, f"at most {count or max(1, -(-length // chunk_size))}")
        size = self._size(params, number, count, chunk_size, length - offset)
        largest = max(chunk_size, length - ((count or 1) - 1) * chunk_size) if count else max(chunk_size, size)
        if min(largest, length) > self.limits.max_chunk:
            raise ChunkTooLarge(
                f"a chunk may have {self.limits.max_chunk} bytes; of this file one would have {largest}",
                limit=self.limits.max_chunk,
                provided=largest,
            )
        check_size(self.limits, length, -(-length // chunk_size))
        name = file_name(params.text(f"{self._prefix}Filename") or sent.filename)
        return Run(key=key, offset=offset, size=size, length=length, filename=name)

    def _count(self, params: Params, length: int, chunk_size: int) -> int | None:
        """How many chunks there are. The last one takes the rest with it, unless all are forced to one size."""
        field = f"{self._prefix}TotalChunks"
        count = params.number(field, least=1)
        fewest, most = max(1, length // chunk_size), max(1, -(-length // chunk_size))
        if count is not None and not fewest <= count <= most:
            raise wrong(field, count, f"{fewest} or {most} for {length} bytes in chunks of {chunk_size}")
        return count

    def _size(self, params: Params, number: int, count: int | None, chunk_size: int, left: int) -> int:
        field = f"{self._prefix}CurrentChunkSize"
        size = params.number(field)
        if count is None:
            if size is None:
                raise BadField(
                    f"{field} or {self._prefix}TotalChunks must be sent", field=field, allowed="one of the two fields"
                )
            expected = size if size == left < 2 * chunk_size else min(chunk_size, left)
        else:
            expected = left if number == count else chunk_size
        if size is not None and size != expected:
            raise wrong(field, size, f"{expected} for this chunk")
        return expected

    def _metadata(self, params: Params) -> dict[str, str]:
        found = {"filetype": params.text(f"{self._prefix}Type")}
        path = params.text(f"{self._prefix}RelativePath")
        if path != params.text(f"{self._prefix}Filename"):
            found["relativePath"] = path
        metadata = {name: value for name, value in found.items() if value}
        check_metadata(metadata)
        return metadata
