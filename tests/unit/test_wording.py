"""Counts and shares in words, where the core itself says them."""

from __future__ import annotations

import pytest

from backend.domain.wording import counted, percent
from backend.services.summaries import _by_severity
from tests.unit.test_alert_life import opened


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 hours"), (1, "1 hour"), (1.0, "1 hour"), (0.5, "0.5 hours"), (1_234_567, "1,234,567 hours")],
)
def test_one_is_one_and_everything_else_is_many(count: float, words: str) -> None:
    assert counted(count, "hour") == words
    assert counted(2, "entry", "entries") == "2 entries"
    assert percent(0.944) == "94 %"


def test_alerts_of_one_severity_need_no_sum() -> None:
    alert = opened()
    assert _by_severity([alert]) == f"1 {alert.severity}"
    assert _by_severity([]) == "none"
