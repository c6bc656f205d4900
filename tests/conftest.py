"""How tests share what takes long to make when several processes run them."""

from __future__ import annotations

import pytest

# What these folders start, deploy or synthesise serves all their tests; elsewhere a file is the unit.
_WHOLE = {"aws", "browser", "contract", "handlers", "infra"}


@pytest.hookimpl(tryfirst=True)  # before the names of groups are read
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(folder if folder in _WHOLE else item.path.stem))
