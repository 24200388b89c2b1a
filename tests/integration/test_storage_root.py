from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from onward.core.types import Layout
from onward.errors import AlreadyComplete, NotFound, StorageFault
from onward.ports import OnConflict
from onward.storage import naming
from onward.storage.fs import Fs
from onward.storage.local import LocalStorage
from onward.testing.crash import Inline
from onward.testing.storage_steps import (
    ID,
    OTHER,
    PART,
    bad_keys,
    gather,
    make_plan,
    publish,
    put,
    some_bytes,
    whole,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[LocalStorage]:
    storage = await anyio.to_thread.run_sync(LocalStorage, tmp_path / "root")
    yield storage
    await storage.close()


def test_it_is_closed_to_others(tmp_path: Path) -> None:
    root = tmp_path / "deep" / "root"
    LocalStorage(root, threads=Inline())
    assert root.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in root.iterdir()} == {0o700}


async def test_what_it_writes_is_closed_to_others(storage: LocalStorage, tmp_path: Path) -> None:
    await publish(storage, some_bytes(10), name="a/b")
    await put(storage, Layout.NUMBERED, 1, some_bytes(10), id=OTHER)
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in tree(tmp_path / "root")}
    assert modes == {(True, 0o700), (False, 0o600)}


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_root_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(StorageFault, match="nobody else may write"):
        LocalStorage(tmp_path, threads=Inline())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_root_of_somebody_else_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    with pytest.raises(StorageFault, match="must belong to this user"):
        LocalStorage(tmp_path, threads=Inline())


@pytest.mark.parametrize("name", ["uploads", "files", "manifests", "trash"])
def test_a_root_with_a_link_in_it_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = tmp_path / "root"
    root.mkdir(0o700)
    (root / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageFault, match=name):
        LocalStorage(root, threads=Inline())
    held = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert str(root) not in held


@pytest.fixture
def untouched(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file in it that nobody may change, nor add to."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    yield outside
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize(
    ("layout", "place"),
    [
        (Layout.FLAT, "data"),
        (Layout.FLAT, ""),
        (Layout.NUMBERED, "parts"),
        (Layout.NUMBERED, "parts/1"),
        (Layout.NUMBERED, "out"),
        (Layout.NUMBERED, ""),
    ],
)
async def test_a_planted_link_is_not_followed(
    storage: LocalStorage, tmp_path: Path, untouched: Path, layout: Layout, place: str
) -> None:
    planted = tmp_path / "root" / "uploads" / ID[:2] / ID / place
    planted.parent.mkdir(parents=True, mode=0o700)
    planted.symlink_to(untouched if place in {"", "parts"} else untouched / "secret")
    plan = make_plan(layout, [b"secret"])
    try:
        await put(storage, layout, plan.copies[0].key, some_bytes(PART))
    except (StorageFault, AlreadyComplete):
        assert place != "parts/1"
    else:
        assert place in {"parts/1", "out"}  # a whole part takes the place of the link itself
    try:
        assert await bad_keys(storage, plan) == [plan.copies[0].key]
    except StorageFault:
        assert place != "parts/1"
    assert await gather(_peek(storage, layout)) != b"secret"


async def _peek(storage: LocalStorage, layout: Layout) -> AsyncIterator[Any]:
    try:
        async for block in storage.peek(ID, layout, 0 if layout is Layout.FLAT else 1, 6):
            yield block
    except StorageFault:
        yield b"refused"


@pytest.mark.parametrize("name", ["link", "link/secret"])
@pytest.mark.parametrize("on_conflict", list(OnConflict))
async def test_a_link_among_published_files_is_not_followed(
    storage: LocalStorage, tmp_path: Path, untouched: Path, name: str, on_conflict: OnConflict
) -> None:
    (tmp_path / "root" / "files" / "link").symlink_to(untouched)
    with pytest.raises((StorageFault, NotFound)):
        await gather(storage.read("link/secret", 0, 1))
    blob = await publish(storage, some_bytes(10), name=name, on_conflict=on_conflict)
    assert await whole(storage, blob) == some_bytes(10)


async def test_a_pipe_does_not_hold_a_thread(storage: LocalStorage, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "root" / "files" / "pipe")
    with pytest.raises((StorageFault, NotFound)):
        await gather(storage.read("pipe", 0, 1))


def tree(root: Path) -> list[Path]:
    return sorted(root.rglob("*"))


@pytest.mark.parametrize("id", ["..", "../../x", "", "a" * 25, "A" * 26, "é" * 26, "0" * 26 + "\n", "0" * 5000])
async def test_what_is_no_id_reaches_no_file(storage: LocalStorage, tmp_path: Path, id: Any) -> None:
    before = tree(tmp_path)
    for work in (
        put(storage, Layout.FLAT, 0, b"x", id=id),
        put(storage, Layout.NUMBERED, 1, b"x", id=id),
        bad_keys(storage, make_plan(Layout.FLAT, [b"x"]), id),
        storage.manifest(id),
        storage.discard(id),
    ):
        with pytest.raises(NotFound):
            await work
    assert tree(tmp_path) == before


async def test_trash_is_emptied_at_the_start(tmp_path: Path) -> None:
    left = tmp_path / "trash" / "x" / "parts"
    await anyio.Path(left).mkdir(parents=True)
    await anyio.Path(left / "1").write_bytes(b"x")
    await (await anyio.to_thread.run_sync(LocalStorage, tmp_path)).close()
    assert tree(tmp_path / "trash") == []


def test_variants_of_a_name_stay_short_enough() -> None:
    for name in ("a/b.tar.gz", "é" * 127, "x" * 255, "." + "x" * 254):
        found = next(naming.variants(name))
        assert len(found.rpartition("/")[2].encode()) <= 255
        assert " (1)" in found
    assert next(naming.variants("a/b.txt")) == "a/b (1).txt"


async def test_a_name_too_long_for_the_disk_falls_back(storage: LocalStorage) -> None:
    blob = await publish(storage, some_bytes(10), name="x" * 256)
    assert blob.ref == f"{ID}/name.bin"


async def test_bytes_in_a_name_that_is_no_utf8_do_not_matter(storage: LocalStorage) -> None:
    blob = await publish(storage, some_bytes(10), name="é\\ \n*.bin")
    assert await storage.stat(blob.ref) == 10


@pytest.mark.parametrize("path", ["../beside", "a/../../beside", ".", "a//b", "/etc/passwd", "a/"])
def test_no_path_leads_out_of_the_root_or_is_written_in_two_ways(tmp_path: Path, path: str) -> None:
    (tmp_path / "beside").touch()
    fs = Fs(tmp_path / "root")
    fs.mkdir("a")
    with pytest.raises(OSError, match="Invalid argument"):
        fs.open(path, os.O_RDONLY)
    fs.shut()
