"""The public names: what they are, where they come from, and what `import onward` does not load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

import onward

ROOT: Final = Path(__file__).parents[2]


def test_the_public_names_are_a_sorted_tuple() -> None:
    assert isinstance(onward.__all__, tuple)
    assert list(onward.__all__) == sorted(set(onward.__all__))


@pytest.mark.parametrize("name", onward.__all__)
def test_a_public_name_can_be_had_and_says_what_it_is(name: str) -> None:
    value = getattr(onward, name)
    assert getattr(value, "__doc__", None)
    assert name in dir(onward)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Uplod"):
        _ = onward.Uplod


def test_type_checkers_see_the_same_names_in_the_same_homes() -> None:
    tree = ast.parse(Path(onward.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen == onward._HOME
    assert set(seen) == set(onward.__all__)


def test_importing_the_package_loads_nothing_of_others() -> None:
    code = "import sys, onward; print(*{m.partition('.')[0] for m in sys.modules} - set(sys.stdlib_module_names))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = {name for name in run.stdout.split() if not name.startswith("_")}
    assert others & {"litestar", "taskiq", "msgspec", "anyio", "uvicorn", "redis", "httpx", "click"} == set()
    assert "onward" in others


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/python-api.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE)) == set(onward.__all__)


def test_the_version_is_the_one_that_changes_are_listed_for() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\d+\.\d+\.\d+)", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == version("onward")
