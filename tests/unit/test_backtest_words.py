"""The headline of a backtest: a share where one says something, else the counts."""

from __future__ import annotations

import pytest

from backend.domain.rules import RULES
from backend.services.backtest import Backtest, Outcome, Share
from backend.services.backtest_words import headline

NONE = Share(0, 0)


def outcome(alerts: int) -> Outcome:
    return Outcome(
        rule=RULES["high_ib_call_frequency"],
        alerts=alerts,
        entities=alerts,
        came_back=0,
        still_open=0,
        days=[],
        severities={},
        median_us=None,
        ninth_us=None,
        within_hour=NONE,
        right=NONE,
        useful=NONE,
    )


@pytest.mark.parametrize(
    ("now", "tried", "said"),
    [
        (0, 0, "No alert with either"),
        (5, 5, "As many alerts as now: 5"),
        (2, 17, "17 alerts instead of 2"),
        (0, 1, "1 alert instead of 0"),
        (100, 62, "38 % fewer alerts: 62 instead of 100"),
        (40, 60, "50 % more alerts: 60 instead of 40"),
        (40, 400, "400 alerts instead of 40"),
    ],
)
def test_the_headline_says_what_would_change(now: int, tried: int, said: str) -> None:
    found = Backtest(start_us=0, end_us=1, watched=1, events=1, outcomes=[outcome(now), outcome(tried)])
    assert headline(found) == said
