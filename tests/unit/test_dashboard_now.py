"""The Now page's parts: the queue, the worst cells, the trust badge, the numbers."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from dash.development.base_component import Component

from backend.domain.times import DAY, HOUR, MINUTE, iso
from backend.services.read_models import Cell, Freshness, Kpi, Point, QueueItem
from dashboard import first_event, now_side
from dashboard.context import Context, WebConfig
from dashboard.filters import Filters, scope
from dashboard.frame import completeness, trust_badge
from dashboard.pages import now
from dashboard.view import View
from dashboard.zones import UTC_ZONE

NOW = 1_763_649_128_000_000
ITEM = QueueItem(
    alert_id="al_1",
    version=3,
    severity="critical",
    claim="Call Maya R.: health 43",
    reason="two no-shows (−11)",
    loss=143.0,
    loss_text="$143 of $420/month",
    entity_type="student",
    entity_id="stu/1",
    entity_name="Maya R.",
    owner=None,
    status="open",
    opened_us=NOW - HOUR,
    action="Log call",
)
FRESH = Freshness(
    now_us=NOW,
    last_event_us=NOW - 4_000_000,
    last_received_us=NOW,
    lag_ms_p50=2.0,
    lag_ms_p95=1200.0,
    backlog=0,
    swept_us=NOW,
    events_per_s=3.5,
    total_events=12_040,
    simulated_events=0,
    duplicates=1,
    rejects=24,
    by_type=[],
    throughput=[],
)


def view(**changes: Any) -> View:
    filters = changes.pop("filters", Filters())
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, **changes)


def text(component: Component) -> str:
    return json.dumps(
        component.to_plotly_json(), default=lambda part: part.to_plotly_json(), ensure_ascii=False
    )


def test_a_row_says_what_why_how_much_and_offers_to_acknowledge() -> None:
    row = text(now.queue_row(ITEM, True, view()))
    for part in (
        "Critical",
        "Call Maya R.: health 43",
        "two no-shows (−11)",
        "$143",
        "of $420/month",
        "/students/stu%2F1",
    ):
        assert part in row
    assert '\\"action\\": \\"ack\\"' in row
    assert '\\"version\\": 3' in row


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"role": "viewer"}, "Viewers cannot"),
        ({"read_only": True}, "read-only"),
        ({"filters": Filters(at_us=NOW - HOUR)}, "past cannot be changed"),
    ],
)
def test_who_may_not_act_sees_the_button_with_the_reason(changes: dict[str, Any], reason: str) -> None:
    row = text(now.queue_row(ITEM, True, view(**changes)))
    assert reason in row
    assert "data-command" not in row
    assert "io-btn pri" not in row


def test_an_acknowledged_row_can_be_taken_back() -> None:
    row = text(
        now.queue_row(msgspec.structs.replace(ITEM, status="acknowledged", owner="Dana Kim"), False, view())
    )
    assert '\\"action\\": \\"unack\\"' in row
    assert "DK" in row


def test_the_title_counts_all_and_says_how_many_are_shown() -> None:
    panel = text(now.queue_panel([ITEM], {"open": 20, "acknowledged": 7, "unowned_critical": 5}, view()))
    assert "20 things need a person, 5 critical without an owner, 7 taken" in panel
    assert "the first 1" in panel
    assert "Nothing needs a person now" in text(now.queue_panel([], {}, view()))
    empty = text(now.queue_panel([], {}, view(), first_event.welcome(WebConfig(token="t"), view())))
    assert "/v1/events" in empty
    assert "Nothing needs" not in empty
    assert "How to send the first event" in empty


def cell(subject: str, gap: float | None) -> Cell:
    return Cell(
        subject=subject,
        region="west",
        status="balanced",
        reported_status=None,
        ratio=0.5,
        gap_hours=gap,
        demand_hours=1.0,
        supply_hours=1.0,
        available_tutors=2,
        active_students=3,
        pending_requests=4,
        demand_score=None,
        supply_score=None,
        wait_hours=None,
        sessions_7d=1,
        ib_calls_7d=0,
        utilisation=None,
        cause="unknown",
        cause_text="",
        updated_us=NOW,
        samples=3,
    )


def test_the_worst_cell_is_the_finding_and_unknown_ones_are_not_ranked() -> None:
    panel = text(
        now_side.worst_cells([cell("sat_prep", -0.6), cell("algebra", -3.2), cell("physics", None)], view())
    )
    assert "Algebra, West is the worst gap" in panel
    assert "−3.2" in panel
    assert "Physics" not in panel
    assert "No cell is short" in text(now_side.worst_cells([cell("algebra", 2.0)], view()))
    assert "No supply known" in text(now_side.worst_cells([cell("physics", None)], view()))


def test_numbers_with_a_course_are_drawn_and_the_others_are_facts() -> None:
    base: dict[str, Any] = {
        "unit": "",
        "value": 7.0,
        "delta": 1.0,
        "delta_text": "+1 on usual 6",
        "window_text": "last 24 h",
    }
    drawn = Kpi(
        key="ib_calls",
        title="Calls above usual",
        unusual=True,
        series=[Point(NOW - HOUR, 1.0), Point(NOW, 7.0)],
        **base,
    )
    row = text(now.kpi_row([drawn, Kpi(key="supply_gaps", title="Short: 3", **base)], view()))
    assert row.count('"Graph"') == 1
    assert "Short: 3" in row
    assert "+1 on usual 6" in row


@pytest.mark.parametrize(
    ("changes", "word", "css"),
    [
        ({}, "99.8 %", "io-trust"),
        ({"last_event_us": NOW - 40 * MINUTE}, "Last event 40 min ago", "io-trust amber"),
        ({"last_event_us": None}, "No data yet", "io-trust grey"),
        ({"backlog": 5_000}, "5,000 waiting", "io-trust amber"),
    ],
)
def test_the_trust_badge_judges_by_event_time(changes: dict[str, Any], word: str, css: str) -> None:
    words, got = trust_badge(msgspec.structs.replace(FRESH, **changes), NOW)
    assert got == css
    assert word in "".join(part if isinstance(part, str) else text(part) for part in words)


def test_completeness_is_never_rounded_up_to_all() -> None:
    assert completeness(msgspec.structs.replace(FRESH, total_events=10_000_000, rejects=1)) == "99.99 %"
    assert completeness(msgspec.structs.replace(FRESH, rejects=0)) == "100 %"


def test_panels_drawn_side_by_side_keep_their_order_and_fail_alone() -> None:
    ctx = Context(None, lambda: NOW, WebConfig(token="T"))

    def broken() -> Any:
        raise OSError("no such table")

    first, failed, last = ctx.guarded_all(("A", lambda: 1), ("The worst gaps", broken), ("C", lambda: 3))
    assert (first, last) == (1, 3)
    assert "The worst gaps could not be read" in text(failed)


@pytest.mark.parametrize(
    ("odd", "says"),
    [(0, "The numbers are as usual"), (1, "1 of 2 numbers is unusual"), (2, "2 of 2 numbers are unusual")],
)
def test_the_title_of_the_numbers_says_how_many_are_unusual(odd: int, says: str) -> None:
    kpi = Kpi(
        key="k", title="Calls", value=1.0, unit="", delta=None, delta_text="", window_text="", better="up"
    )
    assert now.numbers_title([msgspec.structs.replace(kpi, unusual=i < odd) for i in range(2)]) == says
    assert (
        now.numbers_title([msgspec.structs.replace(kpi, value=value) for value in (0.0, None)])
        == "No numbers yet"
    )


def test_a_moment_of_the_address_is_past_by_the_real_clock_and_ages_are_told_as_of_it() -> None:
    ctx = Context(None, lambda: NOW, WebConfig(token="t"))
    past = ctx.view(f"?at={iso(NOW - HOUR)}")
    assert (past.now_us, past.computed_us) == (NOW - HOUR, NOW)
    assert (past.scope.at_us, past.scope.start_us, past.scope.time_travel) == (
        NOW - HOUR,
        NOW - HOUR - DAY,
        True,
    )
    live = ctx.view("")
    assert (live.scope.at_us, live.scope.time_travel) == (NOW, False)
    coming = ctx.view(f"?at={iso(NOW + HOUR)}")
    assert (coming.scope.time_travel, coming.filters.at_us) == (False, None)
    assert "still to come" in coming.notices[0]
