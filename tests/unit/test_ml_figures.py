"""Figures, calibration, BG/NBD, drift and canary against values worked out by hand or by a library."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from backend.ml import drift, scorecard
from backend.ml.calibration import Calibration, choose_calibration, fit_isotonic, fit_platt
from backend.ml.estimators import BoostedTrees, RidgeOnScores, expit, logit
from backend.ml.promotion import canary
from backend.ml.repeat_buying import RepeatBuying, fit_repeat_buying


def sample(seed: int, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 4, rows), 2)  # rounded: many ties
    return (rng.random(rows) < p).astype(float), p


@pytest.mark.parametrize("seed", range(5))
def test_ranking_and_loss_figures_agree_with_scikit_learn(seed: int) -> None:
    y, p = sample(seed)
    found = scorecard.classification(y, p)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p))
    assert found["pr_auc"] == pytest.approx(metrics.average_precision_score(y, p))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(y, p))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, np.clip(p, 1e-6, 1 - 1e-6)))
    assert sum(found["confusion"].values()) == len(y)


def test_the_base_rate_has_no_skill_and_no_calibration_error() -> None:
    y = np.array([1.0, 0, 0, 0])
    p = np.full(4, 0.25)
    assert scorecard.brier_skill(y, p) == pytest.approx(0)
    assert scorecard.calibration_error(y, p) == pytest.approx(0)
    assert scorecard.calibration_error(y, p + 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_calibration_mends_overconfidence_and_keeps_the_order(kind: str) -> None:
    y, honest = sample(1, 6000)
    bold = expit(3 * logit(np.clip(honest, 0.01, 0.99)) + 1)
    fitted = {"platt": fit_platt, "isotonic": fit_isotonic}[kind](y[:3000], bold[:3000])
    mended = Calibration.from_json(fitted.to_json()).apply(bold[3000:])
    before = scorecard.calibration_error(y[3000:], bold[3000:])
    assert scorecard.calibration_error(y[3000:], mended) < before / 2
    order = np.argsort(bold[3000:])
    assert np.all(np.diff(mended[order]) >= -1e-12)


def test_a_calibration_is_chosen_only_where_it_helps() -> None:
    y, honest = sample(2, 4000)
    group = np.arange(len(y))
    assert choose_calibration(np.zeros(50), np.full(50, 0.1), np.arange(50)).kind == "none"
    assert choose_calibration(y, expit(logit(honest) * 3), group).kind != "none"


def test_repeat_buying_recovers_the_rates_it_was_simulated_with() -> None:
    rng = np.random.default_rng(3)
    truth = RepeatBuying(r=0.6, alpha=20.0, a=0.8, b=2.5)
    rows = []
    for _ in range(4000):
        rate, leaves = rng.gamma(truth.r, 1 / truth.alpha), rng.beta(truth.a, truth.b)
        time, x, tx, observed = 0.0, 0, 0.0, rng.uniform(100, 300)
        while True:
            time += rng.exponential(1 / rate)
            if time > observed:
                break
            x, tx = x + 1, time
            if rng.random() < leaves:
                break
        rows.append((x, tx, observed))
    x, tx, t = np.array(rows, float).T
    found = fit_repeat_buying(x, tx, t)
    assert found.r == pytest.approx(truth.r, rel=0.25)
    assert found.alpha == pytest.approx(truth.alpha, rel=0.35)
    assert found.a / (found.a + found.b) == pytest.approx(truth.a / (truth.a + truth.b), abs=0.07)


def test_a_customer_who_pauses_longer_than_usual_is_less_likely_alive() -> None:
    model = RepeatBuying(0.6, 20.0, 0.8, 2.5)
    x, t = np.full(3, 10.0), np.full(3, 200.0)
    alive = model.alive(x, np.array([195.0, 120.0, 60.0]), t)
    assert alive[0] > 0.8 > alive[1] > alive[2]
    idle = model.no_purchase(x, np.array([195.0, 120.0, 60.0]), t, 30)
    assert idle[0] < idle[1] < idle[2] <= 1


def test_estimators_survive_missing_values_and_json() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(800, 5))
    y = (x[:, 0] + rng.normal(size=800) > 0).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    trees = BoostedTrees(rounds=20, colsample_bytree=1.0, threads=1).fit(x, y)
    ridge = RidgeOnScores(0.1).fit(x, y)
    for member, kind in ((trees, BoostedTrees), (ridge, RidgeOnScores)):
        again = kind.from_json(member.to_json())
        assert np.allclose(member.predict(x), again.predict(x))
        assert scorecard.auc(y, member.predict(x)) > 0.7
    parts = trees.contributions(x)
    assert np.allclose(expit(parts.sum(axis=1)), trees.predict(x), atol=1e-5)


def test_drift_is_zero_for_the_same_rows_and_large_for_moved_ones() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3000, 2))
    known = drift.reference(("still", "moved"), x)
    later = rng.normal(size=(3000, 2))
    later[:, 1] += 1.5
    found = drift.drift(known, ("still", "moved"), later)
    assert list(found) == ["moved", "still"]
    assert found["moved"] > drift.LARGE > drift.MODERATE > found["still"]
    missing = x.copy()
    missing[:, 0] = np.nan
    assert drift.drift(known, ("still", "moved"), missing)["still"] > drift.LARGE


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_canary_takes_about_its_share_and_growing_it_only_adds(share: float) -> None:
    entities = [f"s{i}" for i in range(4000)]
    chosen = {e for e in entities if canary(e, share, "v2")}
    assert len(chosen) / len(entities) == pytest.approx(share, abs=0.03)
    assert chosen <= {e for e in entities if canary(e, min(1.0, share + 0.2), "v2")}


def test_drift_knows_chance_gaps_and_what_is_known_more_often() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(4000, 1))
    known = drift.reference(["a"], np.where(rng.random((4000, 1)) < 0.2, np.nan, x), {"a": 1.0})
    few = [drift.drift(known, ["a"], rng.normal(size=(45, 1)))["a"] for _ in range(40)]
    assert (
        np.mean(few) < 0.08
    )  # 45 rows differ by chance, and the fifth that is no longer missing is no drift
    gone = np.where(rng.random((400, 1)) < 0.7, np.nan, rng.normal(size=(400, 1)))
    assert drift.drift(known, ["a"], gone)["a"] > drift.LARGE
    assert drift.far_weight(known, {"a": 0.3}) == 1.0
    assert drift.far_weight(known, {"a": 0.2}) == 0.0
    counts = drift.reference(["n"], np.repeat([0.46, 0.52, 0.53, 1.2], 100)[:, None])
    assert drift.drift(counts, ["n"], np.repeat([0.45, 0.5, 0.55, 1.2], 100)[:, None])["n"] < drift.MODERATE


def test_the_share_found_among_the_first_tenth_counts_ties_in_part() -> None:
    y = np.array([1.0, 1.0, 0.0, 0.0] * 10)
    assert scorecard.found_in_top(y, y) == pytest.approx(4 / 20)
    assert scorecard.found_in_top(y, np.zeros(40)) == pytest.approx(0.1)
    assert np.isnan(scorecard.found_in_top(np.zeros(40), y))
