"""The stacks, synthesised and deployed once on the emulator for all tests of this folder that ask for them, and gone after them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.cloud import Cloud, synthesise
from tests.aws.emulator import Emulator, installed


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    running = Emulator(installed())
    yield running
    running.stop()


@pytest.fixture(scope="package")
def assemblies(emulator: Emulator) -> Path:
    """An assembly per ingest path."""
    return synthesise(emulator)


@pytest.fixture(scope="package")
def cloud(emulator: Emulator, assemblies: Path) -> Iterator[Cloud]:
    """The ingest path `direct`: the default."""
    deployed = Cloud(emulator, assemblies / "direct")
    yield deployed
    deployed.close()
