"""The page of requirements against the tests: what it calls shown is shown, what is shown stands there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import pytest

TESTS: Final = Path(__file__).parents[1]
PAGE: Final = TESTS.parent / "docs" / "reference" / "conformance.md"
ID: Final = re.compile(r"\b(?:T-[A-Z]+|R|D|C)-\d\d\b", re.ASCII)
ROW: Final = re.compile(r"^\| (\S+) \| ([MSD]) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
NOT_TESTED: Final = "not tested: "


class Requirement(NamedTuple):
    """A row of the page."""

    id: str
    level: str
    what: str
    where: str

    @property
    def files(self) -> list[str]:
        """Tests that the row names."""
        return [] if self.where.startswith(NOT_TESTED) else re.findall(r"`([^`]+)`", self.where)


def requirements() -> list[Requirement]:
    return [Requirement(*row) for row in ROW.findall(PAGE.read_text(encoding="utf-8"))]


def ids_by_file() -> dict[str, set[str]]:
    """Ids in our own tests; what a package brings along lies deeper."""
    files = (path for folder in TESTS.iterdir() if folder.is_dir() for path in folder.glob("test_*.py"))
    return {
        path.relative_to(TESTS).as_posix(): set(ID.findall(path.read_text(encoding="utf-8")))
        for path in files
        if path != Path(__file__)
    }


def test_every_row_is_a_requirement_once() -> None:
    listed = Counter(row.id for row in requirements())
    assert len(listed) > 100
    assert [id for id, times in listed.items() if times > 1] == []
    assert [id for id in listed if ID.fullmatch(id) is None] == []
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [TRDC]-", line)]
    assert len(rows) == listed.total(), "a row that this test cannot read"


def test_what_is_called_shown_is_shown() -> None:
    shown = ids_by_file()
    wrong = [
        (row.id, file)
        for row in requirements()
        for file in row.files or [""]
        if not row.where.startswith(NOT_TESTED) and row.id not in shown.get(file, set())
    ]
    assert wrong == []


def test_what_is_shown_stands_on_the_page() -> None:
    listed = {row.id: row for row in requirements()}
    shown = set().union(*ids_by_file().values())
    assert sorted(shown - set(listed)) == []
    assert [id for id in sorted(shown) if listed[id].where.startswith(NOT_TESTED)] == []


def test_the_counts(capsys: pytest.CaptureFixture[str]) -> None:
    """What is not tested has a reason, and is no demand of a specification."""
    rows = requirements()
    untested = [row for row in rows if row.where.startswith(NOT_TESTED)]
    assert [row.id for row in untested if len(row.where) < len(NOT_TESTED) + 20] == []
    assert [row.id for row in untested if row.level == "M"] == []
    with capsys.disabled():
        for level, name in {"M": "demanded", "S": "recommended", "D": "decided"}.items():
            of_level = [row for row in rows if row.level == level]
            tested = sum(bool(row.files) for row in of_level)
            print(f"\nconformance: {name}: {tested} of {len(of_level)} requirements shown by tests", end="")
