"""How tests share what takes long to make when several processes run them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# What these folders start, deploy or synthesise serves all their tests; elsewhere a file is the unit.
_WHOLE = {"aws", "browser", "contract", "handlers", "infra"}

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


class _ByFolder(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        folder = file.split("/")[-2]
        return folder if folder in _WHOLE else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFolder(config, log)
