"""What SQLite's errors mean to a caller."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from onward.errors import NoSpace, ServerFault, StorageFault

_LITTLE: Final = 1 << 20
"""With fewer free bytes than this an I/O error is taken for a full disk."""


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code, or 0 for an error of the Python module."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """True if another connection was in the way and the same call may succeed later."""
    return code_of(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def fault_of(error: sqlite3.Error, path: Path) -> ServerFault:
    """The fault that callers are told."""
    code = code_of(error)
    if code == sqlite3.SQLITE_FULL:
        return NoSpace()
    # Growing the shared-memory file and a late allocation in fsync report a full disk as an I/O error.
    if code == sqlite3.SQLITE_IOERR and _is_full(path):
        return NoSpace()
    return StorageFault("The journal could not be read or written")


def _is_full(path: Path) -> bool:
    try:
        stat = os.statvfs(path)
    except OSError:
        return False
    return stat.f_bavail * stat.f_frsize < _LITTLE
