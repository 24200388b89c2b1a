"""A process that appends to a journal and says what was acknowledged; driven by test_journal_processes.py.

Arguments: the file, a number that is this process's alone, how many rounds. Each line it writes
is one acknowledged append: ``id version writer``.
"""

from __future__ import annotations

import asyncio
import os
import sys

from onward.core.types import Digest, Stored
from onward.errors import VersionConflict
from onward.journal.sqlite import SqliteJournal
from onward.testing.conformance_journal import created, upload_id

SHARED = 3
TRIPLE = 3


async def work(journal: SqliteJournal, writer: int, rounds: int, number: int) -> None:
    """Append triples of events to one upload, in competition with the other processes."""
    one = upload_id(number)
    name = created(one, length=1 << 40, name=f"name-{number}")
    await journal.create(one, [name], at=1.0, name=name.spec.name, replaces=None, key=None, sync=True)
    done = 0
    while done < rounds:
        row = await journal.summary(one)
        assert row is not None
        mark = Digest("sha-256", f"{writer}-{done}".encode())
        events = [Stored(key=part, size=1, digest=mark) for part in range(TRIPLE)]
        try:
            await journal.append(one, events, version=row.version, at=2.0, sync=done % 2 == 0)
        except VersionConflict:
            continue
        os.write(1, f"{one} {row.version} {mark.value.decode()}\n".encode())
        done += 1


async def main(path: str, writer: int, rounds: int) -> None:
    """All uploads at once: some that every process writes to, one of its own."""
    journal = SqliteJournal(path)
    uploads = [*range(SHARED), 100 + writer]
    await asyncio.gather(*(work(journal, writer, rounds, number) for number in uploads))
    await journal.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
