"""What the web layer and a dialect hand each other: the head of a request, a reply, links."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import quote

import msgspec

from onward.core.outcome import Outcome
from onward.core.types import Command, Phase, UploadId
from onward.errors import OnwardError


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A request without its body."""

    method: str
    """In capitals, after any method override."""
    segment: str = ""
    """The path segment behind the dialect's prefix, percent-decoded; empty if there is none."""
    query: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    """By lower-case name. One that was sent several times is joined with ``, ``."""
    owner: str | None = None
    base: str = ""
    """What links of the reply begin with: scheme and host, or nothing for relative ones."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered. ``media_type`` is empty where there is no body."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    media_type: str = ""


class Hrefs(msgspec.Struct, frozen=True, kw_only=True):
    """Where things are found. Absolute if ``base`` (scheme and host) is given, else paths from the root."""

    base: str = ""
    upload: str = "/upload"
    files: str = "/files"
    uploads: str = "/uploads"

    def upload_of(self, name: str) -> str:
        """The upload that a client's name stands for, in the chunk API."""
        return f"{self.base}{self.upload}/{quote(name, safe='')}"

    def complete(self) -> str:
        """Where an upload of the chunk API is completed."""
        return f"{self.base}{self.upload}/complete"

    def status_of(self, id: UploadId) -> str:
        """How the upload stands, whichever dialect began it."""
        return f"{self.base}{self.uploads}/{id}"

    def events_of(self, id: UploadId) -> str:
        """The stream of the upload's events."""
        return f"{self.base}{self.uploads}/{id}/events"

    def file_of(self, id: UploadId) -> str:
        """The upload resource of the sequential dialects."""
        return f"{self.base}{self.files}/{id}"

    def content_of(self, id: UploadId) -> str:
        """The published bytes."""
        return f"{self.base}{self.files}/{id}/content"


class Work(Protocol):
    """How far the worker is with a sealed upload, in bytes; ``ports.WorkDone`` is one."""

    @property
    def phase(self) -> Phase:
        """What it is at."""

    @property
    def done(self) -> int:
        """Bytes behind it."""

    @property
    def total(self) -> int:
        """Bytes in all."""


class Dialect(Protocol):
    """One HTTP protocol, translated. Stateless; every method is a pure function.

    ``parse`` raises ``OnwardError`` and nothing else, whatever the request says. ``body`` is
    asked for only where the command is in the body: its bytes (at most as many as the web
    layer reads into memory), or the fields of a multipart form.
    """

    def parse(self, head: Head, body: bytes | Mapping[str, str] = b"") -> Command:
        """The command that a request stands for."""

    def reply(
        self,
        command: Command,
        outcome: Outcome,
        hrefs: Hrefs,
        head: Head | None = None,
        *,
        work: Work | None = None,
        expires_at: float | None = None,
    ) -> Reply:
        """What to say of a command that was carried out.

        ``work`` and ``expires_at`` (seconds since the epoch) are what no event holds; leave
        them out where they are not known.
        """

    def refuse(self, error: OnwardError, head: Head | None, hrefs: Hrefs) -> Reply:
        """What to say of a command that was not."""
