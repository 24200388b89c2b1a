"""The guard that keeps blocking calls off the event loop does its work."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

import onward

pytestmark = pytest.mark.anyio

_PACKAGE = Path(onward.__file__).parent


def _as_if_in(path: str, statement: str, *, name: str = "call") -> Callable[..., Any]:
    """The function ``name`` that runs ``statement``, and whose frame says that it stands in ``onward/<path>``."""
    scope: dict[str, Any] = {"os": os, "fcntl": fcntl}
    exec(compile(f"def {name}(it):\n    return {statement}", str(_PACKAGE / path), "exec"), scope)
    found: Callable[..., Any] = scope[name]
    return found


@pytest.mark.parametrize(
    "statement",
    [
        "os.fsync(it)",
        "os.fdatasync(it)",
        "os.pwrite(it, b'x', 0)",
        "os.writev(it, [b'x'])",
        "os.pwritev(it, [b'x'], 0)",
        "os.pread(it, 1, 0)",
        "fcntl.flock(it, fcntl.LOCK_EX)",
    ],
)
async def test_a_blocking_call_of_onward_on_the_loop_raises(statement: str, tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file, pytest.raises(BlockingError):
        _as_if_in("storage/probe.py", statement)(file.fileno())


async def test_a_lock_that_does_not_wait_may_be_tried_on_the_loop(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        assert _as_if_in("locks/probe.py", "fcntl.flock(it, fcntl.LOCK_EX | fcntl.LOCK_NB)")(file.fileno()) is None


async def test_sql_on_the_loop_is_for_the_point_reads_alone(tmp_path: Path) -> None:
    reader = sqlite3.connect(tmp_path / "any.db")
    queries = "journal/sqlite/queries.py"
    with pytest.raises(BlockingError):
        _as_if_in(queries, "it.execute('select 1').fetchall()", name="page")(reader)
    assert _as_if_in(queries, "it.execute('select 1').fetchall()", name="summary")(reader) == [(1,)]
    reader.close()


def test_without_a_loop_nothing_is_watched(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+b") as file:
        assert _as_if_in("storage/probe.py", "os.fsync(it)")(file.fileno()) is None
