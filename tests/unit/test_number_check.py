"""No wrong number is shown: texts about the facts pass or are withheld, never the other way round."""

from __future__ import annotations

import random

import pytest

from backend.domain.number_check import Fact, mismatches

FACTS = (
    Fact(name="sessions_7d", value=2, measure="sessions", days=7),
    Fact(name="sessions_30d", value=9, measure="sessions", days=30),
    Fact(name="ib_calls_14d", value=5, measure="calls", days=14),
    Fact(name="unresolved_14d", value=0, measure="unresolved", days=14),
    Fact(name="health", value=42.4, measure="health", unit="score", scale=100),
    Fact(name="risk", value=85, measure="risk", unit="score", scale=100),
    Fact(name="avg_rating", value=4.46, measure="rating", unit="plain", days=30, scale=5, decimals=1),
    Fact(name="days_since_session", value=12, measure="recency", unit="days_ago"),
    Fact(name="pace_28d", value=1.5, measure="pace", unit="per_week", days=28, decimals=1),
    Fact(name="utilisation", value=0.95, measure="booked", unit="share"),
    Fact(name="booked_hours", value=30, measure="booked", unit="hours", days=7),
)

TRUE = (
    "The student called 5 times in 14 days and had 2 sessions in 7 days.",
    "There were 5 inbound calls in the last 14 days, while health is 42 of 100.",
    "Over 14 days there were 5 calls, and no unresolved calls.",
    "The risk score is 85 and the last session was 12 days ago.",
    "Rated 4.5 of 5 over 30 days; the pace is 1.5 sessions a week.",
    "There are 30 booked hours this week, and 95% booked is a lot for the tutor.",
    "Health stands at 42.4 out of 100 with 9 sessions in 30 days.",
    "The student is losing health and may leave because the pace is slowing.",
)

HOSTILE = (
    # other values, windows, measures, scales and units
    "The student made 7 calls in 14 days.",
    "The student made 5 calls in 7 days.",
    "The student had 5 sessions in 7 days.",
    "The student had 2 sessions in 14 days and 5 calls in 7 days.",
    "Health is 43 of 100.",
    "Health is 42 of 50.",
    "The risk of the student is 85%.",
    "The student is rated 4 of 5.",
    "The student is rated 4.6 of 5.",
    "The last session was 21 days ago.",
    "The student had 12 sessions in 30 days.",
    "The pace is 2.5 sessions a week.",
    "The tutor has 95 booked hours this week.",
    "The student made 5 calls in 14 hours.",
    "The student pays $85 at risk.",
    "The risk is 42 and health is 85.",
    "The student made 50 calls in 14 days.",
    "The student made 5,000 calls in 14 days.",
    "The student made 5 calls in 140 days.",
    "The risk is 85.5 of 100.",
    # numbers that are not in digits
    "Seven calls were made by the student.",
    "The student called a dozen times.",
    "The student called twice as often.",
    "Calls have doubled for the student.",
    "The student made VII calls in 14 days.",
    "The student made \uff17 calls in 14 days.",
    "The student made \u0667 calls in 14 days.",
    "The student made 5\u00b2 calls in 14 days.",
    "The student made \u00bd of the calls.",
    "The student made cinco calls in the 14 days.",
    "The student made sieben calls in the 14 days.",
    "The student made 5e3 calls in 14 days.",
    "The student made 0x5 calls in 14 days.",
    "The student made 5k calls in 14 days.",
    "The student made 1\u200b5 calls in 14 days.",
    "The student made f\u0456ve calls in 14 days.",
    "The student made 5\ufe0f\u20e3 calls in 14 days.",
    "The student is a 10x caller.",
    "It was the seventh call of the student.",
    "The student missed half of the sessions.",
    # bounds, changes, ranges, denials
    "The student made more than 5 calls in 14 days.",
    "The student made at least 5 calls in 14 days.",
    "The student made almost 5 calls.",
    "The student made over 5 calls in 14 days.",
    "The student made 3-5 calls in 14 days.",
    "The student made -5 calls in 14 days.",
    "Calls rose from 2 to 5 for the student.",
    "Calls of the student rose by 5.",
    "The student did not make 5 calls in 14 days.",
    "The student made no calls in 14 days.",
    "The student never calls and has risk 85.",
    "There are 5 more calls than usual.",
    "The student made 5 unanswered calls in 14 days.",
    "The student made 5 or more calls in 14 days.",
    "2 of 5 sessions of the student failed.",
    # spans and dates, markup, links, languages
    "The student made 5 calls this month.",
    "The student made 5 calls yesterday.",
    "The student left on 12 May with risk 85.",
    "The risk is 85 at 10:30 for the student.",
    "<b>85</b> is the risk of the student.",
    "See evil.example for the 5 calls of the student.",
    "El estudiante tiene 42 llamadas pendientes hoy.",
    "The student made 5 calls \u2265 the limit in 14 days.",
)


@pytest.mark.parametrize("text", TRUE)
def test_what_the_facts_say_passes(text: str) -> None:
    assert mismatches(text, FACTS) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_what_they_do_not_say_is_found(text: str) -> None:
    assert mismatches(text, FACTS)


def test_there_are_at_least_sixty_hostile_texts() -> None:
    assert len(set(HOSTILE)) >= 60


def test_of_generated_texts_exactly_the_true_ones_pass() -> None:
    """200 texts: the right value, then any other value, window or measure in the same words."""
    rng = random.Random(5)
    shown_wrong, withheld_right = [], []
    for _ in range(200):
        calls, sessions = rng.randint(0, 40), rng.randint(0, 40)
        window, other = rng.sample([7, 14, 28, 30], 2)
        facts = [
            Fact(name="calls", value=calls, measure="calls", days=window),
            Fact(name="sessions", value=sessions, measure="sessions", days=window),
            Fact(name="health", value=rng.uniform(0, 100), measure="health", unit="score", scale=100),
        ]
        health = facts[2].value
        right = f"The student made {calls} inbound calls in {window} days, and health is {health:.0f} of 100."
        wrong = [
            f"The student made {calls + rng.randint(1, 9)} inbound calls in {window} days.",
            f"The student made {calls} inbound calls in {other} days.",
            f"Over {window} days the student had {calls} calls, with {sessions + 1} sessions.",
            f"The health of the student is {(health + rng.uniform(1, 40)):.1f} of 100.",
        ]
        withheld_right += [right for problems in [mismatches(right, facts)] if problems]
        shown_wrong += [text for text in wrong if not mismatches(text, facts)]
    assert (shown_wrong, withheld_right) == ([], [])
