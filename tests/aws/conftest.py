"""The stacks, synthesised and deployed once on the emulator for all tests of this folder that ask for them, and gone after them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.aws.cloud import Cloud, Synthesis
from tests.aws.emulator import Emulator, installed


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    running = Emulator(installed())
    yield running
    running.stop()


@pytest.fixture(scope="package")
def assemblies(emulator: Emulator) -> Iterator[Synthesis]:
    """An assembly per ingest path; the second one is made while the first one is tested."""
    running = Synthesis(emulator, "direct", "kinesis")
    yield running
    running.stop()


@pytest.fixture(scope="package")
def cloud(emulator: Emulator, assemblies: Synthesis) -> Iterator[Cloud]:
    """The ingest path `direct`: the default."""
    deployed = Cloud(emulator, assemblies.of("direct"))
    yield deployed
    deployed.close()
