"""Events into exact windows, in process: parse, append, fold, judge. `python -m tests.benchmarks.bench_aggregate [--events N]`.

First five weeks of history arrive in posts of 1,000, each folded before the next; then events of the present, with the rules
speaking. The limit of the same run is SQLite inserting the same rows, durable, into a bare table.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, SECOND
from backend.services.bodies import items_of
from backend.services.ingest import judge
from tests.benchmarks.figures import figure
from tests.benchmarks.marketplace import Marketplace

POST = 1_000
CHECKED = 200  # students whose windows are counted by hand
LIMIT_SQL = """CREATE TABLE rows (seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, event_type TEXT, occurred_us INTEGER,
  received_us INTEGER, source TEXT, student_id TEXT, tutor_id TEXT, subject TEXT, region TEXT, digest BLOB, body BLOB)"""


@dataclass
class Spent:
    """Seconds by stage, CPU (which a busy machine changes less; it includes making the posts), and how many events went through."""

    events: int = 0
    cpu: float = 0.0  # seconds of this process over all stages
    seconds: dict[str, float] = field(default_factory=lambda: {"parse": 0.0, "append": 0.0, "fold": 0.0})

    def take(self, stage: str, began: float) -> None:
        self.seconds[stage] += time.perf_counter() - began

    @property
    def rate(self) -> float:
        return self.events / sum(self.seconds.values())


def feed(
    store: SqliteStore, bodies: Iterator[bytes], now_us: int, *, step_us: int = 0
) -> tuple[Spent, list[Any]]:
    """Parse, append and fold one body after the other; the clock moves by `step_us` each. Also returns the parsed events."""
    spent, kept = Spent(), []
    cpu = time.process_time()
    for body in bodies:
        now_us += step_us
        began = time.perf_counter()
        entries = judge(items_of(body, "application/json"), now_us, "bench").entries
        spent.take("parse", began)
        began = time.perf_counter()
        store.append(entries)
        spent.take("append", began)
        began = time.perf_counter()
        while store.fold(POST, now_us):
            pass
        spent.take("fold", began)
        spent.events += len(entries)
        kept += entries
    spent.cpu = time.process_time() - cpu
    return spent, kept


def bodies_of(items: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    return (msgspec.json.encode(part) for part in batched_lists(items))


def batched_lists(items: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := [item for _, item in zip(range(POST), items, strict=False)]:
        yield part


def judge_all(store: SqliteStore, now_us: int) -> float:
    """Seconds until rules have judged everything once, as the engine's sweep does when history has stopped."""
    began = time.perf_counter()
    while store.is_behind(now_us) or store.sweep(now_us) >= REFRESH_LIMIT:
        store.sweep(now_us)
    return time.perf_counter() - began


def bare_inserts(folder: Path, entries: list[Any]) -> float:
    """Events a second of SQLite alone: the same rows, 1,000 to a durable commit."""
    connection = sqlite3.connect(folder / "limit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(LIMIT_SQL)
    began = time.perf_counter()
    for start in range(0, len(entries), POST):
        rows = [
            (e.event.event_id, e.event.event_type, e.event.occurred_us, e.event.received_us, e.event.source,
             e.event.student_id, e.event.tutor_id, e.event.subject, e.event.region, e.digest, e.body)
            for e in entries[start : start + POST]
        ]  # fmt: skip
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO rows VALUES (NULL{', ?' * 11})", rows)
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return len(entries) / took


def wrong_windows(store: SqliteStore, entries: list[Any], rng: random.Random) -> int:
    """How many of the windows of random students differ from a count of the log by hand."""
    moment = store.swept_us()
    students = sorted({e.event.student_id for e in entries if e.event.student_id})
    chosen = rng.sample(students, min(CHECKED, len(students)))
    wrong = 0
    for student in chosen:
        own = [e.event for e in entries if e.event.student_id == student]
        for days in (7, 14, 30):
            row = store.connection().execute(
                f"SELECT sessions_{days}d, ib_calls_{days}d FROM entities WHERE entity_type = 'student' AND entity_id = ?",
                (student,),
            ).fetchone()  # fmt: skip
            inside = [e.event_type for e in own if moment - days * DAY < e.occurred_us <= moment]
            wrong += row != (inside.count("session_completed"), inside.count("ib_call_logged"))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--students", type=int, default=5_000)
    args = parser.parse_args()
    now_us = time.time_ns() // 1_000
    history = Marketplace(args.events, args.students, args.students // 10, now_us)
    fresh = Marketplace(args.events // 10, args.students, args.students // 10, now_us, days=1, seed=2)
    print(f"aggregate: {args.events:,} events of {args.students:,} students over 35 days, posts of {POST:,}")
    with tempfile.TemporaryDirectory() as work:
        store = SqliteStore(Path(work) / "iops.db", checkpoints=True)
        spent, entries = feed(store, bodies_of(history.stream()), now_us)
        limit = bare_inserts(Path(work), entries)
        for stage, seconds in spent.seconds.items():
            figure(stage, spent.events / seconds, "events/s")
        figure("all together", spent.rate, "events/s", at_least=20_000)
        figure("all together, a CPU second", spent.events / spent.cpu, "events")
        figure("limit: bare SQLite inserts of the same rows", limit, "events/s")
        figure("all together / limit", spent.rate / limit, "x", at_least=0.3)
        now_us += 10 * SECOND
        figure("first judgement of every student, tutor and cell", judge_all(store, now_us), "s")
        held = "SELECT count(*) FROM entities WHERE entity_type IN ('student', 'tutor', 'cell')"
        alerted = "SELECT count(DISTINCT entity_type || entity_id) FROM alerts"
        (n,), (of,) = (store.connection().execute(sql).fetchone() for sql in (alerted, held))
        figure("entities with an alert", 100 * n / of, "%")
        live, more = feed(store, bodies_of(fresh.stream()), now_us, step_us=SECOND // 20)
        figure("present: fold with rules", live.events / live.seconds["fold"], "events/s")
        figure("present: all together", live.rate, "events/s", at_least=20_000)
        figure("present: all together, a CPU second", live.events / live.cpu, "events")
        wrong = wrong_windows(store, entries + more, random.Random(3))
        figure(f"wrong windows of {CHECKED} students", wrong, "", at_most=0)
        store.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
