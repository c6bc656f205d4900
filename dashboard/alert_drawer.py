"""One alert beside the list: why it fired, its numbers, its rule, what people did, what ended it before. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backend.domain.impact import LEAST, Impact
from backend.domain.insights import Insight
from backend.domain.limits import said
from backend.domain.times import DAY
from backend.services.read_models import (
    AlertDetail,
    AlertRow,
    AuditRow,
    MarketPoint,
    Point,
    TimelineEntry,
    TutorRow,
)
from dashboard import alert_actions, alert_list, components, entity_links, figures, html, insight_card, theme
from dashboard.components import button, section, severity
from dashboard.supply_figures import demand_over_supply
from dashboard.view import View
from dashboard.words import number, percent, plural, readable, signed
from dashboard.zones import ago, span

_DONE = {
    "ack": "acknowledged",
    "unack": "took the acknowledgement back",
    "assign": "assigned",
    "snooze": "snoozed",
    "resolve": "resolved",
    "reopen": "reopened",
    "dismiss": "dismissed",
    "note": "noted",
}
_SHARES = ("utilisation", "no_show_rate", "cancellation_rate", "share")
_LABELS = {
    "ib_calls_14d": "Inbound calls, 14 d",
    "ib_calls_7d": "Inbound calls, 7 d",
    "sessions_7d": "Sessions, 7 d",
    "sessions_14d": "Sessions, 14 d",
    "gap_hours": "Gap, h",
    "health_score": "Health",
    "risk_score": "Risk",
    "avg_rating": "Mean rating, 30 d",
    "available_hours": "Hours offered",
    "booked_hours": "Hours booked",
    "balance_status": "Balance",
    "basis": "Judged by",
}


def drawer(
    detail: AlertDetail,
    market: Sequence[MarketPoint],
    view: View,
    insight: Insight | None = None,
    told: Any = None,
    tutors: Sequence[TutorRow] = (),
) -> html.Aside:
    """The drawer of one alert. `market` is the history of its cell, empty for other entities; `told` the section about messages;
    `tutors` those who could be asked where they are needed.
    """
    alert = detail.alert
    css = {"critical": "crit", "warning": "warn"}.get(alert.severity, "")
    firing = (
        f"Firing {span(view.now_us - alert.opened_us)}"
        if alert.status == "open"
        else alert.status.capitalize()
    )
    head = [
        severity(alert.severity),
        components.tag(firing, css if alert.status == "open" else ""),  # type: ignore[arg-type]  # "crit", "warn" or ""
        components.tag("demo", "doubt") if alert.simulated else None,
    ]
    sections = [
        html.P(alert_list.sentence(alert.message), className="al-message"),
        html.Div(_about(alert, view), className="al-about"),
        insight_card.section(insight, view, alert, tutors) if insight else None,
        chart(detail, market, view),
        numbers(alert),
        rule(detail),
        told,
        brought(detail.impact),
        notes(detail, view),
        evidence(detail.evidence, view),
        similar(detail.similar, view),
        audit(detail.audit, view),
    ]
    aside = components.drawer(
        alert.title,
        [s for s in sections if s is not None],
        head=head,
        actions=alert_actions.actions(alert, view),
    )
    setattr(aside, "data-alert", alert.alert_id)
    setattr(aside, "data-version", str(alert.version))
    setattr(aside, "data-seen", json.dumps(alert.seen))
    return aside


def missing(alert_id: str, why: str) -> html.Aside:
    """The alert of the address does not exist."""
    body = components.empty(
        "There is no such alert", why, [html.A("Close", href="?open=", className="io-btn")], "alerts"
    )
    return components.drawer(f"Alert {alert_id[:40]}", body)


def _about(alert: AlertRow, view: View) -> list[Any]:
    where, kind = entity_links.where(alert)
    who = alert.owner or "nobody yet"
    quiet = None
    if alert.quiet_until_us is not None and view.now_us < alert.quiet_until_us:
        until = view.zone.moment(alert.quiet_until_us)
        why = (
            "If the rule speaks again by then, this alert goes on"
            if alert.ended_by == "rule"
            else "Up to then the rule opens no fresh alert, unless it gets worse"
        )
        quiet = html.Span([html.Span("Quiet until ", className="t3"), until], title=why)
    return [
        html.Span([kind, " ", where]),
        html.Span([html.Span("Owner ", className="t3"), who]),
        html.Span(
            [
                html.Span("Seen ", className="t3"),
                f"{number(alert.occurrences)}×, last {ago(alert.last_seen_us, view.now_us)}",
            ]
        ),
        quiet,
    ]


def chart(detail: AlertDetail, market: Sequence[MarketPoint], view: View) -> html.Section | None:
    """The series behind it, the firing time shaded."""
    alert = detail.alert
    both = [p for p in market if p.demand is not None and p.supply is not None]
    if both:
        last = both[-1]
        gap = (last.supply or 0) - (last.demand or 0)
        title, end = (
            f"{number(abs(gap), 1)} {'missing' if gap < 0 else 'to spare'} at the newest snapshot",
            "demand and supply, 7 d",
        )
        figure = demand_over_supply(both, view, hours=alert.details.get("gap_hours") is not None)
        first, newest, says = both[0].at_us, last.at_us, f"{alert.entity_name}: {title}"
    else:
        known = [p for p in detail.series if p.value is not None]
        if len(known) < 2:
            return None
        what = "calls" if alert.rule_id in ("high_ib_call_frequency", "unusual_calls") else "sessions"
        recent, before = sum(p.value or 0 for p in known[-15:]), sum(p.value or 0 for p in known[-29:-15])
        title = f"{number(recent)} {what} in 14 days, {number(before)} in the 14 before"
        end, figure = f"{what} a day, 6 weeks", per_day(known, what, view)
        first, newest, says = known[0].at_us, known[-1].at_us, f"{alert.entity_name}: {title}"
    ended = alert.resolved_us or view.now_us
    if alert.opened_us <= newest and ended > first:
        figure["layout"].setdefault("shapes", []).append(
            {
                "type": "rect",
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "x0": view.zone.axis(max(alert.opened_us, first)),
                "x1": view.zone.axis(min(ended, newest)),
                "fillcolor": theme.CRITICAL_SOFT,
                "line": {"width": 0},
                "layer": "below",
            }
        )
    return section(title, components.graph(figure, says, 150), end)


def per_day(points: Sequence[Point], what: str, view: View) -> figures.Figure:
    """Counts of single days as bars from zero: most days of one person have none."""
    x = [view.zone.axis(p.at_us) for p in points]
    bar = {
        "type": "bar",
        "x": x,
        "y": [p.value for p in points],
        "marker": {"color": theme.D1},
        "width": 0.72 * DAY / 1000,
        "hovertemplate": "<b>%{y}</b> " + what + "<extra></extra>",
    }
    first, last = points[0].at_us - DAY // 2, points[-1].at_us + DAY // 2
    axis = figures.time_axis(first, last, view.zone, 5)
    top = max(p.value or 0 for p in points)
    y = {"range": [0, max(top * 1.15, 2)], "tickformat": "d"}
    margin = {"l": 24, "r": 16, "t": 6, "b": 20}
    return {"data": [bar], "layout": theme.layout(view.filters.key, xaxis=axis, yaxis=y, margin=margin)}


def numbers(alert: AlertRow) -> html.Section | None:
    """The facts of the rule's verdict, in words."""
    facts = [
        (key, value)
        for key, value in alert.details.items()
        if value is not None and not isinstance(value, dict | list)
    ]
    if not facts:
        return None
    pairs = [
        html.Div([html.Dt(_LABELS.get(key, readable(key))), html.Dd(_fact(key, value))])
        for key, value in facts
    ]
    return section("Why it fired", html.Dl(pairs, className="al-facts"), "as of the last event")


def _fact(key: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return readable(str(value))
    if key in _SHARES:
        return percent(float(value))
    if key == "gap_hours":
        return signed(float(value), 1)
    return number(float(value), None if float(value).is_integer() or abs(value) >= 10 else 2)


def rule(detail: AlertDetail) -> html.Section | None:
    """What the rule looks at, when it opens and clears, and what to do."""
    if not detail.rule:
        return None
    r = detail.rule
    levels = [
        f"{level['severity']} {limit(level['opens'], bool(r.get('rising')))}, clears at {level['clears']:g}"
        for level in r.get("levels", ())
    ]
    body = [
        html.P([html.B("Runbook "), r.get("runbook", "")]),
        html.P(f"Watches {r.get('measure', '')}: {'; '.join(levels)}.", className="t2"),
        html.P(f"Quiet for {quiet_for(r.get('quiet_minutes', 0))} after an end.", className="t2"),
    ]
    return section(
        "What to do",
        html.Div(body, className="al-text"),
        f"rule {r.get('rule_id', '')}, version {r.get('version', '')}",
    )


def quiet_for(minutes: int) -> str:
    """ "90 min", "2 h", "no time"."""
    if not minutes:
        return "no time"
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def limit(value: float, rising: bool) -> str:
    """A limit a hair beside a round number means "below" or "above" it; else it is included."""
    near, without = said(value, rising)
    if without:
        return f"{'above' if rising else 'below'} {near:g}"
    return f"from {near:g}" if rising else f"at {near:g} and below"


def notes(detail: AlertDetail, view: View) -> html.Section:
    """Notes, newest first, and a field for another."""
    written = [
        a for a in detail.audit if a.note and a.action in ("note", "dismiss", "resolve", "ack", "assign")
    ]
    items = [
        html.Li([html.B(a.actor), f" {ago(a.at_us, view.now_us)}", html.P(a.note)], key=str(a.sequence))
        for a in written[:5]
    ]
    field = html.Textarea(
        rows=2,
        className="io-input al-field",
        id="al-note",
        maxLength="2000",
        placeholder="What you found or did",
        disabled=bool(view.forbidden),
        **components.wild({"aria-label": "Note"}),
    )
    extra: dict[str, Any] = {} if view.forbidden else {"data_alert_form": "note", "data_field": "note"}
    send = button("Add note", disabled=view.forbidden, **extra)
    body = [
        html.Ul(items, className="al-notes") if items else None,
        html.Div([field, send], className="al-write"),
    ]
    return section(
        plural(len(written), "note") if written else "No note yet", html.Div(body), "Ctrl Enter sends"
    )


def evidence(entries: Sequence[TimelineEntry], view: View) -> html.Section | None:
    if not entries:
        return None
    items = [
        html.Li(
            [html.Time(view.zone.moment(e.at_us)), html.Span([html.B(e.title), " ", e.detail])],
            key=e.event_id,
        )
        for e in entries[:6]
    ]
    return section(
        "Newest events behind it", html.Ul(items, className="al-log"), f"{len(items)} of {len(entries)}"
    )


def brought(found: Impact | None) -> html.Section | None:
    """What taking up such alerts has brought so far; nothing while not one has had its seven days."""
    if found is None or not found.taken + found.left:
        return None
    told = [
        f"Taken up: {number(found.taken_recovered)} of {number(found.taken)} went back to normal within 7 days. ",
        f"Left alone: {number(found.left_recovered)} of {number(found.left)}. ",
    ]
    if found.more is None or found.low is None or found.high is None:
        told.append(f"With {number(LEAST)} of each the difference will be told.")
        return section("What acting brought", html.P(told, className="al-text"), "90 days")
    told.append(
        f"That is {signed(100 * found.more, 0)} points, {signed(100 * found.low, 0)} to {signed(100 * found.high, 0)} "
        "with 90 % confidence. People choose whom they help, so this is a hint, not a proof."
    )
    return section("What acting brought", html.P(told, className="al-text"), "90 days")


def similar(rows: Sequence[AlertRow], view: View) -> html.Section | None:
    """How alerts of the same kind ended."""
    if not rows:
        return None
    ended = [r for r in rows if r.resolved_us]
    items = [
        html.Li(
            [
                html.A(r.title, href=f"?open={quote(r.alert_id)}"),
                html.Span(
                    f"{r.status} after {span((r.resolved_us or view.now_us) - r.opened_us)}"
                    + (f": {r.cause}" if r.cause else ""),
                    className="t2",
                ),
            ],
            key=r.alert_id,
        )
        for r in rows[:4]
    ]
    return section(
        "Alerts of the same kind", html.Ul(items, className="al-like"), f"{len(ended)} of {len(rows)} ended"
    )


def audit(rows: Sequence[AuditRow], view: View) -> html.Section:
    """Who did what, newest first."""
    ordered = sorted(rows, key=lambda a: a.sequence, reverse=True)
    items = [
        html.Li(
            [
                html.Time(view.zone.moment(a.at_us)),
                html.Span([html.B("Rule" if a.actor == "rule" else a.actor), f" {_said(a)}"]),
            ],
            key=str(a.sequence),
        )
        for a in ordered[:12]
    ]
    return section(
        "Audit",
        html.Ul(items, className="al-log"),
        f"{len(items)} of {plural(len(rows), 'entry', 'entries')}",
    )


def _said(entry: AuditRow) -> str:
    if entry.action == "reopened" and entry.note:
        return entry.note
    done = _DONE.get(entry.action, entry.action)
    if entry.action == "assign":
        owner = entry.after.partition("/")[2].partition("/")[2]
        done = f"assigned it to {owner}" if owner else "gave it back"
    return f"{done}: {entry.note}" if entry.note else done
