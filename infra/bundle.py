"""Folders for the functions' code and for their layers, made without Docker and kept by content under `build/`.

The code is what the handlers reach by import, and nothing else. A layer holds locked packages: for Lambda's own Python and
processor, or as they are installed here, for an emulator that runs functions with this machine's Python.
"""

from __future__ import annotations

import ast
import compileall
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import NamedTuple

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
ENTRIES = "backend/handlers"
PARTS = ("backend", "simulator")  # what a function may hold of this project

# Layer -> what it is asked to hold; what those need comes along. boto3 is part of Lambda's own Python.
LAYERS = {
    "core": ("msgspec", "aws-lambda-powertools"),
    "ai": ("anthropic",),
    "numeric": ("numpy",),
    "simulator": ("faker",),
}
PYTHON = "3.12"
# Amazon Linux 2023, arm64: any wheel for a C library of at most its age.
_PLATFORMS = [*(f"manylinux_2_{n}_aarch64" for n in (34, 28, 27, 26, 17)), "manylinux2014_aarch64"]
_LAMBDA = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_machine": "aarch64",
    "platform_system": "Linux",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "os_name": "posix",
}
_LEFT_OUT = frozenset(("__pycache__", "tests"))
_LEFT_OUT_ENDINGS = (".pyc", ".pyi", ".so.dbg")


class Locked(NamedTuple):
    """One entry of requirements.lock: what to install with its hashes, and which packages asked for it."""

    requirement: Requirement
    hashes: tuple[str, ...]
    via: frozenset[str]


def code_folder() -> Path:
    """The code of every function; the same folder as long as no file in it changes."""
    files = {str(path.relative_to(ROOT)): path for path in reached()}
    key = sha256((ROOT / "pyproject.toml").read_bytes() + sys.version.encode())
    for name, path in sorted(files.items()):
        key.update(f"{name}\0".encode() + sha256(path.read_bytes()).digest())

    def fill(folder: Path) -> None:
        for name, path in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)
        _name_distribution(folder)
        if sys.version.startswith(f"{PYTHON}."):  # else each cold start would compile everything anew
            # Without times in it: the same code gives the same bytes.
            mode = PycInvalidationMode.UNCHECKED_HASH
            compileall.compile_dir(folder, quiet=1, stripdir=folder, invalidation_mode=mode)

    return _kept(f"code-{key.hexdigest()[:16]}", fill)


def _name_distribution(folder: Path) -> None:
    """The program's name and version, where importlib.metadata looks for them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name, version = project["name"], project["version"]
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def layer_folder(name: str, target: str) -> Path:
    """A layer's folder, holding `python/`. `target`: lambda (downloads wheels) or host (copies what is installed)."""
    if target not in ("lambda", "host"):
        raise ValueError(f"a layer is built for lambda or for host, not for {target}")
    wanted = packages(name, _LAMBDA if target == "lambda" else None)
    lines = [f"{entry.requirement.name}{entry.requirement.specifier}" for entry in wanted]
    python = PYTHON if target == "lambda" else sys.version.split()[0]
    key = sha256("\n".join([python, *lines]).encode()).hexdigest()[:16]

    def fill(folder: Path) -> None:
        into = folder / "python"
        into.mkdir()
        if target == "lambda":
            _download(wanted, into)
        else:
            for entry in wanted:
                _copy_installed(entry.requirement.name, into)

    return _kept(f"layer-{name}-{target}-{key}", fill)


def packages(layer: str, environment: dict[str, str] | None) -> list[Locked]:
    """What the lock says a layer holds, by name, in an environment of markers (None: this interpreter's)."""
    here = {
        name: entry
        for name, entry in _lock()
        if entry.requirement.marker is None or entry.requirement.marker.evaluate(environment)
    }
    found = set(LAYERS[layer])
    while more := {name for name, entry in here.items() if entry.via & found} - found:
        found |= more
    missing = found - here.keys()
    if missing:
        raise LookupError(f"requirements.lock lacks {', '.join(sorted(missing))}; run `make lock`")
    return [here[name] for name in sorted(found)]


def reached() -> list[Path]:
    """Every file that the handlers reach by import, lazily or not, and the data files that lie beside them."""
    waiting = [_module_name(path) for path in sorted((ROOT / ENTRIES).glob("*.py"))]
    modules: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        path = _module_path(name)
        if name in modules or path is None:
            continue
        modules[name] = path
        parent = name.rpartition(".")[0]
        waiting += [parent] if parent else []
        waiting += _imported(path)
    data = [file for folder in {path.parent for path in modules.values()} for file in _data_files(folder)]
    return sorted([*modules.values(), *data])


def _data_files(folder: Path) -> Iterator[Path]:
    """Files beside the modules of a package, and those of its folders that hold no modules."""
    for path in folder.iterdir():
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            yield path
        elif path.is_dir() and path.name != "__pycache__" and not any(path.rglob("*.py")):
            yield from (file for file in path.rglob("*") if file.is_file())


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        yield from (name for name in names if name.partition(".")[0] in PARTS)


def _module_path(name: str) -> Path | None:
    base = ROOT / name.replace(".", "/")
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


def _module_name(path: Path) -> str:
    return str(path.relative_to(ROOT).with_suffix("")).replace("/", ".").removesuffix(".__init__")


def _lock() -> Iterator[tuple[str, Locked]]:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if not block or block.startswith("#"):
            continue
        line = block.partition("\\\n")[0].strip()
        hashes = tuple(re.findall(r"--hash=(sha256:[0-9a-f]{64})", block))
        via = frozenset(re.findall(r"^    #(?: via)?\s+([a-z0-9._-]+)$", block, re.MULTILINE))
        requirement = Requirement(line)
        yield requirement.name, Locked(requirement, hashes, via)


def _download(wanted: list[Locked], into: Path) -> None:
    """Wheels for Lambda, checked against their hashes and unpacked; never built from source."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listed:
        for entry in wanted:
            hashes = " ".join(f"--hash={value}" for value in entry.hashes)
            listed.write(f"{entry.requirement.name}{entry.requirement.specifier} {hashes}\n")
        listed.flush()
        platforms = [part for name in _PLATFORMS for part in ("--platform", name)]
        # The platform says which Python the wheels are for; an old pip would ask for the one that runs it.
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--ignore-requires-python"]
        exact = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"]
        where = [
            "--implementation",
            "cp",
            "--python-version",
            PYTHON,
            *platforms,
            "--target",
            str(into),
            "-r",
            listed.name,
        ]
        subprocess.run([*pip, *exact, *where], check=True)
    for folder in [path for path in into.rglob("*") if path.is_dir() and path.name in (*_LEFT_OUT, "bin")]:
        shutil.rmtree(folder, ignore_errors=True)
    for path in [path for path in into.rglob("*") if path.name.endswith(_LEFT_OUT_ENDINGS)]:
        path.unlink()


def _copy_installed(name: str, into: Path) -> None:
    for file in distribution(name).files or ():
        wanted = not _LEFT_OUT.intersection(file.parts) and not file.name.endswith(_LEFT_OUT_ENDINGS)
        if wanted and file.parts[0] != "..":
            target = into / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), target)


def _kept(name: str, fill: Callable[[Path], None]) -> Path:
    """The folder of that name under `build/`, filled if it is not there; two processes may do so at once."""
    done = BUILD / name
    if not done.is_dir():
        BUILD.mkdir(exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=BUILD))
        made.chmod(0o755)
        try:
            fill(made)
            made.rename(done)
        except OSError:  # another process was quicker; its folder holds the same
            if not done.is_dir():
                raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return done
