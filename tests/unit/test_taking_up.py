"""Taking up what an insight recommends: drafts of the insight's own words, a form only where an alert can keep them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backend.domain import drafts
from backend.domain.insight_words import ACTION_IDS
from backend.domain.insights import Insight
from backend.services.alerting import row_of
from backend.services.queries import candidates
from backend.services.read_models import AlertRow, Scope
from dashboard import taking_up
from tests.builders import NOW, event, fold_all, open_store, session
from tests.unit.test_alert_life import opened
from tests.unit.test_insight_card import a_view, insight, text_of

ALERT = row_of(opened())


def forms(component: Any) -> list[Any]:
    """Every textarea of a component."""
    children = getattr(component, "children", None)
    inside = [
        found
        for child in (children if isinstance(children, list | tuple) else [children])
        if child is not None
        for found in forms(child)
    ]
    return [component, *inside] if type(component).__name__ == "Textarea" else inside


@pytest.mark.parametrize("action", ACTION_IDS)
def test_every_action_has_a_draft_that_says_only_what_the_insight_says(action: str) -> None:
    made = insight(actions=(action,))
    draft = drafts.draft(action, made, ["Bo: 4 h free this week"])
    assert draft.startswith(action)
    kind = drafts.kind_of(action)
    assert ("Said: " in draft) == (kind == drafts.CALL)
    assert ("Bo: 4 h" in draft) == (kind == drafts.INVITE)
    known = {item.text for item in made.evidence}
    line = next((line for line in draft.splitlines() if line.startswith("Known: ")), "")
    assert set(filter(None, line.removeprefix("Known: ").removesuffix(".").split("; "))) <= known


def test_an_action_is_taken_up_with_words_and_a_name_where_an_alert_lives() -> None:
    made = insight()
    words, who = forms(taking_up.actions(made, a_view(), ALERT))[:2]
    assert getattr(words, "data-field") == "note"
    assert getattr(words, "data-draft").startswith(made.actions[0])
    assert getattr(who, "data-field") == "owner"
    assert getattr(who, "data-default") == a_view().actor


@pytest.mark.parametrize(
    ("search", "alert"),
    [("", None), ("", msgspec.structs.replace(ALERT, status="resolved")), ("?at=2020-01-01T00:00Z", ALERT)],
)
def test_nothing_is_taken_up_without_a_living_alert_or_in_the_past(
    search: str, alert: AlertRow | None
) -> None:
    made: Insight = insight()
    shown = taking_up.actions(made, a_view(search), alert)
    assert not forms(shown)
    assert all(action in text_of(shown) for action in made.actions)


def test_candidates_have_free_hours_here_the_most_first(tmp_path: Any) -> None:
    store = open_store(tmp_path)
    offered = {"few": (10, 9), "many": (20, 5), "full": (10, 10), "elsewhere": (30, 0)}
    for tutor, (hours, booked) in offered.items():
        region = "north" if tutor == "elsewhere" else "west"
        store.append(
            [
                session(f"s_{tutor}", NOW - 3_600_000_000, tutor_id=tutor, region=region),
                event(
                    f"a_{tutor}",
                    "tutor_availability_updated",
                    NOW - 1_000_000,
                    {
                        "tutor_id": tutor,
                        "region": region,
                        "subjects": ["algebra"],
                        "available_hours_this_week": hours,
                        "booked_hours_this_week": booked,
                    },
                ),
            ]
        )
    fold_all(store, NOW)
    scope = Scope(at_us=NOW, start_us=NOW - 1, student="stu_9")
    assert [row.tutor_id for row in candidates(store, scope, "algebra", "west")] == ["many", "few"]
    assert [row.tutor_id for row in candidates(store, scope, "algebra", None)] == ["elsewhere", "many", "few"]
    assert taking_up.candidate(candidates(store, scope, "algebra", "west")[0]).startswith(
        "many: 15.0 h free this week"
    )
    store.close()
