"""Every test that asks for `store` runs over both stores; `emulator` is started once, and only when it is needed.

IOPS_TEST_DYNAMODB=http://127.0.0.1:8000 lets all of it run against what answers there instead, as DynamoDB Local.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aws.emulator import Emulator, Engine, installed, open_dynamo
from tests.builders import open_store


@pytest.fixture(scope="package")
def emulator() -> Iterator[Engine]:
    elsewhere = os.environ.get("IOPS_TEST_DYNAMODB")
    running = Engine(elsewhere) if elsewhere else Emulator(installed())
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
