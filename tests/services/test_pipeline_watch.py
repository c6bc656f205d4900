"""Too much refused, or something put aside for long, raises an alert about the pipeline; it ends when that ends."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.times import HOUR, MINUTE
from backend.services import insights, mending, queries
from backend.services.pipeline_watch import INGEST, Counts, settle_pipeline
from backend.services.read_models import Scope
from tests.builders import NOW, call, fold_all, open_store


@pytest.mark.parametrize(
    ("refused", "accepted", "was", "severity"),
    [
        (5, 95, None, None),  # exactly 5 %
        (6, 94, None, "warning"),
        (21, 79, None, "critical"),
        (19, 0, None, None),  # too few to tell
        (4, 96, "warning", "warning"),  # not low enough to end
        (2, 98, "warning", "ended"),
        (17, 83, "critical", "critical"),
        (10, 90, "critical", "warning"),
    ],
)
def test_the_share_of_refused_items_decides(
    refused: int, accepted: int, was: str | None, severity: str | None
) -> None:
    living = {}
    if was is not None:
        begun = settle_pipeline(Counts({"warning": 10, "critical": 50}[was], 50, 0), {}, NOW)[0].alert
        living = {"malformed_rate": begun}
        assert begun.severity == was
    changes = settle_pipeline(Counts(refused, accepted, 0), living, NOW)
    now = changes[0].alert if changes else living.get("malformed_rate")
    assert severity == (None if now is None else now.severity if now.living else "ended")


@pytest.fixture
def store(tmp_path: Any):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def living(store: Any, now_us: int) -> dict[str, Any]:
    rows = queries.alerts(store, Scope(at_us=now_us, start_us=now_us - HOUR), status=("open",)).rows
    return {row.rule_id: row for row in rows if (row.entity_type, row.entity_id) == INGEST}


def test_refused_events_raise_an_alert_that_ends_an_hour_later(store: Any) -> None:
    store.append([call(f"c{i}", NOW) for i in range(18)])
    fold_all(store, NOW)
    store.keep_rejects([(NOW, "required", "ib_call_logged", "crm", "[]", "{}")] * 3)
    store.sweep(NOW)
    alert = living(store, NOW)["malformed_rate"]
    assert alert.severity == "warning"
    assert alert.message == "14.3 % of 21 items refused in the last hour"
    detail = queries.alert(store, Scope(at_us=NOW, start_us=NOW - HOUR), alert.alert_id)
    assert (detail.rule["runbook"][:9], detail.evidence, len(detail.audit)) == ("Open Data", [], 1)
    assert insights.of_alert(store, alert.alert_id) is None
    assert alert.alert_id not in {item.alert.alert_id for item in insights.items(store, 0) if item.alert}
    store.sweep(NOW + 2 * HOUR)
    assert "malformed_rate" not in living(store, NOW + 2 * HOUR)


def test_an_event_put_aside_for_ten_minutes_is_pointed_out_until_it_is_sent_again(store: Any) -> None:
    store.append([call("c1", NOW)])
    store.set_aside("a mistake of ours", NOW)
    store.sweep(NOW + 9 * MINUTE)
    assert not living(store, NOW + 9 * MINUTE)
    store.sweep(NOW + 11 * MINUTE)
    assert living(store, NOW + 11 * MINUTE)["events_put_aside"].severity == "info"
    number = queries.rejects(store).rows[0].reject_id
    mending.replay(store, number, None, actor="ada", now_us=NOW + 12 * MINUTE)
    store.sweep(NOW + 13 * MINUTE)
    assert not living(store, NOW + 13 * MINUTE)
