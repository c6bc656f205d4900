"""Answers about forecasts and anomalies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain import episodes
from backend.domain.outlook import MEASURES, NEEDED_HOURS, Outlook, parts_of
from backend.domain.times import HOUR, iso
from backend.runtime.api_context import Api, Call, bad
from backend.runtime.api_read import plain, reply
from backend.runtime.replies import Reply
from backend.services import learned, queries_forecast
from backend.services.anomalies import anomalies
from backend.services.queries_forecast import Score

MOST_SERIES = 1_000


def forecasts(api: Api, call: Call) -> Reply:
    """The newest forecasts; one with too little history has no hours and says what it needs."""
    scope, measure = call.scope(), call.choice("metric", MEASURES, "calls") or "calls"
    found = queries_forecast.outlooks(api.store, scope, measure)[:MOST_SERIES]
    short = queries_forecast.shortages(api.store, scope) if measure == "gap" else {}
    items = [
        _item(api.store, outlook) | ({"shortage": _shortage(short, outlook)} if short else {})
        for outlook in found
    ]
    learning = {"note": learned.words(api.store)} if api.store.forecast_head() is None else {}
    return reply({"metric": measure, "items": items, "needed_days": NEEDED_HOURS / 24, **learning})


def _item(store: Any, outlook: Outlook) -> dict[str, Any]:
    subject, region = parts_of(outlook.place)
    first = outlook.through_us + HOUR
    hours = [{"at": iso(first + n * HOUR), **step._asdict()} for n, step in enumerate(outlook.steps)]
    item: dict[str, Any] = {
        "subject": subject,
        "region": region,
        "unit": outlook.unit,
        "made_at": iso(outlook.made_us),
        "history_days": round(outlook.hours_known / 24, 1),
        "hours": hours,
        "hours_by_last_week": outlook.last_week,
    }
    if not hours:
        item["note"] = queries_forecast.history_words(store, outlook)
    return item


def _shortage(short: dict[str, queries_forecast.Shortage], outlook: Outlook) -> dict[str, Any] | None:
    found = short.get(outlook.place)
    return None if found is None else plain(found)


def scorecard(api: Api, call: Call) -> Reply:
    """How good forecasts were, those published in time and those of the replay apart."""
    rows = queries_forecast.scorecard(api.store, call.scope(), days=_days(call))
    items = [
        plain(row) | {"published": _score(row.published), "replayed": _score(row.replayed)} for row in rows
    ]
    return reply({"items": items, "days": _days(call)})


def _score(score: Score) -> dict[str, Any]:
    return msgspec.to_builtins(score) | {"better_than_naive": score.better_than_naive}


def _days(call: Call) -> int:
    text = call.text("days", str(queries_forecast.SCORED_DAYS)) or ""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= 30:
        raise bad("days", "must be a whole number from 1 to 30")
    return int(text)


def list_anomalies(api: Api, call: Call) -> Reply:
    """Episodes in the range, newest first."""
    found = anomalies(
        api.store, call.scope(), measure=call.choice("metric", episodes.MEASURES), limit=call.limit()
    )
    document = plain(found)
    return reply({"items": document.pop("rows"), **document})


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "forecasts": forecasts,
    "forecast_scorecard": scorecard,
    "anomalies": list_anomalies,
}
