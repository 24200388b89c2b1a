from __future__ import annotations

import errno
import inspect
import os
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.storage.fs import Fs
from onward.testing.crash import SECTOR, Inline, SimFs

CREATE = os.O_RDWR | os.O_CREAT


def fates(prepare: Callable[[SimFs], None], seeds: int = 60) -> set[bytes | None]:
    """What a power cut may leave of the file ``f``, over many cuts."""
    found: set[bytes | None] = set()
    for seed in range(seeds):
        fs = SimFs()
        prepare(fs)
        fs.cut(Random(seed))
        found.add(read(fs, "f") if "f" in fs.listdir("") else None)
    return found


def write(fs: Fs, path: str, data: bytes, *, sync: bool) -> None:
    fd = fs.open(path, CREATE)
    assert fs.pwritev(fd, [data], 0) == len(data)
    if sync:
        fs.fdatasync(fd)
    fs.close(fd)


def read(fs: Fs, path: str) -> bytes:
    fd = fs.open(path, os.O_RDONLY)
    data = fs.pread(fd, 1 << 20, 0)
    fs.close(fd)
    return data


def test_it_stands_in_for_every_method() -> None:
    public = {name for name, _ in inspect.getmembers(Fs, inspect.isfunction) if not name.startswith("_")}
    assert public - vars(SimFs).keys() == set()


def test_what_is_synced_survives() -> None:
    def prepare(fs: SimFs) -> None:
        write(fs, "f", b"synced", sync=True)
        fs.sync_dir("")

    assert fates(prepare) == {b"synced"}


def test_a_name_needs_its_directory_synced() -> None:
    assert fates(lambda fs: write(fs, "f", b"x", sync=True)) == {None, b"x"}


def test_bytes_need_their_file_synced() -> None:
    def prepare(fs: SimFs) -> None:
        write(fs, "f", b"x", sync=False)
        fs.sync_dir("")

    assert fates(prepare) == {b"", b"x"}


def test_an_unsynced_write_may_be_torn_between_sectors_only() -> None:
    def prepare(fs: SimFs) -> None:
        write(fs, "f", bytes(2 * SECTOR), sync=True)
        fs.sync_dir("")
        write(fs, "f", b"x" * 2 * SECTOR, sync=False)

    none, some = bytes(SECTOR), b"x" * SECTOR
    assert fates(prepare) == {none + none, some + none, none + some, some + some}


def test_a_rename_happens_or_does_not() -> None:
    def prepare(fs: SimFs) -> None:
        write(fs, "f", b"old", sync=True)
        write(fs, "new", b"new", sync=True)
        fs.sync_dir("")
        fs.rename("new", "f")

    assert fates(prepare) == {b"old", b"new"}


def test_a_directory_that_was_not_synced_is_lost_with_all_in_it() -> None:
    left = set()
    for seed in range(30):
        fs = SimFs()
        fs.mkdir("d")
        write(fs, "d/f", b"x", sync=True)
        fs.sync_dir("d")
        fs.cut(Random(seed))
        left.add(tuple(fs.listdir("")))
    assert left == {(), ("d",)}


def test_a_failed_sync_is_not_made_good_by_the_next_one() -> None:
    def prepare(fs: SimFs) -> None:
        fd = fs.open("f", CREATE)
        fs.sync_dir("")
        fs.pwritev(fd, [b"x"], 0)
        fs.fail(0, errno.EIO)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            fs.fdatasync(fd)
        fs.heal()
        fs.fdatasync(fd)

    assert fates(prepare) == {b"", b"x"}


def test_death_of_the_process_loses_files_and_locks_but_no_byte() -> None:
    fs = SimFs()
    fd = fs.open("f", CREATE)
    assert fs.lock(fd, exclusive=True)
    fs.pwritev(fd, [b"x"], 0)
    fs.kill()
    assert fs.open_files == 0
    again = fs.open("f", CREATE)
    assert fs.lock(again, exclusive=True)
    assert fs.pread(again, 10, 0) == b"x"


@pytest.mark.parametrize("forever", [False, True])
def test_the_nth_operation_fails(*, forever: bool) -> None:
    fs = SimFs()
    fs.fail(1, errno.ENOSPC, forever=forever)
    outcomes = []
    for name in "abc":
        try:
            fs.mkdir(name)
            outcomes.append(0)
        except OSError as error:
            outcomes.append(error.errno or 0)
    assert outcomes == [0, errno.ENOSPC, errno.ENOSPC if forever else 0]


def test_it_fills_up() -> None:
    fs = SimFs(size=10)
    fd = fs.open("f", CREATE)
    assert fs.pwritev(fd, [b"12345678"], 0) == 8
    assert fs.pwritev(fd, [b"12345678"], 8) == 2
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        fs.pwritev(fd, [b"1"], 10)
    assert fs.pwritev(fd, [b"ab"], 0) == 2
    assert fs.free() == 0


def errnos(fs: Fs, script: list[tuple[str, str, str]]) -> list[object]:
    """What each step of a script answers: an errno, or what can be seen afterwards."""
    seen: list[object] = []
    for verb, first, second in script:
        try:
            match verb:
                case "write":
                    write(fs, first, second.encode(), sync=False)
                case "link" | "rename":
                    getattr(fs, verb)(first, second)
                case _:
                    getattr(fs, verb)(first)
        except OSError as error:
            seen.append(error.errno)
        else:
            seen.append(None)
    return [*seen, tree(fs, "")]


def tree(fs: Fs, path: str) -> object:
    found = fs.stat(path)
    if found.directory:
        return {name: tree(fs, f"{path}/{name}".lstrip("/")) for name in fs.listdir(path)}
    return read(fs, path), found.links


TOPS = st.sampled_from(["a", "b"])  # files or directories
LEAVES = st.sampled_from(["a/x", "b/x", "b/y"])  # files only: what a moved directory does is nobody's business here
STEPS = st.one_of(
    st.tuples(st.sampled_from(["write", "unlink"]), TOPS | LEAVES, TOPS),
    st.tuples(st.sampled_from(["mkdir", "rmdir"]), TOPS, TOPS),
    st.tuples(st.sampled_from(["link", "rename"]), LEAVES, LEAVES),
)


@given(script=st.lists(STEPS, max_size=15))
def test_it_answers_as_a_real_file_system_does(
    script: list[tuple[str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    fs = Fs(tmp_path_factory.mktemp("fs"))
    try:
        assert errnos(SimFs(), script) == errnos(fs, script)
    finally:
        fs.shut()


def test_work_done_inline_is_done_at_once() -> None:
    done: list[int] = []
    future = Inline().submit(done.append, 1)
    assert done == [1]
    assert future.result(timeout=0) is None
    with pytest.raises(ZeroDivisionError):
        Inline().submit(lambda: 1 // 0).result(timeout=0)
