"""Assemblies as fixtures; their folders go at the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.infra import assembly as made
from tests.infra.assembly import VARIANTS, Assembly


@pytest.fixture(scope="session", autouse=True)
def _cleaned() -> Iterator[None]:
    yield
    for variant in VARIANTS:
        if made.assembly.cache_info().currsize:
            shutil.rmtree(made.assembly(variant).folder, ignore_errors=True)


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
