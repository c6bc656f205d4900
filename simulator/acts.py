"""What a scenario does, one act at a time: each gives the next event of its story, or None once the story is told.

An act strikes few entities in turn, so its effect shows within seconds; it goes only so far with each of them, so a scenario
left running does not bury the screen.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from simulator import behaviour, market

if TYPE_CHECKING:
    from simulator.live import LiveMarket

Draft = tuple[str, dict[str, Any]]  # (event type, payload)
Act = Callable[["LiveMarket", datetime, Random], Draft | None]


def _turn(
    live: LiveMarket, story: str, things: tuple[Any, ...], rounds: int | None
) -> tuple[Any, int] | None:
    """The next of `things` in turn and how often it was struck before; None after `rounds` rounds."""
    done = live.told[story]
    if not things or (rounds is not None and done >= rounds * len(things)):
        return None
    live.told[story] += 1
    return things[done % len(things)], done // len(things)


def _market(live: LiveMarket, now: datetime, rng: Random, ratio: float) -> Draft | None:
    turn = _turn(live, "market", live.struck.cells, None)
    if turn is None:
        return None
    cell, past = turn
    # Two steps to the full effect, so that a chart shows a slope and not a cliff.
    eased = ratio + max(0, 2 - past) * 0.12 if ratio < 1 else ratio
    return "supply_demand_update", market.snapshot(cell, live.balances[cell], now, rng, eased)


def _call(live: LiveMarket, rng: Random, student_id: str, **fixed: Any) -> Draft:
    student = live.student(student_id)
    tutor_id = student.tutors[student.subjects[0]][0]
    return "ib_call_logged", behaviour.call(rng, live.name_of("call"), student, tutor_id, False, **fixed)


def _health(live: LiveMarket, student_id: str, score: float, calls: int) -> Draft:
    week = 2 if score > 70 else 0
    update = behaviour.health_update(live.student(student_id), score, week, week * 4, calls)
    return "customer_health_update", update


def _lesson(live: LiveMarket, rng: Random, student_id: str, **ended: Any) -> Draft:
    """A session of the student that begins now; its end, with the given outcome, follows at once."""
    student = live.student(student_id)
    subject = student.subjects[0]
    tutor = live.population.tutor(student.tutors[subject][0])
    begun = behaviour.session(rng, live.name_of("ses"), student, tutor, subject)
    flags = {
        "completed_successfully": False,
        "was_cancelled": False,
        "no_show": False,
        "actual_duration_minutes": 0,
    }
    live.follow_up(("session_completed", begun | flags | ended))
    return "session_started", begun


def exam_week(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    return _market(live, now, rng, 0.38)


def tutor_shortage(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    if rng.random() < 0.5:
        return _market(live, now, rng, 0.3)
    turn = _turn(live, "tutors", live.struck.tutors, None)
    assert turn is not None
    hours = rng.randint(5, 8)
    tutor = live.population.tutor(turn[0])
    return "tutor_availability_updated", behaviour.availability(rng, tutor, utilisation=0.97, hours=hours)


def call_spike(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    technical = {"reason": "technical_problem", "resolved": False, "priority": "high"}
    if rng.random() < 0.2:
        others = tuple(s.id for s in live.population.students if s.region == live.struck.region)
        turn = _turn(live, "others", others[:24], 1)
    else:
        turn = _turn(live, "calls", live.struck.students, 6)
    return None if turn is None else _call(live, rng, turn[0], **technical)


def churn_wave(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    turn = _turn(live, "cohort", live.struck.students, 9)
    if turn is None:
        return None
    student_id, stage = turn
    if stage in (0, 3):
        missed = {"no_show": True} if stage == 0 else {"was_cancelled": True}
        return _lesson(live, rng, student_id, **missed)
    if stage in (2, 5, 8):
        score = {2: 66.0, 5: 54.0, 8: 38.0}[stage] + rng.uniform(-2, 2)
        return _health(live, student_id, score, calls=stage // 2)
    reason = "tutor_concern" if stage in (1, 4) else "scheduling_issue"
    return _call(live, rng, student_id, reason=reason, resolved=False)


def region_outage(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    if rng.random() < 0.3:
        return _market(live, now, rng, 0.3)
    turn = _turn(live, "outage", live.struck.students, 5)
    if turn is None:
        return _market(live, now, rng, 0.3)
    student_id, stage = turn
    if stage == 0:
        return _lesson(live, rng, student_id, was_cancelled=True, actual_duration_minutes=rng.randint(3, 18))
    return _call(live, rng, student_id, reason="technical_problem", resolved=False, priority="high")


def wobble(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    turn = _turn(live, "wobble", live.struck.students, None)
    assert turn is not None
    student_id, stage = turn
    return _health(live, student_id, (69.0, 71.0)[stage % 2] + rng.uniform(-0.6, 0.6), calls=0)


def recovery(live: LiveMarket, now: datetime, rng: Random) -> Draft | None:
    roll = rng.random()
    if roll < 0.4:
        return _market(live, now, rng, 1.7)
    if roll < 0.55:
        turn = _turn(live, "tutors", live.struck.tutors, 6)
        if turn is not None:
            return "tutor_availability_updated", behaviour.availability(
                rng, live.population.tutor(turn[0]), 0.6
            )
    turn = _turn(live, "students", live.struck.students, 3)
    if turn is None:
        return _market(live, now, rng, 1.7)
    student_id, stage = turn
    if stage == 1:
        good = {"completed_successfully": True, "actual_duration_minutes": 60, "rating": 5.0}
        return _lesson(live, rng, student_id, **good)
    return _health(live, student_id, 84 + 2 * stage + rng.uniform(-1, 1), calls=0)


ACTS: dict[str, Act] = {
    act.__name__: act
    for act in (exam_week, tutor_shortage, call_spike, churn_wave, region_outage, wobble, recovery)
}
