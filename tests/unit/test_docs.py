"""The pages agree with the code and with each other."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from pathlib import Path
from typing import Final

import pytest

from docs.generate import PAGES, error_classes
from onward import errors
from onward.ports import Hooks

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES_FOR_READERS: Final = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), ROOT / "tests/README.md"])
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE: Final = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# A path of the machine that a page was written on is of no use to a reader.
_NOT_FOR_READERS: Final = re.compile(r"/root/|/home/\w")
_PYTHON: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def anchors(page: str) -> set[str]:
    """The fragments that a page's headings can be linked by."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(path: Path) -> list[str]:
    """Relative links of a page that lead nowhere."""
    text = path.read_text(encoding="utf-8")
    broken = []
    for link in _LINK.findall(_CODE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, fragment = link.partition("#")
        page = (path.parent / target).resolve() if target else path
        if not page.exists() or (fragment and fragment not in anchors(page.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("path", PAGES)
def test_a_page_made_from_the_code_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == PAGES[path](), "run `make docs`"


@pytest.mark.parametrize("path", PAGES_FOR_READERS, ids=_name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A head\n[a](gone.md) [b](#a-head) [c](#no-head) [d](https://example.org) `[e](f.md)`\n")
    assert broken_links(page) == ["gone.md", "#no-head"]


@pytest.mark.parametrize("path", PAGES_FOR_READERS, ids=_name)
def test_a_page_speaks_to_its_reader(path: Path) -> None:
    assert _NOT_FOR_READERS.findall(path.read_text(encoding="utf-8")) == []


def test_every_page_is_reached_from_the_first() -> None:
    seen, todo = set(), [DOCS / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = (link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8")))
        todo += [(page.parent / t).resolve() for t in targets if t.endswith(".md") and not t.startswith("http")]
    assert {_name(p) for p in DOCS.rglob("*.md")} - {_name(p) for p in seen} == set()


def test_the_reference_of_errors_has_every_code_once() -> None:
    codes = re.findall(r"^\| `([a-z-]+)` \|", (DOCS / "reference/errors.md").read_text(), re.MULTILINE)
    assert len(set(codes)) == len(codes)
    assert set(codes) == {error.code for error in error_classes()}


def test_the_tree_in_the_docstring_of_errors_is_the_true_one() -> None:
    drawn = re.findall(r"\+-- (\w+) +(\d{3}) ([a-z-]+)$", errors.__doc__ or "", re.MULTILINE)
    assert drawn == [(error.__name__, str(error.status_hint), error.code) for error in error_classes()]


def test_every_hook_is_in_the_reference() -> None:
    page = (DOCS / "reference/hooks.md").read_text()
    methods = [name for name, value in vars(Hooks).items() if inspect.isfunction(value) and not name.startswith("_")]
    described = re.findall(r"^## `(\w+)", page, re.MULTILINE)
    assert described == methods


@pytest.mark.parametrize("path", PAGES_FOR_READERS, ids=_name)
def test_python_in_a_page_is_an_example_that_is_tested(path: Path) -> None:
    examples = {example.read_text(encoding="utf-8") for example in (DOCS / "examples").glob("*.py")}
    assert [code for code in _PYTHON.findall(path.read_text(encoding="utf-8")) if code not in examples] == []


def test_bad_input_is_refused_with_errors_that_exist() -> None:
    rows = re.findall(r"\| (\d{3}) \| `([a-z-]+)` \|$", (DOCS / "reference/bad-input.md").read_text(), re.MULTILINE)
    known = {(str(error.status_hint), error.code) for error in error_classes()}
    known |= {(str(status.value), status.phrase.lower().replace(" ", "-")) for status in HTTPStatus}
    assert len(rows) > 20
    assert set(rows) - known == set()


def test_every_error_that_a_client_meets_is_in_the_tree() -> None:
    bases = re.compile(r"^class (\w+)\((?:errors\.)?(?:ClientFault|ServerFault)\)", re.MULTILINE)
    source = ROOT / "src/onward"
    elsewhere = [
        name
        for path in source.rglob("*.py")
        if path != source / "errors.py"
        for name in bases.findall(path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == []
