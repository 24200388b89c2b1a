"""Uploads in a given state, for tests of decisions."""

from __future__ import annotations

from typing import Final

from onward.core.digest import sha256
from onward.core.types import (
    AnyEvent,
    ClientName,
    Created,
    Damaged,
    Declaration,
    Declared,
    Failed,
    Layout,
    Limits,
    Policy,
    Published,
    Record,
    Removed,
    Run,
    Sealed,
    Spec,
    Stored,
    Unknown,
    UploadId,
)
from onward.core.upload import Upload

ID: Final = UploadId("a" * 32)
NAME: Final = ClientName(None, "f")
LIMITS: Final = Limits(max_size=64, max_chunk=16, max_chunks=12)
SIZE: Final = 4

NUMBERED: Final = Declared(declared=Declaration(layout=Layout.NUMBERED))
FLAT: Final = Declared(declared=Declaration(layout=Layout.FLAT))
SIZED: Final = Declared(declared=Declaration(layout=Layout.FLAT, part_size=SIZE))
GOOD: Final = sha256(b"the whole")
OTHER: Final = sha256(b"another whole")
FAILED: Final = Failed(code="damaged")
CANCELLED: Final = Removed(reason="cancelled")
UNKNOWN: Final = Unknown(raw=b'{"type":"extended"}')


def data_for(key: int, size: int, variant: int = 0) -> bytes:
    """The bytes that belong to a place."""
    return bytes((key * 31 + i * 7 + variant * 101 + 1) % 256 for i in range(size))


def part(key: int, size: int = SIZE, variant: int = 0) -> Stored:
    return Stored(key=key, size=size, digest=sha256(data_for(key, size, variant)))


def run(key: int, size: int = SIZE, variant: int = 0) -> Run:
    return Run(key=key, size=size, digest=sha256(data_for(key, size, variant)))


def length(size: int) -> Declared:
    return Declared(declared=Declaration(length=size))


def sealed(size: int, parts: int) -> Sealed:
    return Sealed(length=size, parts=parts)


def published(size: int) -> Published:
    return Published(ref="f", size=size, digest=GOOD)


def damaged(*keys: int, size: int = SIZE) -> Damaged:
    return Damaged(keys=keys, size=size * len(keys))


def upload_of(*events: AnyEvent, declared: Declaration = Declaration(), policy: Policy = Policy()) -> Upload:  # noqa: B008 - frozen
    """The upload that was created and then saw these events."""
    begun = Created(id=ID, spec=Spec(name=NAME, declared=declared), policy=policy)
    return Upload.fold(ID, [Record(n, float(n), event) for n, event in enumerate([begun, *events], 1)])
