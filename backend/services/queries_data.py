"""How fresh and complete the data is, and what was refused."""

from __future__ import annotations

from typing import Any

import msgspec

from backend.domain.events import EVENT_TYPES
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.ports import Reads
from backend.services.mending import grade
from backend.services.read_models import Freshness, Page, Point, RejectRow

NEWEST = 500  # arrivals that the present rate is taken from
MINUTES = 60


def freshness(reads: Reads, now_us: int) -> Freshness:
    """State of the pipeline at `now_us`: what came, what it cost, what waits."""
    meta, ends = reads.meta(), reads.pipeline()
    tallies: dict[str, int] = ends["tallies"]
    minutes = reads.arrivals(now_us - MINUTES * MINUTE, now_us)
    by_type, past = _by_type(reads, now_us, tallies)
    return Freshness(
        now_us=now_us,
        last_event_us=ends["last_event_us"],
        last_received_us=ends["last_received_us"],
        lag_ms_p50=_number(meta.get("lag_ms_p50")),
        lag_ms_p95=_number(meta.get("lag_ms_p95")),
        backlog=max(0, ends["last_seq"] - int(meta.get("cursor", 0))),
        swept_us=meta.get("swept_us"),
        events_per_s=_rate(reads, now_us),
        total_events=int(meta.get("events_total", ends["last_seq"])),
        simulated_events=int(meta.get("events_simulated", 0)),
        duplicates=tallies.get("duplicate", 0),
        rejects=sum(n for name, n in tallies.items() if name.startswith("reject:")),
        by_type=by_type,
        past_24h=past,
        throughput=_throughput(minutes, now_us),
        clock_jump=_clock_jump(meta, now_us),
    )


def _clock_jump(meta: dict[str, Any], now_us: int) -> dict[str, Any] | None:
    at_us, jump_us = meta.get("clock_jumped_us"), meta.get("clock_jump_us")
    if at_us is None or jump_us is None or abs(now_us - at_us) > DAY:
        return None
    return {"at_us": at_us, "seconds": round(jump_us / SECOND)}


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _rate(reads: Reads, now_us: int) -> float:
    """Arrivals a second over the last 10 seconds, or over the newest NEWEST arrivals where those are fewer seconds."""
    recent = [at for at in reads.newest_arrivals(NEWEST) if at > now_us - 10 * SECOND]
    if len(recent) < NEWEST:
        return len(recent) / 10
    return len(recent) / max((now_us - recent[-1]) / SECOND, 0.001)


def _throughput(minutes: dict[int, int], now_us: int) -> list[Point]:
    last = now_us - now_us % MINUTE
    return [
        Point(at, float(minutes.get(at, 0))) for at in range(last - (MINUTES - 1) * MINUTE, last + 1, MINUTE)
    ]


def _by_type(reads: Reads, now_us: int, tallies: dict[str, int]) -> tuple[list[dict[str, Any]], int]:
    """One row per type that ever came, or that belongs to the six core ones; and how many events of the past were brought in
    during the last day, which the rows leave out. Usual is the hourly mean of the last day, None while only one hour is known."""
    hour = {row[0]: row for row in reads.type_counts(now_us - HOUR, now_us)}
    day = {row[0]: row for row in reads.type_counts(now_us - DAY, now_us)}
    rows = []
    for kind in EVENT_TYPES:
        if kind not in day and not tallies.get(f"type:{kind}") and EVENT_TYPES.index(kind) >= 6:
            continue
        _, events_24h, late, last_us, _ = day.get(kind, (kind, 0, 0, None, 0))
        events_1h = hour[kind][1] if kind in hour else 0
        rows.append(
            {
                "event_type": kind,
                "events_1h": events_1h,
                "events_24h": events_24h,
                "last_us": last_us,
                "late_share": late / events_24h if events_24h else None,
                "duplicates": tallies.get(f"duplicate:{kind}", 0),
                "rejects": tallies.get(f"reject_type:{kind}", 0),
                "usual_1h": events_24h / 24 if events_24h > events_1h else None,
            }
        )
    return rows, sum(row[4] for row in day.values())


def rejects(reads: Reads, *, limit: int = 100, offset: int = 0) -> Page:
    """Refused items, newest first."""
    rows, total = reads.rejects(limit, offset)
    return Page(
        rows=[
            RejectRow(**row | {"errors": msgspec.json.decode(row["errors"]), "grade": grade(row["reason"])})
            for row in rows
        ],
        total=total,
    )
