"""Whether a log shows an outcome, and the probabilities to give where it does not and the level of a cohort is unknown."""

from __future__ import annotations

import numpy as np

from backend.ml.estimators import expit, logit

_OBSERVABLE = 0.995  # agreement with the given outcomes from which a source of outcomes is trusted ...
_IN_EACH_CLASS = 0.9  # ... which must hold among the rare ones too
_LEVELS = 0.8  # log-odds by which the levels of cohorts differ, as a standard deviation
_CARRIED = 0.7  # share of what sets the entities of one cohort apart that holds in another


def agrees(observed: np.ndarray, y: np.ndarray) -> bool:
    """Whether outcomes observed (0/1, NaN unknown) may stand for the given ones (0/1, NaN not given), in each class
    and overall."""
    both = ~np.isnan(observed) & ~np.isnan(y)
    right = (observed == y)[both]
    classes = [right[y[both] == value] for value in (0, 1)]
    if any(len(of_class) == 0 for of_class in classes):
        return False
    return bool(right.mean() >= _OBSERVABLE and all(c.mean() >= _IN_EACH_CLASS for c in classes))


def cautious(p: np.ndarray, base: float, cohorts: int) -> np.ndarray:
    """Probabilities to give where the level is not known; p and the base rate were learned from so many other cohorts.

    A level that is too high costs far more Brier skill than one as much too low, because skill is measured in units of the cohort's
    own level L. Expected skill is lost by E[(q - pL)^2 / L], least at q = p / E[1 / L]: for a log-normal L, p times
    exp(-variance / 2), where the variance is that between two cohorts, one of them a mean. The order of p stays as it is.
    """
    middle = logit(np.array(base))
    variance = _LEVELS**2 * (1 + 1 / cohorts)
    return expit(middle + _CARRIED * (logit(p) - middle) - variance / 2)
