"""What acting on alerts brought, on alerts made by hand."""

from __future__ import annotations

import msgspec
import pytest

from backend.domain.alerts import Alert
from backend.domain.impact import LEAST, impact
from backend.domain.times import DAY, HOUR
from dashboard.alert_drawer import brought
from tests.unit.test_pages_data import words

NOW = 1_795_200_000_000_000


def an_alert(days_ago: float = 20, taken: bool = False, back_after: float | None = None) -> Alert:
    opened = NOW - round(days_ago * DAY)
    return Alert(
        alert_id="al",
        version=1,
        rule_id="velocity_drop",
        rule_version=1,
        alert_type="velocity_drop",
        severity="warning",
        status="open" if back_after is None else "resolved",
        entity_type="student",
        entity_id="stu_1",
        title="t",
        message="m",
        details={},
        occurrences=1,
        opened_us=opened,
        last_seen_us=opened,
        acknowledged_us=opened + HOUR if taken else None,
        resolved_us=None if back_after is None else opened + round(back_after * DAY),
        cause=None if back_after is None else "back to normal: 3 sessions in 7 days",
    )


def test_shares_are_compared_only_with_ten_on_each_side():
    few = impact([an_alert(taken=True, back_after=2)] * 9 + [an_alert()] * 30, NOW)
    assert (few.taken, few.taken_recovered, few.left, few.left_recovered, few.more) == (9, 9, 30, 0, None)
    many = [an_alert(taken=True, back_after=2)] * 30 + [an_alert(taken=True)] * 10
    many += [an_alert(back_after=3)] * 10 + [an_alert()] * 30
    found = impact(many, NOW)
    assert (found.taken, found.taken_recovered, found.left, found.left_recovered) == (40, 30, 40, 10)
    assert found.more == pytest.approx(0.5)
    assert (found.low, found.high) == (pytest.approx(0.3184, abs=1e-3), pytest.approx(0.6340, abs=1e-3))


def test_only_what_had_its_week_and_went_back_by_itself_counts():
    by_hand = msgspec.structs.replace(an_alert(taken=True, back_after=1), cause="resolved by ann")
    found = impact(
        [
            an_alert(days_ago=6, back_after=1),  # has not had seven days
            an_alert(days_ago=100, back_after=1),  # too long ago
            an_alert(back_after=8),  # too late
            an_alert(back_after=6.9),
            by_hand,
        ],
        NOW,
    )
    assert (found.taken, found.taken_recovered, found.left, found.left_recovered) == (1, 0, 2, 1)


def test_the_drawer_says_what_it_can_and_no_more():
    assert brought(impact([], NOW)) is None
    early = words(brought(impact([an_alert(taken=True, back_after=2)], NOW)))
    assert "1 of 1 went back to normal" in early
    assert f"With {LEAST} of each" in early
    told = words(brought(impact([an_alert(taken=True, back_after=2)] * 20 + [an_alert()] * 20, NOW)))
    assert "a hint, not a proof" in told
