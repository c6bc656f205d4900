"""What was refused and why: the list, one item beside it with its body, and what can be done about it."""

from __future__ import annotations

import json
from typing import Any

from backend.services import queries
from backend.services.read_models import Page, RejectRow
from dashboard import components, html, mending
from dashboard.components import query_link, severity, wild
from dashboard.view import ALL_STREAMS, View
from dashboard.words import number, plural, readable

KEPT = 10_000  # refused items that are looked through and exported at most
WHATEVER = "Of all streams, whatever the filter"
REJECTS = 12  # a page of refused items
_SHOWN = 20_000  # characters of a refused body
_REASONS = {
    "required": "Missing field",
    "unknown": "Unknown type",
    "not_object": "Not an object",
    "future": "Too far in the future",
    "past": "Too long ago",
    "range": "Out of range",
    "type": "Wrong kind of value",
    "conflict": "Same id, other content",
}


def area(reads: Any, view: View) -> html.Div:
    """The list of refused items, with one of them open beside it."""
    asked = view.filters.get("page")
    number_of = max(1, int(asked)) if asked.isdecimal() and len(asked) < 6 else 1
    page = queries.rejects(reads, limit=REJECTS, offset=(number_of - 1) * REJECTS)
    parts: list[Any] = [rejects_panel(page, number_of, view)]
    wanted = view.filters.get("open")
    if wanted:
        parts.append(reject_drawer(find(reads, page, wanted), wanted, view))
    return html.Div(parts, className="io-with-drawer")


def find(reads: Any, page: Page, wanted: str) -> RejectRow | None:
    """The refused item with that id, on this page or further back; None when it was dropped meanwhile."""
    known: list[RejectRow] = [*page.rows]
    if not any(str(row.reject_id) == wanted for row in known):
        known = queries.rejects(reads, limit=KEPT).rows
    return next((row for row in known if str(row.reject_id) == wanted), None)


def rejects_panel(page: Page, at: int, view: View) -> html.Section:
    """Refused items, newest first: when, why, what it was to be, and the first thing wrong with it."""
    if not page.total:
        why = "What does not fit its schema is refused with a reason, kept here with its body, and never changes a number."
        return components.panel(
            "Nothing was refused",
            components.empty("Every event was accepted", why, sign="check"),
            view,
            span=f"{ALL_STREAMS}, all times",
            foot=html.Span(WHATEVER),
        )
    items = [_reject(row, view) for row in page.rows]
    shown = (at - 1) * REJECTS
    pages = [
        html.Span(f"{number(shown + 1)} to {number(shown + len(items))} of {number(page.total)}")
        if items
        else html.Span("no such page"),
        query_link("Newer", page=str(at - 1) if at > 2 else None, className="io-btn") if at > 1 else None,
        query_link("Older", page=str(at + 1), className="io-btn")
        if shown + len(items) < page.total
        else None,
    ]
    title = (
        f"{plural(page.total, 'item was', 'items were')} refused, most for {commonest(page.rows)}"
        if page.rows
        else plural(page.total, "item") + " refused"
    )
    return components.panel(
        title,
        html.Ol(items, className="data-rejects"),
        view,
        span=f"{ALL_STREAMS}, all times",
        export="rejects",
        foot=pages,
    )


def commonest(rows: list[RejectRow]) -> str:
    """The most frequent reason of these rows in words."""
    reasons = [row.reason for row in rows]
    return reason_words(max(reasons, key=reasons.count)).lower()


def reason_words(code: str) -> str:
    """The code of a refusal as a person says it."""
    return _REASONS.get(code, readable(code))


def _reject(row: RejectRow, view: View) -> html.Li:
    first = row.errors[0] if row.errors else {}
    more = f", {number(len(row.errors) - 1)} more" if len(row.errors) > 1 else ""
    path = str(first.get("path") or "")
    what = str(first.get("message") or "refused").partition(";")[0]  # the drawer tells all of it
    words = [
        html.Span(reason_words(row.reason), className="fw5"),
        html.Span(
            [
                html.Span(path, className="mono") if path else None,
                f" {what}{more}",
            ],
            className="t2 fs12",
        ),
    ]
    on = view.filters.get("open") == str(row.reject_id)
    parts = [
        html.Time(view.zone.moment(row.at_us), className="t3 fs12", title=view.zone.full(row.at_us)),
        query_link(words, className="body", open=str(row.reject_id)),
        html.Span(
            [
                readable(row.event_type) if row.event_type else "Unknown type",
                html.Span(row.source or "no source", className="t3"),
                html.Span(row.grade if row.state == "new" else row.state, className="t3"),
            ],
            className="kind",
        ),
    ]
    return html.Li(
        parts, className="sel" if on else "", key=str(row.reject_id), **wild({"data-row": str(row.reject_id)})
    )


def reject_drawer(row: RejectRow | None, wanted: str, view: View) -> html.Aside:
    """Everything about one refused item: each error, and the body as it came."""
    if row is None:
        gone = components.empty(
            "No longer kept",
            f"Refused item {wanted} was replaced by newer ones; the last 10,000 are kept.",
            sign="search",
        )
        return components.drawer("Refused item", [gone])
    errors = [
        [
            html.Span(str(e.get("path") or "the whole item"), className="mono"),
            str(e.get("message") or e.get("code") or ""),
        ]
        for e in row.errors
    ]
    told = components.plain_table(["Where", "What is wrong"], errors, "Errors of this item")
    sections = [
        components.section(
            plural(len(errors), "thing is wrong", "things are wrong"), html.Div(told, className="data-errors")
        ),
        components.section(
            "Body as received",
            html.Pre(
                pretty(row.body),
                className="data-code",
                tabIndex=0,
                **wild({"aria-label": "Body as received"}),
            ),
        ),
        mending.section(row, pretty(row.body), view),
    ]
    head = [
        severity(mending.level(row), f"{row.grade.capitalize()}: {reason_words(row.reason).lower()}"),
        html.Span(view.zone.full(row.at_us), className="t3 fs12"),
    ]
    title = f"{readable(row.event_type) if row.event_type else 'Item of unknown type'} from {row.source or 'an unnamed sender'}"
    return components.drawer(
        title,
        sections,
        head=head,
        foot=html.Span("It counts as of when it happened, and only once."),
    )


def pretty(body: str) -> str:
    """JSON laid out for reading; anything else as it is; cut when very long."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    return (
        text if len(text) <= _SHOWN else text[:_SHOWN] + f"\n… {number(len(text) - _SHOWN)} more characters"
    )
