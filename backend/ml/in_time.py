"""Predicting cut-off by cut-off, each from outcomes known by then; and the days and files that both kinds of log need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.ml.estimators import BoostedTrees, RidgeOnScores, blend

if TYPE_CHECKING:
    import pandas as pd

_REFIT_GROWTH = 1.2  # train anew once the rows with a known outcome have grown by this factor
_MOST_ROWS = 60_000  # a longer training table is thinned evenly to this many rows, for time
_FEW_POSITIVES = 1500  # below this the trees get fewer rounds
# Tree models of different seeds whose mean stands where trees alone predict: less is left to chance.
_FORESTS = 4
RARE = 0.03  # share of positives below which an outcome is rare


def predict_in_time(
    x: np.ndarray,
    y: np.ndarray,
    day: np.ndarray,
    horizon: int,
    observed: np.ndarray,
    same_days: np.ndarray | None = None,
) -> np.ndarray:
    """Probability of y = 1 for the rows without y, cut-off by cut-off; NaN for the others.

    `observed`: the outcome as it has shown at day + horizon, NaN where it has not; used for rows without y from that day on.
    `same_days`: rows whose cohort and day are among those trained on. There the trees need no steadying, unless cases are rare.
    """
    known = ~np.isnan(y)
    given = x[known]
    x = x[:, np.nanmax(given, axis=0, initial=-np.inf) > np.nanmin(given, axis=0, initial=np.inf)]
    p = np.full(len(y), np.nan)
    near = np.zeros(len(y), bool) if same_days is None or y[known].mean() < RARE else same_days & ~known
    if near.any():
        shown = _few_enough(x[known], y[known])
        p[near] = blend([BoostedTrees(seed=s).fit(*shown).predict(x[near]) for s in range(_FORESTS)])
    fitted, trained_on = None, 0
    for cutoff in np.unique(day[~known & ~near]):
        now = ~known & ~near & (day == cutoff)
        use = known | (~known & (day + horizon <= cutoff) & ~np.isnan(observed))
        if fitted is None or use.sum() >= trained_on * _REFIT_GROWTH:
            outcome = np.where(known, y, observed)[use]
            fitted, trained_on = _fit(x[use], outcome), int(use.sum())
        p[now] = blend([member.predict(x[now]) for member in fitted])
    return p


def _few_enough(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows to train on: all, or _MOST_ROWS of them taken evenly."""
    if len(y) <= _MOST_ROWS:
        return x, y
    kept = np.linspace(0, len(y) - 1, _MOST_ROWS).astype(int)
    return x[kept], y[kept]


def _fit(x: np.ndarray, y: np.ndarray) -> list[BoostedTrees | RidgeOnScores]:
    x, y = _few_enough(x, y)
    few = min(y.sum(), len(y) - y.sum()) < _FEW_POSITIVES
    # A weak penalty helps an outcome that hardly ever happens; a common one carries over better to new cohorts with a strong.
    strength = 0.003 if y.mean() < RARE else 0.0005 if few else 0.001
    trees = BoostedTrees(rounds=150 if few else 300)
    return [trees.fit(x, y), RidgeOnScores(strength).fit(x, y)]


def days_of(texts: pd.Series) -> np.ndarray:
    """Days since 1970-01-01 of dates or times written as ISO text or yyyymmdd."""
    import pandas as pd

    codes, different = pd.factorize(texts.astype(str))
    form = "%Y%m%d" if different[:1].str.fullmatch(r"\d{8}").all() else "ISO8601"
    times = pd.to_datetime(different, format=form, utc=True).tz_localize(None)
    return times.to_numpy().astype("datetime64[D]").astype(np.int64)[codes]


def write_predictions(result: pd.DataFrame, out: str) -> None:
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    result.to_csv(out, index=False, float_format="%.6g")
