"""The file that is sent is read once, hashed on the way, and not mixed with what it becomes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onward.put.faults import NotTaken
from onward.put.plan import Cut
from onward.put.source import Source


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    return file


@given(data=st.binary(max_size=2000), chunk_size=st.integers(1, 700))
def test_chunks_and_whole_are_hashed_in_one_pass(
    data: bytes, chunk_size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "hashed"
    file.write_bytes(data)
    cut = Cut(len(data), chunk_size)
    source = Source(str(file))
    try:
        chunks = [source.next(number, cut.span(number)[1]) for number in range(1, cut.count + 1)]
        assert b"".join(chunk.data for chunk in chunks) == data
        assert all(chunk.sha256 == hashlib.sha256(chunk.data).digest() for chunk in chunks)
        assert source.sha256() == hashlib.sha256(data).digest()
        assert source.at(cut.count, *cut.span(cut.count)) == chunks[-1]
    finally:
        source.close()


@given(data=st.binary(max_size=300), runs=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), max_size=12))
def test_bytes_read_out_of_order_count_once_and_only_behind_those_before_them(
    data: bytes, runs: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "out-of-order"
    file.write_bytes(data)
    source = Source(str(file))
    try:
        for first, most in runs:
            start = min(first, len(data))
            end, before = min(start + most, len(data)), source.read
            assert source.at(1, start, end - start).data == data[start:end]
            assert source.read == (max(before, end) if start <= before else before)
        source.next(1, len(data) - source.read)
        assert source.sha256() == hashlib.sha256(data).digest()
    finally:
        source.close()


def test_a_file_is_known_by_its_size_its_time_and_its_edges(path: Path) -> None:
    def identity() -> bytes:
        source = Source(str(path))
        try:
            return source.identity()
        finally:
            source.close()

    os.utime(path, ns=(5, 5))
    seen = {identity()}
    assert identity() in seen
    for data, time in ((b"0123456789", 6), (b"x123456789", 5), (b"012345678x", 5), (b"01234567890", 5)):
        path.write_bytes(data)
        os.utime(path, ns=(time, time))
        assert identity() not in seen
        seen.add(identity())


def test_a_file_that_is_written_while_it_is_read_is_refused(path: Path) -> None:
    source = Source(str(path))
    source.next(1, 5)
    path.write_bytes(b"01234xxxxx")
    os.utime(path, ns=(0, 1))
    with pytest.raises(NotTaken, match="changed") as caught:
        source.next(2, 5)
    assert caught.value.code == "file-changed"
    source.close()


def test_a_file_that_was_written_after_its_last_byte_was_read_is_refused(path: Path) -> None:
    source = Source(str(path))
    source.next(1, 10)
    os.utime(path, ns=(0, 1))
    with pytest.raises(NotTaken, match="changed"):
        source.sha256()
    source.close()


def test_a_file_that_became_shorter_is_refused(path: Path) -> None:
    source = Source(str(path))
    os.truncate(path, 3)
    with pytest.raises(NotTaken, match="changed"):
        source.next(1, 10)
    source.close()


@pytest.mark.parametrize("successor", [True, False])
def test_another_file_in_its_place_is_noticed(path: Path, successor: bool) -> None:
    source = Source(str(path))
    source.next(1, 10)
    found = path.stat()
    path.rename(path.with_name("old"))
    if successor:
        path.write_bytes(b"9876543210")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(NotTaken, match="changed"):
        source.sha256()
    source.close()


def test_half_a_file_has_no_digest(path: Path) -> None:
    source = Source(str(path))
    source.next(1, 5)
    with pytest.raises(NotTaken):
        source.sha256()
    source.close()


def test_only_regular_files_are_taken(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path):
        with pytest.raises(NotTaken, match="not a regular file"):
            Source(str(path))
    with pytest.raises(NotTaken, match="No such file"):
        Source(str(tmp_path / "absent"))
