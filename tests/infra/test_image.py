"""The container without a container engine: what its layers hold is put together here from the same list, weighed and run."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import yaml

from infra import image

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 450
BASE_MB = 130  # python:3.12-slim, unpacked
OURS = ("backend", "dashboard", "simulator")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def installed() -> dict[str, list[Path]]:
    """Files of every package that the image gets and this machine has (the lock names some for other systems)."""
    found = {}
    for name in image.entries():
        try:
            files = distribution(name).files or ()
        except PackageNotFoundError:
            continue
        found[name] = [Path(str(f.locate())) for f in files if f.suffix != ".pyc" and f.parts[0] != ".."]
    return found


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's site-packages: links to what is installed here, and to our own packages."""
    folder = tmp_path_factory.mktemp("layer")
    for files in installed().values():
        for file in files:
            place = Path(str(distribution("pip").locate_file("")))
            top = file.relative_to(place).parts[0]
            if not (folder / top).exists():
                (folder / top).symlink_to(place / top)
    for name in OURS:
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(layer: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Python with the layer alone: nothing of this environment can be imported by accident."""
    start = f"import sys; sys.path.insert(0, {str(layer)!r}); {code}"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", start], capture_output=True, text=True, timeout=120
    )


def test_what_the_image_weighs(layer: Path) -> None:
    packages = sum(f.stat().st_size for files in installed().values() for f in files if f.is_file())
    ours = sum(
        f.stat().st_size for n in OURS for f in (ROOT / n).rglob("*") if f.is_file() and f.suffix != ".pyc"
    )
    assert BASE_MB + (packages + ours) / 1e6 <= MOST_MB


@pytest.mark.parametrize(
    "module",
    [
        "backend.runtime.cli",
        "backend.runtime.engine",
        "backend.runtime.supervisor",
        "dashboard.app",
        "gunicorn.app.wsgiapp",
    ],
)
def test_every_process_finds_what_it_imports(layer: Path, module: str) -> None:
    ran = run(layer, f"import {module}")
    assert ran.returncode == 0, ran.stderr[-2_000:]


def test_the_commands_run_from_the_layer(layer: Path) -> None:
    ran = run(layer, "from backend.runtime.cli import main; main(['cost'], standalone_mode=False)")
    assert ran.returncode == 0, ran.stderr[-2_000:]
    assert ran.stdout.startswith("Assumptions")


@pytest.mark.parametrize(
    "name", ["pytest", "mypy", "playwright", "aws_cdk", "xgboost", "hypothesis", "infra", "tests"]
)
def test_what_only_developers_need_is_not_in_it(layer: Path, name: str) -> None:
    assert run(layer, f"import {name}").returncode == 1


def test_the_image_for_training_has_more() -> None:
    assert "xgboost-cpu" in image.entries(["ml"])
    assert "xgboost-cpu" not in image.entries()


def test_every_package_is_checked_by_its_hash() -> None:
    for name, entry in image.entries().items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), name


def test_the_list_is_complete(tmp_path: Path) -> None:
    """Every package that a listed one needs is listed, as far as it is installed here."""
    listed = image.entries().keys()
    for name in installed():
        for line in distribution(name).requires or ():
            needed = re.match(r"[A-Za-z0-9._-]+", line)
            if needed and "extra ==" not in line and ";" not in line:
                assert re.sub(r"[-_.]+", "-", needed[0]).lower() in listed, f"{name} needs {line}"


def test_an_unknown_extra_is_refused() -> None:
    with pytest.raises(KeyError, match="mll"):
        image.entries(["mll"])


def test_the_dockerfile_ends_as_an_ordinary_user_with_a_health_check() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert DOCKERFILE.count("\nFROM ") == 2
    assert re.search(r"^USER iops$", last, re.MULTILINE)
    assert "HEALTHCHECK" in last
    assert "--require-hashes" in DOCKERFILE


def test_what_the_dockerfile_copies_is_let_through_and_nothing_else() -> None:
    copied = {
        part
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for part in line.split()[:-1]
    }
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    assert let_through == copied
    assert all((ROOT / path).exists() for path in copied)


def test_processes_of_the_procfile_are_commands() -> None:
    from backend.runtime.cli import main

    for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
        name, _, command = line.partition(": iops ")
        assert name in main.commands
        assert command in main.commands


def test_compose_publishes_only_the_proxy_and_holds_no_secret() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    app = compose["services"]["iops"]
    assert "ports" not in app
    assert app["environment"]["IOPS_TOKEN"].startswith("${IOPS_TOKEN:?")
    assert app["read_only"] is True
    assert {"data", "certificates"} == compose["volumes"].keys()


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.stem
)
def test_a_workflow_calls_targets_that_exist_and_keeps_no_key(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    parsed = yaml.safe_load(text)
    assert parsed["permissions"]["contents"] == "read"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"\bmake ([a-z]+)", text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    assert not re.search(r"AWS_(ACCESS_KEY|SECRET)", text)


def test_deploying_takes_a_role_by_oidc_and_only_on_tags_or_by_hand() -> None:
    text = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")
    parsed = yaml.safe_load(text)
    assert parsed["permissions"]["id-token"] == "write"
    assert "role-to-assume" in text
    on = parsed[True]  # YAML reads the word `on` as a truth value
    assert on.keys() == {"push", "workflow_dispatch"}
    assert on["push"] == {"tags": ["v*"]}
