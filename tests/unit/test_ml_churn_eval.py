"""Churn predictions for recorded logs: format, skill on a synthetic course, and that nothing later than a cut-off is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backend.ml import scorecard
from backend.ml.churn_eval import cohorts, evaluate_targets, main
from backend.ml.cohort_log import CohortLog
from backend.ml.elog_eval import evaluate_elog, read_elog
from backend.ml.event_series import EventSeries
from backend.ml.in_time import predict_in_time
from backend.ml.log_features import log_features

KEY = ["target", "entity", "cutoff", "horizon"]
HORIZON = 14
CUTOFFS = {"A_1": range(40, 110, 14), "A_2": range(140, 210, 14)}
START = {"A_1": 0, "A_2": 100}


def course(seed: int = 0, students: int = 90) -> pd.DataFrame:
    """Two runs of a course in which some students fade out; days since 2024-01-01."""
    rng = np.random.default_rng(seed)
    rows = []
    for cohort, start in START.items():
        for number in range(students):
            entity = f"{cohort}_{number}"
            rows.append((start, entity, "register", 1.0))
            stop = rng.integers(20, 100) if rng.random() < 0.6 else 200
            rate = rng.uniform(0.15, 0.7)
            for day in range(120):
                fading = 0.3 if stop - 20 < day < stop else 1.0
                if day < stop and rng.random() < rate * fading:
                    rows.append((start + day, entity, "click:page", float(rng.integers(1, 9))))
            for due in (30, 60, 90):
                rows.append((start + due, entity, "due", 1.0))
                if due < stop and rng.random() < 0.8:
                    rows.append((start + due - 1, entity, "submit:essay", float(rng.integers(40, 100))))
    return pd.DataFrame(rows, columns=["day", "entity", "kind", "amount"])


def rows_to_predict(log: pd.DataFrame, cohort: str) -> pd.DataFrame:
    clicks = log[log["kind"] == "click:page"].groupby("entity")["day"].apply(np.array)
    out = []
    for cutoff in CUTOFFS[cohort]:
        for entity in sorted(e for e in log["entity"].unique() if e.startswith(cohort)):
            days = clicks.get(entity, np.zeros(0))
            if np.any((days > cutoff - 30) & (days <= cutoff)):
                y = int(not np.any((days > cutoff) & (days <= cutoff + HORIZON)))
                out.append(("silent", entity, cutoff, HORIZON, y))
    return pd.DataFrame(out, columns=["target", "entity", "cutoff", "horizon", "y"])


def dated(days: pd.Series) -> pd.Series:
    return (pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")).dt.strftime("%Y-%m-%d")


def write(folder: Path, log: pd.DataFrame) -> dict[str, str]:
    truth = {cohort: rows_to_predict(course(), cohort) for cohort in CUTOFFS}
    frames = {
        "events": log.assign(time=dated(log["day"]))[["time", "entity", "kind", "amount"]],
        "train": truth["A_1"].assign(cutoff=dated(truth["A_1"]["cutoff"])),
        "targets": truth["A_2"].drop(columns="y").assign(cutoff=dated(truth["A_2"]["cutoff"])),
    }
    paths = {}
    for name, frame in frames.items():
        paths[name] = str(folder / f"{name}.csv.gz")
        frame.to_csv(paths[name], index=False)
    return paths


@pytest.fixture(scope="module")
def predicted(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("whole")
    paths = write(folder, course())
    arguments = [f"--{name}={path}" for name, path in paths.items()]
    assert main([*arguments, f"--out={folder / 'p.csv'}"]) == 0
    return pd.read_csv(folder / "p.csv")


def test_every_row_asked_for_is_answered_in_order(predicted: pd.DataFrame) -> None:
    truth = rows_to_predict(course(), "A_2")
    assert list(predicted.columns) == ["target", "entity", "cutoff", "horizon", "p"]
    assert list(predicted["entity"]) == list(truth["entity"])
    assert list(predicted["cutoff"]) == list(dated(truth["cutoff"]))
    assert predicted["p"].between(0, 1).all()


def test_predictions_have_skill_on_another_run_of_the_course(predicted: pd.DataFrame) -> None:
    y = rows_to_predict(course(), "A_2")["y"].to_numpy(float)
    p = predicted["p"].to_numpy()
    assert scorecard.auc(y, p) > 0.75
    assert scorecard.brier_skill(y, p) > 0.1


@pytest.mark.parametrize("known_cutoffs", [1, 3])
def test_what_happens_after_a_cutoff_changes_nothing(
    predicted: pd.DataFrame, tmp_path: Path, known_cutoffs: int
) -> None:
    last = list(CUTOFFS["A_2"])[known_cutoffs - 1]
    log = course()
    known = log[(log["day"] <= last) | log["entity"].str.startswith("A_1")]
    paths = write(tmp_path, known)
    found = evaluate_targets(paths["events"], paths["train"], paths["targets"], str(tmp_path / "p.csv"))
    early = (found["cutoff"] <= dated(pd.Series([last]))[0]).to_numpy()
    assert early.sum() > 50
    assert np.allclose(found["p"][early], predicted["p"][early], atol=1e-5)


def leavers(cohort: str) -> pd.DataFrame:
    """A rare outcome at two horizons that the log does not show: who leaves ten days after the last click."""
    clicks = course()[course()["kind"] == "click:page"].groupby("entity")["day"].max()
    out = []
    for entity, last in clicks.items():
        if str(entity).startswith(cohort):
            left = last + 10 if last < START[cohort] + 45 else 1_000
            asked = [(cutoff, h) for cutoff in CUTOFFS[cohort] for h in (5, 14) if cutoff < left]
            out += [("leave", entity, c, h, int(left <= c + h)) for c, h in asked]
    return pd.DataFrame(out, columns=["target", "entity", "cutoff", "horizon", "y"])


def test_which_rows_are_asked_for_changes_no_prediction(tmp_path: Path) -> None:
    paths = write(tmp_path, course())
    for part, cohort in (("train", "A_1"), ("targets", "A_2")):
        rows = pd.concat([rows_to_predict(course(), cohort), leavers(cohort)])
        rows = rows.assign(cutoff=dated(rows["cutoff"]))
        rows.to_csv(paths[part], index=False)
    given = pd.read_csv(paths["train"])
    assert (
        given[given["target"] == "leave"].groupby("horizon")["y"].mean()[5] < 0.03
    )  # steadied by the longer
    asked = pd.read_csv(paths["targets"]).drop(columns="y")
    rng = np.random.default_rng(8)
    only = (asked["horizon"] == 5) | (asked["target"] == "silent") & (rng.random(len(asked)) < 0.2)
    lists = {"all": asked, "some": asked[only].sample(frac=1, random_state=1)}
    found = {}
    for name, rows in lists.items():
        rows.to_csv(paths["targets"], index=False)
        out = str(tmp_path / f"{name}.csv")
        found[name] = evaluate_targets(paths["events"], paths["train"], paths["targets"], out)
    both = found["some"].merge(found["all"], on=KEY, validate="one_to_one")
    assert len(both) == len(lists["some"])
    assert np.allclose(both["p_x"], both["p_y"], rtol=1e-9, atol=0)


@pytest.mark.parametrize(("base", "better"), [(0.5, True), (0.005, False)])
def test_on_days_that_are_given_a_common_outcome_is_left_to_the_trees(base: float, better: bool) -> None:
    """A feature whose size decides and not its sign: only trees see that, so that steadying by a straight line costs."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3000, 2)).astype(np.float32)
    odds = np.log(base / (1 - base)) + 2 * np.sign(np.abs(x[:, 0]) - 0.67)
    truth = (rng.random(len(x)) < 1 / (1 + np.exp(-odds))).astype(float)
    y = np.where(np.arange(len(x)) < 2000, truth, np.nan)
    day, unseen, asked = np.zeros(len(x), int), np.full(len(x), np.nan), np.isnan(y)
    same = predict_in_time(x, y, day, HORIZON, unseen, np.full(len(x), True))
    other = predict_in_time(x, y, day, HORIZON, unseen, np.full(len(x), False))
    assert np.isnan(same[~asked]).all()
    gain = np.mean((other[asked] - truth[asked]) ** 2) - np.mean((same[asked] - truth[asked]) ** 2)
    assert gain > 0.01 if better else gain == 0


def test_an_entity_without_events_is_answered_too(tmp_path: Path) -> None:
    paths = write(tmp_path, course())
    targets = pd.read_csv(paths["targets"])
    stranger = targets.iloc[[0]].assign(entity="A_2_unheard_of")
    pd.concat([targets, stranger]).to_csv(paths["targets"], index=False)
    found = evaluate_targets(paths["events"], paths["train"], paths["targets"], str(tmp_path / "p.csv"))
    assert len(found) == len(targets) + 1
    assert found["p"].between(0, 1).all()


def test_features_do_not_depend_on_later_events() -> None:
    log = course()
    log = log[log["entity"].str.startswith("A_1")]
    entities = np.unique(log["entity"].to_numpy(str)).astype(object)
    for day in (25, 61):
        whole = log_features(CohortLog(log, entities, ("click:page",)), day)
        past = log_features(CohortLog(log[log["day"] <= day], entities, ("click:page",)), day)
        assert set(whole) == set(past)
        for name, value in whole.items():
            assert np.allclose(value, past[name], equal_nan=True), name


def test_windows_of_a_series_agree_with_counting_one_by_one() -> None:
    rng = np.random.default_rng(6)
    row, day = rng.integers(0, 20, 300), rng.integers(0, 60, 300)
    amount = rng.normal(size=300)
    series = EventSeries(row, day, amount, 22)
    for at, window in ((0, 1), (17, 5), (40, 60), (80, 30)):
        for entity in range(22):
            inside = (row == entity) & (day <= at) & (day > at - window)
            assert series.count(at, window)[entity] == inside.sum()
            assert series.total(at, window)[entity] == pytest.approx(amount[inside].sum())
            past = np.sort(day[(row == entity) & (day <= at)])
            second_last = at - past[-2] if len(past) > 1 else np.nan
            assert series.since(at, 2)[entity] == pytest.approx(second_last, nan_ok=True)


def test_cohorts_come_from_the_identifier_only_where_it_groups() -> None:
    shared = pd.Series([f"AAA_2013J_{i}" for i in range(50)])
    assert set(cohorts(shared)) == {"AAA_2013J"}
    assert set(cohorts(pd.Series([f"c{i}_x" for i in range(50)]))) == {""}


def purchases(customers: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    rows = []
    for customer in range(customers):
        day, rate, leave = rng.uniform(0, 60), rng.gamma(1.0, 1 / 25), rng.uniform(0.02, 0.3)
        while day < 400:
            rows.append((f"{customer:04d}", int(day)))
            if rng.random() < leave:
                break
            day += rng.exponential(1 / rate)
    frame = pd.DataFrame(rows, columns=["cust", "day"])
    return frame.assign(date=dated(frame["day"]))


def test_a_bare_log_is_predicted_at_its_later_cutoffs(tmp_path: Path) -> None:
    bought = purchases()
    bought[["cust", "date"]].to_csv(tmp_path / "elog.csv", index=False)
    found = evaluate_elog(str(tmp_path / "elog.csv"), 30, str(tmp_path / "p.csv"))
    assert list(found.columns) == ["cust", "cutoff", "horizon", "p"]
    assert set(found["horizon"]) == {30}
    y = []
    for customer, cutoff in zip(found["cust"], found["cutoff"], strict=True):
        until = (pd.Timestamp(cutoff) + pd.Timedelta(days=30)).strftime("%Y-%m-%d")
        own = bought[bought["cust"] == customer]["date"]
        y.append(float(not ((own > cutoff) & (own <= until)).any()))
    assert found["cutoff"].nunique() >= 3
    assert scorecard.auc(np.array(y), found["p"].to_numpy()) > 0.75


@pytest.mark.parametrize(
    "text",
    [
        "cust,date\n1,2024-01-05\n2,2024-02-01\n",
        "1,20240105\n2,20240201\n",
        " id  date  n  dollars\n 1 20240105  1  9.50\n 2 20240201  2 20.00\n",
        "1 20240105 1 9.50\n2 20240201 2 20.00\n",
    ],
)
def test_purchase_logs_are_read_with_commas_or_blanks_and_with_or_without_header(
    text: str, tmp_path: Path
) -> None:
    (tmp_path / "log.txt").write_text(text)
    events = read_elog(str(tmp_path / "log.txt"))
    assert list(events["entity"]) == ["1", "2"]
    assert list(events["day"] - events["day"][0]) == [0, 27]


def test_a_log_too_short_to_check_anything_is_refused(tmp_path: Path) -> None:
    purchases(30).query("day < 80")[["cust", "date"]].to_csv(tmp_path / "elog.csv", index=False)
    with pytest.raises(ValueError, match="days"):
        evaluate_elog(str(tmp_path / "elog.csv"), 30, str(tmp_path / "p.csv"))
