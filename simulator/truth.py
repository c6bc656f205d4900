"""What is really going on: the latent course of every student and whom each scenario strikes.

Nothing of this module is ever put into an event. It is what a score, a rule or a model can be judged against.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from simulator import market
from simulator.population import REGIONS, STUDENTS, SUBJECTS, TUTORS, Population, Student, build

STORIES = ("missed_lessons", "tutor_changes", "nothing_booked")


@dataclass(frozen=True, slots=True)
class Course:
    """What happens to a student, in days before the end of the history (negative: later than that).

    decline: when attendance starts to fall; stop: the last day of activity; story: one of STORIES, scripted in `history`.
    """

    segment: str
    decline: float | None = None
    stop: float | None = None
    story: str | None = None

    @property
    def active(self) -> bool:
        """Still coming as ever at the end of the history."""
        return self.stop is None and self.story is None and (self.decline is None or self.decline < 0)


@dataclass(frozen=True, slots=True)
class Struck:
    """Whom and what a scenario touches, most affected first; empty where it does not matter."""

    students: tuple[str, ...] = ()
    tutors: tuple[str, ...] = ()
    cells: tuple[tuple[str, str], ...] = ()
    region: str | None = None


def courses(population: Population) -> dict[str, Course]:
    """The course of every student by id. Of those at risk, few are far down the road; the churned stopped lately."""
    rng = Random(f"courses:{population.seed}")
    out: dict[str, Course] = {}
    stories = list(STORIES)
    for student in population.students:
        if student.segment == "churned":
            out[student.id] = Course("churned", stop=rng.uniform(2, 19))
        elif student.segment == "at_risk" and stories and not student.reports_health:
            out[student.id] = Course("at_risk", story=stories.pop(0))
        elif student.segment == "at_risk":
            out[student.id] = Course("at_risk", decline=rng.uniform(-80, 14))
        else:
            out[student.id] = Course(student.segment)
    return out


def health(student: Student, course: Course, days_before_end: float) -> float:
    """The true health, 0-100, on a day of the history: it slides over two weeks once a decline or a stop begins."""
    steady = 80.0 if student.segment in ("at_risk", "churned") else student.manner.health
    turn = course.stop + 10 if course.stop is not None else 14.0 if course.story else course.decline
    if turn is None:
        return steady
    slide = min(1.0, max(0.0, (turn - days_before_end) / 14))
    return steady + (student.manner.health - steady) * slide


def struck(scenario: str, population: Population) -> Struck:
    """Whom a scenario strikes. The same seed always names the same people and cells."""
    rng = Random(f"struck:{population.seed}:{scenario}")
    course = courses(population)
    steady = [s for s in population.students if course[s.id].active and s.segment in ("thriving", "healthy")]
    if scenario == "exam_week":
        return Struck(
            cells=tuple(
                (s, r) for s in ("algebra", "precalculus", "sat_prep") for r in rng.sample(REGIONS, 2)
            )
        )
    if scenario == "tutor_shortage":
        tutor = rng.choice(population.tutors)
        subject, region = tutor.skills[0], tutor.region
        same = [t for t in population.tutors if subject in t.skills]
        near = sorted(same, key=lambda t: (t.id != tutor.id, t.region != region))
        return Struck(tutors=tuple(t.id for t in near[:4]), cells=((subject, region),), region=region)
    if scenario in ("call_spike", "region_outage"):
        region = rng.choice(REGIONS)
        people = [s.id for s in steady if s.region == region]
        count = 8 if scenario == "call_spike" else 10
        dark = rng.sample(SUBJECTS, 3) if scenario == "region_outage" else []
        return Struck(
            students=tuple(rng.sample(people, min(count, len(people)))),
            cells=tuple((subject, region) for subject in dark),
            region=region,
        )
    if scenario == "churn_wave":
        cohort = [s.id for s in steady if not s.reports_health]
        return Struck(students=tuple(rng.sample(cohort, min(8, len(cohort)))))
    if scenario == "wobble":
        return Struck(students=(rng.choice([s.id for s in steady]),))
    if scenario == "recovery":
        waves = [
            struck(name, population)
            for name in ("churn_wave", "tutor_shortage", "exam_week", "region_outage", "wobble")
        ]
        return Struck(
            students=tuple(dict.fromkeys(i for wave in waves for i in wave.students)),
            tutors=waves[1].tutors,
            cells=tuple(dict.fromkeys(cell for wave in waves for cell in wave.cells)),
        )
    return Struck()


def hidden(
    seed: int, scenario: str = "normal", students: int = STUDENTS, tutors: int = TUTORS
) -> dict[str, Any]:
    """All that is known behind the events of a seed and scenario, as plain data.

    {"students": {id: course}, "short_cells": [[subject, region]], "evening_cells": [...], "struck": {...}}
    """
    population = build(seed, students, tutors)
    balance = market.balances(population)
    return {
        "seed": seed,
        "scenario": scenario,
        "students": {name: asdict(course) for name, course in courses(population).items()},
        "short_cells": [list(cell) for cell, b in balance.items() if b.kind == "short"],
        "evening_cells": [list(cell) for cell, b in balance.items() if b.kind == "evening"],
        "struck": asdict(struck(scenario, population)),
    }
