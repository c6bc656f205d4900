"""A longer past with comings and goings: the marketplace that models are trained on, with its hidden truth.

It behaves as `history` does; beyond that, students join, slow down and leave on any day of it, and tutors tire and leave.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from math import exp, log
from random import Random
from typing import Any

from simulator import behaviour, envelope
from simulator.history import DAY, HOUR, MINUTE, Draft, Past
from simulator.population import Population, Student, Tutor, build
from simulator.rhythm import local_to_us
from simulator.truth import Course

# The shares of the specification's training data (4.6): more trouble than in the marketplace that is shown.
SHARES = (("thriving", 0.30), ("healthy", 0.40), ("at_risk", 0.20), ("churned", 0.10))
STUDENTS_PER_TUTOR = (
    10  # of all who ever come; some seven of them at a time, as in the marketplace that is shown
)
CALLING_DAYS = 8  # who leaves decides so many days before, and calls: see history.Past
_BEYOND = 30  # days after the end up to which courses are drawn, so that the end is a day like any other
_JOINED_LATELY = 0.35  # share of students who join within the history
_LEAVES = {"thriving": 0.08, "healthy": 0.14, "at_risk": 0.5, "churned": 1.0}  # who leaves at all
_WITHOUT_A_WORD = 0.25  # share of those who leave that never called before
_HOLIDAY, _HOLIDAY_DAYS = 0.12, (7, 24)  # share of students with a holiday, and how long it lasts
_UNSENT = {
    "session_started": 0.1,
    "ib_call_logged": 0.15,
    "rating": 0.15,
}  # what senders leave out, by share of students
FIRST_SUCCESS = {"thriving": 0.85, "healthy": 0.75, "at_risk": 0.5, "churned": 0.3}  # specification, 4.6
_SLIDE_DAYS = 25.0  # mean time from the start of a decline until somebody leaves
_TIRES, _TUTOR_LEAVES = 0.6, 0.15
_TIRED_DAYS, _STRAIN_DAYS = 28, 10  # how long a tutor takes fewer sessions, and shows strain before
_FEWER = 0.7  # share of sessions that a tired tutor gives away
_ATTENDS = {True: 0.4, False: 1.0}  # by: declining; as history.Past has it


@dataclass(frozen=True, slots=True)
class Life:
    """What happens to a student. `holiday`: days before the end from and to which nobody comes; planned, so part of what is
    hidden. `unsent`: event types and fields that nobody sends of this student."""

    course: Course
    calls_before_leaving: bool
    holiday: tuple[float, float] | None
    unsent: frozenset[str]

    def away(self, ago: float) -> bool:
        return self.holiday is not None and self.holiday[1] <= ago < self.holiday[0]

    @property
    def notice_days(self) -> float:
        """So many days before leaving it is decided and shows."""
        return CALLING_DAYS if self.calls_before_leaving else 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """What happens to a tutor, in days before the end (negative: after it): when tiredness starts, and the last day."""

    tires: float | None = None
    stop: float | None = None

    def tired(self, ago: float) -> bool:
        return self.tires is not None and self.tires - _TIRED_DAYS < ago <= self.tires

    def strained(self, ago: float) -> bool:
        """Tired, or about to be."""
        return self.tires is not None and self.tires - _TIRED_DAYS < ago <= self.tires + _STRAIN_DAYS

    def gone(self, ago: float) -> bool:
        return self.stop is not None and ago < self.stop


class Lives:
    """The past of `students` people over the `days` before `until`; the same for the same arguments."""

    def __init__(
        self,
        seed: int,
        until: datetime,
        days: int,
        students: int,
        shares: tuple[tuple[str, float], ...] = SHARES,
    ) -> None:
        self.days, self.until = days, until
        tutors = max(20, students // STUDENTS_PER_TUTOR)
        self.population = _with_newcomers(build(seed, students, tutors, shares), days)
        rng = Random(f"lives:{seed}")
        self.lives = {s.id: _life(rng, s.segment, days) for s in self.population.students}
        self.work = {t.id: _work(rng, days) for t in self.population.tutors}
        self._past = _Past(self.population, envelope.to_us(until), days, self.lives, self.work)

    @cached_property
    def _of_students(self) -> dict[str, list[Draft]]:
        return {s.id: self._past.cut(self._past.of_student(s)) for s in self.population.students}

    def students(self) -> Iterator[tuple[str, list[Draft]]]:
        """Id and events (microseconds, type, payload) of each student of whom anything is heard, in order of time."""
        return ((name, drafts) for name, drafts in self._of_students.items() if drafts)

    def tutors(self) -> Iterator[tuple[str, list[Draft]]]:
        """The same for tutors: their sessions and what they say of their hours."""
        found: dict[str, list[Draft]] = defaultdict(list)
        for drafts in self._of_students.values():
            for draft in drafts:
                if draft[1].startswith("session_"):
                    found[draft[2]["tutor_id"]].append(draft)
        for draft in self._past.cut(self._past._availability()):
            found[draft[2]["tutor_id"]].append(draft)
        return ((name, sorted(drafts, key=lambda d: d[0])) for name, drafts in sorted(found.items()))

    def segment(self, name: str) -> str:
        """The hidden segment of a student; "tutor" for everybody else."""
        return self.lives[name].course.segment if name in self.lives else "tutor"

    def silent(self, student_id: str, at: datetime, days: int) -> float:
        """Probability of no session held in the `days` after `at`, for one who sees everything hidden but not the future.

        That is: the segment, the weekly slots, holidays, whether a decline or the days of calling before leaving have begun.
        """
        student, ago, slots, futures = self._ahead(student_id, at, days)
        return sum(w * self._none_held(student, ago, slots, course) for w, course in futures)

    def calls(self, student_id: str, at: datetime, days: int, least: int) -> float:
        """Probability of at least 1 or 2 calls logged in the `days` after `at`, for the same one."""
        student, ago, slots, futures = self._ahead(student_id, at, days)
        if "ib_call_logged" in self.lives[student_id].unsent:
            return 0.0
        found = 0.0
        for weight, course in futures:
            none, one = self._few_calls(student, ago, slots, course, days)
            found += weight * (1 - none - (one if least > 1 else 0.0))
        return found

    def first_success(self, student_id: str) -> float:
        """Probability that the first session goes well, for the same one."""
        return FIRST_SUCCESS[self.lives[student_id].course.segment]

    def _ahead(
        self, student_id: str, at: datetime, days: int
    ) -> tuple[Student, float, list[float], list[tuple[float, Course]]]:
        """The student, days from `at` to the end, days from `at` to each session planned, and what may become (weights sum to 1)."""
        student, life = self._student(student_id), self.lives[student_id]
        ago = (self.until - at) / timedelta(days=1)
        slots = [after for after in self._slots(student, at, days) if not life.away(ago - after)]
        futures = _futures(life, ago, self.days)
        total = sum(weight for weight, _ in futures)
        return student, ago, slots, [(weight / total, course) for weight, course in futures]

    def _few_calls(
        self, student: Student, ago: float, slots: list[float], course: Course, days: int
    ) -> tuple[float, float]:
        """Probabilities of no and of one call: after sessions, and of those who are about to leave in their last days."""
        manner = student.manner
        comes = 0.96 if student.segment in ("thriving", "healthy") else 0.9
        chances = []
        for after in slots:
            left = ago - after
            if course.stop is None or left >= course.stop:
                declining = course.decline is not None and left < course.decline
                chances.append(comes * _ATTENDS[declining] * manner.calls / (2 * manner.weekly))
        after_sessions = _none_and_one(chances)
        if course.stop is None or not self.lives[student.id].calls_before_leaving:
            return after_sessions
        low, high = course.stop + 0.2, course.stop + CALLING_DAYS
        falls = max(0.0, min(high, ago) - max(low, ago - days)) / (high - low)
        mixed = [_combined(after_sessions, _none_and_one([falls] * n)) for n in (3, 4, 5)]
        return sum(m[0] for m in mixed) / 3, sum(m[1] for m in mixed) / 3

    def _student(self, student_id: str) -> Student:
        return self.population.students[int(student_id[8:]) - 1000]

    def _slots(self, student: Student, at: datetime, days: int) -> list[float]:
        """Days after `at` of the recurring sessions until `days` later."""
        start, out = envelope.to_us(at), []
        for offset in range(-1, days + 2):
            day = (at + timedelta(days=offset)).date()
            for weekday, hour, minute in student.slots:
                if weekday == day.weekday():
                    after = (local_to_us(student.region, day, hour, minute) - start) / DAY
                    if 0 < after <= days:
                        out.append(after)
        return out

    def _none_held(self, student: Student, ago: float, slots: list[float], course: Course) -> float:
        manner, none = student.manner, 1.0
        comes = 0.96 if student.segment in ("thriving", "healthy") else 0.9
        for after in slots:
            left = ago - after
            if course.stop is None or left >= course.stop:
                declining = course.decline is not None and left < course.decline
                none *= 1 - comes * _ATTENDS[declining] * (1 - manner.cancel - manner.no_show)
        return none


class _Past(Past):
    """The past in which tutors tire and leave, and newcomers sign up and book."""

    def __init__(
        self, population: Population, end: int, days: int, lives: dict[str, Life], work: dict[str, Work]
    ) -> None:
        super().__init__(population, end, days, {name: life.course for name, life in lives.items()})
        self.lives, self.work = lives, work

    def cut(self, drafts: list[Draft]) -> list[Draft]:
        """What lies in the past, in order of time."""
        return sorted((d for d in drafts if self.begin < d[0] <= self.end), key=lambda d: d[0])

    def of_student(self, student: Student) -> list[Draft]:
        unsent = self.lives[student.id].unsent
        signed_up = self.end - student.signup_days_ago * DAY
        drafts = [*self._arrival(student), *(d for d in super().of_student(student) if d[0] >= signed_up)]
        if student.signup_days_ago <= self.days:
            self._first(student, drafts)
        if "rating" in unsent:
            for _, _, payload in drafts:
                payload.pop("rating", None)
        return [draft for draft in drafts if draft[1] not in unsent]

    def _times(self, student: Student, rng: Random) -> list[int]:
        away = self.lives[student.id].away
        return [us for us in super()._times(student, rng) if not away(self._days_before_end(us))]

    def _calls(self, rng: Random, student: Student, course: Course, sessions: list[Draft]) -> list[Draft]:
        calls = self.lives[student.id].calls_before_leaving
        return super()._calls(rng, student, course if calls else replace(course, stop=None), sessions)

    def _arrival(self, student: Student) -> list[Draft]:
        """Signing up, a first request and its answer: slower and with less care where it will not go well."""
        rng = Random(f"arrival:{self.population.seed}:{student.id}")
        us = self.end - student.signup_days_ago * DAY
        unwell = (100 - student.manner.health) / 100
        body = {"student_id": student.id, "tier": student.tier, "region": student.region}
        lead = {
            "student_id": student.id,
            "lead_time_hours": round(rng.lognormvariate(3 + 2 * unwell, 0.5), 1),
        }
        answer = {
            "student_id": student.id,
            "response_time_hours": round(rng.lognormvariate(4 * unwell, 0.6), 1),
        }
        return [
            (us, "signup_completed", body),
            (us + 10 * MINUTE, "booking_requested", lead),
            (us + 40 * MINUTE, "message_sent", answer),
        ]

    def _tutor(self, rng: Random, student: Student, subject: str, days_before_end: float) -> Tutor:
        tutor = super()._tutor(rng, student, subject, days_before_end)
        work = self.work[tutor.id]
        if work.gone(days_before_end) or (work.tired(days_before_end) and rng.random() < _FEWER):
            others = [
                t
                for t in self.population.tutors
                if subject in t.skills and not self.work[t.id].gone(days_before_end)
            ]
            tutor = rng.choice(others) if others else tutor
        strained = self.work[tutor.id].strained(days_before_end)
        return replace(tutor, bias=tutor.bias - 0.4) if strained else tutor

    def _first(self, student: Student, drafts: list[Draft]) -> None:
        """The first session held is rated by how it went: from 4 up if well."""
        rng = Random(f"first:{self.population.seed}:{student.id}")
        well = rng.random() < FIRST_SUCCESS[student.segment]
        bad = min(3.5, behaviour.half_star(rng.gauss(3.0, 0.5)))
        ended = (d for d in drafts if d[1] == "session_completed" and d[2]["actual_duration_minutes"])
        first = min(ended, key=lambda d: d[0], default=None)
        if first is not None and "rating" in first[2]:
            body = first[2]
            body["rating"] = max(4.0, body["rating"]) if well else bad
            body["completed_successfully"] = body["completed_successfully"] or well

    def _availability(self) -> list[Draft]:
        out: list[Draft] = []
        for tutor in self.population.tutors:
            rng, work = Random(f"history:{self.population.seed}:{tutor.id}"), self.work[tutor.id]
            us = self.end - rng.randint(HOUR, 3 * DAY)
            while us > self.begin:
                ago = self._days_before_end(us)
                if not work.gone(ago):
                    hours = int(tutor.weekly_hours * 0.5) if work.tired(ago) else None
                    booked = 0.95 if work.strained(ago) and not work.tired(ago) else None
                    said = behaviour.availability(rng, tutor, utilisation=booked, hours=hours)
                    out.append((us, "tutor_availability_updated", said))
                us -= 3 * DAY + 12 * HOUR + rng.randint(-5, 5) * HOUR
        return out


def _with_newcomers(population: Population, days: int) -> Population:
    rng = Random(f"newcomers:{population.seed}")
    people = tuple(
        replace(s, signup_days_ago=rng.randint(1, days) if rng.random() < _JOINED_LATELY else days + 1)
        for s in population.students
    )
    return Population(population.seed, people, population.tutors)


def _life(rng: Random, segment: str, days: int) -> Life:
    calls = rng.random() >= _WITHOUT_A_WORD
    course = _course(rng, segment, days, CALLING_DAYS if calls else 0)
    holiday = None
    if rng.random() < _HOLIDAY:
        start = rng.uniform(-_BEYOND, days)
        holiday = (start, start - rng.uniform(*_HOLIDAY_DAYS))
    return Life(course, calls, holiday, frozenset(n for n, share in _UNSENT.items() if rng.random() < share))


def _course(rng: Random, segment: str, days: int, notice: float) -> Course:
    """When a student of the segment slows down and leaves, if at all: any day is as likely as any other."""
    leaves = rng.random() < _LEAVES[segment]
    if segment != "at_risk":
        return Course(segment, stop=rng.uniform(-_BEYOND, days) if leaves else None)
    decline = rng.uniform(-_BEYOND, days)
    slide = notice + rng.expovariate(1 / _SLIDE_DAYS)
    return Course(segment, decline=decline, stop=decline - slide if leaves else None)


def _work(rng: Random, days: int) -> Work:
    tires = rng.uniform(-_BEYOND, days) if rng.random() < _TIRES else None
    return Work(tires, rng.uniform(-_BEYOND, days) if rng.random() < _TUTOR_LEAVES else None)


def _futures(life: Life, ago: float, days: int) -> list[tuple[float, Course]]:
    """(weight, course) of what may become of a student, given what of the course is decided `ago` days before the end."""
    course, edge = (
        life.course,
        ago - life.notice_days,
    )  # leaving on a later day than `edge` is not decided yet
    if course.stop is not None and course.stop > edge:
        return [(1.0, course)]
    if course.segment == "at_risk":
        return _slides(course, ago, edge, life.notice_days)
    later = max(0.0, edge + _BEYOND) / (days + _BEYOND) * _LEAVES[course.segment]
    stays = 1 - _LEAVES[course.segment]
    steps = 24
    out = [
        (later / steps, Course(course.segment, stop=_between(-_BEYOND, edge, i, steps))) for i in range(steps)
    ]
    return [*out, (stays, Course(course.segment))]


def _slides(course: Course, ago: float, edge: float, notice: float) -> list[tuple[float, Course]]:
    """Futures of one at risk who has not decided to leave: of the decline too, unless it has begun."""
    begun = course.decline is not None and course.decline > ago
    declines = [course.decline] if begun else [_between(-_BEYOND, ago, i, 12) for i in range(12)]
    out: list[tuple[float, Course]] = []
    for decline in declines:
        assert decline is not None
        passed = max(
            0.0, decline - notice - edge
        )  # days in which leaving could have been decided and was not
        leaves = _LEAVES["at_risk"] * exp(-passed / _SLIDE_DAYS)
        first = min(edge, decline - notice)
        for i in range(12):
            stop = first + _SLIDE_DAYS * log(1 - (i + 0.5) / 12)
            out.append((leaves / 12, Course("at_risk", decline=decline, stop=stop)))
        out.append((1 - _LEAVES["at_risk"], Course("at_risk", decline=decline)))
    return out


def _none_and_one(chances: list[float]) -> tuple[float, float]:
    """Probabilities that none, and that exactly one, of independent events happens."""
    none, one = 1.0, 0.0
    for chance in chances:
        none, one = none * (1 - chance), one * (1 - chance) + none * chance
    return none, one


def _combined(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    return a[0] * b[0], a[0] * b[1] + a[1] * b[0]


def _between(low: float, high: float, step: int, steps: int) -> float:
    return low + (high - low) * (step + 0.5) / steps


def mappings(drafts: list[Draft]) -> list[dict[str, Any]]:
    """Drafts in the form that features read: event_type, occurred_at (aware), payload."""
    epoch = envelope._EPOCH
    return [
        {"event_type": kind, "occurred_at": epoch + timedelta(microseconds=us), "payload": payload}
        for us, kind, payload in drafts
    ]
