"""BG/NBD: the plain statistical model of repeat buying, as a baseline and as a feature.

While alive a customer buys at a rate of its own (gamma distributed over customers, shape r, rate alpha) and after each purchase
leaves with a probability of its own (beta distributed, a, b). Fader, Hardie and Lee, "Counting your customers the easy way",
Marketing Science 24 (2005) 275-284; formula numbers below are theirs. x: repeat purchases, tx: time of the last one, t: time
observed, both since the first purchase, in days.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RepeatBuying:
    r: float
    alpha: float  # days
    a: float
    b: float

    def alive(self, x: np.ndarray, tx: np.ndarray, t: np.ndarray) -> np.ndarray:
        """Probability that the customer has not left by t; 1 without a repeat purchase (the model lets nobody leave before)."""
        odds = np.log(self.a / (self.b + np.maximum(x, 1) - 1)) + (self.r + x) * np.log(
            (self.alpha + t) / (self.alpha + tx)
        )
        return np.where(x > 0, 1 / (1 + np.exp(np.minimum(odds, 500))), 1.0)

    def no_purchase(self, x: np.ndarray, tx: np.ndarray, t: np.ndarray, days: float) -> np.ndarray:
        """Probability of no purchase in the `days` after t: has left, or is alive and does not buy."""
        alive = self.alive(x, tx, t)
        idle = ((self.alpha + t) / (self.alpha + t + days)) ** (self.r + x)
        return 1 - alive + alive * idle


def fit_repeat_buying(x: np.ndarray, tx: np.ndarray, t: np.ndarray) -> RepeatBuying:
    """Maximum likelihood over customers (formula 6), each parameter positive; deterministic."""
    from scipy.optimize import minimize
    from scipy.special import betaln, gammaln

    x, tx, t = (np.asarray(v, float) for v in (x, tx, t))
    rows, counts = np.unique(np.stack([x, tx, t], axis=1), axis=0, return_counts=True)
    x, tx, t = rows.T

    def loss(logs: np.ndarray) -> float:
        r, alpha, a, b = np.exp(np.clip(logs, -12, 12))
        rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        stays = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + t)
        leaves = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + tx)
        likelihood = rate + np.logaddexp(stays, np.where(x > 0, leaves, -np.inf))
        return -float(counts @ likelihood) / counts.sum()

    scale = np.log(max(float(np.mean(t)), 1.0))
    best = minimize(loss, np.array([-0.5, scale, -0.5, 0.5]), method="Nelder-Mead", options={"maxiter": 2000})
    r, alpha, a, b = np.exp(np.clip(best.x, -12, 12))
    return RepeatBuying(float(r), float(alpha), float(a), float(b))
