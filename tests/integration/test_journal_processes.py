"""Several processes on one journal file, some of which die."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from onward.core.types import Stored
from onward.journal.sqlite import SqliteJournal
from onward.testing.conformance_journal import all_pages, fold, upload_id

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("journal_writer.py")
TRIPLE = 3


def start(path: Path, writer: int, rounds: int) -> subprocess.Popen[str]:
    arguments = [sys.executable, str(SCRIPT), str(path), str(writer), str(rounds)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


async def check(path: Path, acknowledged: list[str]) -> Counter[str]:
    """All that was acknowledged is there, nothing is half there; answers how often each mark is."""
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    journal = await asyncio.to_thread(SqliteJournal, path)
    try:
        marks: Counter[str] = Counter()
        at: dict[tuple[str, int], str] = {}
        rows = await all_pages(journal, limit=50)
        for row in rows:
            records = await journal.read(row.id)
            assert [record.version for record in records] == list(range(1, len(records) + 1))
            assert row == fold(records)
            assert (len(records) - 1) % TRIPLE == 0
            for first in range(1, len(records), TRIPLE):
                events = [record.event for record in records[first : first + TRIPLE]]
                triple = [event for event in events if isinstance(event, Stored)]
                assert [event.key for event in triple] == [0, 1, 2]
                (mark,) = {event.digest.value.decode() for event in triple}
                at[row.id, first] = mark
                marks[f"{row.id} {mark}"] += 1
        for line in acknowledged:
            one, version, mark = line.split()
            assert at[one, int(version)] == mark
        assert await journal.promised() == sum(row.promised for row in rows)
    finally:
        await journal.close()
    return marks


@pytest.fixture
def hammered(tmp_path: Path) -> tuple[Path, list[str]]:
    path = tmp_path / "onward.db"
    processes = [start(path, writer, 40) for writer in range(2)]
    outputs = [process.communicate(timeout=100)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    return path, [line for output in outputs for line in output.splitlines()]


async def test_two_processes_lose_nothing(hammered: tuple[Path, list[str]]) -> None:
    path, acknowledged = hammered
    assert len(acknowledged) == 2 * 4 * 40
    marks = await check(path, acknowledged)
    assert sum(marks.values()) == len(acknowledged)
    assert set(marks.values()) == {1}


@pytest.fixture
def killed(tmp_path: Path) -> tuple[Path, list[str]]:
    """The file after several processes were killed while they wrote, and what they had been told."""
    path = tmp_path / "onward.db"
    chance = random.Random(11)
    acknowledged: list[str] = []
    for life in range(6):
        process = start(path, life, 1_000_000)
        assert process.stdout is not None
        acknowledged += islice(process.stdout, chance.randrange(1, 120))
        process.kill()
        acknowledged += [line for line in process.stdout if line.endswith("\n")]
        process.stdout.close()
        assert process.wait(timeout=100) == -9
    return path, acknowledged


async def test_what_a_killed_process_had_acknowledged_is_there(killed: tuple[Path, list[str]]) -> None:
    path, acknowledged = killed
    assert len(acknowledged) >= 6
    marks = await check(path, acknowledged)
    assert set(marks.values()) == {1}
    assert f"{upload_id(0)} 0-0" in marks
