"""What the machine does without Onward: the same file copied, hashed, and written with a sync for each chunk."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.figures import MIB, Figure
from benchmarks.source import Source
from benchmarks.transfer import CONNECTIONS


def floor(source: Source, folder: Path) -> Iterator[Figure]:
    """``cp``, ``openssl``, and the least that taking chunks durably can mean."""
    copy = folder / "copy.bin"
    copy.unlink(missing_ok=True)
    try:
        yield Figure(measure="cp of the file", value=_timed(["cp", str(source.path), str(copy)]), unit="s")
        yield Figure(
            measure="sync of that copy",
            value=_timed(["sync", "--data", str(copy)]),
            unit="s",
            note="what `cp` left to the system",
        )
        yield Figure(
            measure="openssl dgst -sha256",
            value=_timed(["openssl", "dgst", "-sha256", str(source.path)]),
            unit="s",
            note="one core",
        )
    finally:
        copy.unlink(missing_ok=True)
    yield from _bare_intake(source, folder)


def _bare_intake(source: Source, folder: Path) -> Iterator[Figure]:
    """Read, hash, write, sync, chunk by chunk: intake without network, protocol and journal."""
    parts = folder / "bare"
    parts.mkdir()
    began, cpu = time.perf_counter(), time.process_time()
    try:
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda number: _store(source, parts, number), range(source.chunks)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        shutil.rmtree(parts)
    yield Figure(
        measure="hash, write, fdatasync alone",
        value=source.size / MIB / seconds,
        unit="MiB/s",
        more_is_better=True,
        note=f"CPU {cpu * 1024 * MIB / source.size:.2f} s/GiB; {CONNECTIONS} threads, no network",
    )


def _store(source: Source, parts: Path, number: int) -> None:
    start = number * source.chunk_size
    end = min(start + source.chunk_size, source.size)
    hasher = hashlib.sha256()
    reading = os.open(source.path, os.O_RDONLY)
    writing = os.open(parts / str(number), os.O_WRONLY | os.O_CREAT)
    try:
        while start < end:
            block = os.pread(reading, min(MIB, end - start), start)
            hasher.update(block)
            os.write(writing, block)
            start += len(block)
        os.fdatasync(writing)
    finally:
        os.close(reading)
        os.close(writing)


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began
