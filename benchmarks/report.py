"""The table that is printed, the JSON that is written, and the machine they are from."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure

HEADS = ("measure", "figure", "goal", "met", "CPU", "MiB", "note")


def machine(data: Path) -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file system": _file_system(data),
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table that reads well as plain text, too.

    ``CPU``: the server's processor seconds for 1 GiB, or for 1 000 requests. ``MiB``: the most that it had resident.
    """
    rows = [HEADS, *(_row(figure) for figure in figures)]
    used = [column for column in range(len(HEADS)) if any(row[column] for row in rows[1:])]
    rows = [tuple(row[column] for column in used) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(used))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def as_json(figures: Sequence[Figure], about: dict[str, str]) -> str:
    """All figures with their runs' extremes, for a program to compare."""
    rows = [asdict(figure) | {"met": figure.met, "in_bounds": figure.in_bounds} for figure in figures]
    return json.dumps({"machine": about, "command": sys.argv[1:], "figures": rows}, indent=2) + "\n"


def _row(figure: Figure) -> tuple[str, ...]:
    value = _number(figure.value, figure.unit)
    if figure.least is not None and figure.most is not None and figure.most > figure.least:
        value += f" ({_number(figure.least)} to {_number(figure.most)})"
    sign = "≥" if figure.more_is_better else "≤"
    goal = "" if figure.goal is None else f"{sign} {_number(figure.goal, figure.unit)}"
    if figure.bound is not None:
        goal += f", always {sign} {_number(figure.bound)}"
    met = {None: "", True: "yes", False: "no"}[figure.met]
    if not figure.in_bounds:
        met = "OUT OF BOUNDS"
    cpu = "" if figure.cpu is None else f"{figure.cpu:.2f}"
    memory = "" if figure.memory is None else f"{figure.memory:.0f}"
    return figure.measure, value, goal, met, cpu, memory, figure.note


def _number(value: float, unit: str = "") -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:.{digits}f}" if value != int(value) else f"{int(value)}"
    return f"{text} {unit}".rstrip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(path: Path) -> str:
    """The type of the file system that a path lies on."""
    found, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, mounted, type_, *_ = line.split()
        if path.resolve().is_relative_to(mounted) and len(mounted) >= len(found):
            found, kind = mounted, type_
    return kind
