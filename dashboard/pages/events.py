"""Events: what exactly came, newest first, in a table to sort, filter and widen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from dash import Input, Output

from backend.domain.events import EVENT_TYPES
from backend.domain.rules import pretty
from backend.services import queries_log
from backend.services.queries_log import LoggedEvent
from dashboard import components, frames, html, markup, menus, tables
from dashboard.choices import Several
from dashboard.context import Context
from dashboard.filters import window_text
from dashboard.ids import EVENTS, SHELL
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import number, percent, plural

PAGE = page_named("events")
_ROOM = 560  # pixels of the table
_LATE_S = 3_600
_COLUMNS = [
    tables.column("time", "When", width=172, cellDataType=False),
    tables.column("what", "What", flex=2, minWidth=260, tooltipField="what"),
    tables.column("type", "Type", width=170),
    tables.column("student", "Student", width=140),
    tables.column("tutor", "Tutor", width=140),
    tables.column("subject", "Subject", width=120),
    tables.column("region", "Region", width=110),
    tables.column("late_s", "Late, s", width=92, type="rightAligned", filter="agNumberColumnFilter"),
    tables.column("source", "Sender", width=110),
    tables.column("event_id", "Event id", width=190, tooltipField="event_id"),
]


def layout() -> html.Div:
    table = tables.later(EVENTS, _COLUMNS, row_id="event_id", label="Newest events", height=_ROOM)
    return html.Div(
        [markup.holder(EVENTS, components.loading(1, 54)), html.Section(table, className="io-p evt-table")],
        className="ppl-page",
    )


def register(app: Any, ctx: Context) -> None:
    tables.register(app, EVENTS)
    ctx.exports["events"] = lambda view: frames.flat(
        queries_log.newest_events(ctx.reads, view.scope, types=types(view))
    )

    @app.callback(
        markup.filled(EVENTS),
        Output(EVENTS.part("rows"), "data"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        found = queries_log.newest_events(ctx.reads, view.scope, types=types(view))
        ever = bool(found) or ctx.freshness().total_events > 0
        head = ctx.guarded("Events", lambda: facts(found, view) if found else nothing(view, ever))
        return markup.nodes(head), [row(event, view) for event in found]


def choices(_ctx: Context, _view: View) -> dict[str, Collection[str]]:
    return {"type": Several(EVENT_TYPES)}


def types(view: View) -> tuple[str, ...]:
    """The types that the address asks for, by comma; none of them means every type."""
    return tuple(name for name in view.filters.get("type").split(",") if name in EVENT_TYPES)


def kinds(view: View) -> html.Details:
    """The choice of a type; several at once come by a link and stand there as one choice more."""
    asked = types(view)
    several = [(",".join(asked), ", ".join(pretty(name) for name in asked))] if len(asked) > 1 else []
    single = [(name, pretty(name)) for name in EVENT_TYPES]
    return menus.key_menu("Type", "type", [("", "any"), *several, *single], view)


def facts(found: list[LoggedEvent], view: View) -> list[Any]:
    """What the rows come to; how many there are beyond them is not counted."""
    late = sum(event.late_s >= _LATE_S for event in found)
    commonest, count = Counter(event.type for event in found).most_common(1)[0]
    senders = Counter(event.source for event in found)
    cut = len(found) == queries_log.MOST
    return [
        html.Div(
            [
                components.strip(
                    [
                        (
                            "Shown",
                            number(len(found)),
                            "the newest of more" if cut else f"all of {window_text(view.filters, view.zone)}",
                        ),
                        ("Since", view.zone.moment(found[-1].at_us), view.zone.short(found[-1].at_us)),
                        ("Commonest", commonest, percent(count / len(found))),
                        ("Late", number(late), "by an hour or more"),
                        ("Senders", number(len(senders)), f"most from {senders.most_common(1)[0][0]}"),
                    ],
                    f"{plural(len(found), 'event')} in numbers",
                ),
                html.Div(
                    [kinds(view), html.Span(className="grow"), components.export_links("events")],
                    className="evt-end",
                ),
            ],
            className="evt-head",
        ),
    ]


def nothing(view: View, ever: bool) -> html.Section:
    """In place of numbers and table (the style sheet hides it then): why there is nothing, and how there would be."""
    if not ever:
        why = "Each event is listed here within a second of its arrival, with what it says, about whom, and from where."
        ways = [
            html.A("How to send the first event", href="/data", className="io-btn pri"),
            html.A("Start the simulator", href="/simulator", className="io-btn"),
        ]
        empty = components.empty("Nothing was received so far", why, ways, "data")
        return components.panel("No event yet", empty, view, span="", className="evt-none")
    what = " or ".join(_inside(pretty(name)) for name in types(view)) or "event"
    whose = f" of {view.filter_text}" if view.scope.filtered else ""
    why = f"No {what}{whose} happened in {window_text(view.filters, view.zone)}."
    offers = [
        components.query_link("Of any type", className="io-btn", type=None) if types(view) else None,
        components.button("Clear filters", data_clear="1") if view.scope.filtered else None,
        html.A("Look at 30 days", href="?range=30d&from=&to=", className="io-btn")
        if view.filters.range != "30d"
        else None,
    ]
    empty = components.empty("Nothing came", why, [way for way in offers if way], "data")
    return components.panel("No event in this range", empty, view, end=kinds(view), className="evt-none")


def _inside(words: str) -> str:
    """A name within a sentence: "session started", but "IB call logged"."""
    return words if words[:2].isupper() else words[:1].lower() + words[1:]


def row(event: LoggedEvent, view: View) -> dict[str, Any]:
    """One line of the table; times sort as they read."""
    local = view.zone.local(event.at_us)
    return {
        "time": f"{local:%Y-%m-%d %H:%M:%S}",
        "what": event.what,
        "type": event.type,
        "student": event.student,
        "tutor": event.tutor,
        "subject": event.subject,
        "region": event.region,
        "late_s": round(event.late_s),
        "source": event.source,
        "event_id": event.event_id,
    }
