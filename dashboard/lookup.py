"""Small JSON answers for the browser's type-ahead, names of chosen entities, and file exports."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote

import msgspec
from flask import Flask, Response, g, jsonify, request

from backend.domain.times import iso
from backend.services import queries, views
from dashboard import frames
from dashboard.context import Context
from dashboard.filters import DEFAULT_RANGE, ENTITY_KINDS, RANGES, moment_of
from dashboard.pages import PAGES
from dashboard.security import problem
from dashboard.view import View
from dashboard.words import plural, readable

_NEWS = 20  # new alerts told of at once
_MANY = 50  # hits of one search; fewer means that it was complete


class Names:
    """Names of entities by id, remembered; a name hardly ever changes and the page must not ask for it again and again."""

    def __init__(self, reads: Any, limit: int = 5_000) -> None:
        self._reads = reads
        self._known: dict[tuple[str, str], str] = {}
        self._limit = limit
        self._lock = threading.Lock()

    def find(self, kind: str, value: str) -> str | None:
        """The name, or None when it was not found; see `missing` for whether that proves anything."""
        with self._lock:
            known = self._known.get((kind, value))
        if known is not None:
            return known
        for row in queries.search(self._reads, value, kinds=(kind,), limit=_MANY):
            if row["id"] == value:
                with self._lock:
                    if len(self._known) >= self._limit:
                        self._known.clear()
                    self._known[kind, value] = row["label"]
                return row["label"]
        return None

    def missing(self, kind: str, value: str) -> bool:
        """Certainly no such entity: the search for its id was complete and it was not in it."""
        if self.find(kind, value) is not None:
            return False
        return len(queries.search(self._reads, value, kinds=(kind,), limit=_MANY)) < _MANY

    def label(self, kind: str, value: str) -> str:
        """The name, or the id made readable."""
        return self.find(kind, value) or readable(value)


def install(server: Flask, ctx: Context) -> None:
    """Routes /ui/options, /ui/find and /export/NAME.csv|json."""

    @server.get("/ui/options")
    def options() -> Response:
        kind = request.args.get("kind", "")
        if kind not in ENTITY_KINDS:
            return problem(400, "Unknown kind", "kind is one of student, tutor, subject, region.")
        view = ctx.view(request.args.get("search", ""))
        others = msgspec.structs.replace(view.scope, **{kind: None})
        found = queries.options(ctx.reads, others, kind, text=request.args.get("text", "")[:80], limit=50)
        return jsonify(
            [
                {"value": o.value, "label": o.label, "count": o.count, "hint": plural(o.count, "session")}
                for o in found
            ]
        )

    @server.get("/ui/find")
    def find() -> Response:
        text = request.args.get("text", "").strip()[:80]
        pages = [
            {"kind": "page", "id": p.name, "label": p.title, "hint": "page", "href": p.path}
            for p in PAGES
            if p.rail and text.lower() in p.title.lower()
        ]
        found = queries.search(ctx.reads, text, limit=20) if text else []
        times = spans(text, ctx.view("")) if text else []
        kept = [
            {"kind": "view", "id": v["name"], "label": v["name"], "hint": "saved view", "href": v["address"]}
            for v in views.views(ctx.reads, g.person["name"])["views"]
            if text.lower() in v["name"].lower()
        ]
        return jsonify(
            [*times, *kept[:6], *[row | {"href": address(row["kind"], row["id"])} for row in found], *pages][
                :24
            ]
        )

    @server.get("/ui/news")
    def news() -> Response:
        after = request.args.get("after", "")
        return jsonify(news_of(ctx, int(after) if after.isdecimal() and len(after) < 18 else None))

    @server.get("/export/<name>.<kind>")
    def export(name: str, kind: str) -> Response:
        make = ctx.exports.get(name)
        if make is None or kind not in ("csv", "json"):
            return problem(404, "Not found", "There is no such export.")
        view = ctx.view(request.query_string.decode("utf-8", "replace"))
        rows = make(view)
        if kind == "csv":
            text, mime = frames.csv_text(rows, view, f"/export/{name}.csv"), "text/csv"
        else:
            text, mime = frames.json_text(rows, view, f"/export/{name}.json"), "application/json"
        answer = Response(text, content_type=f"{mime}; charset=utf-8")
        answer.headers["Content-Disposition"] = f'attachment; filename="iops-{name}.{kind}"'
        return answer


def spans(text: str, view: View) -> list[dict[str, str]]:
    """Time ranges and the past moment that a searched text names, with what each changes in the address."""
    asked = " ".join(text.lower().split())
    found = [
        {
            "kind": "range",
            "id": "" if key == DEFAULT_RANGE else key,
            "label": words.capitalize(),
            "hint": "time range",
        }
        for key, (_, words) in RANGES.items()
        if asked in (key, words) or (len(asked) > 2 and words.startswith(asked))
    ]
    at_us = moment_of(text, view.zone, view.now_us)
    if at_us is not None:
        label = f"As of {view.zone.moment(at_us)} {view.zone.short(at_us)}"
        found.append({"kind": "moment", "id": str(iso(at_us)), "label": label, "hint": "past moment"})
    return found


def news_of(ctx: Context, after_us: int | None) -> dict[str, Any]:
    """Open alerts raised after a moment, newest first, and when the newest was; without a moment only that."""
    scope = ctx.view("").scope
    rows = queries.alerts(ctx.reads, scope, status=("open",), sort="newest", limit=_NEWS).rows
    new = [row for row in rows if after_us is not None and row.opened_us > after_us]
    return {
        "newest_us": max([after_us or 0, *(row.opened_us for row in rows)]),
        "items": [
            {"id": r.alert_id, "title": r.title, "message": r.message, "severity": r.severity} for r in new
        ],
    }


def address(kind: str, id: str) -> str:
    """Where Enter in the find box leads."""
    if kind in ("student", "tutor"):
        return f"/{kind}s/{quote(id, safe='')}"
    return f"/{kind}/{quote(id, safe='')}"
