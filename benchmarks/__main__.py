"""Measure real servers on this machine, each beside the others, and print what came of it."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks import growth, memory, peers, pieces, profile, report, small, streams
from benchmarks.contest import Setting
from benchmarks.figures import GIB, MIB, Figure, medians
from benchmarks.floor import floor
from benchmarks.many import start, status
from benchmarks.source import make
from benchmarks.transfer import transfer
from onward.config import parse_size

CHUNK: Final = 8 * MIB
ROOT: Final = Path(__file__).parents[1]
TMPFS: Final = Path("/dev/shm")
Section = Callable[[Setting], Iterable[Figure]]

GOALS: Final[dict[str, Section]] = {
    "P-1": streams.one_stream,
    "P-2": streams.parallel,
    "P-3": small.create,
    "P-4": small.look,
    "P-5": pieces.pieces,
    "P-6": pieces.publication,
    "P-7": memory.memory,
    "P-8": growth.growth,
    "P-9": growth.restart,
}
"""What is measured unless something else is asked for; each repeats and takes turns by itself."""


def _again(measure: Callable[[Setting], Iterable[Figure]]) -> Section:
    return lambda setting: medians([list(measure(setting)) for _ in range(setting.repeat)])


MORE: Final[dict[str, Section]] = {
    "floor": _again(lambda setting: floor(setting.source, setting.folder)),
    "flat": _again(lambda setting: transfer(setting.source, setting.folder, "flat")),
    "numbered": _again(lambda setting: transfer(setting.source, setting.folder, "numbered")),
    "status": _again(lambda setting: status(setting.folder)),
    "start": _again(lambda setting: start(setting.folder)),
}
"""What is measured only if it is asked for: Onward alone, every chunk synced."""


def main() -> int:
    """Measure what is asked for; 0 unless a figure is out of its bounds."""
    asked = _arguments().parse_args()
    # Ended from outside, it leaves no server and no file behind either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    names = [name for given in asked.only or [",".join(GOALS)] for name in given.split(",")]
    sections = {**GOALS, **MORE}
    if unknown := [name for name in names if name not in sections]:
        print(f"there is no measure {unknown[0]!r}, only {', '.join(sections)}", file=sys.stderr)
        return 2
    with _prepared(asked) as setting:
        about = report.machine(setting.folder) | setting.peers.about
        print("\n".join(f"{what}: {value}" for what, value in about.items()) + "\n", flush=True)
        if asked.profile:
            for name in names:
                print(profile.profiled(name, setting), flush=True)
            return 0
        figures: list[Figure] = []
        for name in names:
            began = time.perf_counter()
            found = [replace(figure, section=name) for figure in sections[name](setting)]
            figures += found
            print(f"{name} ({time.perf_counter() - began:.0f} s)\n{report.table(found)}\n", flush=True)
    if asked.json is not None:
        asked.json.write_text(report.as_json(figures, about), encoding="utf-8")
    goals = [figure for figure in figures if figure.goal is not None]
    print(f"{sum(bool(figure.met) for figure in goals)} of {len(goals)} goals are met")
    return 0 if all(figure.in_bounds for figure in figures) else 1


@contextlib.contextmanager
def _prepared(asked: argparse.Namespace) -> Iterator[Setting]:
    asked.data.mkdir(parents=True, exist_ok=True)
    found = peers.install(asked.peers)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_scratch(asked.data))
        # A file, its copies and its chunks must fit, or what is measured is the swap.
        fits = TMPFS.is_dir() and shutil.disk_usage(TMPFS).free > 4 * asked.size
        memory = stack.enter_context(_scratch(TMPFS)) if fits and not asked.no_tmpfs else None
        size = min(asked.size, GIB // 4) if asked.quick else asked.size
        source = make(folder / "source.bin", size, CHUNK)
        print(f"file: {size / MIB:g} MiB, runs of each: {asked.repeat}", flush=True)
        yield Setting(folder=folder, memory=memory, peers=found, repeat=asked.repeat, quick=asked.quick, source=source)


@contextlib.contextmanager
def _scratch(where: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".benchmarks-", dir=where) as name:
        yield Path(name)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = ", ".join([*GOALS, *MORE])
    add = parser.add_argument
    add("--only", action="append", metavar="NAMES", help=f"measure only these, separated by commas, of {names}")
    add("--repeat", type=int, default=5, metavar="N", help="runs of each, in turn; medians are printed (default 5)")
    add(
        "--quick", action="store_true", help="a smaller file and fewer chunks and uploads; with --repeat 1 a smoke test"
    )
    add("--size", type=_size, default="1GiB", help="bytes of the uploaded file (default %(default)s)")
    add(
        "--data",
        type=Path,
        default=ROOT / "build",
        metavar="DIR",
        help="where the data lies, and with it on which file system (default: build, beside the source)",
    )
    add("--no-tmpfs", action="store_true", help="measure on that file system alone")
    add(
        "--peers",
        type=Path,
        default=ROOT / "build" / "peers",
        metavar="DIR",
        help="where the other servers are installed from the registries (default: build/peers)",
    )
    add("--profile", action="store_true", help="say where the time goes instead; not for P-7, which is about memory")
    add("--json", type=Path, metavar="FILE", help="write all figures here as well")
    return parser


def _size(text: str) -> int:
    size = parse_size(text)
    if size < 64 * MIB:
        raise ValueError("a file of less than 64 MiB is sent before it is measured")
    return size


if __name__ == "__main__":
    sys.exit(main())
