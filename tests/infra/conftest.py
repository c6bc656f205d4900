"""Assemblies as fixtures; their folders go at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.infra import assembly as made
from tests.infra.assembly import VARIANTS, Assembly

_ASSEMBLIES = {"direct", "kinesis", "prod", "each"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs an assembly waits for a synthesis of some ten seconds."""
    for item in items:
        if _ASSEMBLIES & set(getattr(item, "fixturenames", ())) and "infra" in item.path.parts:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _cleaned() -> Iterator[None]:
    yield
    for folder in made.FOLDERS:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def direct() -> Assembly:
    return made.assembly("direct")


@pytest.fixture(scope="session")
def kinesis() -> Assembly:
    return made.assembly("kinesis")


@pytest.fixture(scope="session")
def prod() -> Assembly:
    return made.assembly("prod")


@pytest.fixture(scope="session", params=list(VARIANTS))
def each(request: pytest.FixtureRequest) -> Assembly:
    return made.assembly(request.param)
