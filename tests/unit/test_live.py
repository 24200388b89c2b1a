"""Digests over wholes that come in order, kept between the requests that bring them."""

from __future__ import annotations

import pytest

from onward.core.digest import SHA256, Hasher, sha256
from onward.core.types import Append, Declaration, Number, Store, UploadId
from onward.core.upload import Upload
from onward.engine import live
from onward.engine.live import LiveHashers

WANTED = Declaration(digest=sha256(b"abcdef"))


def goes_on(name: str, at: int, wanted: Declaration = WANTED) -> tuple[Upload, Store]:
    return Upload(UploadId(name)), Store(target=UploadId(name), at=Append(at), declared=wanted)


def seen(hashers: LiveHashers, name: str, data: bytes, at: int) -> None:
    hasher = Hasher((SHA256,))
    hasher.update(data)
    hashers.keep(Upload(UploadId(name)), hasher, at)


def test_a_hasher_goes_on_where_it_stopped_and_nowhere_else() -> None:
    hashers = LiveHashers()
    seen(hashers, "a", b"abc", 3)
    hasher = hashers.resume(*goes_on("a", 3), 3)
    assert hasher is not None
    hasher.update(b"def")
    assert hasher.digests() == {SHA256: WANTED.digest}
    assert hashers.resume(*goes_on("a", 3), 3) is None, "only one request goes on with it"
    seen(hashers, "a", b"abc", 3)
    assert hashers.resume(*goes_on("a", 2), 2) is None
    seen(hashers, "a", b"abcd", 3)
    assert hashers.resume(*goes_on("a", 3), 3) is None, "it has seen a byte that was not recorded"


def test_there_is_none_where_nobody_asks_for_it() -> None:
    hashers = LiveHashers()
    assert hashers.resume(*goes_on("a", 0), 0) is not None
    assert hashers.resume(*goes_on("a", 0, Declaration()), 0) is None
    by_number = Store(target=UploadId("a"), at=Number(1), declared=WANTED)
    assert hashers.resume(Upload(UploadId("a")), by_number, 0) is None


def test_those_that_were_kept_longest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "KEPT", 2)
    hashers = LiveHashers()
    for name in "abc":
        seen(hashers, name, b"abc", 3)
    assert [name for name in "abc" if hashers.resume(*goes_on(name, 3), 3) is not None] == ["b", "c"]
