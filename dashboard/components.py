"""The parts pages are built from: panels, marks, tiles, states, buttons. Functions of data, no reads, no callbacks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote

from dash import dcc

from backend.services.read_models import AlertRow, QueueItem
from dashboard import html, theme
from dashboard.figures import Figure
from dashboard.view import View
from dashboard.words import initials, number
from dashboard.zones import span

Children = Any
SEVERITY = {
    "critical": ("crit", "Critical"),
    "warning": ("warn", "Warning"),
    "info": ("info", "Info"),
    "ok": ("ok", "Normal"),
    "unknown": ("unk", "No data"),
}


def wild(attributes: dict[str, Any]) -> dict[str, Any]:
    """data-* and aria-* attributes, whose names no keyword can have and Dash's type stubs do not know."""
    return attributes


def icon(name: str, size: int = 16) -> html.Span:
    """A decorative sign of icons.css; whatever it says must also stand in words or an aria-label beside it."""
    return html.Span(
        className=f"ico ico-{name}" + (f" s{size}" if size != 16 else ""), **wild({"aria-hidden": "true"})
    )


def severity(level: str, text: str | None = None) -> html.Span:
    """Shape, then word, then colour. `level`: critical, warning, info, ok, unknown."""
    short, word = SEVERITY.get(level, SEVERITY["unknown"])
    return html.Span([icon(f"sev-{short}"), text or word], className=f"io-sev {short}")


def tag(text: str, kind: Literal["", "line", "doubt", "crit", "warn"] = "") -> html.Span:
    return html.Span(text, className=f"io-tag {kind}".strip())


def stamp(us: int | None, *, late_after_s: int | None = None, prefix: str = "") -> html.Time | html.Span:
    """Age of something by event time; ticks in the browser and turns amber after `late_after_s`."""
    if us is None:
        return html.Span("no data yet", className="io-stamp")
    late = wild({"data-late": str(late_after_s)} if late_after_s else {})
    return html.Time(
        "", className="io-stamp io-age", **wild({"data-us": str(us), "data-prefix": prefix}), **late
    )


def owner(
    name: str | None, alert: AlertRow | None = None, view: View | None = None
) -> html.Span | html.Button:
    """Initials of who has it; nobody: a dashed ring that takes it (with the alert and a view that may)."""
    if name:
        return html.Span(initials(name), className="io-ava", title=name)
    if alert is None or view is None or view.forbidden:
        return html.Span("+", className="io-ava none", title="Nobody has it")
    data = {"alert_id": alert.alert_id, "action": "assign", **alert.seen, "owner": view.actor}
    return html.Button(
        "+",
        className="io-ava none",
        title="Nobody has it, take it",
        **wild({"aria-label": f"Take {alert.title}", "data-command": json.dumps(data)}),
    )


def state(status: str, count: int, since_us: int, now_us: int) -> html.Span:
    """Where an alert is in its life: a word, and below it how often and for how long."""
    words = {"open": "Firing"}.get(status, status.capitalize())
    return html.Span(
        [
            html.Span(words, className="fw5"),
            html.Span(f"seen {number(count)}×, for {span(now_us - since_us)}", className="t3"),
        ],
        className="io-state",
    )


def button(
    label: Children,
    *,
    id: Any = None,
    kind: Literal["", "pri", "quiet"] = "",
    sign: str | None = None,
    disabled: str | None = None,
    aria: str | None = None,
    **attributes: str,
) -> html.Button:
    """A button; `disabled` is the reason, which it keeps its place and says. `attributes` are data-* or aria-*."""
    parts = [icon(sign, 14)] if sign else []
    extra: dict[str, Any] = {name.replace("_", "-"): value for name, value in attributes.items()}
    if aria:
        extra["aria-label"] = aria
    if disabled:
        extra |= {"aria-disabled": "true", "title": disabled}
    if id is not None:
        extra["id"] = id
    only_sign = sign and label is None
    css = " ".join(word for word in ("io-btn", kind, "icon" if only_sign else "") if word)
    return html.Button([*parts, label] if label is not None else parts, className=css, type="button", **extra)


def command_button(
    label: str,
    alert: AlertRow | QueueItem,
    action: str,
    view: View,
    *,
    kind: Literal["", "pri", "quiet"] = "",
    sign: str | None = None,
    **arguments: Any,
) -> html.Button:
    """Sends an alert command (ack, unack, assign, snooze, resolve, reopen, dismiss, note) and offers Undo in the toast.

    `arguments`: note, owner, until_us, name (for the toast). The row shows "sending" until the answer is in.
    """
    data = {"alert_id": alert.alert_id, "action": action, **alert.seen, **arguments}
    more = {} if view.forbidden else {"data-command": json.dumps(data)}
    return button(label, kind="" if view.forbidden else kind, sign=sign, disabled=view.forbidden, **more)


def query_link(
    label: Children, *, className: str = "", title: str | None = None, **changes: str | None
) -> html.A:
    """Changes the page's part of the address and keeps the rest: `query_link("Open", open="al_1")`; None removes a key."""
    query = "&".join(f"{key}={quote(value or '')}" for key, value in changes.items())
    return html.A(label, href="?" + query, className=className, title=title)


def export_links(name: str) -> html.Span:
    """CSV and JSON of a panel under the filters in force; `name` is a key of `ctx.exports`."""
    links = [
        html.A(
            kind.upper(),
            href=f"/export/{name}.{kind}",
            className="io-btn quiet",
            download="",
            title=f"Download {kind}",
        )
        for kind in ("csv", "json")
    ]
    return html.Span(links, className="io-exports no-phone")


def panel(
    title: Children,
    body: Children,
    view: View,
    *,
    sub: Children = None,
    end: Children = None,
    foot: Children = None,
    stamp_us: int | None = None,
    late_after_s: int | None = None,
    export: str | None = None,
    span: str | None = None,
    className: str = "",
    id: str | None = None,
) -> html.Section:
    """One question: the finding as title, the answer as body, and in the foot what it was computed with.

    `sub` is a light second part of the title, `end` controls at the right of the head, `stamp_us` the newest event in it,
    `foot` what stands left of the computed-with text, `span` the panel's window where that is not the chosen range, `export` a name in `ctx.exports`.
    """
    ending = [
        end,
        export_links(export) if export else None,
        stamp(stamp_us, late_after_s=late_after_s) if stamp_us else None,
    ]
    head = html.Div(
        [
            html.H2(title),
            html.Span(sub, className="sub") if sub else None,
            html.Span([part for part in ending if part is not None], className="end"),
        ],
        className="io-ph",
    )
    feet = [
        html.Span(foot, className="io-foot-left") if foot is not None else None,
        html.Span(className="grow"),
        html.Span("updating", className="io-updating"),
        html.Span(view.computed_text(span), className="io-computed"),
    ]
    inner = [head, html.Div(body, className="io-pbody"), html.Div(feet, className="io-pf")]
    extra = wild({"id": id} if id else {})
    return html.Section(
        inner, className=f"io-p {className}".strip(), **wild({"data-scope": view.filters.key}), **extra
    )


def graph(figure: Figure, says: str, height: int = 220, *, id: Any = None) -> html.Div:
    """A figure with a sentence for those who cannot see it."""
    extra = {"id": id} if id is not None else {}
    config: Any = theme.CONFIG
    chart = dcc.Graph(
        figure=figure, config=config, style={"height": f"{height}px"}, className="io-chart", **extra
    )
    return html.Div(chart, role="img", **wild({"aria-label": says}))


LATER = "data-later"  # markup.js fills such a table when it is first shown: most never are


def chart_or_table(
    chart: Children, columns: list[str], rows: list[list[Children]], *, caption: str
) -> html.Div:
    """A chart with the same numbers as a table behind the table button."""
    switch = button(
        None, sign="table", kind="quiet", aria="Show as table", aria_pressed="false", data_toggle="table"
    )
    table = plain_table(columns, rows, caption)
    setattr(table, LATER, "1")
    return html.Div([switch, html.Div(chart, className="as-chart"), table], className="io-both")


def plain_table(columns: list[str], rows: list[list[Children]], caption: str) -> html.Table:
    """A small semantic table; numbers go right, the first column and marks of severity left. Up to some 100 rows; else the pages of `lists`."""
    marks = {
        i
        for row in rows
        for i, value in enumerate(row)
        if getattr(value, "className", "").startswith("io-sev")
    }

    def side(i: int) -> str:
        return "" if i == 0 or i in marks else "r"

    head = html.Tr([html.Th(name, scope="col", className=side(i)) for i, name in enumerate(columns)])
    body = [
        html.Tr(
            [
                html.Th(row[0], scope="row"),
                *(html.Td(value, className=side(i)) for i, value in enumerate(row[1:], 1)),
            ]
        )
        for row in rows
    ]
    return html.Table(
        [html.Caption(caption, className="io-sr"), html.Thead(head), html.Tbody(body)],
        className="io-tbl as-table",
    )


def strip(facts: list[tuple[str, Children, Children]], label: str, className: str = "") -> html.Dl:
    """A row of facts: (what, value, context). Five fit; `className="six"` makes room for six."""
    cells = [
        html.Div([html.Dt(name), html.Dd([value, html.Span(context)] if context is not None else [value])])
        for name, value, context in facts
    ]
    count = {"gridTemplateColumns": f"repeat({len(cells)}, minmax(0, 1fr))"}
    return html.Dl(
        cells, className=f"io-strip {className}".strip(), style=count, **wild({"aria-label": label})
    )


def loading(rows: int = 1, height: int = 260) -> html.Div:
    """A still skeleton in the final shape, shown once."""
    boxes = [html.Div(className="io-skeleton", style={"height": f"{height}px"}) for _ in range(rows)]
    return html.Div(
        [html.Span("Loading", className="io-sr"), *boxes],
        className="io-loading",
        **wild({"aria-busy": "true"}),
    )


def empty(
    title: str, why: str, actions: Children = None, sign: str = "supply", *, alone: bool = False
) -> html.Div:
    """Why there is nothing, and one or two things to do next. `alone`: there is no panel with a heading around it."""
    return html.Div(
        [
            icon(sign, 20),
            html.H2(title) if alone else html.H3(title),
            html.P(why),
            html.Div(actions, className="row-f") if actions else None,
        ],
        className="io-empty",
    )


def clear_filters(view: View) -> list[Any]:
    """The button that takes all filters away, where there are some."""
    return [button("Clear filters", kind="quiet", data_clear="1")] if view.scope.filtered else []


def error(
    title: str,
    request_id: str,
    detail: str = "The other panels are not affected. It is tried again with the next change.",
) -> html.Section:
    """What failed, what happens next, and the id to look for in the log."""
    body = html.Div(
        [
            severity("warning", "Could not load"),
            html.H3(f"{title} could not be read"),
            html.P(detail),
            html.P(["Request ", html.Span(request_id or "unknown", className="mono")]),
            button("Retry now", sign="retry", data_refresh="1"),
        ],
        className="io-empty",
    )
    return html.Section([html.Div(html.H2(title), className="io-ph"), body], className="io-p", role="alert")


def stale(text: str, detail: str, href: str = "/data") -> html.Div:
    """The bar over a page whose data is late; numbers below stay, dimmed and dated."""
    return html.Div(
        [
            severity("warning", "Stale"),
            html.B(text),
            html.Span(detail, className="grow"),
            html.A("Show stream", href=href, className="io-btn"),
        ],
        className="io-stale",
        role="status",
    )


def drawer(
    title: str, sections: Children, *, head: Children = None, actions: Children = None, foot: Children = None
) -> html.Aside:
    """Work one item while the list stays: put it beside the list in a grid with class `io-with-drawer`.

    What is open stands in the address (`?open=ID`, `view.filters.get("open")`); closing removes it.
    """
    close = html.A(
        icon("close"),
        href="?open=",
        className="io-btn quiet icon",
        title="Close",
        **wild({"aria-label": "Close"}),
    )
    inner = [
        html.Div([html.Span(head, className="grow row-f"), close], className="io-drawer-head"),
        html.H2(title, className="io-drawer-title", tabIndex="-1"),
        html.Div(actions, className="io-drawer-actions") if actions else None,
        html.Div(sections, className="io-drawer-body"),
        html.Div(foot, className="io-pf") if foot else None,
    ]
    return html.Aside(inner, className="io-drawer", **wild({"aria-label": title}))


def section(title: str, body: Children, end: Children = None) -> html.Section:
    """One part of a drawer."""
    return html.Section(
        [html.H3([title, html.Span(end, className="end") if end else None]), body], className="io-sec"
    )


def tabs(current: str, items: list[tuple[str, str, int | None]], key: str = "tab") -> html.Nav:
    """Tabs kept in the address: (value, label, count); the first one is the value without a key."""
    links = []
    for i, (value, label, count) in enumerate(items):
        here = value == current or (i == 0 and not current)
        mark = wild({"aria-current": "true"} if here else {})
        text: list[Children] = [label, html.Span(number(count))] if count is not None else [label]
        links.append(
            html.A(text, href=f"?{key}={quote(value) if i else ''}", className="on" if here else "", **mark)
        )
    return html.Nav(links, className="io-tabs", **wild({"aria-label": "Views of this list"}))


def preference(name: str, key: str, choices: Iterable[tuple[str, str]]) -> html.Div:
    """A choice that this browser remembers (preferences.js): (value, label) of each; `key`: theme, keys, notify, zone."""
    buttons = [
        html.Button(
            label, type="button", **wild({"data-pref": key, "data-value": value, "aria-pressed": "false"})
        )
        for value, label in choices
    ]
    group = html.Span(buttons, className="io-seg", role="group", **wild({"aria-label": name}))
    return html.Div([html.Span(name), group], className="io-pref")
