"""File systems of a test's own: a tmpfs that is small, an image on a loop device whose power can be cut."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

# FS_IOC_SHUTDOWN, and what it does here: whatever the disk does not have yet, journal included, is lost.
_SHUTDOWN: Final = 0x8004587D
_NO_LOG_FLUSH: Final = struct.pack("I", 2)
_SIZE: Final = {"ext4": 256 << 20, "xfs": 320 << 20}
_MAKE: Final = {"ext4": ("mkfs.ext4", "-qF"), "xfs": ("mkfs.xfs", "-qf")}
KINDS: Final = tuple(_MAKE)
# Where Debian keeps them, also for a root whose PATH does not say so.
_TOOLS: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_ENVIRON: Final = {**os.environ, "PATH": _TOOLS}


def why_not(*tools: str) -> str | None:
    """Why this machine cannot mount what a test needs; ``None`` if it can."""
    if os.getuid() != 0:
        return "only root can mount a file system"
    lacking = [tool for tool in ("mount", "umount", *tools) if shutil.which(tool, path=_TOOLS) is None]
    return f"not in PATH: {', '.join(lacking)}" if lacking else None


def needs_root(*tools: str) -> None:
    """Skip the test, and say why, where it cannot run."""
    if (reason := why_not(*tools)) is not None:
        print(f"skipped: {reason}")
        pytest.skip(reason)


@contextlib.contextmanager
def small_disk(where: Path, size: str) -> Iterator[Path]:
    """A directory that holds no more than ``size``."""
    needs_root()
    where.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", where)
    try:
        yield where
    finally:
        _unmount(where)


def resize(where: Path, size: str) -> None:
    """The disk at ``where`` has this size from now on."""
    _run("mount", "-o", f"remount,size={size}", where)


class PowerDisk:
    """A file system in an image, mounted at ``where``, that forgets on ``cut`` whatever was not synced."""

    def __init__(self, where: Path, kind: str) -> None:
        self.where = where
        self._image = where.with_suffix(".img")
        with self._image.open("wb") as image:
            image.truncate(_SIZE[kind])
        _run(*_MAKE[kind], self._image)
        where.mkdir()

    def mount(self) -> None:
        """Recover as after a power cut, and mount."""
        _run("mount", "-o", "loop", self._image, self.where)
        self.where.chmod(0o700)

    def cut(self) -> None:
        """The power is gone. Who has files open there gets errors from now on."""
        root = os.open(self.where, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(root, _SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(root)

    def unmount(self) -> None:
        """Take it away; nobody may have a file open there."""
        _unmount(self.where)


@contextlib.contextmanager
def power_disk(where: Path, kind: str) -> Iterator[PowerDisk]:
    """A mounted ``PowerDisk`` of this kind, gone with its image when the block ends."""
    needs_root(_MAKE[kind][0])
    disk = PowerDisk(where, kind)
    disk.mount()
    try:
        yield disk
    finally:
        if os.path.ismount(where):
            disk.unmount()
        where.with_suffix(".img").unlink()


def make_tool(kind: str) -> str:
    """The command that makes a file system of this kind."""
    return _MAKE[kind][0]


def _unmount(where: Path) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run(["umount", where], check=False, capture_output=True, env=_ENVIRON).returncode:
        # Busy for as long as the kernel tidies up after killed processes.
        assert time.monotonic() < deadline, f"{where} stays busy"
        time.sleep(0.02)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=_ENVIRON)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
