"""The list of the Alerts page: tabs, filters, rows with their commands, the bar of held-back rows. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backend.domain.rules import RULES
from backend.services.read_models import AlertGroup, AlertRow
from dashboard import alert_groups, components, html, menus
from dashboard.components import button, icon, severity
from dashboard.entity_links import where
from dashboard.view import View
from dashboard.words import number, plural, readable
from dashboard.zones import ago, span

LIVING = ("open", "acknowledged", "snoozed")
ENDED = ("resolved", "dismissed")
TABS: dict[str, tuple[str, tuple[str, ...]]] = {
    "open": ("Open", ("open",)),
    "acknowledged": ("Acknowledged", ("acknowledged",)),
    "living": ("All ongoing", LIVING),
    "resolved": ("Resolved", ENDED),
}
SEVERITIES = ("critical", "warning", "info")
TYPES = tuple(dict.fromkeys(rule.alert_type for rule in RULES.values()))
Entry = AlertRow | AlertGroup
PAGE_SIZE = 50  # by so many the list grows when its end comes into sight
MOST_PAGES = 10
ORDERS = {
    "severity": "worst first",
    "newest": "newest first",
    "oldest": "oldest first",
    "repeats": "most repeats first",
}


def command(
    label: Any, alert: AlertRow, action: str, view: View, *, kind: Any = "", **arguments: Any
) -> html.Button:
    """A command on one alert with the version this person sees; its name says which alert it is about."""
    data = {"alert_id": alert.alert_id, "action": action, **alert.seen, **arguments}
    more: dict[str, Any] = {} if view.forbidden else {"data_command": json.dumps(data)}
    return button(label, kind=kind, disabled=view.forbidden, aria=f"{label}: {alert.title}", **more)


def tab_of(view: View) -> str:
    tab = view.filters.get("tab")
    return tab if tab in TABS else "open"


def statuses(view: View) -> tuple[str, ...]:
    """Of the tab, narrowed by the state filter where that is one of them."""
    tab = TABS[tab_of(view)][1]
    state = view.filters.get("status")
    return (state,) if state in tab else tab


def page_number(view: View) -> int:
    """How many pages are shown, one below the other."""
    text = view.filters.get("page")
    return min(MOST_PAGES, max(1, int(text))) if text.isdecimal() and len(text) < 6 else 1


def order(view: View) -> str:
    """The order that the address asks for, one of ORDERS."""
    asked = view.filters.get("sort")
    return asked if asked in ORDERS else "severity"


def list_key(view: View) -> str:
    """What the rows depend on; rows are only held still while it stays the same."""
    own = "|".join(
        view.filters.get(key)
        for key in ("tab", "severity", "type", "status", "q", "sort", "page", "group", "unfold")
    )
    return f"{view.filters.key}|{own}"


def tabs(counts: dict[str, int], view: View) -> html.Nav:
    items: list[tuple[str, str, int | None]] = [
        (name, label, sum(counts.get(status, 0) for status in members))
        for name, (label, members) in TABS.items()
    ]
    links = []
    for i, (value, label, count) in enumerate(items):
        here = value == tab_of(view)
        mark: dict[str, Any] = {"aria-current": "true"} if here else {}
        text: list[Any] = [label, html.Span(number(count))]
        changes = f"?tab={value if i else ''}&status=&page="
        links.append(html.A(text, href=changes, className="on" if here else "", **mark))
    return html.Nav(links, className="io-tabs", **components.wild({"aria-label": "Views of this list"}))


def filter_row(counts: dict[str, int], view: View) -> html.Div:
    """Severity, kind, state, search; all of them live in the address."""
    chosen = view.filters.get("severity")
    marks = [
        components.query_link(
            [severity(level), html.B(number(counts.get(level, 0))) if tab_of(view) != "resolved" else None],
            className="io-chip al-sev" + (" on" if level == chosen else ""),
            severity=None if level == chosen else level,
            page=None,
        )
        for level in SEVERITIES
    ]
    for mark, level in zip(marks, SEVERITIES, strict=True):
        setattr(mark, "aria-current", "true" if level == chosen else "false")
    kinds = [("", "any kind"), *((kind, readable(kind)) for kind in TYPES)]
    members = TABS[tab_of(view)][1]
    states = [("", "any"), *((state, state.capitalize()) for state in members)]
    search = html.Div(
        [icon("search", 14), html.Div(id="al-search", **components.wild({"data-q": view.filters.get("q")}))],
        className="al-search",
    )
    return html.Div(
        [
            html.Div(marks, className="al-sevs"),
            menus.key_menu("Kind", "type", kinds, view),
            menus.key_menu("State", "status", states, view) if len(members) > 1 else None,
            html.Span(className="grow"),
            alert_groups.toggle(view),
            menus.key_menu(
                "Order",
                "sort",
                [(key if key != "severity" else "", text) for key, text in ORDERS.items()],
                view,
                ORDERS["severity"],
            ),
            search,
        ],
        className="al-filters",
        role="group",
        **components.wild({"aria-label": "Filters of the list"}),
    )


def title_of(size: alert_groups.Size, counts: dict[str, int], view: View) -> str:
    """What the list says, counted."""
    tab, total = tab_of(view), size.alerts
    if not total:
        return {
            "open": "Nothing is open",
            "acknowledged": "Nobody is working on an alert",
            "resolved": "Nothing has ended yet",
        }.get(tab, "No alert is ongoing")
    unowned = counts.get("unowned_critical", 0)
    verb = {"open": "open", "acknowledged": "acknowledged", "living": "ongoing", "resolved": "ended"}[tab]
    text = f"{plural(total, 'alert')} {verb}"
    if size.total < total:
        text += f" about {plural(size.total, 'person or place', 'people and places')}"
    if tab in ("open", "living") and unowned and not view.filters.get("severity"):
        text += f", {number(unowned)} critical without owner"
    return text


def bulk_bar(view: View) -> html.Div:
    """Stays hidden until a row is ticked (alerts.js)."""
    return html.Div(
        [
            html.B("0 selected", id="al-selected"),
            button("Acknowledge", kind="pri", id="al-bulk-ack", disabled=view.forbidden),
            button("Clear selection", kind="quiet", id="al-bulk-none"),
        ],
        className="al-bulk",
        id="al-bulk",
        role="status",
    )


def held_bar(new: int) -> html.Button | None:
    """Rows that arrived while the list is held still."""
    if not new:
        return None
    return html.Button(f"{number(new)} new, show", id="al-new", className="al-new", type="button")


def hold(rows: Sequence[Entry], held: Any, key: str) -> tuple[list[str | Entry], int]:
    """(rows or ids in the order that was seen, how many are new): while pointer or focus is inside, nothing moves.

    `held` is {"key", "ids"} from the browser, or None. An id without a row has left the list meanwhile.
    """
    ids = held.get("ids") if isinstance(held, dict) and held.get("key") == key else None
    if not isinstance(ids, list) or not ids:
        return list(rows), 0
    found = {alert_groups.key_of(row): row for row in rows}
    kept: list[str | Entry] = [found.get(i, i) for i in ids[: MOST_PAGES * PAGE_SIZE] if isinstance(i, str)]
    seen = set(ids)
    return kept, sum(alert_groups.key_of(row) not in seen for row in rows)


def row(alert: AlertRow, view: View, *, opened: bool, inside: bool = False) -> html.Li:
    """Mark, claim with numbers, where, where in its life, last note, owner, what to do."""
    check = html.Button(
        icon("check", 12),
        className="al-check",
        type="button",
        role="checkbox",
        **components.wild(
            {
                "aria-checked": "false",
                "aria-label": f"Select {alert.title}",
                "data-version": str(alert.version),
                "data-seen": json.dumps(alert.seen),
            }
        ),
    )
    title = html.A(alert.title, href=f"?open={quote(alert.alert_id)}", className="ttl")
    return html.Li(
        [
            check,
            severity(alert.severity),
            html.Div([title, html.Span(sentence(alert.message), className="why")], className="body"),
            html.Div(where(alert), className="where"),
            html.Span(state(alert, view.now_us), className="io-state"),
            html.Span(_note(alert), className="note"),
            components.owner(alert.owner, alert, view if alert.status in LIVING else None),
            html.Span(actions(alert, view), className="act"),
        ],
        key=alert.alert_id,
        className=" ".join(("sel" * opened, "al-in" * inside)).strip(),
        **components.wild({"data-row": alert.alert_id}),
    )


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def state(alert: AlertRow, now_us: int) -> list[Any]:
    """Two lines: the state with who; how often and for how long."""
    times = f"seen {number(alert.occurrences)}×, "
    if alert.status == "acknowledged":
        who = alert.acknowledged_by or "somebody"
        first, second = f"Acked by {who}", f"{times}{ago(alert.acknowledged_us, now_us)}"
    elif alert.status in ENDED:
        lasted = span((alert.resolved_us or now_us) - alert.opened_us)
        first, second = alert.status.capitalize(), f"{times}lasted {lasted}, {ago(alert.resolved_us, now_us)}"
    else:
        first = "Firing" if alert.status == "open" else "Snoozed"
        second = f"{times}for {span(now_us - alert.opened_us)}"
    return [html.Span(first, className="fw5 el"), html.Span(second, className="t3 el")]


def _note(alert: AlertRow) -> str | None:
    return alert.last_note or (alert.cause if alert.status in ENDED else None)


def actions(alert: AlertRow, view: View) -> list[Any]:
    """At most two: the next step, and the end."""
    if alert.status in ENDED:
        return [command("Reopen", alert, "reopen", view)]
    if alert.status == "acknowledged":
        return [
            command("Un-ack", alert, "unack", view),
            command("Resolve", alert, "resolve", view, kind="quiet"),
        ]
    return [command("Ack", alert, "ack", view), command("Resolve", alert, "resolve", view, kind="quiet")]


def gone(alert_id: str, view: View) -> html.Li:
    """A row that was held still and whose alert exists no more."""
    return html.Li(html.Span("removed", className="t3"), key=alert_id, className="al-gone")


def pager(size: alert_groups.Size, view: View) -> list[Any]:
    """ "1 to 50 of 364" with the way on, which is taken by itself when it comes into sight (61-alerts.js)."""
    page, number_of_rows, total = page_number(view), size.rows, size.total
    parts: list[Any] = [html.Span(f"{number(min(1, total))} to {number(number_of_rows)} of {number(total)}")]
    if number_of_rows < total and page < MOST_PAGES:
        more = f"Show {number(min(PAGE_SIZE, total - number_of_rows))} more"
        parts.append(
            html.A(
                more,
                href=f"?page={page + 1}",
                className="io-btn quiet",
                **components.wild({"data-more": str(page + 1)}),
            )
        )
    elif number_of_rows < total:
        parts.append(html.Span("Filters and search find the others"))
    if size.left_out:
        parts.append(html.Span(f"{plural(size.left_out, 'more alert')} beyond those that are grouped"))
    return parts


def panel(
    rows: Sequence[Any],
    size: alert_groups.Size,
    new: int,
    counts: dict[str, int],
    opened: str,
    view: View,
) -> html.Section:
    """The whole list. `rows` are AlertRow and AlertGroup, or ids of those that are no more."""
    if rows:
        unfolded = next(
            (r for r in rows if isinstance(r, AlertGroup) and alert_groups.is_unfolded(r, view)), None
        )
        within = {a.alert_id for a in unfolded.alerts} if unfolded else set()
        items = [
            alert_groups.row(r, view)
            if isinstance(r, AlertGroup)
            else row(r, view, opened=r.alert_id == opened, inside=r.alert_id in within)
            if isinstance(r, AlertRow)
            else gone(r, view)
            for r in rows
        ]
        inside: Any = html.Ol(
            items,
            className="al-list",
            id="al-list",
            **components.wild({"data-key": list_key(view)}),
        )
    else:
        inside = html.Div(_nothing(view), id="al-list", **components.wild({"data-key": list_key(view)}))
    keys = [
        html.Span([html.Kbd(key, className="io-kbd"), f" {does}"])
        for key, does in (("J K", "move"), ("A", "ack"), ("E", "resolve"), ("N", "note"), ("U", "undo"))
    ]
    foot = html.Span(
        [*pager(size, view), html.Span(keys, className="row-f no-phone al-keys")],
        className="row-f",
    )
    body = [tabs(counts, view), filter_row(counts, view), bulk_bar(view), held_bar(new), inside]
    return components.panel(
        title_of(size, counts, view),
        body,
        view,
        span="now",
        foot=foot,
        export="alerts",
        className="al-panel",
    )


def _nothing(view: View) -> html.Div:
    narrowed = (
        any(view.filters.get(key) for key in ("severity", "type", "status", "q")) or view.scope.filtered
    )
    if narrowed:
        act = [
            html.A("Clear the list's filters", href="?severity=&type=&status=&q=&page=", className="io-btn")
        ]
        if view.scope.filtered:
            act.append(button("Clear all filters", kind="quiet", data_clear="1"))  # type: ignore[arg-type]  # a list of any controls
        return components.empty("No alert fits these filters", "Others may be waiting outside of them.", act)
    why = "Rules watch every student, tutor and cell; the first that fires stands here with its reason."
    return components.empty(
        "Nothing here",
        why,
        [html.A("See resolved alerts", href="?tab=resolved", className="io-btn")],
        "check",
    )
