"""Labelling: who comes first, what a label does to the queue and to training, and what the page says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import NotFound, Rejected
from backend.domain.predictions import Contribution, Prediction, Scored
from backend.domain.times import DAY, HOUR
from backend.runtime.train import feedback
from backend.services import labelling
from dashboard.pages import label as page
from tests.builders import NOW, catch_up, fold_all, open_store, session
from tests.services.queries_world import view
from tests.unit.test_pages_models import a_view, words

# Chance to leave and money a month: what is unsure and worth much comes first.
PEOPLE = {"sure": (0.02, 900), "unsure": (0.5, 100), "worth": (0.4, 600), "unscored": (None, 900)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    opened.append(
        [
            session(f"{name}{d}", NOW - d * DAY, student_id=f"stu_{name}", monthly_value=value)
            for name, (_, value) in PEOPLE.items()
            for d in (2, 5)
        ]
    )
    fold_all(opened, NOW)
    catch_up(opened, NOW)
    why = [Contribution("sessions_7d", 1.0, "sessions", 0.9)]
    opened.save_predictions(
        [
            Scored(
                "student",
                f"stu_{n}",
                NOW,
                "student-1",
                False,
                "a test",
                {"churn_30d": Prediction("churn_30d", p, 0.1, 0.6, why)},
                [],
                {},
            )
            for n, (p, _) in PEOPLE.items()
            if p is not None
        ],
        NOW,
    )
    yield opened
    opened.close()


def waiting(store: SqliteStore, at_us: int = NOW) -> list[str]:
    return [c.row.student_id for c in labelling.queue(store, view(at_us)).waiting]


def test_who_is_unsure_and_worth_most_comes_first_and_who_is_not_scored_not_at_all(
    store: SqliteStore,
) -> None:
    assert waiting(store) == ["stu_worth", "stu_unsure", "stu_sure"]
    assert labelling.queue(store, view(), limit=1).done == 0


def test_a_label_leaves_the_queue_joins_training_and_may_be_changed(store: SqliteStore) -> None:
    labelling.label(store, "stu_worth", "churned", actor="ann", now_us=NOW)
    labelling.label(store, "stu_unsure", "unsure", actor="ann", now_us=NOW)
    assert waiting(store) == ["stu_sure"]
    assert labelling.queue(store, view()).counts == {"churned": 1, "stayed": 0, "unsure": 1}
    assert [left for _, left in feedback(store, NOW + HOUR)["stu_worth"]] == [True]
    assert "stu_unsure" not in feedback(store, NOW + HOUR)
    labelling.label(store, "stu_unsure", "stayed", actor="ann", now_us=NOW + HOUR)
    assert labelling.queue(store, view()).counts == {"churned": 1, "stayed": 1, "unsure": 0}
    assert [left for _, left in feedback(store, NOW + 2 * HOUR)["stu_unsure"]] == [False]


def test_nonsense_is_refused_and_keeps_nothing(store: SqliteStore) -> None:
    with pytest.raises(Rejected, match="a label is one of"):
        labelling.label(store, "stu_worth", "perhaps", actor="ann", now_us=NOW)
    with pytest.raises(NotFound):
        labelling.label(store, "stu_nobody", "churned", actor="ann", now_us=NOW)
    assert labelling.queue(store, view()).done == 0


def test_the_page_asks_about_one_and_says_how_far_one_is(store: SqliteStore) -> None:
    text = words(page.body(store, a_view(role="operator")))
    for part in (
        "stu_worth",
        "40 % likely to leave",
        "$600",
        "Has left or will leave",
        "Not sure",
        "0 of 3 done",
        "2 students next",
    ):
        assert part in text, part
    assert page.labelled(store, a_view(role="viewer"), "stu_worth", "stayed")[0] is False
    for name in ("worth", "unsure", "sure"):
        assert page.labelled(store, a_view(role="operator"), f"stu_{name}", "stayed")[0] is True
    assert "Nobody to label" in words(page.body(store, a_view(role="operator")))
    assert page.labelled(store, a_view(role="operator"), "stu_x", "stayed") == (
        False,
        "No student stu_x is known",
    )
