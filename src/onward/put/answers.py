"""What the chunk API says, as far as `put` reads it; whatever else is in an answer is passed over."""

from __future__ import annotations

import msgspec

Pairs = list[tuple[int, int]]


class Part(msgspec.Struct, frozen=True):
    """A recorded run of bytes."""

    size: int
    sha256: str
    offset: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far the worker is, in bytes."""

    phase: str
    done: int
    total: int


class Proof(msgspec.Struct, frozen=True):
    """The published file."""

    size: int
    sha256: str
    content: str


class Failure(msgspec.Struct, frozen=True):
    """Why there is no file."""

    code: str
    detail: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where an upload stands: the manifest so far."""

    id: str
    state: str
    length: int | None = None
    chunk_size: int | None = None
    chunks: list[Part] = []
    missing: Pairs | None = None
    progress: Progress | None = None
    result: Proof | None = None
    failure: Failure | None = None


class Received(msgspec.Struct, frozen=True):
    """The first runs of what is stored."""

    chunks: Pairs = []
    ranges: Pairs = []


class Begun(msgspec.Struct, frozen=True):
    """The answer to a declaration."""

    id: str
    state: str
    received: Received

    @property
    def is_blank(self) -> bool:
        """Nothing is stored yet."""
        return self.state == "receiving" and not (self.received.chunks or self.received.ranges)


class Accepted(msgspec.Struct, frozen=True):
    """The answer to a chunk or to a completion, which have this in common."""

    id: str


class Problem(msgspec.Struct, frozen=True):
    """Why a request was refused."""

    code: str = ""
    detail: str = ""
