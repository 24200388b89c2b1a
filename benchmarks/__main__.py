"""Measure a real server on this machine and print what came of it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.figures import MIB, Figure, medians
from benchmarks.floor import floor
from benchmarks.many import start, status
from benchmarks.source import Source, make
from benchmarks.transfer import ceiling, transfer
from onward.config import parse_size

CHUNK: Final = 8 * MIB
Measure = Callable[[Source, Path], Iterable[Figure]]

MEASURES: Final[dict[str, Measure]] = {
    "floor": floor,
    "sender": lambda source, _: ceiling(source),
    "flat": partial(transfer, layout="flat"),
    "numbered": partial(transfer, layout="numbered"),
    "status": lambda _, folder: status(folder),
    "start": lambda _, folder: start(folder),
}


def main() -> int:
    """Measure what is asked for; 0 unless a figure is out of its bounds."""
    asked = _arguments().parse_args()
    asked.data.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".benchmarks-", dir=asked.data) as name:
        folder = Path(name)
        about = report.machine(folder)
        print("\n".join(f"{what}: {value}" for what, value in about.items()), flush=True)
        source = make(folder / "source.bin", asked.size, CHUNK)
        print(f"file: {asked.size / MIB:g} MiB in chunks of {CHUNK / MIB:g} MiB, runs: {asked.repeat}\n", flush=True)
        figures: list[Figure] = []
        for measure in asked.only or MEASURES:
            runs = []
            for _ in range(asked.repeat):
                print(f"measuring {measure} ...", file=sys.stderr, flush=True)
                runs.append(list(MEASURES[measure](source, folder)))
            figures += medians(runs)
    print(report.table(figures))
    if asked.json is not None:
        asked.json.write_text(report.as_json(figures, about), encoding="utf-8")
    return 0 if all(figure.in_bounds for figure in figures) else 1


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASURES, help="measure only this; may be repeated")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each; medians are printed")
    parser.add_argument("--size", type=_size, default="1GiB", help="bytes of the uploaded file (default %(default)s)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(__file__).parents[1] / "build",
        metavar="DIR",
        help="where the data lies, and with it on which file system (default: build, beside the source)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here as well")
    return parser


def _size(text: str) -> int:
    size = parse_size(text)
    if size <= 0:
        raise ValueError("a file of no bytes is not worth measuring")
    return size


if __name__ == "__main__":
    sys.exit(main())
