"""How the whole is made of its parts, and the description published with it."""

from __future__ import annotations

import msgspec
import pytest

from onward.core import manifest
from onward.core.digest import SHA256, Hasher, digest_size
from onward.core.manifest import Manifest, ManifestInvalid, Piece
from onward.core.plan import plan
from onward.core.types import AnyEvent, ClientName, Copy, Created, Digest, Layout, Plan, Policy, Record, Sealed, Spec
from onward.core.upload import Upload
from tests.unit.folding import (
    CANCELLED,
    FAILED,
    FLAT,
    GOOD,
    ID,
    NUMBERED,
    damaged,
    part,
    published,
    sealed,
    upload_of,
)


@pytest.mark.parametrize(
    "past",
    [
        (),
        (NUMBERED, part(1)),
        (NUMBERED, part(1), sealed(4, 1), damaged(1)),
        (NUMBERED, part(1), sealed(4, 1), FAILED),
        (NUMBERED, part(1), sealed(4, 1), CANCELLED),
    ],
)
def test_what_is_not_sealed_is_not_assembled(past: tuple[AnyEvent, ...]) -> None:
    with pytest.raises(ValueError, match="not sealed"):
        plan(upload_of(*past))


def test_numbered_parts_are_laid_end_to_end() -> None:
    made = plan(upload_of(NUMBERED, part(2, 3), part(1, 5), sealed(8, 2)))
    assert (made.layout, made.size, made.algorithms) == (Layout.NUMBERED, 8, (SHA256,))
    assert made.copies == (
        Copy(source=ID, layout=Layout.NUMBERED, key=1, start=0, size=5, digest=part(1, 5).digest),
        Copy(source=ID, layout=Layout.NUMBERED, key=2, start=5, size=3, digest=part(2, 3).digest),
    )


def test_flat_parts_lie_where_they_are() -> None:
    made = plan(upload_of(FLAT, part(4), part(0), sealed(8, 2), published(8)))
    assert made.layout is Layout.FLAT
    assert [(copy.key, copy.start) for copy in made.copies] == [(0, 0), (4, 4)]


def test_an_empty_file_has_a_plan_without_copies() -> None:
    made = plan(upload_of(sealed(0, 0)))
    assert (made.layout, made.size, made.copies) == (Layout.FLAT, 0, ())


def test_the_declared_digest_is_computed_besides_sha_256() -> None:
    seal = Sealed(length=4, parts=1, digest=Digest("md5", bytes(16)))
    assert plan(upload_of(NUMBERED, part(1), seal)).algorithms == (SHA256, "md5")
    seal = Sealed(length=4, parts=1, digest=GOOD)
    assert plan(upload_of(NUMBERED, part(1), seal)).algorithms == (SHA256,)


def test_a_manifest_says_what_the_file_is_made_of() -> None:
    upload = upload_of(NUMBERED, part(2, 3), part(1, 5), sealed(8, 2))
    made = manifest.build(upload, plan(upload), GOOD.value, 77.0)
    assert made.parts == (
        Piece(start=0, size=5, sha256=part(1, 5).digest.value.hex()),
        Piece(start=5, size=3, sha256=part(2, 3).digest.value.hex()),
    )
    assert (made.id, made.name, made.length, made.sha256) == (ID, "f", 8, GOOD.value.hex())
    assert (made.created_at, made.published_at) == (1.0, 77.0)
    text = manifest.encode(made)
    assert text.endswith(b"}\n")
    assert text.count(b"\n") == 1
    assert manifest.decode(text) == made


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (Spec(name=ClientName(None, "f"), metadata={"filename": "other"}), "f"),
        (Spec(metadata={"filename": "photo.jpg"}), "photo.jpg"),
        (Spec(), None),
    ],
)
def test_the_name_in_a_manifest(spec: Spec, name: str | None) -> None:
    upload = Upload.fold(ID, [Record(1, 1.0, Created(id=ID, spec=spec, policy=Policy()))])
    nothing = Plan(layout=Layout.FLAT, size=0, algorithms=(SHA256,), copies=())
    assert manifest.build(upload, nothing, GOOD.value, 2.0).name == name


def broken(**changes: object) -> bytes:
    good = Manifest(
        id=ID,
        name="f",
        length=5,
        sha256=GOOD.value.hex(),
        parts=(Piece(start=0, size=2, sha256="00"), Piece(start=2, size=3, sha256="00")),
        created_at=1.0,
        published_at=2.0,
    )
    return msgspec.json.encode(msgspec.to_builtins(good) | changes)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"[]", "cannot be read"),
        (broken(more=1), "cannot be read"),
        (broken(format="onward-manifest/2"), "format"),
        (broken(parts=[{"start": 1, "size": 5, "sha256": "00"}]), "do not join at byte 0"),
        (broken(parts=[{"start": 0, "size": 6, "sha256": ""}, {"start": 5, "size": 0, "sha256": ""}]), "byte 6"),
        (broken(parts=[{"start": 0, "size": -1, "sha256": ""}, {"start": -1, "size": 6, "sha256": ""}]), "byte 0"),
        (broken(length=6), "the parts have 5 bytes"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_not_believed(data: bytes, why: str) -> None:
    with pytest.raises(ManifestInvalid, match=why):
        manifest.decode(data)


def test_a_whole_manifest_is_read() -> None:
    assert manifest.decode(broken()).length == 5


@pytest.mark.parametrize(("algorithm", "size"), [("sha-256", 32), ("sha-512", 64), ("sha", 20), ("md5", 16)])
def test_a_digest_has_the_size_of_its_algorithm(algorithm: str, size: int) -> None:
    hasher = Hasher((algorithm, algorithm))
    hasher.update(b"ab")
    hasher.update(memoryview(b"c"))
    assert digest_size(algorithm) == size == len(hasher.digest(algorithm).value)
    assert hasher.size == 3
    assert list(hasher.digests()) == [algorithm]
