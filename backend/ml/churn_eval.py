"""Churn predictions for a recorded log: trains on one part, predicts another in time order, writes a CSV of probabilities.

A prediction at a cut-off day uses the rows given with an outcome, and events up to and including that day: which rows are asked for
changes none. Where the log does not show the outcome, predictions beyond the given rows (another cohort, or later) are drawn towards
a cautious level.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from backend.ml.cohort_log import CohortLog, families
from backend.ml.elog_eval import evaluate_elog
from backend.ml.estimators import blend, expit, logit
from backend.ml.hindsight import agrees, cautious
from backend.ml.in_time import RARE, days_of, predict_in_time, write_predictions
from backend.ml.log_features import log_features

if TYPE_CHECKING:
    import pandas as pd

_COMMON_KIND = (
    0.01  # a kind of activity gets features of its own from this share of the training part's activity
)
_COLUMNS = ["target", "entity", "cutoff", "horizon"]


def evaluate_targets(events: str, train: str, targets: str, out: str) -> pd.DataFrame:
    """Write target, entity, cutoff, horizon, p for every row of `targets`, in its order. All paths: .csv or .csv.gz.

    `events`: time, entity, kind, amount. `train`: target, entity, cutoff, horizon, y. `targets`: the same without y.
    """
    import pandas as pd

    log = pd.read_csv(events, dtype={"entity": str, "kind": "category"})
    log["day"] = days_of(log["time"])
    given = pd.read_csv(train, dtype={"entity": str, "target": str})
    asked = pd.read_csv(targets, dtype={"entity": str, "target": str})[_COLUMNS]
    rows = pd.concat([given[[*_COLUMNS, "y"]], asked, _companions(given, asked)], ignore_index=True)
    rows["day"] = days_of(rows["cutoff"])
    known = pd.concat([log["entity"], given["entity"]])
    log["cohort"] = cohorts(log["entity"], known)
    rows["cohort"] = cohorts(rows["entity"], known)
    x, silent = _describe(log, rows, _common_kinds(log, given["entity"]))
    p = np.full(len(rows), np.nan)
    print(f"{len(log)} events read, {len(rows)} rows described by {x.shape[1]} features", flush=True)
    for (target, horizon), index in rows.groupby(["target", "horizon"]).indices.items():
        part = rows.iloc[index]
        y, day = part["y"].to_numpy(), part["day"].to_numpy()
        unseen = np.full(len(part), np.nan)
        p[index] = predict_in_time(x[index], y, day, int(horizon), unseen, _same_days(part))
        if not agrees(silent[index], y):
            last = part[part["y"].notna()].groupby("cohort")["day"].max()
            beyond = ~(day <= part["cohort"].map(last).to_numpy(float))
            p[index[beyond]] = cautious(p[index[beyond]], np.nanmean(y), len(last))
        print(f"{target} within {horizon} days: {np.isnan(y).sum()} rows predicted", flush=True)
    p = _steadied(rows, p)
    result = rows[_COLUMNS].assign(p=p)[len(given) : len(given) + len(asked)].reset_index(drop=True)
    write_predictions(result, out)
    return result


def _companions(given: pd.DataFrame, asked: pd.DataFrame) -> pd.DataFrame:
    """The asked rows of rare outcomes once more at the next longer horizon, which they are steadied by."""
    import pandas as pd

    found = [asked[:0]]
    for (target, horizon), longer in _longer_of_rare(given).items():
        own = (asked["target"] == target) & (asked["horizon"] == horizon)
        found.append(asked[own].assign(horizon=longer))
    return pd.concat(found).drop_duplicates()


def _longer_of_rare(given: pd.DataFrame) -> dict[tuple[str, int], int]:
    """(target, horizon) of each rare outcome -> the next longer horizon of its target."""
    rates = given.groupby(["target", "horizon"])["y"].mean()
    found = {}
    for target, horizon in rates.index[rates < RARE]:
        longer = [h for t, h in rates.index if t == target and h > horizon]
        if longer:
            found[target, horizon] = min(longer)
    return found


def _same_days(part: pd.DataFrame) -> np.ndarray:
    """Whether rows with an outcome are given for each row's cohort on its very day, hence what happened to that cohort then."""
    import pandas as pd

    places = pd.MultiIndex.from_frame(part[["cohort", "day"]])
    return places.isin(places[part["y"].notna()])


def _steadied(rows: pd.DataFrame, p: np.ndarray) -> np.ndarray:
    """Rare outcomes borrow order from the next longer horizon of their target, which has more cases to learn from.

    The log-odds of the two are averaged after moving the longer's by the difference of the base rates trained on.
    """
    out = p.copy()
    groups = rows.groupby(["target", "horizon"]).indices
    for (target, horizon), longer in _longer_of_rare(rows).items():
        index, other = groups[target, horizon], groups[target, longer]
        index, other = (at[~np.isnan(p[at])] for at in (index, other))
        rates = [rows["y"].iloc[groups[target, h]].mean() for h in (horizon, longer)]
        other = other[~_entity_days(rows, other).duplicated()]
        where = _entity_days(rows, other).get_indexer(_entity_days(rows, index))
        there = where >= 0
        shift = logit(np.array(rates[0])) - logit(np.array(rates[1]))
        moved = expit(logit(p[other[where[there]]]) + shift)
        out[index[there]] = blend([p[index[there]], moved])
    return out


def _entity_days(rows: pd.DataFrame, index: np.ndarray) -> pd.MultiIndex:
    """(entity, day) of the chosen rows."""
    import pandas as pd

    return pd.MultiIndex.from_frame(rows.iloc[index][["entity", "day"]])


def cohorts(entities: pd.Series, among: pd.Series | None = None) -> np.ndarray:
    """The group that shares a calendar: the identifier without its last `_part`; one group where that says nothing.

    Whether it does is judged by the entities `among` which these are.
    """
    import pandas as pd

    known = (entities if among is None else among).drop_duplicates()
    shared = known.str.rpartition("_")[0].nunique() <= max(1, len(known) / 20)
    if not shared:
        return np.full(len(entities), "", dtype=object)
    codes, different = pd.factorize(
        entities, use_na_sentinel=False
    )  # each name is cut once, not once an event
    return pd.Series(different, dtype=object).str.rpartition("_")[0].to_numpy()[codes]


def _describe(log: pd.DataFrame, rows: pd.DataFrame, kinds: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """(features, outcome the log shows) for every row; cohort by cohort, so that memory holds one cohort's log."""
    x, silent = np.zeros((len(rows), 0), np.float32), np.full(len(rows), np.nan)
    for cohort, index in rows.groupby("cohort").indices.items():
        part = rows.iloc[index]
        events = log[log["cohort"] == cohort]
        entities = np.union1d(events["entity"].to_numpy(str), part["entity"].to_numpy(str)).astype(object)
        cohort_log = CohortLog(events, entities, kinds)
        for cutoff, places in part.groupby("day").indices.items():
            features = log_features(cohort_log, int(cutoff))
            if not x.shape[1]:
                names = sorted(features)
                x = np.full((len(rows), len(names)), np.nan, np.float32)
            at = np.searchsorted(cohort_log.entities, part["entity"].to_numpy()[places])
            for j, name in enumerate(names):
                x[index[places], j] = features[name][at]
            horizons = part["horizon"].to_numpy()[places]
            for horizon in np.unique(horizons):
                chosen = horizons == horizon
                silent[index[places[chosen]]] = cohort_log.silent(int(cutoff), int(horizon))[at[chosen]]
    return x, silent


def _common_kinds(log: pd.DataFrame, train_entities: pd.Series) -> tuple[str, ...]:
    """Kinds of activity common in the part trained on (features of their own are learned from that part only)."""
    part = log[log["entity"].isin(set(train_entities))]
    kinds = part["kind"].astype(str)
    active = kinds[families(kinds) == "activity"]
    share = active.value_counts(normalize=True)
    return tuple(sorted(share.index[share >= _COMMON_KIND]))


def main(argv: Sequence[str] | None = None) -> int:
    """`--events E --train T --targets Q --out P`, or `--elog FILE --horizon 30 --out P`; 0 when the file is written."""
    parser = argparse.ArgumentParser(prog="churn-eval", description=main.__doc__)
    for name in ("events", "train", "targets", "elog"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--horizon", type=int, default=30)
    parser.add_argument("--out", required=True)
    args = parser.parse_args(argv)
    if args.elog:
        result = evaluate_elog(args.elog, args.horizon, args.out)
    elif args.events and args.train and args.targets:
        result = evaluate_targets(args.events, args.train, args.targets, args.out)
    else:
        parser.error("give --elog, or --events, --train and --targets")
    print(f"{len(result)} predictions written to {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
