"""Anomaly detector on the Numenta benchmark's files: `python -m tests.benchmarks.bench_anomaly --data DIR`.

DIR holds `data/<family>/<file>.csv` and `windows.json` (also by IOPS_BENCH_DATA, where DIR is the folder above `nab_dev`). Prints the
standard score at the shipped threshold, the same with the threshold chosen without the family it is applied to, false alarms and cost.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from pathlib import Path

from backend.domain.anomaly import LASTING, REFRACTORY, THRESHOLD, Detector, detector
from tests.benchmarks.nab_score import Series, Tally, load, tally

CANDIDATES = tuple(0.40 + 0.005 * step for step in range(50))


def shipped_alarms(series: Series) -> tuple[list[int], float]:
    """Records at or above the shipped threshold, and CPU microseconds for each record."""
    one, alarms = detector(), []
    start = time.process_time()
    for index, (moment, value) in enumerate(zip(series.times, series.values, strict=True)):
        if one.update(moment, value) >= THRESHOLD:
            alarms.append(index)
    return alarms, (time.process_time() - start) * 1e6 / len(series.times)


def raw_scores(series: Series) -> list[float]:
    """Scores as they are, without the quiet time after an alarm."""
    one = Detector(refractory=0)
    return [one.update(moment, value) for moment, value in zip(series.times, series.values, strict=True)]


def alarms_at(scores: list[float], threshold: float, free: int) -> list[int]:
    """Alarms of another threshold with the shipped quiet time, counted from the end of the free start."""
    alarms: list[int] = []
    lasting, quiet_until = 1.0 - (1.0 - threshold) ** LASTING, free - 1
    for index in range(free, len(scores)):
        quiet = index <= quiet_until
        if scores[index] >= (lasting if quiet else threshold):
            quiet_until = index + REFRACTORY
            if not quiet:
                alarms.append(index)
    return alarms


def sweep(files: list[Series]) -> dict[float, list[Tally]]:
    """For each candidate threshold the tally of each file."""
    scores = [raw_scores(series) for series in files]
    return {
        threshold: [
            tally(series, alarms_at(row, threshold, series.free))
            for series, row in zip(files, scores, strict=True)
        ]
        for threshold in CANDIDATES
    }


def held_out(files: list[Series], table: dict[float, list[Tally]], groups: list[str]) -> Tally:
    """Each group scored at the threshold that is best for all the others."""
    total = Tally()
    for group in sorted(set(groups)):
        others = [place for place, own in enumerate(groups) if own != group]
        best = max(table, key=lambda t: sum((table[t][place] for place in others), Tally()).score)
        total += sum((table[best][place] for place in range(len(files)) if groups[place] == group), Tally())
    return total


def line(name: str, total: Tally) -> str:
    """One printed row."""
    return (
        f"{name:<46} score {total.score:5.1f}   windows {total.found}/{total.windows}   "
        f"false alarms per 1,000: {total.outside_per_1000:.2f}"
    )


def main() -> int:
    """Runs everything; 0 also when the data are absent, which is said."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.path.join(os.environ.get("IOPS_BENCH_DATA", ""), "nab_dev"))
    folder = Path(parser.parse_args().data)
    if not (folder / "windows.json").exists():
        print(f"no benchmark data in {folder}: nothing measured (give --data DIR or IOPS_BENCH_DATA)")
        return 0
    files = load(folder)
    results = [shipped_alarms(series) for series in files]
    rows = [tally(series, alarms) for series, (alarms, _) in zip(files, results, strict=True)]
    print(line(f"shipped threshold {THRESHOLD}", sum(rows, Tally())) + "   (goal: score 75, 0.2)")
    for family in sorted({series.family for series in files}):
        own = sum((row for row, series in zip(rows, files, strict=True) if series.family == family), Tally())
        print(line(f"  {family}", own))
    table = sweep(files)
    print(line("threshold chosen without the family", held_out(files, table, [s.family for s in files])))
    print(line("threshold chosen without the file", held_out(files, table, [s.name for s in files])))
    quiet = [sum(tallies, Tally()) for tallies in table.values()]
    best = max((total for total in quiet if total.outside_per_1000 <= 0.2), key=lambda total: total.found)
    print(line("most windows at <= 0.2 false alarms", best) + "   (goal: 78 % of windows)")
    records = sum(len(series.times) for series in files)
    cost = (
        math.fsum(own * len(series.times) for series, (_, own) in zip(files, results, strict=True)) / records
    )
    print(f"cost {cost:.1f} us CPU per record over {records:,} records (goal 50)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
