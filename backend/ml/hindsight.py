"""What has become known of earlier predictions: outcomes read off the log or off who is still asked about, and how far a cohort
was off the level expected of it."""

from __future__ import annotations

import numpy as np

from backend.ml.estimators import expit, logit

_OBSERVABLE = 0.995  # agreement with the given outcomes from which a source of outcomes is trusted ...
_IN_EACH_CLASS = 0.9  # ... which must hold among the rare ones too
_GAPS = 0.02  # share of entities missing in between from which a roster does not show who has left
_FARTHEST, _HALVINGS = 8.0, 20  # log-odds within which a level is sought, and how finely


def agrees(observed: np.ndarray, y: np.ndarray) -> bool:
    """Whether outcomes observed (0/1, NaN unknown) may stand for the given ones (0/1), in each class and overall."""
    both = ~np.isnan(observed)
    right = (observed == y)[both]
    classes = [right[y[both] == value] for value in (0, 1)]
    if any(len(of_class) == 0 for of_class in classes):
        return False
    return bool(right.mean() >= _OBSERVABLE and all(c.mean() >= _IN_EACH_CLASS for c in classes))


def roster_outcomes(entity: np.ndarray, cohort: np.ndarray, day: np.ndarray, horizon: int) -> np.ndarray:
    """1 for an entity that its cohort's last cut-off within the horizon no longer asks about, 0 for one asked about, per row.

    Rows are the questions of one target and horizon: who is asked about on a day is known on that day. NaN where the horizon holds
    no later cut-off, and from the day on which so many entities have been away and come back that absence means nothing.
    """
    out = np.full(len(day), np.nan)
    for name in np.unique(cohort):
        rows = np.flatnonzero(cohort == name)
        cutoffs, at = np.unique(day[rows], return_inverse=True)
        names, who = np.unique(entity[rows].astype(str), return_inverse=True)
        asked = np.zeros((len(names), len(cutoffs)), bool)
        asked[who, at] = True
        later = np.searchsorted(cutoffs, day[rows] + horizon, side="right") - 1
        known = (later > at) & _complete(asked)[later]
        out[rows[known]] = ~asked[who[known], later[known]]
    return out


def _complete(asked: np.ndarray) -> np.ndarray:
    """For each cut-off, whether hardly anybody asked about so far came back after being left out."""
    before = np.cumsum(asked, axis=1) - asked
    absent = np.zeros_like(asked)
    absent[:, 1:] = ~asked[:, :-1]
    returned = asked & (before > 0) & absent
    return np.cumsum(returned.sum(axis=0)) <= _GAPS * np.cumsum(asked.sum(axis=0))


def level_shift(p: np.ndarray, y: np.ndarray, day: np.ndarray, between: float, within: float) -> float:
    """How far, in log-odds, outcomes y lay above predictions p, drawn towards 0 as long as there is little to go by.

    `between`: standard deviation expected between cohorts. `within`: the same between the days of one, so that ever more entities
    on one day do not count as ever more evidence.
    """
    z, weight = logit(p), np.zeros(len(p))
    for cutoff in np.unique(day):
        own = day == cutoff
        weight[own] = 1 / (1 + within**2 * float((p[own] * (1 - p[own])).sum()))

    def slope(shift: float) -> float:
        return float((weight * (expit(z + shift) - y)).sum()) + shift / between**2

    low, high = -_FARTHEST, _FARTHEST  # the slope rises with the shift: halve until it is 0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return (low + high) / 2
