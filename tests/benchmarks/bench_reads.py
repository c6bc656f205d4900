"""Reading a large store: 1,000,000 events of 100,000 students. `python -m tests.benchmarks.bench_reads [--cache DIR]`.

The store is built once by the product's own parse, append and fold, kept in --cache, and built again after a day (its windows
end when it was built). Then every query of the pages, filters in a browser over it, and the memory of both processes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import parse
from backend.domain.times import DAY, SECOND
from backend.services import queries
from backend.services.read_models import Scope
from tests.benchmarks.figures import figure, share
from tests.benchmarks.marketplace import Marketplace
from tests.benchmarks.painted import FILTER_MS, chromium, drawn, filter_figures, sign_in
from tests.benchmarks.running import Process, engine, web

CHUNK = 6_000
ROUNDS, QUERY_SECONDS = 20, 8.0
PAGES = ("/", "/students", "/tutors", "/supply", "/calls", "/alerts", "/data")
TARGET_MB = 600
LEARNING_SECONDS = 300.0


class ChangingStore(SqliteStore):
    """A store that says that its data changed with every question, so that no kept answer is measured."""

    asked = 0

    def version(self) -> tuple[int, int]:
        self.asked += 1
        return self.asked, 0


def build(folder: Path, events: int, students: int) -> None:
    """A folded and judged store, unless the folder has one of this size that is younger than a day."""
    note = folder / "built.json"
    wanted = {"events": events, "students": students}
    if note.exists():
        made = json.loads(note.read_text())
        if {name: made[name] for name in wanted} == wanted and time.time() - made["at"] < 86_400:
            return
    for old in folder.glob("iops.db*"):
        old.unlink()
    began, now_us = time.time(), time.time_ns() // 1_000
    store = SqliteStore(folder / "iops.db", checkpoints=True)
    stream = Marketplace(events, students, max(1, students // 20), now_us).stream()
    # Grouped by student, so that each profile is written once or twice instead of ten times; the state is the same.
    posts = sorted(((_owner(item), msgspec.json.encode(item)) for item in stream), key=itemgetter(0))
    for start in range(0, len(posts), CHUNK):
        store.append([parse(msgspec.json.decode(body), now_us) for _, body in posts[start : start + CHUNK]])
        store.fold(CHUNK, now_us)
    now_us += 10 * SECOND
    while store.sweep(now_us) >= REFRESH_LIMIT:
        pass
    store.close()
    note.write_text(json.dumps(wanted | {"at": began}))
    figure("built by parse, append, fold and judgement", time.time() - began, "s")


def _owner(item: dict[str, Any]) -> str:
    payload = item["payload"]
    return payload.get("student_id") or payload.get("tutor_id") or payload["subject"]


def timed(ask: Callable[[], Any]) -> list[float]:
    """Milliseconds of up to ROUNDS calls within QUERY_SECONDS, after a first one that warms caches."""
    ask()
    found: list[float] = []
    end = time.perf_counter() + QUERY_SECONDS
    while len(found) < ROUNDS and time.perf_counter() < end:
        began = time.perf_counter()
        ask()
        found.append((time.perf_counter() - began) * 1_000)
    return found or [QUERY_SECONDS * 1_000]


def query_figures(store: SqliteStore) -> None:
    """p50 and p95 of what pages ask, on the current windows."""
    at = store.swept_us()
    month = Scope(at_us=at, start_us=at - 30 * DAY)
    day = Scope(at_us=at, start_us=at - DAY)
    west = Scope(at_us=at, start_us=at - DAY, subject="algebra", region="west")
    region = Scope(at_us=at, start_us=at - DAY, region="west")
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("students, by expected loss", lambda: queries.students(store, day)),
        ("students of a subject and region", lambda: queries.students(store, west)),
        ("students, found by a part of the id", lambda: queries.students(store, day, search="0777")),
        (
            "students, page 1,000 by health",
            lambda: queries.students(store, day, sort="health", offset=49_950),
        ),
        ("health histogram", lambda: queries.health_histogram(store, day)),
        ("health histogram of a subject and region", lambda: queries.health_histogram(store, west)),
        ("kpis, 24 h", lambda: queries.kpis(store, day)),
        (
            "kpis, 30 d, of a subject and region",
            lambda: queries.kpis(
                store, Scope(at_us=at, start_us=at - 30 * DAY, subject="algebra", region="west")
            ),
        ),
        ("kpis, 24 h, of a region", lambda: queries.kpis(store, region)),
        ("calls, 24 h", lambda: queries.calls(store, day)),
        ("calls, 24 h, of a region", lambda: queries.calls(store, region)),
        ("calls, 30 d", lambda: queries.calls(store, month)),
        ("market", lambda: queries.market(store, day)),
        ("queue", lambda: queries.queue(store, day)),
        ("queue of a region", lambda: queries.queue(store, region)),
        ("options of subjects", lambda: queries.options(store, day, "subject")),
        ("options of students with a text", lambda: queries.options(store, west, "student", "0777")),
        ("one student", lambda: queries.student(store, month, "stu_000777")),
        ("freshness", lambda: queries.freshness(store, at)),
    ]
    for name, ask in cases:
        times = timed(ask)
        figure(f"{name}: p50", share(times, 0.5), "ms")
        figure(f"{name}: p95", share(times, 0.95), "ms", at_most=FILTER_MS)


def product_figures(folder: Path) -> None:
    """Filters in a browser, and the memory of engine and dashboard after ROUNDS page loads."""
    with engine(folder) as api, web(folder, api.port) as pages, chromium() as browser:
        if browser is None:
            return
        _settle(folder)
        page = sign_in(browser, pages.port)
        try:
            filter_figures(page, pages.port, ROUNDS)
            for i in range(ROUNDS):
                page.goto(f"http://127.0.0.1:{pages.port}{PAGES[i % len(PAGES)]}")
                drawn(page)
        finally:  # the memory is of interest just as much when a page did not come
            _memory_figures(api, pages)


def _settle(folder: Path) -> None:
    """Wait until the forecasts have learned the past: what is measured is the product as it runs from day to day."""
    store, began = SqliteStore(folder / "iops.db"), time.monotonic()
    while store.forecast_head() is None and time.monotonic() - began < LEARNING_SECONDS:
        time.sleep(1.0)
    store.close()
    figure("waited for the forecasts to learn the past (at most 300)", time.monotonic() - began, "s")


def _memory_figures(api: Process, pages: Process) -> None:
    mine, theirs = api.memory_mb(), pages.memory_mb()
    figure("memory of the engine", mine, "MB")
    figure("memory of the dashboard (server and its worker)", theirs, "MB")
    figure("memory together", mine + theirs, "MB", at_most=TARGET_MB)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--students", type=int, default=100_000)
    args = parser.parse_args()
    print(f"reads: {args.events:,} events of {args.students:,} students")
    with tempfile.TemporaryDirectory() as work:
        folder = args.cache or Path(work)
        folder.mkdir(parents=True, exist_ok=True)
        build(folder, args.events, args.students)
        store = ChangingStore(folder / "iops.db", checkpoints=True)
        query_figures(store)
        store.close()
        product_figures(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
