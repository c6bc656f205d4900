"""Rules on predictions replayed from those that are kept: what the engine opened then, what other limits would have, from when on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.alerts import ENDED, LIVING, Alert
from backend.domain.limits import adjusted
from backend.domain.parsing import Parsed
from backend.domain.predictions import PROBABILITIES, Prediction, Scored
from backend.domain.rules import RULES
from backend.domain.times import DAY, HOUR
from backend.services.backtest import Backtest, backtest
from backend.services.backtest_words import basis
from backend.services.predicted import TARGETS, settle_predicted
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session

HOURS = 60
FIRST = NOW - HOURS * HOUR
PEOPLE = (*(("student", f"stu_{n}") for n in range(6)), ("tutor", "tut_1"))


def scored(rng: random.Random, entity: tuple[str, str], at_us: int) -> Scored:
    """Values that come and go; sometimes a target is not said."""
    values = {target: rng.random() for target in PROBABILITIES[entity[0]]}
    if entity[0] == "student":
        values["health_score"] = rng.uniform(25, 60)
    said = {
        name: Prediction(name, value, None, None, []) for name, value in values.items() if rng.random() < 0.95
    }
    return Scored(*entity, at_us, "student-1", False, "a test", said, [], {})


def _health(n: int, value: int, at_us: int) -> Parsed:
    said = {"student_id": f"stu_{n}", "health_score": value}
    return event(f"h{n}-{at_us}", "customer_health_update", at_us, said)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    """People who are scored once an hour as the engine does it; one calls often and one is low for a while, which is then measured."""
    opened = open_store(tmp_path_factory.mktemp("predicted"))
    opened.append(
        [session(f"s{n}", FIRST - DAY, student_id=f"stu_{n}", tutor_id="tut_1") for n in range(6)]
        + [call(f"c{n}", FIRST - n * HOUR, student_id="stu_0") for n in range(4)]
    )
    fold_all(opened, FIRST)
    rng = random.Random(11)
    for hour in range(HOURS):
        now_us = FIRST + hour * HOUR
        catch_up(opened, now_us)
        if hour % 12 == 0:
            opened.append([_health(n, 35 if n == 1 and hour == 36 else 95, now_us) for n in range(6)])
            fold_all(opened, now_us)
        for entity in PEOPLE:
            found = [scored(rng, entity, now_us)]
            settle_predicted(opened, found, now_us)
            opened.save_predictions(found, now_us)
    yield opened
    opened.close()


def real(store: SqliteStore, rule_id: str) -> list[Alert]:
    rows, _ = store.alert_list({}, status=(*LIVING, *ENDED), sort="oldest")
    return [alert for alert in rows if alert.rule_id == rule_id]


def replayed(store: SqliteStore, rule_id: str, **changes: float) -> Backtest:
    rule = RULES[rule_id]
    tried = adjusted(rule, {name.replace("_", "."): value for name, value in changes.items()})
    return backtest(store, [rule, tried], FIRST - HOUR, NOW)


@pytest.mark.parametrize("rule_id", TARGETS)
def test_a_replay_opens_what_the_engine_opened(store: SqliteStore, rule_id: str) -> None:
    was = real(store, rule_id)
    found = replayed(store, rule_id)
    one = found.outcomes[0]
    assert len(was) > 2 or rule_id == "predicted_burnout"
    assert (one.alerts, one.still_open) == (len(was), sum(alert.living for alert in was))
    assert one.entities == len({alert.entity_id for alert in was})
    rows = store.audit_rows([alert.alert_id for alert in was], NOW + DAY, 10_000)
    assert one.came_back == sum(row["action"] == "reopened" for row in rows)
    kind = RULES[rule_id].entity_type
    assert found.events == HOURS * sum(entity[0] == kind for entity in PEOPLE)


def test_other_limits_stand_beside_it_and_it_says_what_it_rests_on(store: SqliteStore) -> None:
    found = replayed(store, "predicted_churn", warning_opens=0.9)
    now, tried = found.outcomes
    assert 0 < tried.alerts < now.alerts
    assert (found.rests_on, found.since_us) == ("predictions", FIRST)
    said = basis(found, lambda us: "then" if us == FIRST else "?")
    assert said.endswith("about 6 students, of each hour the last one; there are none from before then")
    assert backtest(store, [now.rule], FIRST + HOUR, NOW).since_us is None


def test_without_predictions_nothing_is_found(tmp_path: Path) -> None:
    empty = open_store(tmp_path)
    empty.append([session("s", NOW - DAY)])
    fold_all(empty, NOW)
    found = backtest(empty, [RULES["predicted_churn"]], NOW - DAY, NOW)
    assert (found.events, found.watched, found.outcomes[0].alerts) == (0, 1, 0)
    empty.close()
