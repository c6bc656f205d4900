"""As many alerts as somebody asks for, to see lists and limits under load: students who called again and again.

Only events are sent. Whether that makes an alert, and what its insight says, is for the product to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from typing import Any

from faker import Faker

from simulator.envelope import event, to_us
from simulator.population import REGIONS, SUBJECTS
from simulator.sender import HttpTransport, Sender

CALLS = (3, 6)  # calls of each student in ten days: from three on a rule looks at it
DAYS = 10.0
BATCH = 500
REASONS = ("scheduling_issue", "technical_problem", "tutor_concern", "billing_question", "complaint")


def batches(students: int, seed: int, now: datetime) -> Iterator[list[dict[str, Any]]]:
    """Calls of that many students in the ten days before `now`, in batches; the same for the same seed and day.

    Raises ValueError for a time without a zone.
    """
    random, faker = Random(seed), Faker("en_US")
    faker.seed_instance(seed)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    to_us(day)
    waiting: list[dict[str, Any]] = []
    for n in range(students):
        who = {
            "student_id": f"sim_bulk_{seed}_{n:05d}",
            "student_name": faker.name(),
            "subject": random.choice(SUBJECTS),
            "region": random.choice(REGIONS),
        }
        for call in range(random.randint(*CALLS)):
            at = day - timedelta(days=random.uniform(0, DAYS))
            name = f"sim-{seed}-bulk-{day:%Y%m%d}-{n}-{call}"
            waiting.append(
                event(name, "ib_call_logged", to_us(at), {"call_id": name, **who, **_call(random)})
            )
        if len(waiting) >= BATCH:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _call(random: Random) -> dict[str, Any]:
    return {
        "reason": random.choice(REASONS),
        "resolved": random.random() < 0.6,
        "priority": random.choice(("low", "medium", "high")),
        "duration_seconds": round(random.uniform(60, 1_200)),
    }


def send(
    base: str, key: str, students: int, seed: int, now: datetime, sleep: Callable[[float], Any]
) -> dict[str, Any]:
    """Send them; returns the counts of the sender. Raises SenderRefused, or ConnectionError after ten vain tries."""
    sender = Sender(HttpTransport(base, key), sleep, tries=10)
    try:
        for batch in batches(students, seed, now):
            sender.deliver(batch)
    finally:
        sender.close()
    return sender.counts.as_dict()
