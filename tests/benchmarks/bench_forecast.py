"""Forecaster on calls per five minutes: `python -m tests.benchmarks.bench_forecast --data DIR`.

DIR holds `bank_calls_first70.csv.gz` (also by IOPS_BENCH_DATA, where DIR is the folder above `calls`). Prints the one-step error and the
coverage of the 90 % band on the last 30 % of what is there, beside last week's value, and the error further ahead by hour.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import os
import time
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

from backend.domain.forecast import SeasonalNaive, Step, forecaster, scorecard

STEP_SECONDS = 300
TAIL = 0.3
Rows = list[tuple[datetime, float]]


def load(path: Path) -> Rows:
    """(time, calls) of each five minutes."""
    with gzip.open(path, "rt") as file:
        return [
            (datetime.fromisoformat(row["DateTime"]), float(row["Calls"])) for row in csv.DictReader(file)
        ]


def one_step(rows: Rows) -> None:
    """Predict, compare, learn; prints the scorecard of the tail and the cost."""
    ours, naive = forecaster(STEP_SECONDS), SeasonalNaive(STEP_SECONDS)
    bands, plain = [], []
    start = time.process_time()
    for moment, value in rows:
        bands.append(ours.predict(moment))
        ours.update(moment, value)
    cost = (time.process_time() - start) * 1e6 / len(rows)
    for moment, value in rows:
        plain.append(naive.predict(moment)[0])
        naive.update(moment, value)
    actual = [value for _, value in rows]
    for name, first, last in (("middle", 0.4, 0.7), ("last 30 %", 1 - TAIL, 1.0)):
        part = slice(int(first * len(rows)), int(last * len(rows)))
        card = scorecard(actual[part], bands[part], plain[part])
        print(
            f"one step, {name}: WAPE {card.wape:.4f} (goal 0.058), coverage {card.coverage:.3f} "
            f"(goal 0.88 to 0.92), last week's value {card.naive_wape:.4f}, {card.count:,} values"
        )
    part = slice(int((1 - TAIL) * len(rows)), len(rows))
    floor = sum(math.sqrt(2 * value / math.pi) for value in actual[part]) / sum(actual[part])
    print(f"for scale: a forecast that knew the true rate of a Poisson count would err by about {floor:.4f}")
    print(f"cost {cost:.0f} us CPU for a prediction and an update")


def hours_ahead(rows: Rows) -> None:
    """Sums to hours, forecasts a day ahead from each tail hour, prints error and coverage by horizon."""
    hours: dict[datetime, float] = defaultdict(float)
    for moment, value in rows:
        hours[moment.replace(minute=0)] += value
    series, ours = sorted(hours.items()), forecaster(3600)
    seen: dict[int, list[tuple[float, Step]]] = defaultdict(list)
    for place, (moment, value) in enumerate(series):
        ours.update(moment, value)
        if place >= (1 - TAIL) * len(series):
            steps = ours.predict_ahead(moment + timedelta(hours=1), 24)
            for ahead, step in enumerate(steps, start=1):
                actual = hours.get(moment + timedelta(hours=ahead))
                if actual is not None:
                    seen[ahead].append((actual, step))
    for ahead in (1, 3, 6, 12, 24):
        pairs = seen[ahead]
        if not pairs:
            continue
        wape = sum(abs(actual - step.mean) for actual, step in pairs) / sum(actual for actual, _ in pairs)
        wide = sum(step.low90 <= actual <= step.high90 for actual, step in pairs) / len(pairs)
        half = sum(step.low50 <= actual <= step.high50 for actual, step in pairs) / len(pairs)
        print(
            f"{ahead:2d} h ahead: WAPE {wape:.3f}, 50 % band {half:.2f}, 90 % band {wide:.2f}, {len(pairs)} values"
        )


def main() -> int:
    """Runs everything; 0 also when the data are absent, which is said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.path.join(os.environ.get("IOPS_BENCH_DATA", ""), "calls"))
    path = Path(parser.parse_args().data) / "bank_calls_first70.csv.gz"
    if not path.exists():
        print(f"no {path}: nothing measured (give --data DIR or IOPS_BENCH_DATA)")
        return 0
    rows = load(path)
    one_step(rows)
    hours_ahead(rows)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
