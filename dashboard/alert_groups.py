"""Alerts about the same person or place as one row of the Alerts page, which unfolds into them. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from backend.domain.rules import RULES
from backend.services.read_models import AlertGroup, AlertRow
from dashboard import components, html
from dashboard.components import button, icon, severity
from dashboard.entity_links import where
from dashboard.view import View
from dashboard.words import number, plural, readable
from dashboard.zones import span

FLAT = "off"  # ?group=off lists alerts one by one
_PREFIX = "group:"  # of the key of a group's row


class Size(NamedTuple):
    """Rows that are shown, rows there are in all, alerts that fit, and those of them in no row because they are too many."""

    rows: int
    total: int
    alerts: int
    left_out: int = 0


def is_grouped(view: View) -> bool:
    return view.filters.get("group") != FLAT


def name_of(group: AlertGroup) -> str:
    """What `?unfold=` calls it."""
    return f"{group.entity_type}/{group.entity_id}"


def is_unfolded(group: AlertGroup, view: View) -> bool:
    return view.filters.get("unfold") == name_of(group)


def key_of(entry: AlertRow | AlertGroup) -> str:
    """What a row is known by in the browser."""
    return entry.alert_id if isinstance(entry, AlertRow) else _PREFIX + name_of(entry)


def entity_of(key: str) -> tuple[str, str] | None:
    """(type, id) that a group's key is about; None for the key of an alert."""
    if not key.startswith(_PREFIX):
        return None
    kind, _, entity_id = key.removeprefix(_PREFIX).partition("/")
    return kind, entity_id


def entries(groups: Sequence[AlertGroup], view: View) -> list[AlertRow | AlertGroup]:
    """Rows from top to bottom: a group of one is its alert, the unfolded one is followed by its alerts."""
    found: list[AlertRow | AlertGroup] = []
    for group in groups:
        if group.count > 1:
            found.append(group)
        if group.count == 1 or is_unfolded(group, view):
            found += group.alerts
    return found


def toggle(view: View) -> html.A:
    """Together or one by one; a switch in the address."""
    on = is_grouped(view)
    link = components.query_link(
        "Grouped",
        className="io-chip al-grouped" + (" on" if on else ""),
        group=FLAT if on else None,
        unfold=None,
        page=None,
        title="Alerts about the same person or place as one row",
    )
    setattr(link, "aria-current", "true" if on else "false")
    return link


def claim_of(rule_id: str) -> str:
    """What a rule says, without whom: "keeps calling"."""
    rule = RULES.get(rule_id)
    if rule is None:  # of another version
        return readable(rule_id).lower()
    said = rule.title.removeprefix("{name}'s ").removeprefix("{name} ").removesuffix(" in {name}")
    return said[:1].lower() + said[1:]


def row(group: AlertGroup, view: View) -> html.Li:
    """Fold, worst mark, whom it is about with the rules, how long, one acknowledgement for all."""
    open_ = is_unfolded(group, view)
    name, newest = group.entity_name, group.alerts[0]
    title = components.query_link(
        [icon("down", 12), f"{name}: {plural(group.count, 'alert')}"],
        className="ttl al-fold",
        unfold=None if open_ else name_of(group),
    )
    setattr(title, "aria-expanded", "true" if open_ else "false")
    rules = ", ".join(claim_of(rule) for rule in dict.fromkeys(group.rules))
    since = span(view.now_us - group.opened_us)
    newest_first = [
        html.Span(f"Newest {since} ago", className="fw5 el"),
        html.Span(f"seen {number(group.occurrences)}× in all", className="t3 el"),
    ]
    note = next((a.last_note for a in group.alerts if a.last_note), None)
    return html.Li(
        [
            html.Span(number(group.count), className="al-count", **components.wild({"aria-hidden": "true"})),
            severity(group.severity),
            html.Div([title, html.Span(rules[:1].upper() + rules[1:], className="why")], className="body"),
            html.Div(where(newest), className="where"),
            html.Span(newest_first, className="io-state"),
            html.Span(note, className="note"),
            _owner(group),
            html.Span(_acknowledge(group, view), className="act"),
        ],
        key=key_of(group),
        className="al-group",
        **components.wild({"data-row": key_of(group)}),
    )


def _owner(group: AlertGroup) -> Any:
    """Who has all of them; a ring when nobody or several do."""
    owners = {alert.owner for alert in group.alerts}
    return components.owner(next(iter(owners)) if len(owners) == 1 else None)


def _acknowledge(group: AlertGroup, view: View) -> Any:
    """Acknowledges those of the group that are open, at the versions this person sees."""
    waiting = [{"alert_id": a.alert_id, **a.seen} for a in group.alerts if a.status == "open"]
    if not waiting:
        return html.Span(
            "All acknowledged" if group.alerts[0].status == "acknowledged" else "", className="t3"
        )
    more: dict[str, Any] = {} if view.forbidden else {"data_bulk": json.dumps(waiting)}
    label = "Ack all" if len(waiting) == group.count else f"Ack {number(len(waiting))}"
    about = f"{label}: {plural(len(waiting), 'alert')} about {group.entity_name}"
    return button(label, disabled=view.forbidden, aria=about, **more)
