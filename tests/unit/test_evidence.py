"""What an insight says and recommends fits what the alert or the evidence beside it is about."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backend.domain import alerts
from backend.domain.evidence import case_of_alert, case_of_entity, case_of_segment
from backend.domain.insight_words import ACTION_IDS
from backend.domain.insights import Case, rules_text
from backend.domain.number_check import mismatches
from backend.domain.profiles import Profile
from backend.domain.rules import RULES, Assessment, evaluate
from backend.domain.times import DAY, HOUR
from backend.domain.windows import delta_of
from tests.builders import NOW, call, event, session


def profile_of(kind: str, name: str, entries: list[Any]) -> Profile:
    profile = Profile.new(kind, name)
    for entry in entries:
        profile.fold(entry.event, delta_of(entry.event), NOW)
    return profile


def alert_of(profile: Profile, rule_id: str) -> alerts.Alert:
    """An alert of a rule about a profile, whether the rule would fire or not."""
    fired = [v.signal for v in evaluate(Assessment(profile, NOW)) if v.signal]
    rule = RULES[rule_id]
    signal = msgspec.structs.replace(
        fired[0], rule_id=rule_id, title=rule.title.format(name=profile.entity_id)
    )
    found = alerts.raise_alert(signal, "al_1", NOW).alert
    return msgspec.structs.replace(found, alert_type=rule.alert_type)


def caller(resolved: bool) -> Profile:
    calls = [call(f"c{i}", NOW - i * DAY - HOUR, student_id="stu_1", resolved=resolved) for i in range(4)]
    return profile_of("student", "stu_1", calls)


@pytest.mark.parametrize("resolved", [True, False])
def test_an_unresolved_matter_is_to_be_settled_only_where_there_is_one(resolved: bool) -> None:
    profile = caller(resolved)
    case = case_of_alert(alert_of(profile, "high_ib_call_frequency"), profile, NOW)
    assert ("unresolved" in case.actions["call_back"]) is not resolved
    assert any("unresolved" in item.text for item in case.evidence) is not resolved
    assert ACTION_IDS[case.actions["call_back"]] == "call_back"


def beginner(rating: int, later: int, first_day: int = 20) -> Profile:
    entries = [session("s0", NOW - first_day * DAY, student_id="stu_1", rating=rating)]
    entries += [
        session(f"s{i}", NOW - (first_day - i) * DAY, student_id="stu_1", rating=5)
        for i in range(1, later + 1)
    ]
    return profile_of("student", "stu_1", entries)


@pytest.mark.parametrize(
    ("rating", "later", "first_day", "speaks"),
    [(2, 0, 6, True), (2, 2, 20, True), (2, 3, 20, False), (2, 0, 31, False), (5, 0, 6, False)],
)
def test_a_first_session_is_the_matter_while_it_failed_lately_and_few_came_after(
    rating: int, later: int, first_day: int, speaks: bool
) -> None:
    case = case_of_segment(beginner(rating, later, first_day), "healthy", "at_risk", NOW)
    assert (case.kind == "first_session_success") is speaks
    about = [item.text for item in case.evidence if "first session" in item.text]
    assert about == (
        [f"first session {first_day} days ago", "first session rated 2.0 of 5"] if speaks else []
    )
    assert mismatches(rules_text(case).replace("For it:", "").replace("Against it:", ""), case.facts) == []


def test_numbers_of_a_first_session_hold_for_no_other_session() -> None:
    facts = case_of_segment(beginner(2, 1), "healthy", "at_risk", NOW).facts
    assert mismatches("The first session was rated 2.0 of 5, the last session was 19 days ago.", facts) == []
    assert mismatches("The student's sessions are rated 2.0 of 5.", facts)
    assert mismatches("The last session was 20 days ago.", facts)


def tutor(rating: int = 5, booked: int = 10, missed: int = 0) -> Profile:
    entries = [session(f"s{i}", NOW - (i + 1) * DAY, tutor_id="tut_1", rating=rating) for i in range(6)]
    entries += [session(f"m{i}", NOW - (i + 1) * DAY, tutor_id="tut_1", no_show=True) for i in range(missed)]
    hours = {"tutor_id": "tut_1", "available_hours_this_week": 20, "booked_hours_this_week": booked}
    entries.append(event("a", "tutor_availability_updated", NOW - HOUR, hours))
    return profile_of("tutor", "tut_1", entries)


@pytest.mark.parametrize(
    ("profile", "opening", "word"),
    [
        (tutor(rating=3), "Students rate this tutor low.", "ratings"),
        (tutor(booked=20), "This tutor is close to the limit of what can be offered well.", "hours"),
        (tutor(missed=4), "This tutor misses sessions.", "missed"),
        (tutor(rating=3, booked=20), "Students rate this tutor low.", "ratings"),
    ],
)
def test_what_is_said_of_a_tutor_follows_what_speaks_for_trouble(
    profile: Profile, opening: str, word: str
) -> None:
    case: Case = case_of_segment(profile, "healthy", "at_risk", NOW)
    assert case.opening == opening
    assert any(word in sentence for sentence in case.actions.values())
    if opening != "This tutor is close to the limit of what can be offered well.":
        assert not any("hours" in sentence for sentence in case.actions.values())


def test_an_alert_about_load_is_about_load_though_the_rating_is_low_too() -> None:
    profile = tutor(rating=3, booked=20)
    load = case_of_alert(alert_of(profile, "tutor_over_use"), profile, NOW)
    rated = case_of_alert(alert_of(profile, "low_tutor_rating"), profile, NOW)
    assert not any("rating" in sentence for sentence in load.actions.values())
    assert not any("hours" in sentence for sentence in rated.actions.values())
    assert load.digest != rated.digest  # or the words of one would be kept for the other


def test_a_tutor_without_trouble_is_advised_by_the_segment() -> None:
    assert "keep" in case_of_entity(tutor(rating=4), NOW).actions
