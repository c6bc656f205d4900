"""Closing hours for 10 subjects in 8 regions: `python -m tests.benchmarks.bench_hours`.

Prints what learning two weeks costs once, what each closed hour costs from then on, how much memory the engine holds for it, what a
restart costs, and how long the pages' questions take.
"""

from __future__ import annotations

import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from backend.domain.outlook import GRACE_US
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import queries_forecast
from backend.services.anomalies import anomalies
from backend.services.forecasting import Forecasting
from backend.services.read_models import Scope
from tests.builders import call, event, open_store, session
from tests.services.forecast_world import BEGIN, take

SUBJECTS, REGIONS, DAYS, HOURS = 10, 8, 8, 3
CALLS, LESSONS = 20, 30  # an hour


def an_hour(hour: int, chance: random.Random) -> list[Any]:
    """A snapshot of every cell, and calls and lessons somewhere."""
    at = BEGIN + hour * HOUR
    busy = 1.0 + (hour % 24 > 12)
    found = []
    for cell in range(SUBJECTS * REGIONS):
        place = {"subject": f"subject_{cell // REGIONS}", "region": f"region_{cell % REGIONS}"}
        hours = {"demand_hours": busy * chance.uniform(2, 5), "supply_hours": chance.uniform(4, 8)}
        found.append(event(f"m-{hour}-{cell}", "supply_demand_update", at + cell, place | hours, at + MINUTE))
    for n in range(CALLS + LESSONS):
        cell = chance.randrange(SUBJECTS * REGIONS)
        place = {"subject": f"subject_{cell // REGIONS}", "region": f"region_{cell % REGIONS}"}
        make = call if n < CALLS else session
        more = {} if n < CALLS else {"rating": chance.randint(3, 5)}
        found.append(
            make(
                f"e-{hour}-{n}",
                at + n * MINUTE,
                received_us=at + HOUR,
                student_id=f"stu_{n}",
                **place,
                **more,
            )
        )
    return found


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and the result."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def main() -> int:
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        hours = DAYS * 24
        take(store, [entry for hour in range(hours) for entry in an_hour(hour, chance)], BEGIN + hours * HOUR)
        forecasting = Forecasting(store)
        now = BEGIN + hours * HOUR + GRACE_US
        cost, _ = timed(lambda: forecasting.step(now))
        series = sum(len(store.forecasts(measure)) for measure in ("calls", "demand", "supply", "gap"))
        print(f"{series} series forecast; the first {DAYS} days learned in {cost:.1f} s CPU")
        spent = []
        for hour in range(hours, hours + HOURS):
            now += HOUR
            take(store, an_hour(hour, chance), now)
            spent.append(timed(partial(forecasting.step, now))[0])
        print(f"each closed hour: {1000 * sum(spent) / HOURS:.0f} ms CPU (most {1000 * max(spent):.0f})")
        now += HOUR
        take(store, an_hour(hours + HOURS, chance), now)
        restarted = Forecasting(store)
        cost, _ = timed(lambda: restarted.step(now))
        print(f"a restart and the next hour: {1000 * cost:.0f} ms CPU")
        tracemalloc.start()
        take(store, an_hour(hours + HOURS + 1, chance), now + HOUR)
        folded = tracemalloc.get_traced_memory()[0]
        measured = Forecasting(store)
        tracemalloc.reset_peak()
        measured.step(now + HOUR)
        held, peak = ((size - folded) / 1e6 for size in tracemalloc.get_traced_memory())
        tracemalloc.stop()
        print(f"memory: {held:.1f} MB held (goal < 30), {peak:.1f} MB while an hour is closed")
        scope = Scope(at_us=now, start_us=now - 7 * DAY)
        for name, ask in (
            (
                "band of all calls, 7 days and the next",
                lambda: queries_forecast.band(store, scope, "calls", "|"),
            ),
            ("shortages of every cell", lambda: queries_forecast.shortages(store, scope)),
            ("scorecard of everything, 7 days", lambda: queries_forecast.scorecard(store, scope)),
            ("anomalies, 7 days", lambda: anomalies(store, scope)),
        ):
            ask()
            print(f"{name}: {1000 * timed(ask)[0]:.1f} ms")
        print(f"rows kept: {(Path(folder) / 'iops.db').stat().st_size / 1e6:.0f} MB in all with the log")
        store.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
