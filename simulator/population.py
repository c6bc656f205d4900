"""Who lives in the marketplace: students with a latent segment, tutors with skills; the same for the same seed.

Identifiers begin with `sim_`, so nothing simulated can be taken for, or mixed into, a real student or tutor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random

from faker import Faker

from simulator.rhythm import REGION_ZONES, weekly_slot

SUBJECTS = (
    "algebra",
    "geometry",
    "precalculus",
    "physics",
    "chemistry",
    "biology",
    "english",
    "sat_prep",
    "spanish",
    "computer_science",
)
REGIONS = tuple(REGION_ZONES)
TIERS = ("budget", "standard", "premium")
PRICE = {"budget": 45, "standard": 65, "premium": 95}  # dollars per session
_SUBJECT_WEIGHTS = (18, 11, 12, 10, 10, 8, 10, 9, 7, 5)
_REGION_WEIGHTS = (26, 22, 21, 13, 18)
STUDENTS, TUTORS = 1_000, 140  # of the marketplace that is shown


@dataclass(frozen=True, slots=True)
class Manner:
    """How a segment behaves.

    weekly: sessions per week; rating: mean of 1-5; calls: inbound calls per 14 days; cancel, no_show: shares of sessions;
    loyal: share of sessions with the first tutor; tiers: weights of budget, standard, premium; health: true score, 0-100.
    """

    share: float
    weekly: float
    rating: float
    calls: float
    cancel: float
    no_show: float
    loyal: float
    tiers: tuple[int, int, int]
    health: float


# After the segment table of the specification (4.6), in a marketplace that is doing well.
MANNERS = {
    "thriving": Manner(0.56, 2.5, 4.75, 0.10, 0.04, 0.01, 0.92, (1, 3, 6), 91.0),
    "healthy": Manner(0.40, 1.8, 4.50, 0.16, 0.05, 0.02, 0.80, (2, 5, 3), 80.0),
    "at_risk": Manner(0.03, 1.9, 4.10, 0.70, 0.08, 0.04, 0.55, (4, 4, 2), 58.0),
    "churned": Manner(0.01, 1.8, 3.80, 0.50, 0.10, 0.05, 0.45, (4, 4, 2), 34.0),
}
SHARES = tuple((name, manner.share) for name, manner in MANNERS.items())


@dataclass(frozen=True, slots=True)
class Tutor:
    """One tutor. `bias` shifts the ratings they get; `utilisation` is the usual booked share of `weekly_hours`."""

    id: str
    name: str
    skills: tuple[str, ...]
    region: str
    timezone: str
    weekly_hours: int
    bias: float
    utilisation: float
    instant_book: bool


@dataclass(frozen=True, slots=True)
class Student:
    """One student. `segment` is latent: it shapes behaviour and is never sent.

    slots: recurring (weekday, hour, minute), local time; tutors: ids per subject, favourite first; `signup_days_ago` counts
    back from the end of the history; `reports_health`: a health score is pushed for this student from outside.
    """

    id: str
    name: str
    segment: str
    grade: int
    tier: str
    region: str
    subjects: tuple[str, ...]
    tutors: dict[str, tuple[str, ...]]
    monthly_value: int
    signup_days_ago: int
    slots: tuple[tuple[int, int, int], ...]
    reports_health: bool

    @property
    def manner(self) -> Manner:
        return MANNERS[self.segment]


@dataclass(frozen=True, eq=False)
class Population:
    """All students and tutors of a seed, in id order; equal only to itself, so that it can key a cache."""

    seed: int
    students: tuple[Student, ...]
    tutors: tuple[Tutor, ...]

    def tutor(self, tutor_id: str) -> Tutor:
        """The tutor with this id; ids are dense, so this is one subtraction."""
        return self.tutors[int(tutor_id[8:]) - 100]

    def of_segment(self, *segments: str) -> tuple[Student, ...]:
        return tuple(s for s in self.students if s.segment in segments)


@lru_cache(maxsize=8)
def build(
    seed: int, students: int = STUDENTS, tutors: int = TUTORS, shares: tuple[tuple[str, float], ...] = SHARES
) -> Population:
    """The population of a seed. Segment shares are exact up to rounding; at least 10 students and 10 tutors."""
    if students < 10 or tutors < 10:
        raise ValueError("a marketplace needs at least 10 students and 10 tutors")
    rng = Random(f"population:{seed}")
    fake = Faker("en_US")
    fake.seed_instance(seed)
    staff = tuple(_tutor(rng, fake, number) for number in range(tutors))
    segments = _segments(rng, students, dict(shares))
    people = tuple(_student(rng, fake, number, segment, staff) for number, segment in enumerate(segments))
    return Population(seed, people, staff)


def _segments(rng: Random, count: int, shares: dict[str, float]) -> list[str]:
    rare = [name for name in ("healthy", "at_risk", "churned") for _ in range(round(shares[name] * count))]
    names = ["thriving"] * (count - len(rare)) + rare
    rng.shuffle(names)
    return names


def _tutor(rng: Random, fake: Faker, number: int) -> Tutor:
    # Every subject gets its turn as a main skill, so none is without a tutor.
    main = SUBJECTS[number % len(SUBJECTS)]
    others = [s for s in rng.sample(SUBJECTS, 3) if s != main][: rng.choice((1, 2, 2))]
    region = rng.choices(REGIONS, _REGION_WEIGHTS)[0]
    return Tutor(
        id=f"sim_tut_{100 + number}",
        name=f"{fake.first_name()} {fake.last_name()}",
        skills=(main, *others),
        region=region,
        timezone=REGION_ZONES[region],
        weekly_hours=rng.randint(12, 32),
        bias=-0.95 if number == 7 else rng.uniform(-0.12, 0.12),  # one tutor disappoints
        utilisation=0.94 if number == 11 else rng.uniform(0.4, 0.82),  # and one is overbooked
        instant_book=rng.random() < 0.5,
    )


def _student(rng: Random, fake: Faker, number: int, segment: str, staff: tuple[Tutor, ...]) -> Student:
    manner = MANNERS[segment]
    subjects: list[str] = []
    while len(subjects) < (2 if rng.random() < 0.35 else 1):
        subject = rng.choices(SUBJECTS, _SUBJECT_WEIGHTS)[0]
        if subject not in subjects:
            subjects.append(subject)
    region = rng.choices(REGIONS, _REGION_WEIGHTS)[0]
    tier = rng.choices(TIERS, manner.tiers)[0]
    weekly = max(
        1.0, rng.gauss(manner.weekly, 0.3) + (0.6 if tier == "premium" else 0.0)
    )  # who pays more books more
    return Student(
        id=f"sim_stu_{1000 + number}",
        name=f"{fake.first_name()} {fake.last_name()}",
        segment=segment,
        grade=rng.randint(5, 12),
        tier=tier,
        region=region,
        subjects=tuple(subjects),
        tutors={subject: _favourites(rng, subject, region, staff) for subject in subjects},
        monthly_value=round(weekly * 52 / 12 * PRICE[tier]),
        signup_days_ago=rng.randint(29, 34) if number % 25 == 0 else rng.randint(40, 400),
        slots=_slots(rng, round(weekly + 0.25)),
        reports_health=number % 3 == 0,
    )


def _slots(rng: Random, count: int) -> tuple[tuple[int, int, int], ...]:
    """Recurring weekly slots on different days, in order."""
    days: dict[int, tuple[int, int, int]] = {}
    while len(days) < min(count, 7):
        slot = weekly_slot(rng)
        days.setdefault(slot[0], slot)
    return tuple(days[day] for day in sorted(days))


def _favourites(rng: Random, subject: str, region: str, staff: tuple[Tutor, ...]) -> tuple[str, ...]:
    able = [t for t in staff if subject in t.skills]
    rng.shuffle(able)
    # Lessons are online; people still prefer a tutor of their own region.
    return tuple(t.id for t in sorted(able, key=lambda t: t.region != region)[:3])
