"""Imports point one way: entry points -> runtime -> adapters, dashboard -> services -> ports -> domain."""

from __future__ import annotations

import ast
import graphlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What each part may import of this project; everything else of it is forbidden there.
ALLOWED = {
    "backend/domain": {"backend.domain"},
    "backend/ports.py": {"backend.domain", "backend.services.read_models"},
    # http_api (which routes and roles exist) and the list of scenarios are data that services read.
    "backend/services": {
        "backend.domain",
        "backend.ports",
        "backend.services",
        "backend.http_api",
        "simulator.scenarios",
    },
    "backend/ml": {"backend.domain", "backend.ports", "backend.services", "backend.ml"},
    "backend/adapters": {
        "backend.domain",
        "backend.ports",
        "backend.services",
        "backend.ml",
        "backend.adapters",
    },
    "backend/topology.py": {"backend.http_api", "backend.topology_kinds"},
    "backend/runtime": {"backend", "simulator", "dashboard"},
    "backend/handlers": {"backend"},
    "dashboard": {"backend.domain", "backend.ports", "backend.services", "dashboard"},
    "simulator": {"simulator"},
    "infra": {"backend", "infra"},
}
COMPOSITION_ROOTS = {"dashboard/wsgi.py"}
SETS_THREADS = "backend/__init__.py"  # must happen before numpy is imported anywhere

# Outside of the standard library, the core uses these alone.
CORE_LIBRARIES = {"msgspec", "numpy"}
FORBIDDEN = {
    "backend/domain": {
        "time",
        "random",
        "threading",
        "logging",
        "os",
        "socket",
        "sqlite3",
        "boto3",
        "asyncio",
    },
    "backend/services": {"sqlite3", "boto3", "flask", "dash", "starlette", "uvicorn", "requests"},
    "dashboard": {"sqlite3", "boto3"},
    "simulator": {"sqlite3", "boto3"},
}


def files(part: str) -> list[Path]:
    path = ROOT / part
    return [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, allowed: set[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_what_lies_below_it(part):
    wrong = []
    for path in files(part):
        where = str(path.relative_to(ROOT))
        if where in COMPOSITION_ROOTS:
            continue
        for name in imported(path):
            if name.split(".")[0] in ("backend", "dashboard", "simulator", "infra") and not within(
                name, ALLOWED[part]
            ):
                wrong.append(f"{where} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("part", FORBIDDEN)
def test_a_part_does_not_reach_for_the_outside_world(part):
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files(part)
        if str(path.relative_to(ROOT)) not in COMPOSITION_ROOTS
        for name in imported(path)
        if name.split(".")[0] in FORBIDDEN[part]
    ]
    assert wrong == []


def test_the_core_uses_the_standard_library_msgspec_and_numpy_alone():
    wrong = []
    for path in files("backend/domain"):
        for name in imported(path):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top not in CORE_LIBRARIES and top != "backend":
                wrong.append(f"{path.name} imports {name}")
    assert wrong == []


def test_only_runtime_and_composition_roots_read_the_environment():
    wrong = []
    for part in ("backend", "dashboard", "simulator"):
        for path in files(part):
            where = str(path.relative_to(ROOT))
            if where.startswith(("backend/runtime", "backend/handlers")) or where in COMPOSITION_ROOTS:
                continue
            if where == SETS_THREADS:
                continue
            text = path.read_text(encoding="utf-8")
            if "os.environ" in text or "getenv(" in text:
                wrong.append(where)
    assert wrong == []


def modules() -> dict[str, Path]:
    """Every module of the product by its name."""
    found = {}
    for part in ("backend", "dashboard", "simulator", "infra"):
        for path in files(part):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path
    return found


def needed(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules that one needs when it runs, at once or later."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in known else node.module for name in inside}
    return {name for name in names if name in known and known[name] != path}


def test_no_modules_need_each_other_in_a_circle():
    known = modules()
    graph = {name: needed(path, known) for name, path in known.items()}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_numpy_starts_no_threads_of_its_own():
    code = "import backend.domain.forecast, numpy as np, os; np.ones((500, 500)) @ np.ones((500, 500)); print(len(os.listdir('/proc/self/task')))"
    environ = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "1"


def test_pages_make_their_elements_by_the_quick_classes():
    slow = [
        str(path.relative_to(ROOT))
        for path in files("dashboard")
        if path != ROOT / "dashboard/html.py" and "dash.html" in imported(path)
    ]
    assert slow == []


def test_no_file_is_longer_than_four_hundred_lines():
    long = [
        f"{path.relative_to(ROOT)}: {n}"
        for part in ("backend", "dashboard", "simulator", "infra", "tests")
        for path in files(part)
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert long == []
