"""A short range is not followed by a day of forecast."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from backend.domain.times import HOUR
from dashboard import forecast_panels

NOW = 1_000 * HOUR


@pytest.mark.parametrize(("hours", "ahead"), [(0.25, 1), (1, 1), (3, 3), (24, 24)])
def test_the_forecast_is_no_longer_than_a_short_range_and_at_least_an_hour(monkeypatch, hours, ahead):
    points = [SimpleNamespace(at_us=NOW + i * HOUR) for i in range(-3, 24)]
    monkeypatch.setattr(forecast_panels.queries_forecast, "place_asked", lambda scope: "all")
    monkeypatch.setattr(forecast_panels.queries_forecast, "band", lambda *asked: points)
    monkeypatch.setattr(forecast_panels, "anomalies", lambda *a, **k: SimpleNamespace(rows=[]))
    scope = SimpleNamespace(at_us=NOW, start_us=NOW - int(hours * HOUR), subject=None, region=None)
    store = SimpleNamespace(forecasts=lambda measure: [])
    found = forecast_panels.expected(store, SimpleNamespace(scope=scope), "calls", HOUR)
    assert sum(p.at_us >= NOW for p in found.band) == ahead
