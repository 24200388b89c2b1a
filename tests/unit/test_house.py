"""The size and the words of the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
FILES: Final = sorted((ROOT / "src" / "onward").rglob("*.py"))

MOST_LINES: Final = 450
MOST_LINES_OF_A_FUNCTION: Final = 80
# Words that say nothing about what a thing does; `Base` only as the end of a name (a database is fine).
EMPTY_NAME: Final = re.compile(r"(?i:manager|helper|utils?\b|util_)|Base$|^base$")
LEFT_UNDONE: Final = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")

Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def oversize(tree: ast.AST) -> list[str]:
    """Functions longer than a screen or two."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > MOST_LINES_OF_A_FUNCTION]


def empty_names(path: Path, tree: ast.AST) -> list[str]:
    """Names of the module, its classes and functions that say nothing."""
    names = [path.stem, *(node.name for node in ast.walk(tree) if isinstance(node, Named))]
    return [name for name in names if EMPTY_NAME.search(name)]


def silent(tree: ast.AST) -> list[int]:
    """Lines of handlers that swallow an error without a word."""
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return [h.lineno for h in handlers if len(h.body) == 1 and isinstance(h.body[0], ast.Pass)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_keeps_the_house_rules(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert text.count("\n") <= MOST_LINES
    assert oversize(tree) == []
    assert empty_names(path, tree) == []
    assert silent(tree) == []
    assert LEFT_UNDONE.findall(text) == []


def test_the_rules_see_what_breaks_them() -> None:
    long = "def f():\n" + "    x = 1\n" * MOST_LINES_OF_A_FUNCTION
    assert oversize(ast.parse(long)) == ["f"]
    assert empty_names(Path("utils.py"), ast.parse("class UploadManager: ...\nclass Database: ...")) == [
        "utils",
        "UploadManager",
    ]
    assert silent(ast.parse("try:\n    f()\nexcept ValueError:\n    pass")) == [3]
