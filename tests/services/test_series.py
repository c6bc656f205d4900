"""Numeric series: every sample kept, scored by its past, the same across a restart."""

from __future__ import annotations

import math

import pytest

from backend.adapters.sqlite import series
from backend.domain.anomaly import THRESHOLD
from backend.domain.times import MINUTE
from tests.builders import NOW, event, fold_all, open_store

START = NOW - 3_000 * MINUTE


def sample(i: int, value: float, name: str = "cpu"):
    payload = {"source": "host-1", "name": name, "value": value, "unit": "%"}
    return event(f"{name}-{i}", "metric_reported", START + i * MINUTE, payload)


def wave(i: int) -> float:
    return 50 + 10 * math.sin(i / 30) + (i * 7919 % 13) / 13


def scores(store, name: str = "cpu") -> list[float | None]:
    query = "SELECT score FROM samples WHERE name = ? ORDER BY at_us"
    return [row[0] for row in store.connection().execute(query, (name,))]


def test_a_spike_scores_above_the_threshold_and_the_usual_below(tmp_path):
    store = open_store(tmp_path)
    store.append([sample(i, wave(i)) for i in range(900)] + [sample(900, 400.0)])
    fold_all(store, NOW)
    found = scores(store)
    assert len(found) == 901
    assert found[:19] == [None] * 19
    assert found[-1] > THRESHOLD
    assert max(found[700:900]) < THRESHOLD


@pytest.mark.parametrize("cut", [10, 19, 150, 399])
def test_a_restart_changes_no_score(tmp_path, monkeypatch, cut):
    monkeypatch.setattr(series, "SAVE_EVERY", 100)
    values = [sample(i, wave(i)) for i in range(400)]
    straight = open_store(tmp_path, "straight.db")
    straight.append(values)
    fold_all(straight, NOW)
    cut_off = open_store(tmp_path, "cut.db")
    cut_off.append(values[:cut])
    fold_all(cut_off, NOW, size=7)
    cut_off.close()
    again = open_store(tmp_path, "cut.db")
    again.append(values[cut:])
    fold_all(again, NOW, size=11)
    assert scores(again) == pytest.approx(scores(straight), nan_ok=True)


def test_a_late_sample_is_kept_without_a_score(tmp_path):
    store = open_store(tmp_path)
    store.append([sample(i, wave(i)) for i in range(30) if i != 10])
    fold_all(store, NOW)
    store.append([sample(10, 5.0)])
    fold_all(store, NOW)
    found = scores(store)
    assert len(found) == 30
    assert found[10] is None


def test_many_names_do_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(series, "IN_MEMORY", 2)
    store = open_store(tmp_path)
    store.append([sample(i, wave(i), f"m{n}") for n in range(4) for i in range(40)])
    fold_all(store, NOW)
    assert len(store.detectors._held) == 2
    store.append([sample(40 + i, wave(40 + i), f"m{n}") for n in range(4) for i in range(5)])
    fold_all(store, NOW)
    assert [sum(score is not None for score in scores(store, f"m{n}")) for n in range(4)] == [26] * 4
