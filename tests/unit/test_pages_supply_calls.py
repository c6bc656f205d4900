"""The parts of the Supply and Calls pages: what runs short, fills, doubt, measures; volume, drivers, weekday and hour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from dash.development.base_component import Component

from backend.domain.times import DAY, HOUR
from backend.services.read_models import CallBreakdown, Cell, MarketPoint, Point
from dashboard import calls_panels, choices, supply_panels
from dashboard.context import Context, WebConfig
from dashboard.filters import Filters, scope
from dashboard.pages import supply
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW as SENT_AT
from tests.builders import fold_all, open_store, session

NOW = 1_763_649_128_000_000
CELL = Cell(
    subject="algebra",
    region="west",
    status="balanced",
    reported_status=None,
    ratio=1.2,
    gap_hours=0.4,
    demand_hours=10.0,
    supply_hours=10.4,
    available_tutors=6,
    active_students=20,
    pending_requests=5,
    demand_score=None,
    supply_score=None,
    wait_hours=2.0,
    sessions_7d=12,
    ib_calls_7d=1,
    utilisation=0.7,
    cause="none",
    cause_text="",
    updated_us=NOW - HOUR,
    samples=24,
)
CALLS = CallBreakdown(
    total=40,
    previous=30,
    resolved_share=0.6,
    negative_share=0.25,
    mean_duration_s=300.0,
    per_100_students=12.0,
    volume=[],
    weekday_hour=[[0.0] * 24 for _ in range(7)],
    reasons=[],
    priorities=[],
    drivers=[],
    repeat_callers=[],
    unattributed=0,
)
REASON = {"reason": "billing_issue", "calls": 40, "previous": 30, "resolved_share": 0.5}


def cell(subject: str, gap: float | None, **changes: Any) -> Cell:
    status = "high_demand" if gap is not None and gap < -0.5 else "balanced"
    return msgspec.structs.replace(CELL, subject=subject, gap_hours=gap, **{"status": status, **changes})


def view(**filters: Any) -> View:
    asked = Filters(**filters)
    return View(filters=asked, scope=scope(asked, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW)


def text(part: Component) -> str:
    return json.dumps(part.to_plotly_json(), default=lambda p: p.to_plotly_json(), ensure_ascii=False)


def test_cells_that_run_short_come_by_hours_and_the_worst_names_the_map() -> None:
    cells = [cell("biology", 1.0), cell("algebra", -1.2), cell("physics", -3.5)]
    assert [c.subject for c in supply_panels.by_need(cells)] == ["physics", "algebra"]
    assert "Short in 2 of 3 cells, worst in Physics, West" in text(supply_panels.gap_map(cells, None, view()))
    assert "4.7 hours are missing in 2 cells" in text(supply_panels.runs_short(cells, None, {}, view()))


def test_nothing_short_says_so_and_names_the_tightest_cell() -> None:
    drawn = text(supply_panels.runs_short([cell("biology", 1.0), cell("algebra", 0.4)], None, {}, view()))
    assert "Nothing runs short" in drawn
    assert "Algebra, West with +0.4 h" in drawn


def test_beside_few_that_run_short_stand_the_tightest_of_the_rest() -> None:
    cells = [cell("biology", 1.0), cell("algebra", -1.2), cell("physics", 0.3), cell("latin", None)]
    drawn = text(supply_panels.runs_short(cells, None, {}, view()))
    assert drawn.index("Algebra, West") < drawn.index("Enough tutors, tightest first")
    assert drawn.index("Physics, West") < drawn.index("Biology, West")
    assert "Latin" not in drawn
    assert supply_panels.tightest(cells, [], 0) == []


@pytest.mark.parametrize(
    ("gap", "css"),
    [
        (-9.0, "d4"),
        (-3.5, "d3"),
        (-2.0, "d2"),
        (-1.0, "d1"),
        (0.0, "v0"),
        (2.5, "s1"),
        (4.0, "s2"),
        (9.0, "s3"),
    ],
)
def test_fills_have_a_wide_grey_middle(gap: float, css: str) -> None:
    assert supply_panels.fill_class(gap) == css


def test_what_counts_as_short_is_never_grey() -> None:
    assert supply_panels.cell_fill(cell("algebra", -0.3, status="high_demand")) == "d1"
    assert supply_panels.cell_fill(cell("algebra", -0.3, status="balanced")) == "v0"
    assert supply_panels.cell_fill(cell("algebra", -7.0, status="high_demand")) == "d4"


def test_without_hours_the_map_shows_ratios_and_counts_short_cells_in_the_margin() -> None:
    cells = [cell("algebra", None, ratio=0.4, status="high_demand"), cell("biology", None, ratio=2.0)]
    drawn = text(supply_panels.gap_map(cells, None, view()))
    assert '"0.40"' in drawn
    assert "1 short" in drawn
    assert "tutors for each waiting request" in drawn


def test_a_cell_with_few_snapshots_is_hatched_only_where_others_have_enough() -> None:
    rich, poor = cell("biology", 0.1), cell("algebra", 0.2, samples=1)
    assert supply_panels.doubtful(poor, [poor, rich, rich])
    assert not supply_panels.doubtful(poor, [poor, poor, poor])


def test_measures_count_only_what_is_known() -> None:
    cells = [
        cell("algebra", -2.0, demand_hours=10.0, supply_hours=8.0),
        cell("biology", None, status="unknown", wait_hours=None),
    ]
    drawn = text(supply_panels.measures(cells, 1, 9, view()))
    assert "80 %" in text(supply_panels.measures(cells[:1], 0, 0, view()))
    assert "10.0 %" in drawn  # one of ten sessions was missed
    assert "of 1 known" in drawn


def test_a_chosen_cell_leads_the_charts_and_the_rest_are_the_worst() -> None:
    cells = [cell("biology", 1.0), cell("algebra", -1.2), cell("physics", -3.5)]
    chosen = supply.chosen_cell(cells, "biology|west")
    assert chosen is cells[0]
    assert [c.subject for c in supply.charted(cells, chosen)] == ["biology", "physics", "algebra"]
    assert supply.chosen_cell(cells, "nothing|here") is None


def test_cells_that_may_be_asked_for_are_those_within_the_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply.queries, "market", lambda _reads, _scope: [cell("biology", 1.0)])
    ctx = Context(None, lambda: NOW, WebConfig(token="t"))
    kept, said = choices.corrected(ctx, view(own=(("cell", "biology|west"),)), supply)
    assert (kept.get("cell"), said) == ("biology|west", [])
    kept, said = choices.corrected(ctx, view(own=(("cell", "latin|moon"), ("q", "x"))), supply)
    assert kept.own == (("q", "x"),)
    assert said == ["“latin|moon” is not a cell of this page; choose one of biology|west."]


def test_history_says_how_much_of_the_time_was_short_and_names_both_lines() -> None:
    points = [MarketPoint(NOW - k * HOUR, 4.0, 5.0 if k else 1.0, None) for k in range(3, -1, -1)]
    drawn = text(supply_panels.history(cell("algebra", -3.0), points, True, view()))
    assert "short 25 % of it" in drawn
    assert "demand, 3.0 h short" in drawn
    assert '"supply"' in drawn


@pytest.mark.parametrize(
    ("total", "range_", "step"),
    [(1_000, "24h", HOUR), (20, "24h", 3 * HOUR), (56, "7d", 6 * HOUR), (4, "7d", DAY), (4, "30d", DAY)],
)
def test_sparse_calls_are_drawn_in_wider_steps(total: int, range_: str, step: int) -> None:
    calls = msgspec.structs.replace(CALLS, total=total)
    assert calls_panels.step_of(calls, view(range=range_)) == step


def test_volume_names_the_largest_excess_and_ignores_a_single_call() -> None:
    quiet = [Point(NOW - 2 * HOUR, 1.0, 0.0, 0.0, 0.5), Point(NOW - HOUR, 1.0, 1.0, 0.0, 2.0)]
    assert "Calls are as usual" in text(calls_panels.volume(CALLS, quiet, HOUR, view()))
    chance = [*quiet, Point(NOW, 2.0, 0.0, 0.0, 0.0), Point(NOW, 5.0, 2.0, 1.0, 3.0)]
    assert "Calls are as usual" in text(calls_panels.volume(CALLS, chance, HOUR, view()))
    loud = [*quiet, Point(NOW, 9.0, 2.0, 1.0, 3.0)]
    assert "9 on usual 2" in text(calls_panels.volume(CALLS, loud, HOUR, view()))


def test_no_call_is_an_empty_state_with_a_way_on() -> None:
    nobody = msgspec.structs.replace(CALLS, total=0)
    assert "?range=30d" in text(calls_panels.volume(nobody, [Point(NOW, 0.0)], HOUR, view()))


def test_weekday_and_hour_move_with_the_zone_across_midnight_and_week() -> None:
    table = [[0.0] * 24 for _ in range(7)]
    table[0][2] = 3.0  # Monday 02:00 UTC is Sunday 21:00 five hours behind
    moved = calls_panels.shifted(table, -5 * HOUR)
    assert moved[6][21] == 3.0
    assert sum(map(sum, moved)) == 3.0
    assert calls_panels.shifted(table, 0) == table


def test_drivers_name_the_first_and_show_calls_on_usual() -> None:
    found = [{"dimension": "reason", "value": "technical_problem", "excess": 26.0, "calls": 30, "usual": 4.0}]
    drawn = text(calls_panels.drivers(msgspec.structs.replace(CALLS, drivers=found), view()))
    assert "More calls than usual, Technical problem most: +26 on usual" in drawn
    assert "30 on usual 4" in drawn


def test_calls_that_a_filter_cannot_see_are_said() -> None:
    assert calls_panels.unattributed(CALLS, view()) is None
    note = calls_panels.unattributed(msgspec.structs.replace(CALLS, unattributed=3), view(region="west"))
    assert note is not None
    assert "3 calls" in text(note)


def test_without_reported_supply_the_map_shows_where_sessions_are_held(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    held = [session(f"a{i}", SENT_AT - i * HOUR, subject="AAA", region="Wales") for i in range(5)]
    store.append([*held, session("b", SENT_AT - HOUR, subject="BBB", region="Scotland")])
    fold_all(store, SENT_AT)
    filters = Filters()
    seen = View(filters, scope(filters, SENT_AT, UTC_ZONE), UTC_ZONE, SENT_AT)
    drawn = str(supply.body(Context(store, lambda: SENT_AT, WebConfig(token="t")), seen))
    assert "6 sessions in 7 days, most in AAA, Wales" in drawn
    assert "Shortages are not known" in drawn
    assert "enough tutors" not in drawn


def test_a_panel_with_a_window_of_its_own_names_that_one() -> None:
    drawn = text(calls_panels.week(CALLS, view(region="west")))
    assert "west, last 4 weeks. Computed" in drawn
    assert "last 24 h" not in drawn
    assert "west, now. Computed" in text(supply_panels.gap_map([CELL], None, view(region="west")))
    past = view(at_us=NOW - 30 * HOUR)
    assert "All work, as of 19 Nov 08:32. Computed" in text(supply_panels.gap_map([CELL], None, past))
    assert "west, last 24 h. Computed" in text(
        calls_panels.reasons(msgspec.structs.replace(CALLS, reasons=[REASON]), view(region="west"))
    )


def test_a_span_before_that_the_log_does_not_hold_is_no_comparison() -> None:
    calls = msgspec.structs.replace(CALLS, previous=None, reasons=[REASON | {"previous": None}])
    assert "the span before is not in the log" in text(calls_panels.measures(calls, view()))
    reasons = text(calls_panels.reasons(calls, view()))
    assert "the span before is not in the log" in reasons
    assert "mark:" not in reasons
