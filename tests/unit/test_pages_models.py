"""Predictions on the pages of people, and the page of the models: what is said, in words, and who may decide."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.predictions import Contribution, Prediction, Scored
from backend.domain.times import DAY, HOUR, to_us
from backend.domain.trials import began, judged
from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import ModelRegistry
from backend.services import retraining
from backend.services.read_models import Point
from dashboard import calibration_panel, model_panels, prediction_card
from dashboard.context import Context, WebConfig
from dashboard.filters import parse, scope
from dashboard.pages import models
from dashboard.view import View
from dashboard.zones import UTC_ZONE

NOW = to_us(datetime(2026, 11, 20, 18, tzinfo=UTC))


def a_view(search: str = "", **changes: Any) -> View:
    filters, _ = parse(search, UTC_ZONE)
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, **changes)


def words(component: Any) -> str:
    if component is None or isinstance(component, bool):
        return ""
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return " ".join(words(part) for part in component)
    return words(getattr(component, "children", None))


def churn(value: float, low: float | None = 0.91, high: float | None = 0.99) -> Prediction:
    why = [
        Contribution("ib_calls_14d", 4.0, "calls", 2.08),
        Contribution("cancellation_rate_30d", 0.25, "share", 0.4),
        Contribution("sessions_7d", 1.0, "sessions", 0.1),
        Contribution("avg_rating", None, "1-5", -1.1),
    ]
    return Prediction("churn_30d", value, low, high, why)


def scored(*predictions: Prediction, missing: int = 2) -> Scored:
    said = {p.target: p for p in predictions}
    lacking = [f"f{i}" for i in range(missing)]
    return Scored("student", "stu_1", NOW - HOUR, "student-1", True, "simulated history", said, lacking, {})


def test_the_title_says_how_likely_what_is_and_never_for_certain() -> None:
    assert prediction_card.title(churn(0.96)) == "96 % likely: leaves within 30 days"
    assert prediction_card.value_text(churn(0.9999)) == ">99 %"
    assert prediction_card.value_text(churn(0.0001)) == "<1 %"
    assert (
        prediction_card.title(Prediction("health_score", 41.6, 30, 50, [])) == "Next health score: 42 of 100"
    )


def test_the_card_tells_range_reasons_and_where_it_comes_from() -> None:
    text = words(prediction_card.panel(scored(churn(0.96)), a_view(), "student"))
    for part in (
        "91 to 99 % left of those given 90 % or more",
        "Inbound calls in 14 days",
        "4 calls",
        "1 session",
        "×8.0",
        "25 %",
        "missing",
        "÷3.0",
        "Where an input is missing, it weighs that nothing was known.",
        "student-1",
        "(canary)",
        "simulated history",
        "2 inputs unknown",
    ):
        assert part in text, part


@pytest.mark.parametrize(
    ("value", "of"),
    [
        (0.04, "under 10 %"),
        (0.0996, "under 10 %"),
        (0.1, "10 to 20 %"),
        (0.45, "40 to 50 %"),
        (1.0, "90 % or more"),
    ],
)
def test_a_range_names_the_chances_it_is_of_since_it_need_not_hold_the_value(value: float, of: str) -> None:
    said = churn(value, 0.01, 0.03)
    assert prediction_card.range_text(said) == f"1 to 3 % left of those given {of}"
    assert f"that were given {of}, 1 to 3 % left" in prediction_card.calibration_text(said)


@pytest.mark.parametrize(
    ("given", "search", "says"),
    [
        (None, "", "Each student is scored within moments of a change"),
        (None, "?at=2026-11-19T10:00:00Z", "No prediction was kept up to that moment"),
        (scored(missing=71), "", "71 inputs of the model are unknown"),
        (scored(churn(0.3, None, None)), "", "no like case was held out"),
    ],
)
def test_what_is_not_known_is_said(given: Scored | None, search: str, says: str) -> None:
    assert says in words(prediction_card.panel(given, a_view(search), "student"))


def test_the_way_of_the_chance_is_drawn_once_there_are_two_hours_of_it() -> None:
    hours = [Point(NOW - 2 * HOUR, 0.2), Point(NOW - HOUR, None), Point(NOW, 0.96)]
    assert prediction_card.way(hours[:2]) is None
    drawn = prediction_card.way(hours)
    assert drawn is not None
    assert drawn.title == "Chance to leave by hour, 7 days: from 20 % to 96 %"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    store = SqliteStore(tmp_path / "iops.db")
    registry = ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED)
    active = registry.load("student", registry.use("student")["active"])
    registry.add(type(active)(**{**vars(active), "version": active.version + "b"}))
    return Context(store, lambda: NOW, WebConfig(token="T"), models=lambda: registry)


def versions(ctx: Context) -> tuple[str, str]:
    assert ctx.models is not None
    active = ctx.models().use("student")["active"]
    return active, next(v for v in ctx.models().versions("student") if v != active)


def test_the_page_tells_versions_quality_calibration_and_drift(ctx: Context) -> None:
    text = words(models.body(ctx, a_view(role="admin")))
    active, candidate = versions(ctx)
    for part in (
        active,
        candidate,
        "came with the program",
        "trained here",
        "Give a share",
        "Put in use",
        "Leaves within 30 days",
        "Still teaches in 30 days",
        "of the best possible ranking",
        "Drift is not measured yet",
        "iops train --source log",
    ):
        assert part in text, part


def test_a_share_a_promotion_and_the_way_back(ctx: Context) -> None:
    active, candidate = versions(ctx)
    view = a_view(role="admin", actor="ada")
    assert models.decided(ctx, view, candidate, "canary", 20) == (True, f"{candidate} scores 20 %")
    text = words(models.body(ctx, view))
    assert "A new model scores 20 % of students" in text
    assert "20 % of entities" in text
    assert models.decided(ctx, view, active, "rollback", None)[0]
    assert models.decided(ctx, view, candidate, "promote", None) == (True, f"{candidate} is in use")
    assert versions(ctx)[0] == candidate
    assert "by hand (ada)" in words(models.body(ctx, view))
    assert models.decided(ctx, view, candidate, "rollback", None)[0]
    assert versions(ctx)[0] == active


def test_a_shadow_is_begun_compared_and_ended_on_the_page(ctx: Context) -> None:
    active, candidate = versions(ctx)
    view = a_view(role="admin", actor="ada")
    assert models.decided(ctx, view, candidate, "shadow", None) == (True, f"{candidate} scores in the shadow")
    assert "nobody was scored by both yet" in words(models.body(ctx, view))
    store: Any = ctx.reads
    for i in range(40):
        said = {"churn_30d": (0.2, 0.2 if i else 0.7), "session_velocity": (1.0, 2.0)}
        one = began("student", f"stu_{i}", active, candidate, NOW - 31 * DAY, said)
        store.save_pairs([judged(one, {"churn_30d": float(i == 0)}, NOW)])
    text = words(models.body(ctx, view))
    for part in (
        "In the shadow: 40 students scored by both, 2.5 % more than 0.1 apart",
        "20.0 %, 21.3 %",
        "2.5 % (60 %)",
        "0.500, 1.000",
        "Drop",
        "Shadow",
    ):
        assert part in text, part
    assert "Drop" not in words(models.body(ctx, a_view(role="viewer")))
    assert models.decided(ctx, view, candidate, "drop", None)[0]
    assert "nobody was scored by both yet" not in words(models.body(ctx, view))


@pytest.mark.parametrize(
    ("action", "share", "changes", "says"),
    [
        ("canary", None, {"role": "admin"}, "from 1 to 99"),
        ("canary", 100, {"role": "admin"}, "from 1 to 99"),
        ("rollback", None, {"role": "admin"}, "Nothing to roll back to"),
        ("drop", None, {"role": "admin"}, "not in the shadow"),
        ("shadow", None, {"role": "operator"}, "Only administrators"),
        ("promote", None, {"role": "operator"}, "Only administrators"),
        ("promote", None, {"role": "admin", "read_only": True}, "read-only"),
    ],
)
def test_what_may_not_be_is_refused_and_nothing_changes(
    ctx: Context, action: str, share: Any, changes: dict[str, Any], says: str
) -> None:
    before, candidate = versions(ctx)
    done, text = models.decided(ctx, a_view(**changes), candidate, action, share)
    assert not done
    assert says in text
    assert versions(ctx) == (before, candidate)


def test_a_viewer_is_offered_no_button(ctx: Context) -> None:
    text = words(models.body(ctx, a_view(role="viewer")))
    assert "Put in use" not in text
    assert "Only administrators decide" in text


def test_moved_inputs_are_named_with_how_far(ctx: Context) -> None:
    found = {
        "rows": 300,
        "at_us": NOW - HOUR,
        "features": [["sessions_7d", 0.61], ["avg_rating", 0.14], ["open_calls", 0.02]],
    }
    text = words(model_panels.drift("student", found | {"far_weight": 0.4}, a_view()))
    for part in (
        "1 input of 3 look unlike the training",
        "40 % of what the model says rests on them: time to train anew",
        "Sessions in 7 days",
        "0.61",
        "far",
        "moved",
        "steady",
        "300 students",
    ):
        assert part in text, part


def test_training_is_asked_for_on_the_page_and_told_of(ctx: Context) -> None:
    admin = a_view(role="admin")
    before = words(models.body(ctx, admin))
    assert "Nothing was trained from your own log yet" in before
    assert "Train now" in before
    assert models.decided(ctx, a_view(role="viewer"), "now", "train", None)[0] is False
    assert models.decided(ctx, admin, "now", "train", None)[0] is True
    assert "Train now" not in words(models.body(ctx, admin))
    retraining.started(ctx.reads, "asked by local", NOW + 1)
    retraining.ended(ctx.reads, 1, ["Error: the log spans 35 days; training needs 42"], NOW + 2)
    told = words(models.body(ctx, a_view(role="viewer")))
    assert "The last training came to nothing" in told
    assert "the log spans 35 days" in told


def test_what_moved_is_weighed_by_how_much_rests_on_it() -> None:
    found = {"rows": 300, "at_us": NOW, "features": [["sessions_7d", 0.61], ["open_calls", 0.0]]}
    little = words(model_panels.drift("student", found | {"far_weight": 0.03}, a_view()))
    assert "3 % of what the model says rests on them: little enough" in little
    foreign = words(model_panels.drift("student", found | {"far_weight": 0.6}, a_view(), simulated=True))
    assert "not the simulated one" in foreign
    assert "train anew" not in foreign


def test_an_honest_dot_lies_on_the_diagonal() -> None:
    rows = [
        {"from": 0.2, "count": 9, "predicted": 0.25, "observed": 0.3},
        {"from": 0.9, "count": 36, "predicted": 0.9, "observed": 0.9},
    ]
    figure = calibration_panel.reliability_figure(rows, "r")
    dots = figure["data"][0]
    assert (dots["x"], dots["y"]) == ([25.0, 90.0], [30.0, 90.0])
    assert dots["marker"]["size"][0] < dots["marker"]["size"][1]
