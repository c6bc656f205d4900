"""The past of a marketplace: every event of the days before `until`, in event-time order, the same for the same arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from simulator import behaviour, envelope, market, truth
from simulator.population import STUDENTS, TUTORS, Population, Student, Tutor, build
from simulator.rhythm import local_to_us

HOUR = 3_600_000_000
DAY = 24 * HOUR
MINUTE = 60_000_000
HOURLY_DAYS = 7  # market snapshots: hourly this close to the end, every six hours before
Draft = tuple[int, str, dict[str, Any]]  # (microseconds since 1970, event type, payload)


def history(
    seed: int, until: datetime, days: int = 35, students: int = STUDENTS, tutors: int = TUTORS
) -> Iterator[dict[str, Any]]:
    """Events of `(until - days, until]`, at most one in the same place twice for the same arguments.

    Sessions in it have both begun and ended. ValueError for a naive `until` or fewer than 1 day.
    """
    if days < 1:
        raise ValueError("history needs at least one day")
    end = envelope.to_us(until)
    population = build(seed, students, tutors)
    drafts = Past(population, end, days, truth.courses(population)).drafts()
    run = envelope.run_name(seed, "h", until)
    for number, (us, event_type, payload) in enumerate(drafts):
        yield envelope.event(f"{run}-{number:06d}", event_type, us, payload)


class Past:
    """Collects the drafts of one history. Each student and tutor draws from an own stream of random numbers, so that a change
    in how one of them behaves leaves the others as they were."""

    def __init__(
        self, population: Population, end: int, days: int, courses: Mapping[str, truth.Course]
    ) -> None:
        self.population, self.end, self.days, self.courses = population, end, days, courses
        self.begin = end - days * DAY
        self.prefix = f"{population.seed}_{end // MINUTE:x}"
        first = datetime.fromtimestamp(self.begin / 1e6, UTC).date() - timedelta(days=1)
        self.dates: list[list[date]] = [[], [], [], [], [], [], []]
        for offset in range(days + 3):
            day = first + timedelta(days=offset)
            self.dates[day.weekday()].append(day)

    def drafts(self) -> list[Draft]:
        out: list[Draft] = []
        for student in self.population.students:
            out += self.of_student(student)
        out += self._availability()
        out += self._market()
        out = [draft for draft in out if self.begin < draft[0] <= self.end]
        out.sort(key=lambda draft: draft[0])  # stable: ties keep the order above
        return out

    def of_student(self, student: Student) -> list[Draft]:
        """Everything that a student did, in no order and also before `begin`."""
        rng, course = Random(f"history:{self.population.seed}:{student.id}"), self.courses[student.id]
        sessions = self._sessions(rng, student, course)
        calls = self._calls(rng, student, course, sessions)
        healths = self._healths(rng, student, course, sessions, calls) if student.reports_health else []
        return [*sessions, *calls, *healths]

    def _tutor(self, rng: Random, student: Student, subject: str, days_before_end: float) -> Tutor:
        """Who teaches a session on that day."""
        return behaviour.pick_tutor(rng, self.population, student, subject, student.manner.loyal)

    def _days_before_end(self, us: int) -> float:
        return (self.end - us) / DAY

    def _times(self, student: Student, rng: Random) -> list[int]:
        """Starts of the recurring sessions that take place, in order."""
        keep = 0.96 if student.segment in ("thriving", "healthy") else 0.9
        since = self.end - student.signup_days_ago * DAY
        times = []
        for weekday, hour, minute in student.slots:
            for day in self.dates[weekday]:
                us = local_to_us(student.region, day, hour, minute) + rng.randint(-2, 4) * MINUTE
                if rng.random() < keep and us >= since:
                    times.append(us)
        return sorted(times)

    def _sessions(self, rng: Random, student: Student, course: truth.Course) -> list[Draft]:
        manner, out = student.manner, []
        latest = self.begin
        for number, us in enumerate(self._times(student, rng)):
            ago = self._days_before_end(us)
            declining = course.decline is not None and ago < course.decline
            attends = rng.random() < (0.4 if declining else 1.0)
            stopped = course.stop is not None and ago < course.stop
            idle = course.story == "nothing_booked" and ago < 12
            if not attends or stopped or idle or us < latest:
                continue
            subject = student.subjects[0] if rng.random() < 0.75 else student.subjects[-1]
            tutor = self._tutor(rng, student, subject, ago)
            rating, cancel, no_show = manner.rating + tutor.bias, manner.cancel, manner.no_show
            if course.story == "missed_lessons":
                cancel, no_show = (0.0, 1.0) if ago < 9 else (cancel, 0.0)
            if course.story == "tutor_changes":
                able = student.tutors[subject]
                phase = 0 if ago > 20 else 1 if ago > 9 else 2
                tutor = self.population.tutor(able[min(phase, len(able) - 1)])
                rating, cancel = (4.5, 3.6, 2.4)[phase], 0.0
            begun = behaviour.session(
                rng, f"sim_ses_{self.prefix}_{student.id[8:]}_{number}", student, tutor, subject
            )
            ended = behaviour.outcome(rng, begun, rating, cancel, no_show)
            # A missed session is recorded after a quarter of an hour of waiting, a cancelled one after a few minutes.
            lasted = ended["actual_duration_minutes"] or (4 if ended["was_cancelled"] else 15)
            finish = us + lasted * MINUTE + rng.randint(0, 59_000) * 1000
            if us > self.begin and finish <= self.end:
                out += [(us, "session_started", begun), (finish, "session_completed", ended)]
                latest = finish
        return out

    def _calls(
        self, rng: Random, student: Student, course: truth.Course, sessions: list[Draft]
    ) -> list[Draft]:
        """Most calls follow a session within hours; those who are about to leave call several times in their last days."""
        out: list[Draft] = []
        happy = student.segment in ("thriving", "healthy")
        tutor_id = sessions[-1][2]["tutor_id"] if sessions else None

        def ring(us: int, **fixed: Any) -> None:
            name = f"sim_call_{self.prefix}_{student.id[8:]}_{len(out)}"
            payload = behaviour.call(rng, name, student, tutor_id, happy, **fixed)
            out.append((us, "ib_call_logged", payload))

        per_session = student.manner.calls / (2 * student.manner.weekly)
        for us, event_type, _ in sessions:
            if event_type == "session_completed" and rng.random() < per_session:
                ring(us + rng.randint(5 * MINUTE, 20 * HOUR))
        if course.stop is not None:
            for _ in range(rng.randint(3, 5)):
                ring(self.end - int((course.stop + rng.uniform(0.2, 8)) * DAY))
        if course.story == "missed_lessons":
            for ago in (6.5, 4.2, 1.3):
                ring(self.end - int(ago * DAY), reason="billing_question", resolved=False)
        if course.story == "tutor_changes":
            ring(self.end - int(3.1 * DAY), reason="tutor_concern", resolved=False, priority="high")
        return out

    def _healths(
        self, rng: Random, student: Student, course: truth.Course, sessions: list[Draft], calls: list[Draft]
    ) -> list[Draft]:
        """A weekly score from outside, near the truth, on an own day of the week for every student."""
        out: list[Draft] = []
        held = [
            us
            for us, kind, body in sessions
            if kind == "session_completed" and body["actual_duration_minutes"]
        ]
        us = self.end - rng.randint(2 * HOUR, 7 * DAY)
        while us > self.begin:
            score = truth.health(student, course, self._days_before_end(us)) + rng.gauss(0, 2.0)
            week, month = (sum(us - window * DAY < at <= us for at in held) for window in (7, 30))
            rang = sum(us - 14 * DAY < at <= us for at, _, _ in calls)
            out.append(
                (us, "customer_health_update", behaviour.health_update(student, score, week, month, rang))
            )
            us -= 7 * DAY
        return out

    def _availability(self) -> list[Draft]:
        """Each tutor says twice a week what they offer."""
        out: list[Draft] = []
        for tutor in self.population.tutors:
            rng = Random(f"history:{self.population.seed}:{tutor.id}")
            us = self.end - rng.randint(HOUR, 3 * DAY)
            while us > self.begin:
                out.append((us, "tutor_availability_updated", behaviour.availability(rng, tutor)))
                us -= 3 * DAY + 12 * HOUR + rng.randint(-5, 5) * HOUR
        return out

    def _market(self) -> list[Draft]:
        """One snapshot per cell at full hours: hourly in the last week, every six hours before."""
        rng = Random(f"history:{self.population.seed}:market")
        balances = market.balances(self.population)
        out: list[Draft] = []
        last = self.end // HOUR * HOUR
        for back in range(self.days * 24):
            us = last - back * HOUR
            if back >= HOURLY_DAYS * 24 and (us // HOUR) % 6:
                continue
            now = datetime.fromtimestamp(us // 1_000_000, UTC)
            for cell, balance in balances.items():
                out.append((us, "supply_demand_update", market.snapshot(cell, balance, now, rng)))
        return out
