"""Churn figures on recorded logs: `python -m tests.benchmarks.bench_churn --data DIR`, where DIR holds `oulad/` and `cdnow/`.

Every split is of rows that are disjoint in entity from those trained on, in the order of decreasing likeness to them: other
entities of the same course run (entity), other entities and later cut-offs (entity+time), the other course run (run).
Says so and ends with 0 when the folder is absent.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from backend.ml import scorecard
from backend.ml.churn_eval import cohorts, evaluate_targets
from backend.ml.elog_eval import evaluate_elog, read_elog
from backend.ml.training_table import share_of

KEY = ["target", "entity", "cutoff", "horizon"]


def splits(rows: pd.DataFrame) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, rows to train on, rows to predict)."""
    held = rows["entity"].map({e: share_of(e, "bench") < 0.3 for e in rows["entity"].unique()}).to_numpy()
    cohort = cohorts(rows["entity"])
    middle = rows.groupby(cohort)["cutoff"].transform(lambda c: sorted(c)[len(c) // 2])
    late = (rows["cutoff"] > middle).to_numpy()
    yield "entity", ~held, held
    yield "entity+time", ~held & ~late, held & late
    for name in np.unique(cohort):
        yield f"run {name}", cohort != name, cohort == name


def figures(label: str, y: np.ndarray, p: np.ndarray) -> None:
    """One line: ranking, skill, calibration, Brier score."""
    f = scorecard.classification(y, p)
    print(
        f"{label:36s} rows {f['rows']:7d}  AUC {f['auc']:.4f}  skill {f['brier_skill']:+.4f}  "
        f"ECE {f['ece']:.4f}  Brier {f['brier']:.4f}  base {f['base_rate']:.4f}",
        flush=True,
    )


def bench_targets(folder: Path, only: str) -> None:
    """Held-out figures of the labelled targets, by target and horizon."""
    rows = pd.read_csv(folder / "targets_train.csv.gz")
    for name, train, test in splits(rows):
        if only and only not in name:
            continue
        with tempfile.TemporaryDirectory() as work:
            paths = [f"{work}/{part}.csv" for part in ("train", "targets", "out")]
            rows[train].to_csv(paths[0], index=False)
            rows[test][KEY].to_csv(paths[1], index=False)
            began = time.perf_counter()
            found = evaluate_targets(str(folder / "events.csv.gz"), *paths)
        took = time.perf_counter() - began
        y = rows[test]["y"].to_numpy(float)
        for (target, horizon), index in found.groupby(["target", "horizon"]).indices.items():
            figures(f"{name}: {target} {horizon} d", y[index], found["p"].to_numpy()[index])
        print(f"{name}: {len(found)} predictions in {took:.0f} s")


def bench_elog(path: Path) -> None:
    """Held-out figures of the later cut-offs of a purchase log."""
    with tempfile.TemporaryDirectory() as work:
        began = time.perf_counter()
        found = evaluate_elog(str(path), 30, f"{work}/out.csv")
    took = time.perf_counter() - began
    events = read_elog(str(path))
    outcomes = []
    for cutoff, part in found.groupby("cutoff", sort=False):
        day = int(np.datetime64(str(cutoff), "D").astype(int))
        back = set(events.loc[(events["day"] > day) & (events["day"] <= day + 30), "entity"])
        y = np.array([float(customer not in back) for customer in part["cust"]])
        figures(f"cdnow {cutoff}", y, part["p"].to_numpy())
        outcomes.append(y)
    figures("cdnow, all later cut-offs", np.concatenate(outcomes), found["p"].to_numpy())
    print(f"cdnow: {len(found)} predictions in {took:.0f} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"))
    parser.add_argument("--only", default="", help="part of the name of a split, or cdnow")
    args = parser.parse_args()
    if not (args.data / "oulad").is_dir():
        print(f"no recorded logs in {args.data}: give --data DIR")
        return 0
    if args.only != "cdnow":
        bench_targets(args.data / "oulad", args.only)
    if args.only in ("", "cdnow"):
        bench_elog(args.data / "cdnow" / "CDNOW_master.txt.gz")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
