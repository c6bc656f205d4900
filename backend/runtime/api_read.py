"""Answers of the read side: each handler reads the query, asks one service, and shapes the page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain.errors import InvalidEvent, NotFound, Violation
from backend.domain.times import DAY, iso
from backend.http_api import ALERT_STATES, INSIGHT_KINDS, SERIES
from backend.runtime.api_context import Api, Call, bad
from backend.runtime.replies import Reply
from backend.services import insights, places, queries, scoring
from backend.services.read_models import EntityDetail, Health, Scope, StudentRow, TutorRow

_decode = msgspec.json.decode
_POINTS = frozenset(
    ("series", "throughput", "volume", "sessions", "calls", "ratings")
)  # fields of read_models.Point
_COUNTS = tuple(f"{kind}_{days}d" for kind in ("sessions", "ib_calls") for days in (7, 14, 30))


def reply(document: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(document))


def health(api: Api, call: Call) -> Reply:
    return reply({"status": "ok"}) if api.ready() else reply({"status": "unavailable"}, 503)


def list_entities(api: Api, call: Call) -> Reply:
    kind, scope, limit = call.path["type"], call.scope(), call.limit()
    offset = _offset(api, call)
    if kind in places.KINDS:
        items, total = places.places(api.store, scope, kind, limit=limit, offset=offset)
        return _page(api, call, items, total, offset + limit, scope)
    descending = call.choice("order", ("asc", "desc"), "desc") == "desc"
    search, segment = call.text("search"), call.text("segment")
    if kind == "student":
        sort = call.text("sort", "expected_loss") or ""
        found = queries.students(
            api.store,
            scope,
            sort=sort,
            descending=descending,
            limit=limit,
            offset=offset,
            segment=segment,
            search=search,
        )
    elif kind == "tutor":
        sort = call.text("sort", "utilisation") or ""
        found = queries.tutors(
            api.store, scope, sort=sort, descending=descending, limit=limit, offset=offset, search=search
        )
    else:
        raise NotFound("entities are student, tutor, subject or region")
    return _page(
        api, call, [_row(kind, row, scope) for row in found.rows], found.total, offset + limit, scope
    )


def get_entity(api: Api, call: Call) -> Reply:
    kind, name, scope = call.path["type"], call.path["id"], call.scope()
    if kind in places.KINDS:
        return reply(places.place(api.store, scope, kind, name))
    if kind not in ("student", "tutor"):
        raise NotFound("entities are student, tutor, subject or region")
    find = queries.student if kind == "student" else queries.tutor
    return reply(_detail(find(api.store, scope, name), scope))


def timeseries(api: Api, call: Call) -> Reply:
    metric, scope = call.path["metric"], call.scope()
    if metric not in SERIES:
        raise NotFound(f"there is no series of that name; one of: {', '.join(SERIES)}")
    if metric == "health":
        return _health_series(api, call, scope)
    points = [_point(msgspec.to_builtins(p)) for p in queries.timeseries(api.store, scope, metric)]
    return reply({"metric": metric, "step_s": scope.step_us // 1_000_000, "points": points, **_asked(scope)})


def _health_series(api: Api, call: Call, scope: Scope) -> Reply:
    if scope.student is None:
        message = "health over time is kept for one student at a time; give student=ID"
        raise InvalidEvent([Violation("query.student", "required", message)])
    found, step_us = queries.health_series(api.store, scope, scope.student)
    points = [_point(msgspec.to_builtins(point)) for point in found]
    return reply({"metric": "health", "step_s": step_us // 1_000_000, "points": points, **_asked(scope)})


def calls(api: Api, call: Call) -> Reply:
    scope = call.scope()
    return reply(plain(queries.calls(api.store, scope)) | _asked(scope))


def market(api: Api, call: Call) -> Reply:
    scope = call.scope()
    waits = [plain(row) for row in queries.waits(api.store, scope)]
    cells = [plain(cell) for cell in queries.market(api.store, scope)]
    return reply({"items": cells, "waits": waits, **_asked(scope)})


def kpis(api: Api, call: Call) -> Reply:
    scope = call.scope()
    return reply({"items": [plain(kpi) for kpi in queries.kpis(api.store, scope)], **_asked(scope)})


def freshness(api: Api, call: Call) -> Reply:
    return reply(plain(queries.freshness(api.store, call.now_us)))


def rejects(api: Api, call: Call) -> Reply:
    limit, offset = call.limit(), _offset(api, call)
    found = queries.rejects(api.store, limit=limit, offset=offset)
    return _page(api, call, [plain(row) for row in found.rows], found.total, offset + limit)


def search(api: Api, call: Call) -> Reply:
    text = call.text("q")
    if text is None:
        raise bad("q", "must say what to look for")
    return reply({"items": queries.search(api.store, text, limit=min(call.limit(), 100))})


def list_alerts(api: Api, call: Call) -> Reply:
    scope, limit, offset = call.scope(), call.limit(), _offset(api, call)
    states = tuple(part.strip() for part in (call.text("status") or "open,acknowledged").split(","))
    if not set(states) <= {*ALERT_STATES, "all"}:
        raise bad("status", f"must be some of: {', '.join(ALERT_STATES)}, or all")
    asked: dict[str, Any] = {
        "status": ALERT_STATES if "all" in states else states,
        "severity": call.choice("severity", ("critical", "warning", "info")),
        "alert_type": call.text("alert_type"),
        "entity": call.text("entity"),
        "search": call.text("search"),
        "limit": limit,
        "offset": offset,
    }
    if call.choice("group", ("entity",)):
        groups = queries.alert_groups(api.store, scope, **asked)
        return _page(api, call, [plain(row) for row in groups.rows], groups.total, offset + limit, scope)
    found = queries.alerts(api.store, scope, **asked)
    return _page(api, call, [plain(row) for row in found.rows], found.total, offset + limit, scope)


def alert_counts(api: Api, call: Call) -> Reply:
    return reply(queries.alert_counts(api.store, call.scope()))


def get_alert(api: Api, call: Call) -> Reply:
    found = queries.alert(api.store, call.scope(), call.path["id"])
    body = msgspec.json.encode(plain(found))
    return Reply(200, body, headers=((b"etag", b'"%d"' % found.alert.version),))


def list_insights(api: Api, call: Call) -> Reply:
    limit = call.limit()
    offset = call.after(api) or call.after(api, "nextToken") or 0
    found = insights.items(api.store, call.moment("since") or 0)
    kind = call.choice("entity_type", ("student", "tutor", "cell"))
    found = [item for item in found if kind is None or item.entity_type == kind]
    if (floor := call.percent("min_risk")) is not None:
        found = [item for item, _ in insights.at_risk(api.store, found, floor)]
    document: dict[str, Any] = {"items": insights.documents(api.store, found[offset : offset + limit])}
    if offset + limit < len(found):
        document["nextToken"] = call.cursor(api, offset + limit)
    if call.flag("aggregations"):
        document["aggregations"] = insights.aggregations(api.store, found, call.now_us, _resting(api))
    return reply(document)


def high_risk_insights(api: Api, call: Call) -> Reply:
    limit, offset = call.limit(), _offset(api, call)
    floor = call.percent("threshold")
    found = insights.items(api.store, call.moment("since") or 0)
    ranked = insights.at_risk(api.store, found, 70.0 if floor is None else floor)
    page = [item for item, _ in sorted(ranked, key=lambda pair: -pair[1])]
    return _page(
        api, call, insights.documents(api.store, page[offset : offset + limit]), len(page), offset + limit
    )


def find_insights(api: Api, call: Call) -> Reply:
    limit, offset = call.limit(), _offset(api, call)
    kind, severity = (
        call.choice("kind", INSIGHT_KINDS),
        call.choice("severity", ("critical", "warning", "info")),
    )
    floor = call.percent("min_risk")
    found = api.store.insights_like(kind, severity, floor, offset + limit + 1)[offset:]
    document: dict[str, Any] = {"items": [insights.document(insight, None) for insight in found[:limit]]}
    if len(found) > limit:
        document["next_cursor"] = call.cursor(api, offset + limit)
    return reply(document)


def insight_aggregations(api: Api, call: Call) -> Reply:
    found = insights.items(api.store, call.moment("since") or 0)
    return reply(insights.aggregations(api.store, found, call.now_us, _resting(api)))


def get_insight(api: Api, call: Call) -> Reply:
    return reply(insights.document(*insights.find(api.store, call.path["id"])))


def _resting(api: Api) -> bool:
    """Whether the language model rests after failures."""
    return bool(api.figures().get("llm_breaker_open"))


def list_events(api: Api, call: Call) -> Reply:
    limit = call.limit()
    wanted = ("event_type", "student", "tutor")
    filters = {name: value for name in wanted if (value := call.text(name)) is not None}
    rows = api.store.event_rows(filters, call.after(api), limit)
    items = [
        {
            "seq": seq,
            "event_id": event_id,
            "event_type": event_type,
            "occurred_at": iso(occurred_us),
            "received_at": iso(received_us),
            "source": source,
            "sender_address": peer,
            "request_id": request_id,
            "payload": _decode(body),
        }
        for seq, event_id, event_type, occurred_us, received_us, source, peer, request_id, body in rows
    ]
    document: dict[str, Any] = {"items": items}
    if len(rows) == limit:
        document["cursor"] = call.cursor(api, rows[-1][0])
    return reply(document)


def list_metrics(api: Api, call: Call) -> Reply:
    limit = call.limit()
    start, end = call.moment("from"), call.moment("to")
    after = call.after(api)
    rows = api.store.sample_rows(
        call.text("source"),
        call.text("name"),
        start if start is not None else call.now_us - DAY,
        end if end is not None else call.now_us + DAY,
        after and tuple(after),
        limit,
    )
    items = [
        {
            "source": source,
            "name": name,
            "time": iso(at_us),
            "value": value,
            "unit": unit,
            "anomaly_score": score,
        }
        for source, name, at_us, _, value, unit, score in rows
    ]
    document: dict[str, Any] = {"items": items}
    if len(rows) == limit:
        document["cursor"] = call.cursor(api, rows[-1][:4])
    return reply(document)


def prometheus(api: Api, call: Call) -> Reply:
    """The engine's figures. Names come from code, so labels cannot explode."""
    fresh = queries.freshness(api.store, call.now_us)
    figures = {
        **api.figures(),
        "events_total": fresh.total_events,
        "duplicates_total": fresh.duplicates,
        "rejects_total": fresh.rejects,
        "backlog_events": fresh.backlog,
        "lag_p95_seconds": None if fresh.lag_ms_p95 is None else fresh.lag_ms_p95 / 1000,
        "sweep_age_seconds": None if fresh.swept_us is None else (call.now_us - fresh.swept_us) / 1e6,
    }
    lines = []
    for name, value in figures.items():
        if value is not None:
            kind = "counter" if name.endswith("_total") else "gauge"
            lines.append(
                f"# TYPE iops_{name} {kind}\niops_{name} {value:g}\n"
                if isinstance(value, float)
                else f"# TYPE iops_{name} {kind}\niops_{name} {value}\n"
            )
    return Reply(200, "".join(lines).encode(), b"text/plain; version=0.0.4; charset=utf-8")


def plain(value: Any) -> Any:
    """A read model as JSON values, with every time (`..._us`) in ISO 8601 as `..._at`."""
    return _timed(msgspec.to_builtins(value))


def _timed(value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        if name in _POINTS:
            return [_point(item) for item in value]
        return [_timed(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        (name[:-3] + "_at" if name.endswith("_us") else name): (
            iso(item) if name.endswith("_us") and isinstance(item, int) else _timed(item, name)
        )
        for name, item in value.items()
    }


def _point(values: list[Any]) -> dict[str, Any]:
    at_us, *rest = values
    return {"at": iso(at_us), **dict(zip(("value", "usual", "low", "high"), rest, strict=False))}


def _offset(api: Api, call: Call) -> int:
    return call.after(api) or 0


def _asked(scope: Scope) -> dict[str, Any]:
    filters = {
        name: getattr(scope, name)
        for name in ("student", "tutor", "subject", "region")
        if getattr(scope, name)
    }
    return {"as_of": iso(scope.at_us), "from": iso(scope.start_us), "filters": filters}


def _page(
    api: Api, call: Call, items: list[Any], total: int, next_offset: int, scope: Scope | None = None
) -> Reply:
    document: dict[str, Any] = {"items": items, "total": total}
    if next_offset < total and items:
        document["cursor"] = call.cursor(api, next_offset)
    if scope is not None:
        document |= _asked(scope)
    return reply(document)


def _row(kind: str, row: StudentRow | TutorRow, scope: Scope) -> dict[str, Any]:
    fields = plain(row)
    entity_id = fields.pop(f"{kind}_id")
    metrics = {name: fields.pop(name) for name in _COUNTS if name in fields}
    metrics["avg_rating"] = fields.pop("avg_rating")
    metrics["health_score"] = fields.pop("health", None)
    return {
        "entity_type": kind,
        "entity_id": entity_id,
        "name": fields.pop("name"),
        "metrics": metrics,
        "as_of": iso(scope.at_us),
        **fields,
    }


def _detail(detail: EntityDetail, scope: Scope) -> dict[str, Any]:
    document = _row(detail.entity_type, detail.row, scope)
    metrics = plain(detail.metrics) | document["metrics"]
    known = detail.health or Health(displayed=None, source="unknown")
    return document | {
        "metrics": metrics,
        "health": plain(known),
        "timeline": plain(detail.timeline),
        "by_subject": plain(detail.by_subject),
        "alerts": plain(detail.alerts),
        "predictions": scoring.document(detail.scored),
        "predicted_risk": [{"at": iso(point.at_us), "value": point.value} for point in detail.risks],
        "first_event_at": iso(detail.first_event_us),
        "last_event_at": iso(detail.last_event_us),
    }


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "health": health,
    "prometheus": prometheus,
    "list_events": list_events,
    "list_metrics": list_metrics,
    "list_entities": list_entities,
    "get_entity": get_entity,
    "timeseries": timeseries,
    "calls": calls,
    "market": market,
    "kpis": kpis,
    "freshness": freshness,
    "rejects": rejects,
    "find_insights": find_insights,
    "search": search,
    "insights": list_insights,
    "insight_aggregations": insight_aggregations,
    "high_risk_insights": high_risk_insights,
    "get_insight": get_insight,
    "list_alerts": list_alerts,
    "alert_counts": alert_counts,
    "get_alert": get_alert,
}
