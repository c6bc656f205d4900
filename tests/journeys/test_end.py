"""SIGTERM while the engine folds a long backlog: it ends by itself, without a crash, and nothing is lost or doubled."""

from __future__ import annotations

import signal
import time

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import parse
from tests.benchmarks.marketplace import Marketplace
from tests.builders import fold_all
from tests.journeys.test_kill import Engine

EVENTS = 20_000


@pytest.mark.slow
def test_the_engine_ends_in_the_middle_of_a_step(tmp_path):
    now_us = time.time_ns() // 1_000
    store = SqliteStore(tmp_path / "iops.db", checkpoints=True)
    entries = [parse(item, now_us) for item in Marketplace(EVENTS, 2_000, 200, now_us, days=20).stream()]
    for i in range(0, EVENTS, 5_000):
        store.append(entries[i : i + 5_000])
    store.close()
    engine = Engine(tmp_path)
    for _ in range(3):
        engine.start()
        assert engine.process is not None
        engine.process.terminate()
        assert engine.process.wait(60) == -signal.SIGTERM  # as uvicorn says that it ended on being told
    store = SqliteStore(tmp_path / "iops.db", checkpoints=True)
    assert store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
    moment = max(store.swept_us(), time.time_ns() // 1_000)
    fold_all(store, moment, size=10_000)
    query = "SELECT sum(events) FROM buckets WHERE entity_type = 'all'"
    assert store.connection().execute(query).fetchone() == (EVENTS,)
    assert store.meta()["events_total"] == EVENTS
    store.close()
