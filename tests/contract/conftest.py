"""Every test that asks for `store` runs over both stores; `emulator` is started once, and only when it is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.emulator import Emulator, installed, open_dynamo
from tests.builders import open_store


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    running = Emulator(installed())
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", pytest.param("dynamo", marks=pytest.mark.aws)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    if request.param == "sqlite":
        opened: Any = open_store(tmp_path)
    else:
        opened = open_dynamo(request.getfixturevalue("emulator"))
    yield opened
    opened.close()
