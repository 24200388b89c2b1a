"""A disk without room under a journal: what was acknowledged stays, and it goes on when there is room."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from onward.core.types import Digest, Stored
from onward.errors import NoSpace
from onward.journal.sqlite import SqliteJournal
from onward.testing.conformance_journal import begun, fold, stored, upload_id

pytestmark = pytest.mark.anyio

BIG = Digest("sha-256", bytes(30_000))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        reason = "only root may mount a small file system"
        print(reason)
        pytest.skip(reason)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(tmp_path)], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        reason = f"no file system can be mounted: {made.stderr.strip()}"
        print(reason)
        pytest.skip(reason)
    (tmp_path / "filler").write_bytes(bytes(1 << 20))
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


@pytest.fixture
def opened(small_disk: Path) -> SqliteJournal:
    return SqliteJournal(small_disk / "onward.db")


@pytest.fixture
async def journal(opened: SqliteJournal) -> AsyncIterator[SqliteJournal]:
    yield opened
    await opened.close()


async def fill(journal: SqliteJournal, version: int) -> int:
    """Append until there is no room; answers the version that was acknowledged last."""
    for at in range(version, version + 500):
        try:
            await journal.append(
                upload_id(1), [Stored(key=at, size=1, digest=BIG)], version=at, at=float(at), sync=at % 2 == 0
            )
        except NoSpace:
            return at
    raise AssertionError("the disk is not as small as it should be")


async def test_what_was_acknowledged_outlives_a_full_disk(journal: SqliteJournal, small_disk: Path) -> None:
    await begun(journal, 1, length=1 << 30)
    version = await fill(journal, 1)
    assert version > 3
    assert await fill(journal, version) == version, "without room it stays refused"
    before = await journal.read(upload_id(1))
    assert [record.version for record in before] == list(range(1, version + 1))
    assert await journal.summary(upload_id(1)) == fold(before)

    os.truncate(small_disk / "filler", 0)
    await journal.check()
    await journal.append(upload_id(1), [stored(0, 1)], version=version, at=1000.0, sync=True)
    version = await fill(journal, version + 1)
    await journal.close()

    os.unlink(small_disk / "filler")
    again = await asyncio.to_thread(SqliteJournal, small_disk / "onward.db")
    records = await again.read(upload_id(1))
    assert [record.version for record in records] == list(range(1, version + 1))
    assert list(records[: len(before)]) == list(before)
    assert await again.summary(upload_id(1)) == fold(records)
    await again.close()
