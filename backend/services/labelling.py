"""People label those whom the model knows least about and who matter most: the queue, and what was said.

A label is kept as the outcome of the student's insight, so it joins training exactly as other feedback does.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from backend.domain.errors import Rejected
from backend.domain.insights import KEEP_DAYS
from backend.domain.predictions import Prediction
from backend.domain.times import DAY
from backend.services import insights
from backend.services.queries_students import students
from backend.services.read_models import Scope, StudentRow

LABELS = ("churned", "stayed", "unsure")
TARGET = "churn_30d"
AGAIN_DAYS = 30  # who was labelled is not asked about again for so long
LOOKED_AT = 200  # students, those with most at stake, among whom the queue is made
PASSED = "labels.unsure"  # document: student -> when somebody was not sure
PLAIN_VALUE = 100.0  # a month, of a student whose value nobody sent


class Candidate(msgspec.Struct, frozen=True):
    """Somebody to label. `worth`: what is to be learned, the variance of the outcome times the money a month."""

    row: StudentRow
    prediction: Prediction
    worth: float


class Queue(msgspec.Struct, frozen=True):
    """Whom to label, most worth first, and what was said in the last 30 days."""

    waiting: list[Candidate]
    counts: dict[str, int]

    @property
    def done(self) -> int:
        return sum(self.counts.values())


def queue(store: Any, scope: Scope, limit: int = 20) -> Queue:
    """`store` implements Reads, Insights and Documents; `scope` narrows the students."""
    since_us = scope.at_us - AGAIN_DAYS * DAY
    outcomes = _outcomes(store, since_us)
    passed = {
        name: at_us for name, at_us in _passed(store).items() if at_us > since_us and name not in outcomes
    }
    rows = [
        r for r in students(store, scope, limit=LOOKED_AT).rows if r.student_id not in {*outcomes, *passed}
    ]
    scored = store.predictions("student", [row.student_id for row in rows])
    found = []
    for row in rows:
        prediction = scored[row.student_id].predictions.get(TARGET) if row.student_id in scored else None
        if prediction is not None:
            worth = prediction.value * (1 - prediction.value) * (row.monthly_value or PLAIN_VALUE)
            found.append(Candidate(row, prediction, worth))
    found.sort(key=lambda c: (-c.worth, c.row.student_id))
    said = list(outcomes.values())
    counts = {"churned": said.count("churned"), "stayed": said.count("stayed"), "unsure": len(passed)}
    return Queue(found[:limit], counts)


def label(store: Any, student_id: str, said: str, *, actor: str, now_us: int) -> None:
    """Keep what a person knows of a student; `unsure` only takes them out of the queue. Raises NotFound or Rejected."""
    if said not in LABELS:
        raise Rejected(f"a label is one of: {', '.join(LABELS)}")
    if said == "unsure":
        recent = {name: at for name, at in _passed(store).items() if at > now_us - AGAIN_DAYS * DAY}
        store.put_document(PASSED, recent | {student_id: now_us}, now_us)
        return
    insight = insights.ask(store, "student", student_id, now_us)
    insights.feedback(
        store, insight.insight_id, verdict=None, reason=None, outcome=said, actor=actor, now_us=now_us
    )


def forget(store: Any, student_id: str, now_us: int) -> None:
    """Nobody was ever unsure about this student."""
    passed = _passed(store)
    if passed.pop(student_id, None) is not None:
        store.put_document(PASSED, passed, now_us)


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """What a person knew of a student, and when."""

    student_id: str
    said: str
    actor: str
    at_us: int


def labels(store: Any, now_us: int) -> list[Label]:
    """What was said of each student last, for as long as insights are kept. Who was not sure is asked again: it is not among it."""
    found: dict[str, Label] = {}
    for insight in reversed(store.insights_judged(now_us - KEEP_DAYS * DAY)):
        words = insight.feedback or {}
        if insight.entity_type == "student" and words.get("outcome"):
            said = Label(
                student_id=insight.entity_id,
                said=words["outcome"],
                actor=words.get("actor", ""),
                at_us=words.get("at_us", insight.created_us),
            )
            found[insight.entity_id] = max(said, found.get(insight.entity_id, said), key=_when)
    return [found[student_id] for student_id in sorted(found)]


def take_over(store: Any, given: Iterable[Label], now_us: int) -> int:
    """Labels that people gave elsewhere; how many came. What was said here since stands, and who is not known here is left."""
    here = {label.student_id: label.at_us for label in labels(store, now_us)}
    new = [each for each in given if here.get(each.student_id, -1) < each.at_us]
    known = {row["entity_id"] for row in store.entities("student", [each.student_id for each in new])}
    for each in (each for each in new if each.student_id in known):
        label(store, each.student_id, each.said, actor=each.actor, now_us=each.at_us)
    return sum(each.student_id in known for each in new)


def _when(label: Label) -> int:
    return label.at_us


def _outcomes(store: Any, since_us: int) -> dict[str, str]:
    """Student -> what was said last; an insight may be older than what was said of it."""
    found = {}
    for insight in reversed(store.insights_judged(since_us - AGAIN_DAYS * DAY)):
        said = insight.feedback or {}
        if insight.entity_type == "student" and said.get("outcome") and said.get("at_us", 0) > since_us:
            found[insight.entity_id] = said["outcome"]
    return found


def _passed(store: Any) -> dict[str, int]:
    return store.document(PASSED) or {}
