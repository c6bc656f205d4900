"""The events that an alert shows are those that its rule counts, each of them and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.domain.times import DAY, HOUR
from backend.services import queries
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session
from tests.services.queries_world import view


def health(n: int, at_us: int, score: int):
    return event(f"h{n}", "customer_health_update", at_us, {"student_id": "stu_1", "health_score": score})


def offer(n: int, at_us: int):
    hours = {"tutor_id": "tut_1", "available_hours_this_week": 20, "booked_hours_this_week": 20}
    return event(f"a{n}", "tutor_availability_updated", at_us, hours)


@pytest.mark.parametrize(
    ("rule_id", "shown"),
    [
        ("high_ib_call_frequency", ["c0", "c1", "c2"]),
        ("low_health_score", {"session", "call", "health"}),
        ("low_tutor_rating", [f"s{n}" for n in range(6)]),
        ("tutor_over_use", ["a0", "a1"]),
    ],
)
def test_an_alert_shows_what_its_rule_counts(
    tmp_path: Path, rule_id: str, shown: list[str] | set[str]
) -> None:
    store = open_store(tmp_path)
    entries = [call(f"c{n}", NOW - n * 6 * DAY - HOUR) for n in range(3)]  # the oldest is 12 days old
    entries.append(call("c9", NOW - 15 * DAY))
    entries += [session(f"s{n}", NOW - (n + 1) * DAY, rating=2) for n in range(6)]
    entries += [session("unrated", NOW - DAY), session("missed", NOW - DAY, no_show=True)]
    entries += [health(n, NOW - n * HOUR, 40) for n in range(10)] + [offer(n, NOW - n * HOUR) for n in (0, 1)]
    store.append(entries)
    fold_all(store, NOW)
    catch_up(store, NOW)
    alert = next(a for a in store.alert_list({})[0] if a.rule_id == rule_id)
    found = queries.alert(store, view(), alert.alert_id).evidence
    if isinstance(shown, set):
        assert {entry.kind for entry in found} == shown
        assert "c9" not in [entry.event_id for entry in found]  # health counts calls over 14 days
    else:
        assert [entry.event_id for entry in found] == shown
