"""Churn predictions for a bare purchase or visit log: at each cut-off, the probability of no event in the next H days.

Cut-offs lie H days apart and end H days before the end of the log, so that each outcome can be checked. The first two thirds of
them only train; the others are predicted in time order, each from events up to it and from outcomes known by then.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import numpy as np

from backend.ml.cohort_log import CohortLog
from backend.ml.in_time import days_of, predict_in_time, write_predictions
from backend.ml.log_features import log_features
from backend.ml.repeat_buying import fit_repeat_buying

if TYPE_CHECKING:
    import pandas as pd

_WARM_UP = 60  # days of log before the first cut-off
_TRAIN_SHARE = 2 / 3  # of the cut-offs, the earlier ones


def evaluate_elog(elog: str, horizon: int, out: str) -> pd.DataFrame:
    """Write cust, cutoff, horizon, p for every customer seen by each later cut-off. Raises ValueError for too short a log."""
    import pandas as pd

    events = read_elog(elog)
    entities = np.unique(events["entity"].to_numpy(str)).astype(object)
    log = CohortLog(events, entities)
    first, last = int(events["day"].min()), int(events["day"].max())
    cutoffs = np.arange(last - horizon, first + _WARM_UP - 1, -horizon)[::-1]
    if len(cutoffs) < 2:
        raise ValueError(
            f"the log spans {last - first} days; {_WARM_UP + 2 * horizon} are needed for a horizon of {horizon}"
        )
    tables = [_table(log, int(cutoff), horizon) for cutoff in cutoffs]
    x = np.concatenate([t[1] for t in tables])
    rows = np.concatenate([t[0] for t in tables])
    day = np.repeat(cutoffs, [len(t[0]) for t in tables])
    outcome = np.concatenate([t[2] for t in tables])
    given = np.where(day < cutoffs[_first_asked(len(cutoffs))], outcome, np.nan)
    asked = np.isnan(given)
    p = predict_in_time(x, given, day, horizon, outcome)
    dates = pd.Series(day[asked].astype("datetime64[D]")).dt.strftime("%Y-%m-%d")
    result = pd.DataFrame(
        {"cust": entities[rows[asked]], "cutoff": dates.to_numpy(), "horizon": horizon, "p": p[asked]}
    )
    write_predictions(result, out)
    return result


def _first_asked(cutoffs: int) -> int:
    return max(1, round(cutoffs * _TRAIN_SHARE))


def _table(log: CohortLog, cutoff: int, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(rows of the customers seen by the cut-off, their features, whether they stay away for the horizon)."""
    seen = np.flatnonzero(log.days.count(cutoff) > 0)
    features = log_features(log, cutoff)
    x = log.days.count(cutoff)[seen] - 1.0
    t = log.days.since_first(cutoff)[seen]
    tx = t - log.days.since(cutoff)[seen]
    model = fit_repeat_buying(x, tx, t)
    # What is the same for everybody on a day says nothing of a customer, and of the calendar only what has passed.
    columns = [features[name][seen] for name in sorted(features) if not name.startswith("cohort_")]
    columns += [model.no_purchase(x, tx, t, horizon), model.alive(x, tx, t)]
    return seen, np.stack(columns, axis=1).astype(np.float32), log.silent(cutoff, horizon)[seen].astype(float)


def read_elog(path: str) -> pd.DataFrame:
    """Columns entity, day, kind, amount of a log whose columns are customer, date[, ...]: commas or blanks, header or none."""
    import pandas as pd

    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as lines:
        first = lines.readline()
    header = 0 if not any(ch.isdigit() for ch in first.replace(",", " ").split()[1]) else None
    frame = pd.read_csv(path, sep="," if "," in first else r"\s+", header=header, dtype=str)
    frame = frame.dropna(subset=[frame.columns[0], frame.columns[1]])
    events = pd.DataFrame(
        {"entity": frame.iloc[:, 0], "day": days_of(frame.iloc[:, 1]), "kind": "visit", "amount": 1.0}
    )
    return events
