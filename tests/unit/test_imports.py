"""Who may import whom: the law of the layers, read off the source."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from typing import Final, NamedTuple

import pytest

SOURCE: Final = Path(__file__).parents[2] / "src" / "onward"

BACKENDS: Final = frozenset({"storage", "journal", "broker", "locks", "hooks"})
INNER: Final = frozenset({"errors", "core", "ports"})
MIDDLE: Final = INNER | {"wire", "engine"}


class Row(NamedTuple):
    """What one layer may import: parts of onward, and other distributions."""

    ours: frozenset[str]
    theirs: frozenset[str]


def _row(ours: frozenset[str] | set[str], *theirs: str) -> Row:
    return Row(frozenset(ours), frozenset(theirs))


LAW: Final = {
    "errors": _row(set()),
    "core": _row({"errors", "core"}, "msgspec"),
    "ports": _row({"errors", "core"}, "msgspec", "anyio"),
    "wire": _row({"errors", "core", "wire"}, "msgspec"),
    "engine": _row(INNER | {"engine"}, "msgspec", "anyio"),
    "storage": _row(INNER | {"storage"}, "msgspec", "anyio"),
    "journal": _row(INNER | {"journal"}, "msgspec", "anyio"),
    "broker": _row(INNER | {"broker"}, "msgspec", "anyio", "taskiq", "taskiq_redis", "redis"),
    "locks": _row(INNER | {"locks"}, "msgspec", "anyio"),
    "hooks": _row(INNER | {"hooks"}, "msgspec", "anyio"),
    "web": _row(MIDDLE | {"web"}, "msgspec", "anyio", "litestar", "multipart"),
    "server": _row(INNER | {"server", "config"}, "msgspec", "anyio", "uvicorn", "httptools"),
    "config": _row(MIDDLE | BACKENDS, "msgspec", "anyio"),
    # `app` hands sealed uploads over to the queue that `worker` reads.
    "app": _row(MIDDLE | {"config", "web", "worker"}, "msgspec", "anyio", "litestar"),
    "worker": _row(INNER | {"engine", "config", "broker"}, "msgspec", "anyio", "taskiq"),
    "put": _row({"errors", "core", "put"}, "msgspec", "httpx", "click"),
    "cli": _row(
        MIDDLE | {"config", "web", "server", "app", "worker", "put", "cli"},
        *("msgspec", "anyio", "click", "uvicorn", "httpx", "taskiq"),
    ),
    # The suites are given their backends; what they build themselves is real parts around these.
    "testing": _row(MIDDLE | BACKENDS | {"testing"}, "msgspec", "anyio", "hypothesis", "httpx", "taskiq", "pytest"),
    "__main__": _row({"cli"}),
    # For type checkers; what is loaded at run time, and when, is a matter of test_exports.
    "__init__": _row(MIDDLE | BACKENDS | {"config", "web", "app"}),
}

# What the backends of one port have in common, in a file of its own. Apart from these none knows its neighbour,
# and these know no backend.
SHARED: Final = {
    "storage": frozenset({"fs", "naming"}),  # every file operation in one place; which final names are free
    "broker": frozenset({"delivery", "wake"}),  # what becomes of a delivered task; waking a sleeping worker
    "locks": frozenset({"registry"}),  # who waits for what within a process
}

# Functions that may import: a backend is loaded when it is chosen, a public name when it is asked for.
LAZY: Final = frozenset({("config", "*"), ("worker", "make_broker"), ("__init__", "__getattr__")})


class Import(NamedTuple):
    """One imported module, where it stands, and the function around it, if any."""

    module: str
    line: int
    function: str | None


class _Reader(ast.NodeVisitor):
    def __init__(self, module: str, *, package: bool) -> None:
        self.found: list[Import] = []
        self._around: list[str] = []
        self._parents = module.split(".") if package else module.split(".")[:-1]

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._around.append(node.name)
        self.generic_visit(node)
        self._around.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.visit_FunctionDef(node)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            above = self._parents[: len(self._parents) - node.level + 1]
            base = ".".join([*above, base]).rstrip(".")
        full = [f"{base}.{alias.name}" for alias in node.names]
        for module in dict.fromkeys(name if name in modules() else base for name in full):
            self._add(module, node.lineno)

    def _add(self, module: str, line: int) -> None:
        self.found.append(Import(module, line, self._around[0] if self._around else None))


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def imports(module: str) -> tuple[Import, ...]:
    path = modules()[module]
    return imports_of(module, path.read_text(encoding="utf-8"), package=path.stem == "__init__")


def imports_of(module: str, source: str, *, package: bool = False) -> tuple[Import, ...]:
    """The imports of ``source``, were it the text of ``module``; those under ``TYPE_CHECKING`` count."""
    reader = _Reader(module, package=package)
    reader.visit(ast.parse(source))
    return tuple(reader.found)


def _layer(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def breaches(module: str, found_imports: tuple[Import, ...]) -> Iterator[str]:
    """What of the law these imports break, a sentence each."""
    layer = _layer(module)
    row = LAW[layer]
    for found in found_imports:
        top = found.module.split(".")[0]
        where = f"{module}:{found.line} imports {found.module}"
        lazy = found.function is not None and bool({(layer, found.function), (layer, "*")} & LAZY)
        if found.function is not None and not lazy:
            yield f"{where} inside {found.function}()"
        if top == "onward":
            if not (layer == "__init__" and lazy) and _layer(found.module) not in row.ours:
                yield f"{where}: {layer} may not know {_layer(found.module)}"
            elif layer in BACKENDS and _layer(found.module) == layer and not _same_backend(module, found.module):
                yield f"{where}: one backend may not know another"
        elif top not in sys.stdlib_module_names and top not in row.theirs:
            yield f"{where}: {layer} may not know {top}"


def _same_backend(module: str, other: str) -> bool:
    if len(other.split(".")) <= 2:
        return False
    package, name = other.split(".")[1:3]
    return name == module.split(".")[2] or name in SHARED.get(package, frozenset())


def test_every_module_has_a_row() -> None:
    assert len(modules()) > 10, "the source was not found"
    assert {_layer(module) for module in modules()} <= set(LAW)


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_what_its_layer_may(module: str) -> None:
    assert list(breaches(module, imports(module))) == []


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("onward.core.types", "import anyio", "core may not know anyio"),
        ("onward.core.types", "from onward import ports", "core may not know ports"),
        ("onward.core.types", "from ..ports import Storage", "core may not know ports"),
        ("onward.wire.chunks", "from onward.ports import Caller", "wire may not know ports"),
        ("onward.engine.engine", "if TYPE_CHECKING:\n    import litestar", "engine may not know litestar"),
        ("onward.storage.local", "from onward.storage import memory_probe", "one backend may not know another"),
        ("onward.core.types", "def f():\n    import json", "inside f()"),
        ("onward.core.types", "async def f():\n    def g():\n        import json", "inside f()"),
    ],
)
def test_the_reader_sees_a_breach(module: str, source: str, breach: str) -> None:
    assert [line for line in breaches(module, imports_of(module, source)) if breach in line]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("onward.core.types", "import json\nfrom onward.errors import OnwardError\nimport msgspec"),
        ("onward.config", "def storage():\n    from onward.storage import local"),
        ("onward", "def __getattr__(name):\n    from onward.engine import engine"),
    ],
)
def test_the_reader_lets_pass_what_is_lawful(module: str, source: str) -> None:
    assert list(breaches(module, imports_of(module, source))) == []


def test_no_two_modules_import_each_other_round_about() -> None:
    graph = {
        module: {found.module for found in imports(module) if found.function is None and found.module in modules()}
        for module in modules()
    }
    try:
        order = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))
    assert len(order) == len(modules())


def _asked_for(*, extras: bool) -> set[str]:
    lines = requires("onward") or []
    return {re.split(r"[^\w-]", line)[0].lower() for line in lines if extras or "extra ==" not in line}


def test_what_is_imported_is_asked_for_at_installation() -> None:
    """A machine that has nothing but Onward's own dependencies can run it; ``onward[testing]`` its suites too."""
    owners = packages_distributions()
    for module, path in modules().items():
        tops = {found.module.split(".")[0] for found in imports(module)}
        tops |= set(re.findall(r'\bfiles\("(\w+)"\)', path.read_text(encoding="utf-8")))
        for top in tops - sys.stdlib_module_names - {"onward"}:
            names = {name.lower() for name in owners.get(top, [top])}
            assert names & _asked_for(extras=_layer(module) == "testing"), f"{module} imports {top}"
