"""What every test runs under: profiles for Hypothesis, one event loop kind, and the guard of the loop."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from blockbuster import BlockBuster, BlockBusterFunction
from hypothesis import HealthCheck, settings

# How many examples: a quick run while writing, a fixed one that a change is judged by, a long one by night.
_SLOW_MACHINE: Final = (HealthCheck.too_slow,)
settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=_SLOW_MACHINE)
settings.register_profile(
    "ci",
    max_examples=400,
    deadline=None,
    derandomize=True,  # red or green depends on the change alone; the nightly profile looks for what is new
    database=None,
    print_blob=True,
    suppress_health_check=_SLOW_MACHINE,
)
settings.register_profile(
    "nightly", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=_SLOW_MACHINE
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

_ALSO_WATCHED: Final = (
    "pread",
    "preadv",
    "pwrite",
    "pwritev",
    "writev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "posix_fallocate",
    "copy_file_range",
)

# What may be done on the loop all the same, as (file, functions), each with its reason.
_EXEMPT: Final = (
    # An empty file is opened, locked without waiting, or unlinked: a few microseconds, a hop to a thread costs more.
    ("onward/locks/file/spanfile.py", {"lock", "forget", "is_free"}),
    # The socket by which processes ask each other for a lock: bound once, rung without waiting.
    ("onward/locks/file/bell.py", {"listen", "ring", "close"}),
)

# One read-only connection answers point reads on the loop: a hop to a thread costs ten times the read.
_QUERIES: Final = "onward/journal/sqlite/queries.py"
_POINT_READS: Final = {
    *("key_holder", "name_holder", "event_rows", "summary", "last_seq", "promised", "work", "cursor", "waiting"),
    "enclosed",
}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Litestar and Taskiq run on asyncio, so do all async tests."""
    return "asyncio"


def _waits_for_nobody(_fd: Any, operation: int, *_: Any) -> bool:
    return bool(operation & (fcntl.LOCK_NB | fcntl.LOCK_UN))


@pytest.fixture(scope="session")
def loop_guard() -> BlockBuster:
    """The guard, not yet set: a call that blocks, made by ``onward`` on a running loop, raises ``BlockingError``."""
    guard = BlockBuster("onward")
    for name in _ALSO_WATCHED:
        guard.functions[f"os.{name}"] = BlockBusterFunction(os, name, scanned_modules="onward")
    guard.functions["fcntl.flock"] = BlockBusterFunction(
        fcntl, "flock", scanned_modules="onward", can_block_predicate=_waits_for_nobody
    )
    for key, function in guard.functions.items():
        for path, names in _EXEMPT:
            function.can_block_in(path, names)
        if key.startswith("sqlite3."):
            function.can_block_in(_QUERIES, _POINT_READS)
    return guard


@pytest.fixture(autouse=True)
def blockbuster(loop_guard: BlockBuster) -> Iterator[BlockBuster]:
    """Nothing in ``onward`` blocks the event loop, in any test."""
    loop_guard.activate()
    yield loop_guard
    loop_guard.deactivate()
