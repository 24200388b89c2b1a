"""Dropzone with ``chunking``: chunks numbered from 0, and small files at once."""

from __future__ import annotations

from typing import Final

from onward.core.outcome import Outcome
from onward.core.types import Command, Limits
from onward.core.upload import Upload
from onward.errors import BadField, OnwardError
from onward.wire.bodies import MULTIPART
from onward.wire.compat.front import (
    Params,
    Run,
    Sent,
    check_size,
    file_name,
    need_file,
    store,
    stored,
    taken,
    whole_file,
    wrong,
)
from onward.wire.fields import content_type
from onward.wire.message import Head, Hrefs, Reply
from onward.wire.problem import problem

UUID: Final = "dzuuid"
FILENAME: Final = "dzfilename"
"""Ours, for bodies that are no forms: the library has no parameter for it."""
_NUMBERS: Final = ("dzchunkindex", "dzchunksize", "dztotalfilesize", "dztotalchunkcount", "dzchunkbyteoffset")


class Dropzone:
    """Fulfils ``Front``. Any 2xx is success; after any other status a chunk is sent again, three times by default."""

    name = "dropzone"
    known = frozenset({UUID, FILENAME, *_NUMBERS})

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def parse(self, head: Head, sent: Sent) -> Command:
        """``POST`` or ``PUT``: a chunk, or a file that is smaller than a chunk."""
        need_file(sent)
        params = Params(head, sent)
        name = file_name(sent.filename or params.text(FILENAME))
        if params.text(UUID) is not None:
            return store(self.name, head, self._run(params, name), reopens=False)
        if content_type(head.headers.get("content-type", "")).essence != MULTIPART:
            # With `binaryBody` nothing tells a chunk from a file: taken for one it would be the end of it.
            raise BadField(
                "a body that is no form needs dzuuid and its companions in the query",
                field=UUID,
                allowed="the values of `params`, appended to the URL",
            )
        return whole_file(self.name, head, name)

    def reply(self, command: Command, outcome: Outcome, hrefs: Hrefs, head: Head) -> Reply:
        return stored(outcome, taken(outcome, hrefs))

    def refuse(self, error: OnwardError, head: Head, hrefs: Hrefs, upload: Upload | None = None) -> Reply:
        return problem(error, head)

    def _run(self, params: Params, name: str | None) -> Run:
        index = params.need_number("dzchunkindex")
        chunk_size = params.need_number("dzchunksize", least=1)
        length = params.need_number("dztotalfilesize")
        count = max(1, -(-length // chunk_size))
        said = params.number("dztotalchunkcount")
        if said is not None and said != count:
            raise wrong("dztotalchunkcount", said, f"{count} for {length} bytes in chunks of {chunk_size}")
        if index >= count:
            raise wrong("dzchunkindex", index, f"at most {count - 1}, counted from 0")
        offset = index * chunk_size
        at = params.number("dzchunkbyteoffset")
        if at is not None and at != offset:
            raise wrong("dzchunkbyteoffset", at, f"{offset} for this chunk")
        check_size(self.limits, length, count)
        size = min(chunk_size, length - offset)
        return Run(key=params.need(UUID), offset=offset, size=size, length=length, filename=name)
