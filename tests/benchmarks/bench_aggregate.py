"""Events into exact windows: parse, append, fold, judge. `python -m tests.benchmarks.bench_aggregate [--events N] [--folding thread]`.

One thread reads posts of 1,000 and hands them to the engine's own writer thread, which stores them durably; they are folded in a
process beside it, as the engine does on two CPUs, or in a thread. The clock stops when the last one is folded. First five weeks of
history, then half as many events of the present, with the rules speaking and a process that has read nobody's state yet. The limit of the same run is SQLite inserting the same rows, durable, into a bare table.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, SECOND
from backend.runtime.log_writer import LogWriter
from backend.services.bodies import items_of
from backend.services.ingest import judge
from tests.benchmarks.figures import figure
from tests.benchmarks.marketplace import Marketplace

POST = 1_000
START_SECONDS = 3.0  # until the process that folds has begun
UNANSWERED = 10  # posts
CHECKED = 200  # students whose windows are counted by hand
LIMIT_SQL = """CREATE TABLE rows (seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, event_type TEXT, occurred_us INTEGER,
  received_us INTEGER, source TEXT, student_id TEXT, tutor_id TEXT, subject TEXT, region TEXT, digest BLOB, body BLOB)"""


@dataclass(frozen=True)
class Spent:
    """How long `events` took in all, and the CPU seconds of both threads."""

    events: int
    seconds: float
    reading: float
    writing: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def now() -> int:
    """Microseconds UTC."""
    return time.time_ns() // 1_000


def children() -> float:
    """CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def feed(
    store: SqliteStore, bodies: list[bytes], *, apart: bool
) -> tuple[Spent, list[tuple[str | None, str, int]]]:
    """Put bodies through the writer. Also returns (student, type, time) of each event."""
    writer = LogWriter(store, now, apart="ERROR" if apart else None)
    kept: list[tuple[str | None, str, int]] = []
    waiting: deque[Any] = deque()
    writer.start()
    if apart:
        time.sleep(START_SECONDS)  # the engine starts once a day
    theirs = children()
    began, cpu, own = time.perf_counter(), time.process_time(), time.thread_time()
    for body in bodies:
        entries = judge(items_of(body, "application/json"), now(), "bench").entries
        kept += [(e.event.student_id, e.event.event_type, e.event.occurred_us) for e in entries]
        while len(waiting) >= UNANSWERED:  # as a sender does: so many posts under way, no more
            waiting.popleft().result(60)
        waiting.append(writer.submit(entries))
    reading = time.thread_time() - own
    while writer.stats()["folded"] < len(kept):
        time.sleep(0.002)
    seconds = time.perf_counter() - began
    storing = time.process_time() - cpu - reading
    writer.stop(60)
    return Spent(len(kept), seconds, reading, storing + children() - theirs), kept


def report(name: str, spent: Spent) -> None:
    figure(f"{name}: all together", spent.rate, "events/s", at_least=20_000)
    figure(f"{name}: CPU of reading", 1e6 * spent.reading / spent.events, "us an event")
    figure(f"{name}: CPU of storing and folding", 1e6 * spent.writing / spent.events, "us an event")


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


def bare_inserts(folder: Path, bodies: list[bytes], now_us: int) -> float:
    """Events a second of SQLite alone: the same rows, 1,000 to a durable commit."""
    connection = sqlite3.connect(folder / "limit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(LIMIT_SQL)
    events, took = 0, 0.0
    for body in bodies:
        entries = judge(items_of(body, "application/json"), now_us, "bench").entries
        rows = [
            (
                e.event.event_id,
                e.event.event_type,
                e.event.occurred_us,
                e.event.received_us,
                e.event.source,
                e.event.student_id,
                e.event.tutor_id,
                e.event.subject,
                e.event.region,
                e.digest,
                e.body,
            )
            for e in entries
        ]
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO rows VALUES (NULL{', ?' * 11})", rows)
        connection.execute("COMMIT")
        took += time.perf_counter() - began
        events += len(entries)
    connection.close()
    return events / took


def wrong_windows(store: SqliteStore, events: list[tuple[str | None, str, int]], rng: random.Random) -> int:
    """How many of the windows of random students differ from a count of the log by hand."""
    moment = store.swept_us()
    students = sorted({student for student, _, _ in events if student})
    chosen = rng.sample(students, min(CHECKED, len(students)))
    wrong = 0
    for student in chosen:
        own = [(kind, at) for whose, kind, at in events if whose == student]
        for days in (7, 14, 30):
            row = (
                store.connection()
                .execute(
                    f"SELECT sessions_{days}d, ib_calls_{days}d FROM entities WHERE entity_type = 'student' AND entity_id = ?",
                    (student,),
                )
                .fetchone()
            )
            inside = [kind for kind, at in own if moment - days * DAY < at <= moment]
            wrong += row != (inside.count("session_completed"), inside.count("ib_call_logged"))
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--students", type=int, default=5_000)
    parser.add_argument("--folding", choices=("process", "thread"), default="process")
    args = parser.parse_args()
    apart, now_us = args.folding == "process", now()
    history = Marketplace(args.events, args.students, args.students // 10, now_us)
    fresh = Marketplace(args.events // 2, args.students, args.students // 10, now_us, days=1, seed=2)
    print(
        f"aggregate: {args.events:,} events of {args.students:,} students over 35 days, posts of {POST:,}, folded in a {args.folding}"
    )
    gc.freeze()  # as the engine does
    gc.set_threshold(50_000, 20, 100)
    with tempfile.TemporaryDirectory() as work:
        store = SqliteStore(Path(work) / "iops.db", checkpoints=True)
        bodies = list(bodies_of(history.stream()))
        spent, events = feed(store, bodies, apart=apart)
        report("history", spent)
        limit = bare_inserts(Path(work), bodies, now_us)
        figure("limit: bare SQLite inserts of the same rows", limit, "events/s")
        figure("history / limit", spent.rate / limit, "x", at_least=0.3)
        figure("first judgement of every student, tutor and cell", judge_all(store, now() + 10 * SECOND), "s")
        held = "SELECT count(*) FROM entities WHERE entity_type IN ('student', 'tutor', 'cell')"
        alerted = "SELECT count(DISTINCT entity_type || entity_id) FROM alerts"
        (n,), (of,) = (store.connection().execute(sql).fetchone() for sql in (alerted, held))
        figure("entities with an alert", 100 * n / of, "%")
        live, more = feed(store, list(bodies_of(fresh.stream())), apart=apart)
        report("present", live)
        wrong = wrong_windows(store, events + more, random.Random(3))
        figure(f"wrong windows of {CHECKED} students", wrong, "", at_most=0)
        store.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
