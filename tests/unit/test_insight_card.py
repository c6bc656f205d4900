"""The insight card: what it says and where it says it came from, and that no text of it is ever markup."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from backend.domain.insights import Answer, Insight, by_model, by_rules
from backend.domain.times import HOUR
from dashboard import insight_card
from dashboard.filters import parse, scope
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW
from tests.services.llm_stubs import cases, student_profile


def a_view(search: str = "") -> View:
    filters, _ = parse(search)
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, role="admin")


def insight(**changes: Any) -> Insight:
    made = by_rules(cases([student_profile()])[0], NOW, "off")
    return msgspec.structs.replace(made, **changes)


def shown(component: Any) -> list[str]:
    """Every text of a component and of what is in it."""
    if component is None:
        return []
    if isinstance(component, str | int | float):
        return [str(component)]
    if isinstance(component, list | tuple):
        return [text for part in component for text in shown(part)]
    return shown(getattr(component, "children", None))


def text_of(component: Any) -> str:
    return " ".join(shown(component))


def test_the_card_says_claim_confidence_sides_and_actions() -> None:
    made = insight()
    text = text_of(insight_card.panel(made, a_view()))
    for part in (made.claim, "For", "Against", "What would settle it", made.settles, *made.actions):
        assert part in text
    assert "Nothing was sent anywhere." in text
    assert "no language model is set up" in text


def test_citations_are_small_numbers_that_lead_to_what_they_count() -> None:
    made = insight(text="The student made 5 inbound calls in 14 days [3]. Not one [77].")
    found = insight_card.words(made, a_view())
    (mark,) = [part for part in found if not isinstance(part, str)]
    assert mark.children.children == "3"
    assert "inbound calls" in mark.children.title
    assert mark.children.href == "/events?student=stu_1&range=14d&type=ib_call_logged"
    assert "[77]" in "".join(part for part in found if isinstance(part, str))


def test_every_fact_leads_to_its_events_or_to_the_page_it_is_on() -> None:
    made = insight()
    places = {
        item.fact: insight_card.place(made, item, a_view("?region=west&range=1h")) for item in made.evidence
    }
    assert places["sessions_7d"] == "/events?student=stu_1&range=7d&type=session_started,session_completed"
    assert places["health"].startswith("/students/stu_1")
    past = insight_card.place(made, made.evidence[2], a_view("?at=2026-11-01T10:00Z"))
    assert "at=2026-11-01T10:00:00Z" in past, "what is read about a past moment leads to that moment"
    cell = msgspec.structs.replace(
        made, entity_type="cell", entity_id="algebra|west", subject="algebra", region="west"
    )
    assert insight_card.place(cell, made.evidence[0], a_view()) == "/supply?subject=algebra&region=west"


def test_what_somebody_dismissed_stays_folded() -> None:
    dismissed = {"verdict": "dismissed", "reason": "on holiday", "actor": "ann"}
    card = insight_card.panel(insight(feedback=dismissed), a_view())
    text = text_of(card)
    assert "Dismissed: show it anyway" in text
    assert "ann dismissed it: on holiday" in text
    assert "Dismissed: show" not in text_of(
        insight_card.panel(insight(feedback={"verdict": "accepted", "actor": "a"}), a_view())
    )


def test_a_models_text_names_model_version_and_what_was_sent() -> None:
    case = cases([student_profile()])[0]
    answer = Answer(text="The student made 5 inbound calls in 14 days.", confidence=0.6)
    made = by_model(
        case, answer, NOW, source="anthropic", model="m-1", prompt_version="7", sent="<data>{}</data>"
    )
    text = text_of(insight_card.section(made, a_view()))
    for part in ("Claude, m-1, version 7", "What was sent:", "<data>{}</data>", "1 number checked"):
        assert part in text


@pytest.mark.parametrize(
    "hostile", ["<script>alert(1)</script>", "[x](javascript:alert(1))", "**bold** <img src=x>"]
)
def test_hostile_names_and_texts_stay_text(hostile: str) -> None:
    made = insight(
        text=hostile, claim=hostile, entity_id=hostile, sent=hostile, settles=hostile, actions=(hostile,)
    )
    card = insight_card.panel(made, a_view())
    kinds, links = set(), []

    def walk(component: Any) -> None:
        kinds.add(type(component).__name__)
        if getattr(component, "href", None):
            links.append(component.href)
        children = getattr(component, "children", None)
        for child in children if isinstance(children, list | tuple) else [children]:
            if child is not None:
                walk(child)

    walk(card)
    assert hostile in text_of(card)
    assert not kinds & {"Markdown", "DangerouslySetInnerHTML", "Iframe", "Script"}
    assert all(link.startswith(("/students/", "/events?student=")) for link in links)
    assert not any(set(link) & set("<>() ") for link in links)


def test_a_view_of_the_past_does_not_show_a_later_insight() -> None:
    class Reads:
        def alert_list(self, *_: Any, **__: Any) -> tuple[list[Any], int]:
            return [], 0

        def insights_of_alerts(self, _ids: list[str]) -> dict[str, Insight]:
            return {}

        def insights_of(self, *_: Any) -> list[Insight]:
            return [insight(created_us=view.scope.at_us + HOUR)]

    view = a_view()
    then = msgspec.structs.replace(view.scope, time_travel=True)
    now = insight_card.of_entity(Reads(), view, "student", "stu_1")
    past = dataclasses.replace(view, scope=then)
    assert now is not None
    assert insight_card.of_entity(Reads(), past, "student", "stu_1") is None
