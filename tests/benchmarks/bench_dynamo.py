"""Request units of the DynamoDB store per event: `python -m tests.benchmarks.bench_dynamo [--events N] [--batch N] [--streams N]`.

Appends and folds generated events in batches on the AWS emulator, with ReturnConsumedCapacity on, and prints units per event by
part of the table. Units follow from item sizes and kinds of call, so they hold for AWS; times do not, and none are printed.
The events: `--streams` students with their tutors, in the mix below, arriving over some minutes; a student's reported health
moves by a point or two.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from typing import Any

from backend.adapters.dynamo.store import DynamoStore
from backend.domain.parsing import Parsed, parse
from backend.domain.times import DAY, SECOND, iso
from tests.aws.emulator import Emulator, installed, open_dynamo
from tests.builders import NOW, catch_up

GOAL = 6.0
MIX = {
    "session_started": 30,
    "session_completed": 30,
    "ib_call_logged": 12,
    "tutor_availability_updated": 8,
    "customer_health_update": 12,
    "supply_demand_update": 8,
}
SUBJECTS = (
    "algebra",
    "physics",
    "chemistry",
    "biology",
    "english",
    "history",
    "spanish",
    "french",
    "sat_prep",
)
REGIONS = ("northeast", "southeast", "midwest", "west", "southwest")


class Meter:
    """Adds up what calls consumed, by kind of call."""

    def __init__(self) -> None:
        self.writes: Counter[str] = Counter()
        self.reads: Counter[str] = Counter()

    def __call__(self, operation: str, consumed: list[dict[str, Any]]) -> None:
        units = sum(entry.get("CapacityUnits", 0.0) for entry in consumed)
        kind = self.reads if operation in ("get_item", "batch_get_item", "query") else self.writes
        kind[operation] += units


def generated(count: int, streams: int, seed: int) -> list[Parsed]:
    """Events of so many students over some minutes, each a second after the one before it."""
    rng = random.Random(seed)
    kinds = rng.choices(list(MIX), list(MIX.values()), k=count)
    found = []
    for i, kind in enumerate(kinds):
        student = rng.randrange(streams)
        tutor, place = (
            student % max(1, streams // 5),
            {"subject": SUBJECTS[student % 9], "region": REGIONS[student % 5]},
        )
        payload: dict[str, Any] = {
            "session_started": {"session_id": f"s{i}", "scheduled_duration_minutes": 60},
            "session_completed": {
                "session_id": f"s{i}",
                "actual_duration_minutes": 55,
                "rating": rng.randint(3, 5),
            },
            "ib_call_logged": {
                "call_id": f"c{i}",
                "reason": "scheduling_issue",
                "duration_seconds": 200,
                "resolved": rng.random() < 0.7,
            },
            "customer_health_update": {
                "health_score": 58 + student * 37 % 40 + rng.randint(0, 2),
                "monthly_value": 240.0,
                "tier": "standard",
            },
            "tutor_availability_updated": {
                "available_hours_this_week": rng.randint(5, 40),
                "booked_hours_this_week": 12,
                "subjects": [place["subject"]],
                "region": place["region"],
            },
            "supply_demand_update": {
                **place,
                "available_tutors": rng.randint(5, 60),
                "pending_requests": rng.randint(5, 34),
                "demand_score": 60,
                "supply_score": 55,
            },
        }[kind]
        if kind.startswith("session"):
            payload |= {"student_id": f"stu_{1000 + student}", "tutor_id": f"tut_{100 + tutor}", **place}
        elif kind in ("ib_call_logged", "customer_health_update"):
            payload |= {"student_id": f"stu_{1000 + student}"}
        elif kind == "tutor_availability_updated":
            payload |= {"tutor_id": f"tut_{100 + tutor}"}
        at = NOW + i * SECOND // 4
        found.append(
            parse(
                {
                    "event_id": f"evt-{seed}-{i:08d}",
                    "event_type": kind,
                    "occurred_at": iso(at),
                    "source": "bench",
                    "payload": payload,
                },
                at,
            )
        )
    return found


def measured(
    store: DynamoStore, meter: Meter, events: list[Parsed], batch: int
) -> tuple[Counter[str], Counter[str]]:
    """(write units, read units) by kind of call for these events."""
    meter.writes.clear()
    meter.reads.clear()
    for i in range(0, len(events), batch):
        part = events[i : i + batch]
        store.append(part)
        before = Counter(meter.writes)
        store.take_in([parsed.event for parsed in part], part[-1].event.received_us)
        if i == 0:
            print(
                "  first batch, folding:",
                {k: v - before[k] for k, v in meter.writes.items() if v > before[k]},
            )
    return Counter(meter.writes), Counter(meter.reads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("events", 2_000), ("batch", 100), ("streams", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    emulator = Emulator(installed())
    meter = Meter()
    store = open_dynamo(emulator, meter=meter)
    try:
        worst = 0.0
        for title, seed in (("a new table", 1), ("the same entities again", 2)):
            writes, reads = measured(store, meter, generated(asked.events, asked.streams, seed), asked.batch)
            total = sum(writes.values()) / asked.events
            worst = max(worst, total)
            print(
                f"{title}: {total:.2f} write units per event, {sum(reads.values()) / asked.events:.2f} read units"
            )
            for kind, units in writes.most_common():
                print(f"  {kind:22s} {units / asked.events:.2f}")
        print(f"goal <= {GOAL}: {'met' if worst <= GOAL else 'missed'}, in a new table too")
        meter.writes.clear()
        catch_up(store, NOW + DAY // 24)
        print(f"a sweep of an hour: {sum(meter.writes.values()):.0f} write units")
    finally:
        store.close()
        emulator.stop()


if __name__ == "__main__":
    main()
