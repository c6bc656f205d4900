"""What is too old goes by itself; what windows and repeats need never does, nor history that was imported lately."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.domain.times import DAY, HOUR
from backend.domain.windows import COUNTERS
from backend.runtime import settings
from backend.runtime.retention_follower import RetentionFollower
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session
from tests.contract.test_parity import dump

DAYS = 60
BEFORE = NOW - DAYS * DAY


def lived(folder: Path, name: str, keeping: bool) -> Any:
    """A store that took an event every five days for five months, with or without removing what is too old on the way."""
    store = open_store(folder, name)
    for day in range(150, -1, -5):
        at = NOW - day * DAY
        store.append([session(f"s{day}", at, received_us=at, rating=4), _received(call(f"c{day}", at), at)])
        fold_all(store, at)
        catch_up(store, at)
        if not keeping:
            RetentionFollower(store, DAYS, lambda at=at: at).once()
    return store


def _received(entry: Any, at: int) -> Any:
    import msgspec

    return msgspec.structs.replace(entry, event=msgspec.structs.replace(entry.event, received_us=at))


def test_windows_scores_and_alerts_are_those_of_a_store_that_kept_everything(tmp_path: Path) -> None:
    whole, kept = lived(tmp_path, "whole.db", True), lived(tmp_path, "kept.db", False)
    one, other = dump(whole), dump(kept)
    for kind in ("student", "tutor", "subject", "region", "cell", "all"):
        assert other[kind] == one[kind], kind
    assert len(one["log"]) == 62
    assert [e.event_id for e in other["log"]] == [e.event_id for e in one["log"] if e.occurred_us >= BEFORE]
    first = BEFORE // HOUR * HOUR
    for store in (whole, kept):
        sums = store.bucket_sums("student", "stu_1", COUNTERS, first, NOW + HOUR, HOUR)
        assert (
            sum(row[1] for row in sums) == 26
        )  # the hour, then the counters: every event of the last 60 days
    assert kept.bucket_sums("student", "stu_1", COUNTERS, 0, first - HOUR, HOUR) == []
    # A repeat is refused for as long as it is kept.
    assert kept.append([session("s60", BEFORE, rating=4)]) == ["duplicate"]
    for store in (whole, kept):
        store.close()


def test_what_was_imported_lately_stays_however_long_ago_it_happened(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    store.append([session("old", NOW - 4_000 * DAY)])  # received now
    fold_all(store, NOW)
    assert RetentionFollower(store, DAYS, lambda: NOW).once() == 0
    assert store.entities("student", ["stu_1"])
    assert sum(row[1] for row in store.bucket_sums("student", "stu_1", COUNTERS, 0, NOW, HOUR)) == 1
    store.close()


def test_arrivals_by_the_minute_go_with_their_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for day in (100, 1):
        at = NOW - day * DAY
        store.append([_received(call(f"c{day}", at), at)])
        fold_all(store, at)
    assert sum(store.arrivals(0, NOW).values()) == 2
    RetentionFollower(store, DAYS, lambda: NOW).once()
    assert sum(store.arrivals(0, BEFORE).values()) == 0
    assert sum(store.arrivals(0, NOW).values()) == 1
    store.close()


def test_what_was_not_folded_yet_stays(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    at = NOW - 100 * DAY
    store.append([session("waiting", at, received_us=at)])
    assert RetentionFollower(store, DAYS, lambda: NOW).once() == 0
    assert fold_all(store, NOW) == 1
    store.close()


def test_ended_alerts_go_with_their_audit_and_living_ones_stay(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    at = NOW - 100 * DAY
    for student in ("stu_1", "stu_2"):
        health = {"student_id": student, "health_score": 5}
        store.append([event(f"h-{student}", "customer_health_update", at, health, at)])
    fold_all(store, at)
    alerts, total = store.alert_list({})
    assert total >= 2
    with store.transaction() as connection:
        connection.execute(
            "UPDATE alerts SET status = 'resolved', resolved_us = ? WHERE entity_id = 'stu_1'", (at,)
        )
    RetentionFollower(store, DAYS, lambda: NOW).once()
    left, _ = store.alert_list({})
    assert {alert.entity_id for alert in left} == {"stu_2"}
    audited = store.audit_rows([alert.alert_id for alert in alerts], NOW)
    assert {row["alert_id"] for row in audited} == {alert.alert_id for alert in left}
    store.close()


def test_a_kill_between_two_parts_leaves_the_rest_for_the_next_time(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    at = NOW - 100 * DAY
    store.append([session(f"s{i}", at + i, received_us=at) for i in range(25)])
    fold_all(store, at)
    assert store.prune(BEFORE, limit=10) == 10
    store.close()
    again = open_store(tmp_path)
    assert [again.prune(BEFORE, limit=10) for _ in range(2)] == [10, 5]
    assert again.prune(BEFORE) > 0  # the counts of hours in which nothing is left
    assert again.prune(BEFORE) == 0
    again.close()


@pytest.mark.parametrize("days", ["1", "59"])
def test_less_than_windows_and_repeats_need_is_refused(days: str) -> None:
    with pytest.raises(settings.BadSetting, match="IOPS_KEEP_DAYS must be at least 60"):
        settings.read({"IOPS_KEEP_DAYS": days})
    assert settings.read({"IOPS_KEEP_DAYS": "0"}).keep_days == 0
